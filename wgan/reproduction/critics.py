"""Critics trained against a generator that stands still, for the figures that need one near its optimum; and runs that
leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.objectives import Objective
from wgan.optimizers import Optimizer
from wgan.run import Run
from wgan.state import State
from wgan.training import steps as train_steps
from wgan.watch import Metrics, Options

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


def quietly(
    run: Run, *, every: int = 0, device: str = "cpu", root: Path | None = None
) -> Generator[tuple[State, Metrics], None, None]:
    """`wgan.steps` that leaves nothing behind, with slopes and corrected estimates at multiples of `every` steps."""
    log = every or 10**9
    options = Options(quiet=True, held_out="none", heldout_every=0, log_every=log, device=device, data_root=root)
    return train_steps(run, None, options)
