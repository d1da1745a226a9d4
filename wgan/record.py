"""What is seen and kept while a run goes on: the bar, the log, pictures, the curve, checkpoints."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import torch

from wgan.curve import save_curve
from wgan.data import Data
from wgan.doctor.watcher import Watcher
from wgan.errors import UserError
from wgan.log import Board, Reporter
from wgan.pictures import save_fakes, save_real
from wgan.results import Results, open_results
from wgan.run import Run
from wgan.state import State
from wgan.watch import Clock, Metrics, Options, headline

if TYPE_CHECKING:
    from wgan.evaluation.during import Scores


class Record:
    """A context for one sitting of a resolved run. With `out` None nothing is written and nothing is shown."""

    def __init__(self, run: Run, data: Data, device: torch.device, out: str | Path | None, options: Options) -> None:
        self.run, self.data, self.device, self.options = run, data, device, options
        self.clock = Clock()
        self.reporter = Reporter(quiet=options.quiet or out is None)
        self.results: Results | None = None
        self.board: Board | None = None
        self.watcher: Watcher | None = None
        # values of the watched metric at earlier steps, read from the log when first needed
        self.best: list[float] | None = None
        self.stack = ExitStack()
        if out is not None:
            self.results = open_results(Path(out), run, data, options.source)
            self.stack.callback(self.results.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def resume(self, state: State) -> None:
        """Bring the state to the newest checkpoint, if there is one, and say where the run stands."""
        if not self.results:
            return
        seconds, complaints = self.results.restore(state)
        for complaint in complaints:
            self.reporter.warn(f"{complaint}; going on from step {state.step}")
        self.saved_step = state.step
        self.watcher = Watcher(self.run, state, self.results.rows())
        self.clock = Clock(seconds, state.images)
        if state.step >= self.run.steps:
            self.reporter.say(f"{self.results.path} is finished after {state.step} steps; a higher --steps goes on")
            return
        if state.step:
            for warning in self.results.warnings:
                self.reporter.warn(warning)
            self.reporter.say(f"{self.results.path}: going on from step {state.step}")
        else:
            save_real(self.data, self.results.path / "samples" / "real.png", self.run.seed)
            self.sample(state)
        if self.options.tensorboard:
            self.board = self.stack.enter_context(Board(self.results.path / "tensorboard", state.step))
        self.stack.enter_context(self.reporter.running(self.run.steps, state.step))

    def see(self, metrics: Metrics) -> None:
        """Show a step. Errors: UserError when its losses are not finite; what was saved before stays."""
        if not metrics.finite:
            losses = f"critic {metrics.critic_loss}, generator {metrics.generator_loss}"
            raise self._diverged(f"the loss is no longer finite at step {metrics.step} ({losses})")
        self.reporter.update(metrics.step, headline(self.run, metrics))

    def _diverged(self, what: str) -> UserError:
        saved = f"; the last checkpoint is step {self.saved_step} in {self.results.path}" if self.results else ""
        return UserError(
            f"{what}{saved}. What usually helps: a lower --lr, no momentum on the critic (beta1=0.0), more critic "
            "steps (--n-critic), a stronger constraint, --precision fp32"
        )

    def score(self, state: State, scores: Scores) -> dict[str, float]:
        """Measure the generator, and keep the checkpoint if it is the best so far; returns the figure by its key.

        Before the step is logged and saved: after a stop in between, the same step comes and does the same again.
        """
        if not state.finite:
            raise self._diverged(f"weights are no longer finite after step {state.step}")
        with self.clock.paused():
            found = scores.measure(state)
        told = f"step {state.step}: {found.key} {found.value:.5g}"
        if self.results:
            if self.best is None:
                self.best = [row[found.key] for row in self.results.rows() if found.key in row]
            if found.beats(self.best):
                self.results.save_best(state, self.clock.seconds, found.key, found.value)
                told += ", the best so far"
            self.best.append(found.value)
        self.reporter.say(told)
        return {found.key: found.value}

    def log(self, metrics: Metrics) -> None:
        """A line in metrics.jsonl, and in TensorBoard where wanted; a warning when it shows that the run is sick."""
        self.clock.mark(metrics.images)
        for finding in self.watcher.see(metrics.row()) if self.watcher else ():
            self.reporter.warn(f"step {metrics.step}: {finding.line}")
        if self.results:
            self.results.log(metrics.row())
        if self.board:
            self.board.log(metrics.step, metrics.row())

    def sample(self, state: State) -> None:
        """samples/step-NNNNNN.png from the same z at every step."""
        if self.results:
            path = self.results.sample_path(state.step)
            save_fakes(self.run, state.sampler, self.data, self.device, path)
            if self.board:
                self.board.picture(state.step, path)

    def save(self, state: State) -> None:
        """A checkpoint and the curve, unless this step is saved already. Errors: UserError for weights that are not
        finite, which a last update leaves behind finite losses: the checkpoint before must stay the newest.
        """
        if self.results and self.saved_step != state.step:
            if not state.finite:
                raise self._diverged(f"weights are no longer finite after step {state.step}")
            self.results.save(state, self.clock.seconds, self.options.keep, self.options.keep_every)
            self.saved_step = state.step
            save_curve(self.run, self.results.path, grids=len(self.data.shape) == 3)
