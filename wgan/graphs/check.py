"""Whether a graph does what an iteration as usual does: both start from one state, and what they leave is compared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wgan.state import State
from wgan.watch import Losses

# how far a graph may be from an iteration as usual (`disagreement`); bf16 has 8 bits
TOLERANCES = {"bf16": 1e-2, "fp32": 1e-3}
LOOSE = 0.1


def networks(state: State) -> tuple[nn.Module, nn.Module]:
    """The two that an iteration trains."""
    return state.critic, state.generator


def changing(state: State) -> list[Tensor]:
    """Every tensor that an iteration changes or reads from one step to the next."""
    found = [x for module in networks(state) for x in (*module.parameters(), *module.buffers())]
    for optimizer in (state.critic_optimizer, state.generator_optimizer):
        found += [x for slots in optimizer.state.values() for x in slots.values() if isinstance(x, Tensor)]
        found += [group["lr"] for group in optimizer.param_groups if isinstance(group["lr"], Tensor)]
    return found


def addresses(state: State) -> list[int]:
    """Where each network's first weight lies and what its optimiser has: a graph goes on reading and writing there.

    Whoever loads or moves one tensor of the state does so to all of them; to look at all takes 0.3 ms a step.
    """
    found: list[int] = []
    for module, optimizer in zip(networks(state), (state.critic_optimizer, state.generator_optimizer), strict=True):
        weight = next(module.parameters())
        slots = optimizer.state.get(weight, {})
        kept = (weight, *slots.values(), *(group["lr"] for group in optimizer.param_groups))
        found += [x.data_ptr() for x in kept if isinstance(x, Tensor)]
    return found


class Kept:
    """A copy of what an iteration changes."""

    def __init__(self, state: State) -> None:
        self.state, self.step, self.images = state, state.step, state.images
        self.tensors = [(x, x.detach().clone()) for x in changing(state)]
        weights = [weight for module in networks(state) for weight in module.parameters()]
        self.weights = [(weight, weight.requires_grad, weight.grad) for weight in weights]

    @torch.no_grad()
    def restore(self) -> None:
        self.state.step, self.state.images = self.step, self.images
        for now, before in self.tensors:
            now.copy_(before)
        for weight, trained, gradient in self.weights:
            weight.requires_grad_(trained).grad = gradient


def disagreement(
    state: State, kept: Kept, usual: Callable[[], Losses], replay: Callable[[], Losses], tolerance: float
) -> str | None:
    """What is wrong with a replay, None when it does what the iteration as usual does. Leaves the state changed.

    Compared are the last gradients, to the tolerance, and by how much weights and buffers change, to `LOOSE`: where a
    gradient is nothing but rounding, as that of a bias before a batch norm, Adam makes a whole step of its sign. All of
    it relative, and besides by 4 times as much as two iterations as usual differ: some kernels add in any order.
    """
    first, second, found = (effects(state, kept, each) for each in (usual, usual, replay))
    for name, expected in first.items():
        length = expected.norm().clamp_min(1e-30)
        own, off = (float((each[name] - expected).norm() / length) for each in (second, found))
        # so that a NaN is refused
        if not off <= (min(tolerance + 4 * own, LOOSE) if name.endswith("gradient") else LOOSE):
            return f"the {name} is off by {100 * off:.2g} %"
    return None


@torch.no_grad()
def effects(state: State, kept: Kept, iteration: Callable[[], Losses]) -> dict[str, Tensor]:
    """What an iteration from the kept state leaves and changes, by what it is."""
    kept.restore()
    with torch.enable_grad():
        iteration()
    before = {id(now): was for now, was in kept.tensors}
    found: dict[str, list[Tensor]] = {}
    for whose, module in zip(("critic's", "generator's"), networks(state), strict=True):
        weights, buffers = list(module.parameters()), [x for x in module.buffers() if x.is_floating_point()]
        found[f"{whose} gradient"] = [weight.grad for weight in weights if weight.grad is not None]
        found[f"{whose} change of weights"] = [now - before[id(now)] for now in weights]
        found[f"{whose} change of buffers"] = [now - before[id(now)] for now in buffers]
    return {name: torch.cat([x.double().flatten() for x in parts]) for name, parts in found.items() if parts}
