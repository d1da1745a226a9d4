"""How a run is watched: the options of watching, and what is measured at a step."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from wgan import seeds
from wgan.data import Data
from wgan.errors import at_least
from wgan.objectives import Clip, jensen_shannon, slope
from wgan.run import Run
from wgan.state import State, given


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is watched and kept; nothing here changes its result.

    device: "auto" takes a GPU where there is one. data_root: the folder of data sets (default: WGAN_DATASETS, else
    datasets/). allow_bad: train even when more than 5 % of a folder's images can't be read. *_every count steps;
    sample_every and save_every 0 mean at the end only. keep: how many of the newest checkpoints stay; keep_every: and
    those at its multiples. source: the user's own file that the run came from, told in run.toml.
    """

    device: str = "auto"
    data_root: Path | None = None
    allow_bad: bool = False
    log_every: int = 10
    sample_every: int = 500
    save_every: int = 500
    keep: int = 3
    keep_every: int = 0
    quiet: bool = False
    tensorboard: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        for name, low in {"log_every": 1, "sample_every": 0, "save_every": 0, "keep": 1, "keep_every": 0}.items():
            at_least(low, name, getattr(self, name))


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
    is minimised. jensen_shannon: for the losses of the standard GAN. critic_slope: mean gradient norm of the critic
    between real and fake, and clipped_share: weights at +-c; both at logged steps only. seconds: trained so far.
    """

    step: int
    epoch: float | None
    images: int
    wasserstein: float
    critic_loss: float
    generator_loss: float
    jensen_shannon: float | None
    critic_slope: float | None
    clipped_share: float | None
    seconds: float
    images_per_second: float

    @property
    def finite(self) -> bool:
        """Whether the losses are numbers."""
        return math.isfinite(self.critic_loss) and math.isfinite(self.generator_loss)

    def row(self) -> dict[str, Any]:
        """One line of metrics.jsonl."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class Clock:
    """Seconds trained, over all sittings, and real images a second since the last `mark`."""

    def __init__(self, seconds: float = 0.0, images: int = 0) -> None:
        self.begin = time.monotonic() - seconds
        self.mark(images)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begin

    def mark(self, images: int) -> None:
        self.marked, self.marked_images = self.seconds, images

    def speed(self, images: int) -> float:
        return (images - self.marked_images) / max(self.seconds - self.marked, 1e-9)


def measure(run: Run, state: State, data: Data, losses: Losses, clock: Clock, *, full: bool) -> Metrics:
    """The metrics of the step just done; those that cost something only when `full`."""
    critic_loss = losses.critic.item()
    standard = run.objective.pairing.name in ("minimax", "logistic")
    return Metrics(
        step=state.step,
        epoch=None if data.count is None else round(state.images / data.count, 4),
        images=state.images,
        wasserstein=losses.wasserstein.item(),
        critic_loss=critic_loss,
        generator_loss=math.nan if losses.generator is None else losses.generator.item(),
        # of the discriminator's loss: a penalty is no part of what it certifies
        jensen_shannon=jensen_shannon(critic_loss - losses.penalty.item()) if standard else None,
        critic_slope=critic_slope(run, state, losses) if full else None,
        clipped_share=clipped_share(run, state) if full else None,
        seconds=round(clock.seconds, 3),
        images_per_second=round(clock.speed(state.images), 2),
    )


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


def headline(run: Run, metrics: Metrics) -> str:
    """The figures of a step for the bar: the estimate first."""
    if metrics.jensen_shannon is not None:
        figure = f"JS estimate {metrics.jensen_shannon:.3f}"
    elif run.objective.pairing.name == "wasserstein":
        figure = f"Wasserstein estimate {metrics.wasserstein:.4g}"
    else:
        figure = f"score gap {metrics.wasserstein:.4g}"
    return f"{figure}  {metrics.images_per_second:.0f} images/s"
