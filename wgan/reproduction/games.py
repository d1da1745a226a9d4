"""Games of two players with one number each, in float64: how gradient steps move them, and closed forms to hold it to.

A point is (x, y); a field is (d loss of the first / dx, d loss of the second / dy), which both players descend.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.objectives import Objective
from wgan.optimizers import Adam, Optimizer
from wgan.reproduction import drawing
from wgan.reproduction.critics import generator_gradient, mlp, training

Point = np.ndarray  # float64 [2]
Field = Callable[[Point], Point]
# (field, now, one step before, step sizes) -> the next point
Method = Callable[[Field, Point, Point, Point], Point]
CPU = torch.device("cpu")
FIRST, SECOND = np.eye(2)
REAL = torch.zeros(1, 1, dtype=torch.float64)


def simultaneous(field: Field, now: Point, before: Point, lr: Point) -> Point:
    """Both players step from the same point."""
    return np.asarray(now - lr * field(now))


def alternating(field: Field, now: Point, before: Point, lr: Point) -> Point:
    """The second player sees the first one's step."""
    half = now - FIRST * lr * field(now)
    return np.asarray(half - SECOND * lr * field(half))


def extragradient(field: Field, now: Point, before: Point, lr: Point) -> Point:
    """A step with the gradient of where a simultaneous step would lead (Korpelevich 1976)."""
    return np.asarray(now - lr * field(simultaneous(field, now, before, lr)))


def optimistic(field: Field, now: Point, before: Point, lr: Point) -> Point:
    """Twice this gradient less the one before (Popov 1980; Daskalakis et al. 2018)."""
    return np.asarray(now - 2 * lr * field(now) + lr * field(before))


def play(
    field: Field, method: Method, start: Point, lr: float | Point, steps: int, noise: Point | None = None
) -> np.ndarray:
    """All points, float64 [steps + 1, 2]. lr: one, or one a player. noise [steps, 2] is added to the gradients."""
    path = [np.asarray(start, float)]
    for step in range(steps):
        push = 0.0 if noise is None else noise[step]

        def noisy(at: Point, push: float | Point = push) -> Point:
            return field(at) + push

        path.append(method(noisy, path[-1], path[max(step - 1, 0)], np.asarray(lr, float)))
    return np.stack(path)


def bilinear_path(method: Method, start: Point, lr: float, steps: int) -> np.ndarray:
    """What `play` must give for min_x max_y xy, by the powers of its linear map; float64 [steps + 1, 2].

    With z = x + iy the simultaneous step is z <- (1 + i lr) z and the extragradient (1 - lr^2 + i lr) z. Optimistic
    steps obey a^2 = (1 + 2i lr) a - i lr. Alternating ones keep x^2 + y^2 - lr xy: a rotation, 1 - lr^2 / 2 its cosine.
    """
    t, z = np.arange(steps + 1), complex(*start)
    if method is alternating:
        angle = math.acos(1 - lr**2 / 2)
        now, before = np.sin(t * angle) / math.sin(angle), np.sin((t - 1) * angle) / math.sin(angle)
        step = np.array([[1, -lr], [lr, 1 - lr**2]]) @ start
        return np.asarray(now[:, None] * step - before[:, None] * start)
    if method is optimistic:
        root = np.sqrt(1 - 4 * lr**2 + 0j)
        a, b = (1 + 2j * lr + root) / 2, (1 + 2j * lr - root) / 2
        share = (1 + 1j * lr - b) / (a - b)
        path = z * (share * a**t + (1 - share) * b**t)
    else:
        path = z * ((1 if method is simultaneous else 1 - lr**2) + 1j * lr) ** t
    return np.stack([path.real, path.imag], 1)


def attraction(field: Field, at: Point, h: float = 1e-5) -> float:
    """The largest real part of the eigenvalues of the dynamics' Jacobian at a point: below 0 it attracts.

    By central differences, exact to about 1e-10; where the Jacobian is defective, to the root of that.
    """
    at = np.asarray(at, float)
    columns = [(field(at + h * axis) - field(at - h * axis)) / (2 * h) for axis in (FIRST, SECOND)]
    return float(np.linalg.eigvals(-np.stack(columns, 1)).real.max()) + 0.0  # never -0


def saddle(at: Point) -> Point:
    """min_x max_y (1 + x^2)(100 - y^2), the toy of Heusel et al. (2017)."""
    x, y = at
    return np.array([2 * x * (100 - y**2), 2 * y * (1 + x**2)])


class OneWeight(nn.Module):
    """The critic f(x) = psi x, [n, 1] -> [n]."""

    def __init__(self) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.psi * x[:, 0]


