"""How a run is watched: the options of watching, and what is measured at a step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wgan import seeds
from wgan.data import Data
from wgan.errors import at_least
from wgan.heldout import Held
from wgan.objectives import Clip, jensen_shannon, slope
from wgan.run import Run
from wgan.state import State, given


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is watched and kept; nothing here changes its result.

    device: "auto" takes a GPU where there is one. data_root: the folder of data sets (default: WGAN_DATASETS, else
    datasets/). allow_bad: train even when more than 5 % of a folder's images can't be read. *_every count steps;
    sample_every and save_every 0 mean at the end only. keep: how many of the newest checkpoints stay; keep_every: and
    those at its multiples. held_out: data to measure the critic on beside its own every heldout_every steps (0: at the
    end only): a name, "none", or "auto" for the test split where there is one. evaluate_every: steps between
    measurements of `evaluate_metric` (0: none), of which the best checkpoint is kept; metric and features as for
    `wgan.evaluate`, evaluate_n samples. micro_batch: rows of a batch that go through the networks at once, 0 for all;
    fewer save memory, and the result is that of the whole batch (but for batch norm, whose statistics are then of fewer
    rows, and for dropout's masks). source: the user's own file that the run came from, told in run.toml.
    """

    device: str = "auto"
    data_root: Path | None = None
    allow_bad: bool = False
    log_every: int = 10
    sample_every: int = 500
    save_every: int = 500
    keep: int = 3
    keep_every: int = 0
    held_out: str = "auto"
    heldout_every: int = 100
    evaluate_every: int = 0
    evaluate_metric: str = ""
    evaluate_n: int = 2000
    evaluate_features: str = ""
    quiet: bool = False
    tensorboard: bool = False
    micro_batch: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        for name, low in {"log_every": 1, "keep": 1, "evaluate_n": 2}.items():
            at_least(low, name, getattr(self, name))
        for name in ("sample_every", "save_every", "keep_every", "heldout_every", "evaluate_every", "micro_batch"):
            at_least(0, name, getattr(self, name))


@dataclass(frozen=True)
class Losses:
    """What `update` computed on the way: scalars on the device, and the batch of its last critic update.

    wasserstein: E f(real) - E f(fake), critic: the loss, penalty: the constraints' part of it, all before the last
    critic update. generator: its loss.
    """

    wasserstein: Tensor
    critic: Tensor
    penalty: Tensor
    real: Tensor
    fake: Tensor
    labels: Tensor | None
    generator: Tensor | None = None


