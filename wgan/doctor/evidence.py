"""What a diagnosis rests on: numbers gathered once, from the log and from probes of a checkpoint.

Everything here is plain data. A probe that could not be made is None, and the checks that need it keep silent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wgan.run import Run


@dataclass(frozen=True)
class Estimate:
    """The critic on `n` training samples and as many fakes that the last updates did not see.

    raw: E f(real) - E f(fake). slope: its mean gradient norm between them. w1: W1 as the constraint lets raw tell it,
    else raw / slope. distance: mean distance between a real and a fake sample; W1 is never above it. scale: mean
    distance between two real samples.
    """

    raw: float
    slope: float
    w1: float
    distance: float
    scale: float
    n: int


@dataclass(frozen=True)
class Climb:
    """raw / slope on fixed batches at `steps` more critic updates with step size `lr`, the generator held fixed."""

    lr: float
    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def top(self) -> float:
        """The highest value on the way."""
        return max((value for value in self.values if math.isfinite(value)), default=-math.inf)


@dataclass(frozen=True)
class Gain:
    """What more critic updates on a copy gain: at the run's own step size, and at a faster one where that is slow.

    scale: mean distance between two real samples, in whose unit a gain is small or large.
    """

    own: Climb
    fast: Climb | None
    scale: float

    @property
    def best(self) -> Climb:
        """The climb that came highest."""
        return self.own if self.fast is None or self.fast.top < self.own.top else self.fast

    def relative(self, floor: float) -> float:
        """(best - before) / max(best, floor * scale): the share of W1 that the critic did not see."""
        return (self.best.top - self.own.values[0]) / max(self.best.top, floor * self.scale)


@dataclass(frozen=True)
class Gap:
    """Mean scores of `n` training samples, as many held-out ones, and fakes.

    error: standard error of train - held_out. name: of the held-out data. counts: of the training, the held-out and the
    fake scores, as shares in equal bins between `low` and `high`.
    """

    train: float
    held_out: float
    fake: float
    error: float
    n: int
    name: str
    low: float = 0.0
    high: float = 1.0
    counts: tuple[tuple[float, ...], ...] = ()

    @property
    def share(self) -> float:
        """(train - held_out) / |train - fake|: 0 when the critic judges unseen data as it does its own."""
        return (self.train - self.held_out) / (abs(self.train - self.fake) or 1.0)


@dataclass(frozen=True)
class Layers:
    """Mean norm over samples of d f / d activation, for the input and the output of each layer with weights, in order.

    The last layer's output is the score, whose norm is 1.
    """

    names: tuple[str, ...]
    norms: tuple[float, ...]

    @property
    def decades(self) -> float:
        """Decades of the gradient norm from one layer to the next towards the score, fitted by least squares.

        Above 0 the gradient vanishes on its way down to the input, below 0 it explodes (WGAN-GP, Figure 1b).
        """
        y = [math.log10(max(norm, 1e-30)) for norm in self.norms]
        middle, mean = (len(y) - 1) / 2, sum(y) / len(y)
        spread = sum((i - middle) ** 2 for i in range(len(y)))
        return sum((i - middle) * (value - mean) for i, value in enumerate(y)) / spread if spread else 0.0


@dataclass(frozen=True)
class Weights:
    """A clipped critic's weights: c, the share at +-c, and counts of w / c in equal bins over [-1, 1]."""

    c: float
    share: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Variety:
    """`n` fakes beside as many real samples, as they are (points or pixels).

    spread: mean distance between two fakes over that between two real samples. covered: of `cells` groups of real
    samples, those that get at least a fifth of their fair share of fakes. recall, coverage: wgan.metrics; None without.
    modes: of a toy's `centres`, those with a sample within three standard deviations; None for other data. shares: of
    the real samples and of the fakes, in each group.
    """

    spread: float
    covered: int
    cells: int
    recall: float | None
    coverage: float | None
    modes: int | None
    centres: int | None
    n: int
    shares: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())


@dataclass(frozen=True)
class Push:
    """What one more generator update does, the mean of a few.

    gradient: norm over all weights. move: mean distance that a sample moves, in mean distances of two real samples.
    kept: the decrease of the loss on the same z, over that which the gradient promised for this update: 1 where it
    holds.
    """

    gradient: float
    move: float
    kept: float

    @property
    def overshoot(self) -> float:
        """How far samples are thrown beyond what the gradient knew of: move * (1 - kept)."""
        return self.move * (1 - min(max(self.kept, -1.0), 1.0))


class Log:
    """The rows of metrics.jsonl, oldest first; a name that is missing in a row counts as not measured there."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rows = list(rows)

    def column(self, name: str, last: int | None = None) -> list[float]:
        """The measured values of a name, of the `last` rows where given."""
        rows = self.rows if last is None else self.rows[-last:]
        return [float(row[name]) for row in rows if isinstance(row.get(name), int | float)]

    def points(self, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) of a name where it was measured."""
        found = [row for row in self.rows if isinstance(row.get(name), int | float)]
        return [int(row["step"]) for row in found], [float(row[name]) for row in found]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Evidence:
    """All that the checks look at.

    batch_norm: whether the critic has any. coupling: by how much of the scores' spread a sample's score moves with the
    rest of its batch. generator_weights: how many it has. notes: what could not be measured, for the reader.
    """

    run: Run
    step: int
    batch_norm: bool
    log: Log
    generator_weights: int | None = None
    estimate: Estimate | None = None
    gain: Gain | None = None
    gap: Gap | None = None
    layers: Layers | None = None
    weights: Weights | None = None
    variety: Variety | None = None
    push: Push | None = None
    coupling: float | None = None
    notes: tuple[str, ...] = field(default=())
