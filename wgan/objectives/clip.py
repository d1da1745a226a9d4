"""Weight clipping: w <- clip(w, -c, c) after each critic update (Arjovsky et al. 2017, Algorithm 1, line 7).

Choose it when you want the paper's algorithm to the letter, or as a baseline. The authors call it "a clearly terrible
way to enforce a Lipschitz constraint": a large c takes long to saturate, a small one lets gradients vanish in deep
critics, and the Lipschitz constant that it leads to is unknown, so the estimate is W1 up to an unknown factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wgan.objectives.base import Constraint, require_number


@dataclass(frozen=True)
class Clip(Constraint):
    """Clamps every parameter of the critic to [-c, c], batch norm's scale and shift too, as the authors' code does."""

    c: float = 0.01

    def __post_init__(self) -> None:
        require_number("clip", "c", self.c)

    def corrected(self, raw: float, slope: float) -> float | None:
        """raw / slope: a clipped critic is K-Lipschitz for a K that nobody knows; its slope is what can be measured."""
        return raw / slope if slope > 0 else None

    @torch.no_grad()
    def constrain(self, critic: nn.Module) -> None:
        weights: list[Tensor] = list(critic.parameters())
        if weights:
            # Two fused calls for the whole critic: a Python loop over the layers costs more than the clamping
            torch._foreach_clamp_min_(weights, -self.c)
            torch._foreach_clamp_max_(weights, self.c)

    @torch.no_grad()
    def share(self, critic: nn.Module) -> float:
        """The share in [0, 1] of the critic's weights that lie on the boundary of the box (logged as clipped_share).

        Waits for the device once. Near 1 the critic can express little beyond the corners of the box; raise c.
        """
        weights = list(critic.parameters())
        clipped = [(w.abs() >= self.c * (1 - 1e-6)).sum() for w in weights]
        return int(torch.stack(clipped).sum()) / sum(w.numel() for w in weights) if weights else 0.0
