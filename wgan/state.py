"""State: everything that changes in a run. What a checkpoint holds is this, and nothing else."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.data import Data
from wgan.errors import UserError
from wgan.fast.layers import join_norms, speed_up
from wgan.networks import Given, has_batch_norm
from wgan.objectives import Critic
from wgan.run import Run, spell_objective


@dataclass
class State:
    """step: generator updates done. images: real samples that the critic has seen (its position in the data).

    average: the running average of the generator, None without.
    """

    critic: nn.Module
    generator: nn.Module
    average: nn.Module | None
    critic_optimizer: torch.optim.Optimizer
    generator_optimizer: torch.optim.Optimizer
    step: int = 0
    images: int = 0

    @property
    def sampler(self) -> nn.Module:
        """The generator to draw samples from: the running average where there is one."""
        return self.generator if self.average is None else self.average

    @property
    def finite(self) -> bool:
        """Whether all weights are numbers."""
        weights = [*self.critic.parameters(), *self.generator.parameters()]
        return all(bool(weight.isfinite().all()) for weight in weights)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name; they share memory with it."""
        flat: dict[str, Tensor] = {}
        for name in ("critic", "generator", "average"):
            module: nn.Module | None = getattr(self, name)
            if module is not None:
                flat |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        for name in ("critic_optimizer", "generator_optimizer"):
            for index, slots in getattr(self, name).state_dict()["state"].items():
                flat |= {f"{name}.{index}.{key}": torch.as_tensor(value) for key, value in slots.items()}
        return flat

    def load(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Take over what `tensors()` gave and the counters step and images. Errors: UserError when they don't fit."""
        try:
            for name in ("critic", "generator", "average"):
                module: nn.Module | None = getattr(self, name)
                if module is not None:
                    module.load_state_dict(below(name, tensors))
            for name in ("critic_optimizer", "generator_optimizer"):
                _load_optimizer(getattr(self, name), below(name, tensors))
            self.step, self.images = int(counters["step"]), int(counters["images"])
        except (RuntimeError, KeyError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise UserError(f"the checkpoint does not fit this run's networks: {reason}") from None


def below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one part of the state, such as "generator", by their names within it."""
    return {key.removeprefix(name + "."): value for key, value in tensors.items() if key.startswith(name + ".")}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, slot = key.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    # a fused step goes through memory: what belongs to a weight lies as the weight does
    for weight, found in optimizer.state.items():
        for slot, value in found.items():
            if value.shape == weight.shape:
                found[slot] = torch.empty_like(weight).copy_(value)


def start(run: Run, data: Data, device: torch.device, *, fast: bool = True) -> State:
    """The state before the first step of a resolved run. Errors: UserError for networks and constraints at odds.

    fast: with layers that do the same in less time (`wgan.fast`); else with torch's own.
    """
    assert run.networks is not None, "resolve the run first"
    with seeds.scope(run.seed, "weights"):
        pair = run.networks(data.shape, run.z_dim, len(data.classes) if run.conditional else 0)
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(module, nn.Module) for module in pair)):
            raise UserError(f"networks must give two torch modules, (generator, critic), not {type(pair).__name__}")
        generator, critic = pair
        if run.objective.per_sample and has_batch_norm(critic) and not run.allow_critic_batch_norm:
            raise UserError(
                f"objective '{spell_objective(run.objective)}' looks at single samples, but batch norm in the critic "
                "couples them (WGAN-GP, Section 4): choose networks with critic_norm='none' or 'layer', or pass "
                "--allow-critic-batch-norm"
            )
        if fast:
            for network in pair:
                speed_up(network)
        run.objective.prepare(critic)
        if fast:
            for network in pair:
                join_norms(network)
    for network in (critic, generator):
        network.to(device)
        if fast:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(generator).requires_grad_(False) if run.ema else None
    return State(
        critic=critic,
        generator=generator,
        average=average,
        critic_optimizer=run.critic_optimizer.build(critic.parameters()),
        generator_optimizer=run.generator_optimizer.build(generator.parameters()),
    )


def given(critic: nn.Module, labels: Tensor | None) -> Critic:
    """The critic as a function of the samples alone."""
    return critic if labels is None else Given(critic, labels)


def generate(generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
    """Samples [n, *shape]; a generator without labels is called without them."""
    made: Tensor = generator(z) if labels is None else generator(z, labels)
    return made


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * generator; buffers (batch norm's statistics) are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - decay)
    for mine, its in zip(average.buffers(), generator.buffers(), strict=True):
        mine.copy_(its)
