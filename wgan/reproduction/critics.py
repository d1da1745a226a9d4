"""Critics trained against a generator that stands still, for the figures that need one near its optimum."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.objectives import Objective
from wgan.optimizers import Optimizer

# the samples at (seed, step): real [n, ...] and fake [n, ...]
Sample = Callable[[seeds.Draw], tuple[Tensor, Tensor]]


def training(
    build: Callable[[], nn.Module],
    sample: Sample,
    objective: Objective,
    optimizer: Optimizer,
    *,
    steps: int,
    seed: int,
) -> Iterator[tuple[int, nn.Module]]:
    """Yield (steps done, critic) before the first update and after each of `steps` updates.

    build: makes the critic, [n, ...] -> [n]; its initial weights follow from the seed. All randomness does.
    """
    cpu = torch.device("cpu")
    with seeds.scope(seed, "weights"):
        critic = build()
        objective.prepare(critic)
    updater = optimizer.build(critic.parameters())
    yield 0, critic
    for step in range(steps):
        real, fake = sample(seeds.draw(cpu, seed, "samples", step))
        loss = objective.critic_loss(critic, real, fake, seeds.draw(cpu, seed, "penalty", step)).loss
        updater.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        updater.step()
        objective.constrain(critic)
        yield step + 1, critic


def mlp(inputs: int, *widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    """Fully connected layers of `widths` units and one score: [n, inputs] -> [n]."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1), nn.Flatten(0))


def generator_gradient(critic: nn.Module, objective: Objective, fake: Tensor) -> Tensor:
    """d(generator's loss of each sample) / d(sample), [n, ...]: what reaches the generator through the critic."""
    x = fake.detach().requires_grad_()
    loss = objective.generator_loss(None, critic(x)) * len(x)
    (gradient,) = torch.autograd.grad(loss, x)
    return gradient
