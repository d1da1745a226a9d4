"""A critic that is 1-Lipschitz and has slope 1 nearly everywhere, whatever its weights: the lower envelope of cones.

    f(x) = sign * min_k ( |x - c_k| + b_k )

Kantorovich's potential for the cost |x - y| is such a minimum over all points of one of the two distributions (McShane
1934; Villani 2009, Theorem 5.10), so that every optimal critic is a limit of these, of either sign. The minimum is
softened, -t log sum exp(-(.) / t): a weighted mean of unit vectors is its gradient, of norm at most 1. Nothing has to
be penalised, nothing corrected: E f(real) - E f(fake) never exceeds W1. It is for measuring, on points and small
images; as a trainer of generators it has not been tried.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Cones(nn.Module):
    """Scores [n] of points [n, ...], flattened to [n, d].

    centres: float [k, d]. sign: +1 or -1. temperature: t > 0, in the unit of the points; it may be changed at any time.
    """

    def __init__(self, centres: Tensor, sign: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres.detach().clone())
        self.heights = nn.Parameter(torch.zeros(len(centres), dtype=centres.dtype, device=centres.device))
        self.sign = sign
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        cones = torch.cdist(x.flatten(1), self.centres) + self.heights
        return -self.sign * self.temperature * torch.logsumexp(-cones / self.temperature, 1)