@dataclass(frozen=True)
class Metrics:
    """What one step gave.

    step: generator updates done. epoch: passes of the critic over the data, None when infinite. images: real samples
    that the critic has seen. wasserstein: E f(real) - E f(fake), positive when the critic is right; the losses are what
    is minimised. jensen_shannon: for the losses of the standard GAN. seconds: trained so far.

    At logged steps only: wasserstein_corrected: W1 as the constraint lets the estimate tell it (`Objective.corrected`).
    critic_slope: mean gradient norm of the critic between real and fake. clipped_share: weights at +-c. fake_spread:
    mean distance between two fakes over that between two real samples, near 0 when all fakes look alike.
    generator_gradient: norm of the generator's gradient over all its weights. wasserstein_heldout: as
    wasserstein_corrected (where there is no correction: as wasserstein), and heldout_gap: the critic's overfitting, see
    `wgan.heldout.Held`; both on held-out data. evaluation: the chosen metric by its key, at the steps that measure it.
    """

    step: int
    epoch: float | None
    images: int
    wasserstein: float
    critic_loss: float
    generator_loss: float
    jensen_shannon: float | None
    seconds: float
    images_per_second: float
    wasserstein_corrected: float | None = None
    critic_slope: float | None = None
    clipped_share: float | None = None
    fake_spread: float | None = None
    generator_gradient: float | None = None
    wasserstein_heldout: float | None = None
    heldout_gap: float | None = None
    evaluation: dict[str, float] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether the losses are numbers."""
        return math.isfinite(self.critic_loss) and math.isfinite(self.generator_loss)

    def row(self) -> dict[str, Any]:
        """One line of metrics.jsonl."""
        told = {key: value for key, value in asdict(self).items() if value is not None}
        told |= told.pop("evaluation")
        return told


class Clock:
    """Seconds trained, over all sittings, and real images a second since the last `mark`."""

    def __init__(self, seconds: float = 0.0, images: int = 0) -> None:
        self.begin = time.monotonic() - seconds
        self.mark(images)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begin

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done inside is no training, and doesn't count."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.begin += time.monotonic() - begin

    def mark(self, images: int) -> None:
        self.marked, self.marked_images = self.seconds, images

    def speed(self, images: int) -> float:
        return (images - self.marked_images) / max(self.seconds - self.marked, 1e-9)


def measure(
    run: Run, state: State, data: Data, losses: Losses, clock: Clock, *, full: bool, held: Held | None = None
) -> Metrics:
    """The metrics of the step just done; those that cost something only when `full`, with `held` where measured."""
    critic_loss = losses.critic.item()
    standard = run.objective.pairing.name in ("minimax", "logistic")
    metrics = Metrics(
        step=state.step,
        epoch=None if data.count is None else round(state.images / data.count, 4),
        images=state.images,
        wasserstein=losses.wasserstein.item(),
        critic_loss=critic_loss,
        generator_loss=math.nan if losses.generator is None else losses.generator.item(),
        # of the discriminator's loss: a penalty is no part of what it certifies
        jensen_shannon=jensen_shannon(critic_loss - losses.penalty.item()) if standard else None,
        seconds=round(clock.seconds, 3),
        images_per_second=round(clock.speed(state.images), 2),
    )
    if not full:
        return metrics
    slope_now = critic_slope(run, state, losses)
    corrected = partial(run.objective.corrected, slope=slope_now)
    return replace(
        metrics,
        wasserstein_corrected=corrected(metrics.wasserstein),
        critic_slope=slope_now,
        clipped_share=clipped_share(run, state),
        fake_spread=fake_spread(losses),
        generator_gradient=generator_gradient(state),
        wasserstein_heldout=None if held is None else _first(corrected(held.raw), held.raw),
        heldout_gap=None if held is None else held.gap,
    )


def _first(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def critic_slope(run: Run, state: State, losses: Losses) -> float:
    """Mean gradient norm of the critic at random points between the last real and fake batch; changes no state.

    Dropout is off, batch norm uses its running statistics: the slope of one function, not of a batch.
    """
    draw = seeds.draw(losses.real.device, run.seed, "slope", state.step)
    state.critic.eval()
    result = slope(given(state.critic, losses.labels), losses.real, losses.fake, draw)
    state.critic.train()
    return float(result)


def clipped_share(run: Run, state: State) -> float | None:
    """Share of the critic's weights at +-c, None where nothing is clipped."""
    for constraint in run.objective.constraints:
        if isinstance(constraint, Clip):
            return constraint.share(state.critic)
    return None


def fake_spread(losses: Losses, most: int = 128) -> float:
    """Mean Euclidean distance between two fakes of the last batch over that between two real samples."""
    fake, real = (x[:most].flatten(1).float() for x in (losses.fake, losses.real))
    if len(real) < 2:
        return 1.0
    return float(torch.pdist(fake).mean() / torch.pdist(real).mean().clamp_min(1e-12))


def generator_gradient(state: State) -> float:
    """Euclidean norm of what the last generator update left as gradient."""
    return float(torch.nn.utils.get_total_norm(w.grad for w in state.generator.parameters() if w.grad is not None))


def headline(run: Run, metrics: Metrics) -> str:
    """The figures of a step for the bar: the estimate first."""
    if metrics.jensen_shannon is not None:
        figure = f"JS estimate {metrics.jensen_shannon:.3f}"
    elif run.objective.pairing.name == "wasserstein":
        figure = f"Wasserstein estimate {metrics.wasserstein:.4g}"
    else:
        figure = f"score gap {metrics.wasserstein:.4g}"
    return f"{figure}  {metrics.images_per_second:.0f} images/s"
