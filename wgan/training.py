"""The loop around Algorithm 1: `steps` yields after each step, `train` drains it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

from wgan.algorithm import update
from wgan.data import load
from wgan.devices import find_device, keep_memory
from wgan.distributed import Share, any_number, connect, first_alone, from_first, local_device, share_batch_norms
from wgan.errors import Stopped, UserError
from wgan.graphs import fastest, resident
from wgan.heldout import open_held_out
from wgan.record import Record
from wgan.results import read_toml
from wgan.run import Precision, Run
from wgan.signals import StopSignals
from wgan.state import State, start
from wgan.watch import Metrics, Options, measure

# beyond any run's last step
NEVER = 1 << 62


def steps(
    run: Run, out: str | Path | None = None, options: Options | None = None
) -> Generator[tuple[State, Metrics], None, None]:
    """Train, yielding `(state, metrics)` after each step; the body of the caller's for-loop is the callback.

    `out` is the folder for all that the run leaves behind; None leaves nothing. The same call on the same folder goes
    on where it was, and yields nothing when the run is finished. Leaving the loop early saves first.

    Errors: UserError before the first step for what can't be run, and when a loss is no longer finite.
    """
    options = options or Options()
    device = find_device(local_device(options.device))
    share = connect(device, options.micro_batch)
    if not share.first:
        # one process writes, speaks and measures
        out, options = None, replace(options, quiet=True, held_out="none", evaluate_every=0, log_every=NEVER)
    run = replace(run, precision=from_first(share, settled_precision(run, out)))
    with first_alone(share):
        data = load(run.data, size=run.size, root=options.data_root, allow_bad=options.allow_bad, quiet=options.quiet)
        run = run.resolved(data, device)
        check_share(run, share)
        held = open_held_out(
            options.held_out, run, data, root=options.data_root, allow_bad=options.allow_bad, quiet=options.quiet
        )
        scores = None
        if options.evaluate_every:
            from wgan.evaluation.during import open_scores

            scores = open_scores(run, data, device, options)
        # before the folder is made: what can't be run leaves nothing behind
        state = start(run, data, device)
        record = Record(run, data, device, out, options)
    keep_memory(device)
    with record:
        record.resume(state)
        tensors, counters = from_first(share, (state.tensors(), {"step": state.step, "images": state.images}))
        if not share.first:
            state.load(tensors, counters)
        for network in (state.critic, state.generator):
            share_batch_norms(network, share)
        source, iterate = resident(data, device), fastest(run, state, device, share, record.reporter.warn)
        while state.step < run.steps:
            losses = update(run, state, source, device, share, iterate)
            check = held is not None and due(options.heldout_every, state.step, run.steps)
            evaluate = scores is not None and due(options.evaluate_every, state.step, run.steps)
            log = check or evaluate or due(options.log_every, state.step, run.steps)
            unseen = held.measure(run, state, device) if held is not None and check else None
            metrics = measure(run, state, data, losses, record.clock, full=log, held=unseen)
            record.see(metrics)
            if scores is not None and evaluate:
                metrics = replace(metrics, evaluation=record.score(state, scores))
            if log:
                record.log(metrics)
            if due(options.sample_every, state.step, run.steps):
                record.sample(state)
            if due(options.save_every, state.step, run.steps):
                record.save(state)
            try:
                yield state, metrics
            except GeneratorExit:
                record.save(state)
                raise


def settled_precision(run: Run, out: str | Path | None) -> Precision:
    """The run's precision; where that is open, the one that the folder's run was begun in."""
    file = None if out is None else Path(out) / "run.toml"
    if run.precision == "auto" and file is not None and file.exists():
        fields = read_toml(file).get("run")
        begun = fields.get("precision") if isinstance(fields, dict) else None
        if begun in ("fp32", "bf16"):
            return cast(Precision, begun)
    return run.precision


def check_share(run: Run, share: Share) -> None:
    """UserError when a batch has fewer rows than there are processes."""
    least = min(run.batch_size, run.generator_batch_size or run.batch_size)
    if least < share.size:
        raise UserError(f"a batch of {least} is too small for {share.size} processes: raise --batch-size")


def due(every: int, step: int, last: int) -> bool:
    """Whether something is done at this step: at multiples of `every` (0: at none) and at the last step."""
    return step == last or (every > 0 and step % every == 0)


def train(run: Run, out: str | Path, options: Options | None = None) -> None:
    """Train `run` to its end in the folder `out`, as `steps` does. SIGINT and SIGTERM finish the step and save.

    Errors: as `steps`; `wgan.errors.Stopped` after a signal.
    """
    with StopSignals() as signals, closing(steps(run, out, options)) as loop:
        for state, _ in loop:
            if (number := any_number(signals.heard())) is not None:
                loop.close()
                raise Stopped(number, f"stopped after step {state.step}; the same command goes on from there")
