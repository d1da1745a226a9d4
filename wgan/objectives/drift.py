"""Drift: weight E f(x)^2 on real samples (Karras et al. 2018, "Progressive Growing of GANs", appendix A.1).

Choose it next to `wasserstein` and a gradient penalty when scores wander off: the Wasserstein loss does not change when
a constant is added to f, so nothing else holds them near 0, and half precision loses the difference of large scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wgan.objectives.base import Constraint, Critic, Draw, require_number, widened


@dataclass(frozen=True)
class Drift(Constraint):
    """weight E f(x)^2, the paper's eps_drift = 0.001; costs one more pass of the critic over the real batch."""

    weight: float = 0.001
    sets_slope: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_number("drift", "weight", self.weight, least=0)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        return self.weight * widened(critic(real)).square().mean()
