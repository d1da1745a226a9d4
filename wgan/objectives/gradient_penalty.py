"""Penalties on the critic's gradient norm |grad f| at single points: four shapes of one idea.

With xh = eps x + (1 - eps) G(z), eps ~ U[0, 1] for each sample:

    gp         weight / target^2  E (|grad f(xh)| - target)^2   Gulrajani et al. 2017; target: Karras et al. 2018
    lp         weight  E max(0, |grad f(xh)| - 1)^2             Petzka et al. 2018
    one_sided  weight  E max(0, |grad f(xh)| - 1)               Athey et al. 2021 (ds-wgan)
    dragan     weight  E (|grad f(x + delta)| - 1)^2            Kodali et al. 2017, delta local noise around real data

Choose `gp` first: stable over architectures and well studied. Choose `lp` for large weights, where `gp` also pushes
slopes below 1 up that an optimal critic may have off the transport lines. Choose `one_sided` to estimate a small W1:
it is unbiased while W1 < weight (and does not hold the critic at all once W1 > weight). Choose `dragan` with
`logistic`, as a GAN regularised around the data only. `gp` and `lp` inflate the estimate: their optimal slope is
1 + W1 / (2 weight).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import relu

from wgan.objectives.base import Constraint, Critic, Draw, require_number
from wgan.objectives.gradients import gradient_norms, interpolate


class SlopePenalty(Constraint):
    """A penalty of the gradient norms at points of its own choice, one for each sample."""

    per_sample: ClassVar[bool] = True

    def points(self, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        """Where the critic's slope is looked at, [n, ...]: between real and fake samples."""
        return interpolate(real, fake, draw)

    def of_norms(self, norms: Tensor) -> Tensor:
        """The penalty, a scalar, of the gradient norms [n] at the points."""
        raise NotImplementedError

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        return self.of_norms(gradient_norms(critic, self.points(real, fake, draw)))


@dataclass(frozen=True)
class GradientPenalty(SlopePenalty):
    """weight / target^2 E (|grad f(xh)| - target)^2 at interpolates; ProGAN writes target as gamma."""

    weight: float = 10.0
    target: float = 1.0

    def __post_init__(self) -> None:
        require_number("gp", "weight", self.weight, least=0)
        require_number("gp", "target", self.target)

    def corrected(self, raw: float, slope: float) -> float | None:
        return _undo_square(raw, self.weight / self.target**2, self.target)

    def of_norms(self, norms: Tensor) -> Tensor:
        return self.weight / self.target**2 * (norms - self.target).square().mean()


@dataclass(frozen=True)
class LipschitzPenalty(SlopePenalty):
    """weight E max(0, |grad f(xh)| - 1)^2 at interpolates: slopes below 1 are free."""

    weight: float = 10.0

    def __post_init__(self) -> None:
        require_number("lp", "weight", self.weight, least=0)

    def corrected(self, raw: float, slope: float) -> float | None:
        return _undo_square(raw, self.weight, 1.0)

    def of_norms(self, norms: Tensor) -> Tensor:
        return self.weight * relu(norms - 1).square().mean()


@dataclass(frozen=True)
class OneSidedPenalty(SlopePenalty):
    """weight E max(0, |grad f(xh)| - 1) at interpolates, linear rather than squared."""

    weight: float = 5.0

    def __post_init__(self) -> None:
        require_number("one_sided", "weight", self.weight, least=0)

    def corrected(self, raw: float, slope: float) -> float | None:
        """raw itself below the weight; from there on no slope is too steep, and raw is unbounded."""
        return raw if raw < self.weight else None

    def of_norms(self, norms: Tensor) -> Tensor:
        return self.weight * relu(norms - 1).mean()


@dataclass(frozen=True)
class Dragan(SlopePenalty):
    """weight E (|grad f(x + a noise std u)| - 1)^2 with a ~ U[0, 1] for each sample and u ~ U[0, 1] for each number.

    std is the standard deviation of all numbers in the batch of real samples. As in the authors' code the noise is
    one-sided (never below x), and the point is drawn on the segment from x to its perturbed copy.
    """

    weight: float = 10.0
    noise: float = 0.5

    def __post_init__(self) -> None:
        require_number("dragan", "weight", self.weight, least=0)
        require_number("dragan", "noise", self.noise)

    def points(self, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        # Over all numbers of the batch, biased as NumPy's: one sample of one number then gives 0, not NaN
        std = draw.spread(real)
        step = draw.uniform(len(real), *[1] * (real.ndim - 1))
        perturbed = real + step * self.noise * std * draw.uniform(*real.shape)
        return perturbed.to(real.dtype)

    def of_norms(self, norms: Tensor) -> Tensor:
        return self.weight * (norms - 1).square().mean()


def _undo_square(raw: float, weight: float, target: float) -> float | None:
    """W1 from raw = W1 (target + W1 / (2 weight)), the score of the slope that weight (slope - target)^2 allows.

    s W1 - weight (s - target)^2 is largest at s = target + W1 / (2 weight), where the estimate is s W1. A negative
    estimate, of a critic that is not trained yet, is left at the slope `target`.
    """
    if weight == 0:
        return None
    if raw <= 0:
        return raw / target
    return weight * (math.sqrt(target**2 + 2 * raw / weight) - target)
