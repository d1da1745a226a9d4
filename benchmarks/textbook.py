"""Algorithm 1 as the well-known public repositories write it: what `wgan bench` compares with.

    python benchmarks/textbook.py cifar10 --preset wgan --steps 20

Plain eager float32: a DataLoader, a loop over the parameters for the clamps, one pass of the critic for real and one
for fake samples, fakes with a graph that detach then throws away, torch's default optimisers, the gradient penalty of a
mixed batch, zero_grad and backward for every loss, gradients of the critic's weights in the generator's update too. It
shares the networks and the noise's distribution with the package, and nothing else: no bf16, no memory format, no fused
optimiser.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import wgan
from wgan.data import Data, load
from wgan.objectives import Clip, GradientPenalty
from wgan.optimizers import RMSProp
from wgan.run import Run

CPU = torch.device("cpu")


def batches(data: Data, batch_size: int) -> Iterator[Tensor]:
    """Real samples, as a DataLoader of the whole set gives them; of an infinite distribution, of 50,000 samples."""
    samples = data.batch(0, 0, min(data.count or 50_000, 50_000)).x
    loader = DataLoader(TensorDataset(samples), batch_size=batch_size, shuffle=True, drop_last=True)
    while True:
        for (real,) in loader:
            yield real


def has(run: Run) -> bool:
    """Whether this loop has such a run: a Wasserstein pairing with a clip or a gradient penalty alone, no labels."""
    kinds = [type(part) for part in run.objective.constraints]
    return run.objective.pairing.name == "wasserstein" and kinds in ([Clip], [GradientPenalty]) and not run.conditional


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Of a mixed batch: E (|grad f| - 1)^2."""
    alpha = torch.rand(real.shape[0], *[1] * (real.ndim - 1), device=real.device)
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(mixed)
    gradients = torch.autograd.grad(
        outputs=scores, inputs=mixed, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
    )[0]
    return ((gradients.reshape(len(mixed), -1).norm(2, dim=1) - 1) ** 2).mean()


class Textbook:
    """One training of a run that it `has`, resolved or not; `step()` is one step."""

    def __init__(self, run: Run, data: Data, device: torch.device = CPU, seed: int = 0) -> None:
        torch.manual_seed(seed)
        run = run.resolved(data)
        assert run.networks is not None
        self.run, self.batches, self.device = run, batches(data, run.batch_size), device
        self.generator, self.critic = (net.to(device) for net in run.networks(data.shape, run.z_dim, 0))
        self.clip = next((part.c for part in run.objective.constraints if isinstance(part, Clip)), None)
        self.weight = next(
            (part.weight for part in run.objective.constraints if isinstance(part, GradientPenalty)), None
        )
        self.optimizers = [
            torch.optim.RMSprop(net.parameters(), lr=part.lr, alpha=part.alpha, eps=part.eps)
            if isinstance(part, RMSProp)
            else torch.optim.Adam(
                net.parameters(), lr=part.lr, betas=(float(part.beta1), float(part.beta2)), eps=part.eps
            )
            for net, part in ((self.critic, run.critic_optimizer), (self.generator, run.generator_optimizer))
        ]

    def step(self) -> float:
        """n_critic updates of the critic and one of the generator; returns the estimate."""
        critic_optimizer, generator_optimizer = self.optimizers
        for _ in range(self.run.n_critic):
            real = next(self.batches).to(self.device)
            z = torch.randn(self.run.batch_size, self.run.z_dim, device=self.device)
            fake = self.generator(z).detach()
            critic_optimizer.zero_grad()
            loss = self.critic(fake).mean() - self.critic(real).mean()
            estimate = -loss.item()
            if self.weight is not None:
                loss = loss + self.weight * gradient_penalty(self.critic, real, fake)
            loss.backward()
            critic_optimizer.step()
            if self.clip is not None:
                for weight in self.critic.parameters():
                    weight.data.clamp_(-self.clip, self.clip)
        generator_optimizer.zero_grad()
        size = self.run.generator_batch_size or self.run.batch_size
        z = torch.randn(size, self.run.z_dim, device=self.device)
        loss = -self.critic(self.generator(z)).mean()
        loss.backward()
        generator_optimizer.step()
        return estimate


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
        raise SystemExit(f"the textbook loop has no {options.preset}: wasserstein with clip or gp alone")
    training = Textbook(run, data)
    seconds = []
    for _ in range(options.steps):
        begin = time.perf_counter()
        estimate = training.step()
        seconds.append(time.perf_counter() - begin)
    print(f"{np.median(seconds):.3f} s a step, estimate {estimate:.4g}")


if __name__ == "__main__":
    main()
