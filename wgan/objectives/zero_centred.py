"""Zero-centred gradient penalties on real or on fake samples (Mescheder, Geiger & Nowozin 2018).

    r1   gamma / 2  E |grad f(x)|^2      x real
    r2   gamma / 2  E |grad f(G(z))|^2   G(z) fake

Choose them when training has to converge: of the constraints here they alone make the game's equilibrium locally
attracting (Wasserstein with clipping or gp circles around it on the Dirac-GAN). R1 with `logistic` is StyleGAN's
choice, R1 and R2 together with `relativistic` R3GAN's (Huang et al. 2024; gamma from 0.05 on CIFAR-10). They do not
hold the slope at 1, so that with them E f(x) - E f(G(z)) is not an estimate of W1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wgan.objectives.base import Constraint, Critic, Draw, require_number
from wgan.objectives.gradients import squared_norms


@dataclass(frozen=True)
class ZeroCentred(Constraint):
    """gamma / 2 E |grad f|^2 at the samples themselves."""

    gamma: float = 10.0
    per_sample: ClassVar[bool] = True
    name: ClassVar[str]
    at_real: ClassVar[bool]

    def __post_init__(self) -> None:
        require_number(self.name, "gamma", self.gamma, least=0)

    def of_squares(self, squares: Tensor) -> Tensor:
        """The penalty, a scalar, of the squared gradient norms [n] at the samples."""
        return self.gamma / 2 * squares.mean()

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        return self.of_squares(squared_norms(critic, real if self.at_real else fake))


@dataclass(frozen=True)
class R1(ZeroCentred):
    """gamma / 2 E |grad f(x)|^2 at real samples."""

    name: ClassVar[str] = "r1"
    at_real: ClassVar[bool] = True


@dataclass(frozen=True)
class R2(ZeroCentred):
    """gamma / 2 E |grad f(G(z))|^2 at fake samples."""

    name: ClassVar[str] = "r2"
    at_real: ClassVar[bool] = False
