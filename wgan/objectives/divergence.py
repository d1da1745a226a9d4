"""WGAN-div: k E |grad f(xh)|^p, xh = eps x + (1 - eps) G(z) (Wu et al. 2018, "Wasserstein Divergence for GANs").

Conventions: one eps ~ U[0, 1] for each sample and the mean over one set of interpolates, as in the paper's algorithm;
some implementations take k / 2 times the sum of two means, over real and over fake samples, instead. The paper finds
the result insensitive to where the gradient is taken.

Choose it when gp's target of slope 1 fights with the architecture: the penalty relaxes the Lipschitz constraint into a
divergence that asks for no slope in particular. The raw E f(x) - E f(G(z)) then grows as W^(p/(p-1)), not as W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wgan.objectives.base import Constraint, Critic, Draw, require_number
from wgan.objectives.gradients import gradient_norms, interpolate


@dataclass(frozen=True)
class Divergence(Constraint):
    """k E |grad f(xh)|^p at interpolates; p >= 1, the paper's best (k, p) = (2, 6)."""

    k: float = 2.0
    p: float = 6.0
    per_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_number("div", "k", self.k, least=0)
        require_number("div", "p", self.p, least=1)

    def corrected(self, raw: float, slope: float) -> float | None:
        """(k p raw^(p-1))^(1/p): s W1 - k s^p is largest where W1 = k p s^(p-1), and raw = s W1 there.

        None for p = 1, where the best slope is 0 or unbounded.
        """
        if self.p == 1 or self.k == 0:
            return None
        return math.copysign((self.k * self.p * abs(raw) ** (self.p - 1)) ** (1 / self.p), raw)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        norms = gradient_norms(critic, interpolate(real, fake, draw))
        return self.k * norms.pow(self.p).mean()
