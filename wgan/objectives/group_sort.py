"""GroupSort and MaxMin: non-linearities that keep the norm of the gradient (Anil, Lucas & Grosse 2019).

A critic whose layers all have norm <= 1 can reach slope 1 only if no layer loses norm; ReLU drops about half of it, and
such a critic then estimates about W / 2. Sorting permutes its inputs, so it keeps the norm of the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wgan.objectives.base import require_count

# Pointwise layers that lose norm or, as PReLU with its learned slope and SiLU with 1.1, may gain it
REPLACED = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus)


class GroupSort(nn.Module):
    """Sorts each group of `group` neighbouring channels (axis 1) in descending order; group 2 is MaxMin.

    `[n, c, ...] -> [n, c, ...]`. Where `group` does not divide c, the last c mod group channels pass unchanged.
    """

    def __init__(self, group: int = 2) -> None:
        super().__init__()
        require_count("GroupSort", "group", group, least=2)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[1] // self.group
        whole = count * self.group
        # Not torch.maximum: it splits a tie's gradient, where sorting remains a permutation
        groups = x[:, :whole].reshape(len(x), count, self.group, *x.shape[2:])
        ordered = groups.sort(2, descending=True).values.flatten(1, 2)
        return ordered if whole == x.shape[1] else torch.cat([ordered, x[:, whole:]], 1)

    def extra_repr(self) -> str:
        return f"group={self.group}"


def replace_activations(critic: nn.Module, group: int) -> int:
    """Puts GroupSort(group) in the place of pointwise activations; returns how many GroupSorts the critic has now."""
    # With duplicates: one nn.ReLU object may stand in several places
    for path, layer in list(critic.named_modules(remove_duplicate=False)):
        if isinstance(layer, REPLACED) and path:
            parent, _, name = path.rpartition(".")
            setattr(critic.get_submodule(parent), name, GroupSort(group))
    return sum(isinstance(layer, GroupSort) for layer in critic.modules())