@dataclass(frozen=True)
class Dirac:
    """The Dirac-GAN of Mescheder, Geiger & Nowozin (2018): all real data at 0, all fakes at theta, f(x) = psi x.

    Its points are (psi, theta), its equilibrium (0, 0). Losses and constraint are those of `objective`, by autograd.
    Under `wasserstein` alone it is the game min_psi max_theta psi theta.
    """

    objective: Objective
    critic: OneWeight = field(default_factory=OneWeight)
    # f has the same slope everywhere, so that it does not matter where a penalty looks
    draw: seeds.Draw = field(default_factory=lambda: seeds.draw(CPU, 0, "penalty"))

    def critic_gradient(self, at: Point) -> float:
        """d critic's loss / d psi."""
        self.critic.psi.data.fill_(float(at[0]))
        fake = torch.full_like(REAL, float(at[1]))
        loss = self.objective.critic_loss(self.critic, REAL, fake, self.draw).loss
        return float(torch.autograd.grad(loss, self.critic.psi)[0])

    def generator_gradient(self, at: Point) -> float:
        """d generator's loss / d theta."""
        self.critic.psi.data.fill_(float(at[0]))
        fake = torch.full_like(REAL, float(at[1]), requires_grad=True)
        return float(torch.autograd.grad(self.objective.generator_loss(None, self.critic(fake)), fake)[0])

    def field(self, at: Point) -> Point:
        """Both."""
        return np.array([self.critic_gradient(at), self.generator_gradient(at)])

    def arrows(self, reach: float, count: int) -> tuple[np.ndarray, ...]:
        """theta, psi and where both go from there, float64 [count, count] each, over the square of +-reach."""
        grid = np.linspace(-reach, reach, count)
        theta, psi = np.meshgrid(grid, grid)
        down = np.array([self.field(at) for at in np.stack([psi.ravel(), theta.ravel()], 1)])
        return theta, psi, -down[:, 1].reshape(theta.shape), -down[:, 0].reshape(theta.shape)

    def train(self, start: Point, lr: float, steps: int, n_critic: int) -> np.ndarray:
        """As Algorithm 1 does: n_critic steps of psi, each constrained, then one of theta; float64 [steps + 1, 2]."""
        path = [np.asarray(start, float)]
        for _ in range(steps):
            at = path[-1].copy()
            for _ in range(n_critic):
                self.critic.psi.data.fill_(at[0] - lr * self.critic_gradient(at))
                self.objective.constrain(self.critic)
                at[0] = self.critic.psi.item()
            at[1] -= lr * self.generator_gradient(at)
            path.append(at)
        return np.stack(path)


def start(seed: int, radius: float = 1.0) -> Point:
    """A point on the circle around (0, 0), at an angle that the seed decides."""
    angle = 2 * math.pi * float(seeds.draw(CPU, seed, "start").uniform(1))
    return radius * np.array([math.cos(angle), math.sin(angle)])


def travel(
    objective: Objective, optimizer: Optimizer, mean: float, *, warm: int, moves: int, every: int, lr: float, seed: int
) -> Tensor:
    """256 fakes of N(-mean, 1/4) that are themselves the generator's parameters, against reals of N(mean, 1/4).

    A critic 1-64-64-1 is trained for `warm` steps, and for `every` more between two moves of lr times the fakes'
    gradients, each fake's own. Their places after each move, [moves + 1, 256].
    """
    fakes = seeds.draw(CPU, seed, "fakes").normal(256, 1) / 2 - mean

    def sample(draw: seeds.Draw) -> tuple[Tensor, Tensor]:
        return draw.normal(256, 1) / 2 + mean, fakes

    path = []
    steps = warm + every * moves
    for step, critic in training(lambda: mlp(1, 64, 64), sample, objective, optimizer, steps=steps, seed=seed):
        if step >= warm and (step - warm) % every == 0:
            path.append(fakes[:, 0].clone())
            fakes -= lr * generator_gradient(critic, objective, fakes)
    return torch.stack(path)


def w1(fakes: Tensor, mean: float) -> float:
    """Exact W1 between fakes [n] and n quantiles of the reals of `travel`: in one dimension, of their order."""
    n = len(fakes)
    reals = mean + torch.special.ndtri((torch.arange(n) + 0.5) / n) / 2
    return float((fakes.sort().values - reals).abs().mean())


def journey(objective: Objective, marks: Sequence[int], seed: int, here: Path) -> dict[str, Any]:
    """A job: `travel` to 2 from -2, after 500 critic steps 5 a move of 0.01 times the gradient.

    shots [marks, 256]: the fakes after so many moves. left: the share of W1 that is left at the last.
    """
    path = travel(objective, Adam(2e-3), 2.0, warm=500, moves=marks[-1], every=5, lr=0.01, seed=seed)
    return {"shots": path[list(marks)].numpy(), "left": w1(path[-1], 2.0) / w1(path[0], 2.0)}


def crowd(axes: Any, fakes: np.ndarray, colour: str, title: str) -> None:
    """The fakes of `journey` [n] as a histogram, and the density of the reals."""
    x = np.linspace(-4, 4, 81)
    axes.plot(x, np.exp(-2 * (x - 2) ** 2) * math.sqrt(2 / math.pi), color=drawing.GREY, linewidth=1)
    axes.hist(fakes, x[::2], density=True, color=colour, alpha=0.75)
    axes.set(ylim=(0, 2), yticks=[])
    drawing.name(axes, title)
