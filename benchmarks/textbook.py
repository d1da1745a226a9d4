"""Algorithm 1 as the well-known public repositories write it: what `wgan bench` compares with, and is compared with.

    python benchmarks/textbook.py cifar10 --preset wgan --steps 20

Plain eager float32: a DataLoader, a loop over the parameters for the clamps, one pass of the critic for real and one
for fake samples, fakes with a graph that detach then throws away, torch's default optimisers, the penalty of a mixed
batch in a pass of its own (R1 and R2 use the graphs that are there), zero_grad and backward for every loss, gradients
of the critic's weights in the generator's update too. It shares the networks with the package and reads the `Run` as a
description; the losses, the penalties and the loop are written here again: no bf16, no memory format, no fused
optimiser.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu, softplus
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import cached
from torch.utils.data import DataLoader, TensorDataset

import wgan
from wgan.data import Data, load
from wgan.objectives import (
    R1,
    R2,
    Clip,
    Constraint,
    Divergence,
    Dragan,
    GradientPenalty,
    LipschitzPenalty,
    SpectralNorm,
)
from wgan.optimizers import Optimizer, RMSProp
from wgan.run import Run

CPU = torch.device("cpu")
# numbers from U[0, 1) in a shape such as (n, 1, 1, 1)
Uniform = Callable[..., Tensor]


# --- random numbers --------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Where real samples and random numbers come from, all on the device of the run.

    purpose: "critic" or "generator" for real samples; "critic z" or "generator z" for normal numbers; "dequantize" or
    "penalty" for uniform ones.
    """

    def real(self, purpose: str, n: int) -> Tensor:
        """The next n real samples, [n, *shape]."""
        ...

    def normal(self, purpose: str, *shape: int) -> Tensor: ...
    def uniform(self, purpose: str, *shape: int) -> Tensor: ...


class Shuffled:
    """Samples from a DataLoader that shuffles (50,000 at most of the data), numbers from torch's global generator."""

    def __init__(self, data: Data, device: torch.device) -> None:
        self.samples = TensorDataset(data.batch(0, 0, min(data.count or 50_000, 50_000)).x)
        self.device = device
        self.batches: dict[str, Iterator[Tensor]] = {}

    def real(self, purpose: str, n: int) -> Tensor:
        if purpose not in self.batches:
            self.batches[purpose] = endless(DataLoader(self.samples, batch_size=n, shuffle=True, drop_last=True))
        return next(self.batches[purpose]).to(self.device)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device)

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        return torch.rand(*shape, device=self.device)


def endless(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """The batches of one epoch after the other."""
    while True:
        for (real,) in loader:
            yield real


# --- losses: of scores [n], to be minimised ---------------------------------------------------------------------------


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1.0 - real).mean() + relu(1.0 + fake).mean()


def raise_scores(real: Tensor | None, fake: Tensor) -> Tensor:
    return -fake.mean()


def logistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    error_real = binary_cross_entropy_with_logits(real, torch.ones_like(real))
    error_fake = binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return error_real + error_fake


def logistic_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-(real - fake)).mean()


def relativistic_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    assert real is not None
    return softplus(-(fake - real)).mean()


CRITIC_LOSSES = {
    "wasserstein": wasserstein_critic,
    "hinge": hinge_critic,
    "logistic": logistic_critic,
    "relativistic": relativistic_critic,
}
GENERATOR_LOSSES = {
    "wasserstein": raise_scores,
    "hinge": raise_scores,
    "logistic": logistic_generator,
    "relativistic": relativistic_generator,
}


# --- penalties, before their weight ----------------------------------------------------------------------------------


def slopes(critic: nn.Module, x: Tensor) -> Tensor:
    """|grad f(x_i)|, [n], of x [n, ...]."""
    x = x.detach().requires_grad_(True)
    scores = critic(x)
    gradients = torch.autograd.grad(
        outputs=scores, inputs=x, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
    )[0]
    return gradients.reshape(len(x), -1).norm(2, dim=1)


def mixed(real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
    """One point on the line between each pair of a real and a fake sample."""
    alpha = uniform(real.shape[0], *[1] * (real.ndim - 1))
    return alpha * real + (1 - alpha) * fake


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, uniform: Uniform, target: float) -> Tensor:
    """WGAN-GP: E (|grad f| - target)^2."""
    return ((slopes(critic, mixed(real, fake, uniform)) - target) ** 2).mean()


def lipschitz_penalty(critic: nn.Module, real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
    """WGAN-LP: E max(0, |grad f| - 1)^2."""
    return (torch.clamp(slopes(critic, mixed(real, fake, uniform)) - 1, min=0) ** 2).mean()


def divergence_penalty(critic: nn.Module, real: Tensor, fake: Tensor, uniform: Uniform, p: float) -> Tensor:
    """WGAN-div: E |grad f|^p."""
    return (slopes(critic, mixed(real, fake, uniform)) ** p).mean()


def dragan_penalty(critic: nn.Module, real: Tensor, uniform: Uniform, noise: float) -> Tensor:
    """DRAGAN: E (|grad f| - 1)^2 on the way from real samples to noisy ones."""
    alpha = uniform(real.shape[0], *[1] * (real.ndim - 1))
    perturbed = real + noise * real.std(correction=0) * uniform(*real.shape)
    return ((slopes(critic, real + alpha * (perturbed - real)) - 1) ** 2).mean()


def zero_centred_penalty(x: Tensor, scores: Tensor) -> Tensor:
    """R1 and R2: E |grad f|^2, of the graph that the scores of x have anyway."""
    (gradients,) = torch.autograd.grad(outputs=scores.sum(), inputs=x, create_graph=True)
    return gradients.square().flatten(1).sum(1).mean()


# --- the loop --------------------------------------------------------------------------------------------------------

KNOWN = (Clip, SpectralNorm, GradientPenalty, LipschitzPenalty, Divergence, Dragan, R1, R2)


def has(run: Run) -> bool:
    """Whether this loop has such a run: the pairings and constraints of the presets, no labels."""
    parts = run.objective.constraints
    plain = not any(isinstance(part, SpectralNorm) and part.maxmin for part in parts)
    known = plain and all(type(part) in KNOWN for part in parts)
    return run.objective.pairing.name in CRITIC_LOSSES and known and not run.conditional


def make_optimizer(network: nn.Module, part: Optimizer) -> torch.optim.Optimizer:
    if isinstance(part, RMSProp):
        return torch.optim.RMSprop(network.parameters(), lr=part.lr, alpha=part.alpha, eps=part.eps)
    return torch.optim.Adam(
        network.parameters(), lr=part.lr, betas=(float(part.beta1), float(part.beta2)), eps=part.eps
    )


class Losses(NamedTuple):
    """Of a step, without graphs: the last critic update's E f(real) - E f(fake) and loss, the generator's loss."""

    estimate: Tensor
    critic: Tensor
    generator: Tensor


class Textbook:
    """One training of a run that it `has`, resolved or not; `step()` is one step."""

    def __init__(
        self, run: Run, data: Data, device: torch.device = CPU, seed: int = 0, source: Source | None = None
    ) -> None:
        torch.manual_seed(seed)
        self.run = run = run.resolved(data)
        assert run.networks is not None
        self.source = source or Shuffled(data, device)
        self.dequantize = run.dequantize and len(data.shape) == 3
        self.generator, self.critic = (network.to(device) for network in run.networks(data.shape, run.z_dim, 0))
        self.average = copy.deepcopy(self.generator) if run.ema else None
        self.clip: float | None = None
        self.penalties: list[Constraint] = []
        for part in run.objective.constraints:
            if isinstance(part, Clip):
                self.clip = part.c
            elif isinstance(part, SpectralNorm):
                self.normalise(part.power_iterations)
            else:
                self.penalties.append(part)
        self.optimizers = [
            make_optimizer(self.critic, run.critic_optimizer),
            make_optimizer(self.generator, run.generator_optimizer),
        ]
        self.steps = 0

    def normalise(self, power_iterations: int) -> None:
        for layer in list(self.critic.modules()):
            if isinstance(layer, nn.Linear | nn.Conv2d):
                spectral_norm(layer, n_power_iterations=power_iterations)

    def step(self) -> Losses:
        """n_critic updates of the critic and one of the generator."""
        self.adjust_lr()
        for _ in range(self.n_critic()):
            estimate, critic_loss = self.update_critic()
        generator_loss = self.update_generator()
        if self.average is not None:
            self.update_average(self.average)
        self.steps += 1
        return Losses(estimate, critic_loss, generator_loss)

    def n_critic(self) -> int:
        run = self.run
        if run.warmup_n_critic:
            if self.steps < run.warmup_steps:
                return run.warmup_n_critic
            if run.warmup_every and self.steps % run.warmup_every == 0:
                return run.warmup_n_critic
        return run.n_critic

    def adjust_lr(self) -> None:
        decay = 1.0 - self.steps / self.run.steps if self.run.lr_decay == "linear" else 1.0
        for optimizer, part in zip(
            self.optimizers, (self.run.critic_optimizer, self.run.generator_optimizer), strict=True
        ):
            for group in optimizer.param_groups:
                group["lr"] = part.lr * decay

    def clamp(self) -> None:
        if self.clip is not None:
            for weight in self.critic.parameters():
                weight.data.clamp_(-self.clip, self.clip)

    def real(self, player: str, n: int) -> Tensor:
        real = self.source.real(player, n)
        if self.dequantize:
            real = real + self.source.uniform("dequantize", *real.shape) / 128
        return real

    def update_critic(self) -> tuple[Tensor, Tensor]:
        if self.run.constrain == "before":
            self.clamp()
        real = self.real("critic", self.run.batch_size)
        z = self.source.normal("critic z", self.run.batch_size, self.run.z_dim)
        fake = self.generator(z).detach()
        if any(isinstance(part, R1 | R2) for part in self.penalties):
            real.requires_grad_(True)
            fake.requires_grad_(True)
        self.optimizers[0].zero_grad()
        # one power iteration of spectral norm for an update: real and fake samples see the same sigma
        with cached():
            real_scores = self.critic(real)
            fake_scores = self.critic(fake)
            loss = CRITIC_LOSSES[self.run.objective.pairing.name](real_scores, fake_scores)
            for part in self.penalties:
                loss = loss + self.penalty(part, real, fake, real_scores, fake_scores)
        loss.backward()
        self.optimizers[0].step()
        if self.run.constrain == "after":
            self.clamp()
        return (real_scores.mean() - fake_scores.mean()).detach(), loss.detach()

    def penalty(self, part: Constraint, real: Tensor, fake: Tensor, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        uniform = partial(self.source.uniform, "penalty")
        match part:
            case GradientPenalty():
                weight = part.weight / part.target**2
                return weight * gradient_penalty(self.critic, real, fake, uniform, part.target)
            case LipschitzPenalty():
                return part.weight * lipschitz_penalty(self.critic, real, fake, uniform)
            case Divergence():
                return part.k * divergence_penalty(self.critic, real, fake, uniform, part.p)
            case Dragan():
                return part.weight * dragan_penalty(self.critic, real, uniform, part.noise)
            case R1():
                return part.gamma / 2 * zero_centred_penalty(real, real_scores)
            case R2():
                return part.gamma / 2 * zero_centred_penalty(fake, fake_scores)
        raise TypeError(f"no such penalty here: {part}")

    def update_generator(self) -> Tensor:
        size = self.run.generator_batch_size or self.run.batch_size
        z = self.source.normal("generator z", size, self.run.z_dim)
        self.optimizers[1].zero_grad()
        relativistic = self.run.objective.pairing.name == "relativistic"
        real_scores = self.critic(self.real("generator", size)) if relativistic else None
        fake_scores = self.critic(self.generator(z))
        loss = GENERATOR_LOSSES[self.run.objective.pairing.name](real_scores, fake_scores)
        loss.backward()
        self.optimizers[1].step()
        return loss.detach()

    @torch.no_grad()
    def update_average(self, average: nn.Module) -> None:
        decay = min(self.run.ema, (1 + self.steps) / (10 + self.steps))
        for mean, weight in zip(average.parameters(), self.generator.parameters(), strict=True):
            mean.copy_(weight.lerp(mean, decay))
        for mean, buffer in zip(average.buffers(), self.generator.buffers(), strict=True):
            mean.copy_(buffer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--preset", default="wgan-gp")
    parser.add_argument("--size", type=int)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    data = load(options.data, size=options.size)
    run = wgan.preset(options.preset, data=options.data, steps=options.steps)
    if not has(run):
        raise SystemExit(f"the textbook loop has no {options.preset}: it knows the parts of the presets, no labels")
    training = Textbook(run, data)
    seconds = []
    for _ in range(options.steps):
        begin = time.perf_counter()
        estimate = training.step().estimate.item()
        seconds.append(time.perf_counter() - begin)
    print(f"{np.median(seconds):.3f} s a step, estimate {estimate:.4g}")


if __name__ == "__main__":
    main()
