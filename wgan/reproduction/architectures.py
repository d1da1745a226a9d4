"""Random architectures as in Table 1 of WGAN-GP (Gulrajani et al. 2017), for points in the plane and for images.

The paper draws the nonlinearity, depth, normalisation and width of each network independently. It doesn't say how an
image network of 20 layers is made; here three layers change the resolution and the others are spread between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from wgan import seeds
from wgan.errors import UserError
from wgan.networks import Critic, Generator
from wgan.networks.base import Stack
from wgan.reproduction import drawing


class SmoothELU(nn.Module):
    """softplus(2x + 2) / 2 - 1: what the paper takes instead of ELU, which is not smooth enough (Appendix D)."""

    def forward(self, x: Tensor) -> Tensor:
        return softplus(2 * x + 2) / 2 - 1


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "LeakyReLU": partial(nn.LeakyReLU, 0.2),
    "softplus": SmoothELU,
    "tanh": nn.Tanh,
}
# of both networks: the paper's, for images; and in small, for points, where layers are fully connected
DEPTHS, FILTERS = (4, 8, 12, 20), (32, 64, 128)
SMALL_DEPTHS, WIDTHS = (2, 4, 8), (32, 64, 128)
# what may come of an architecture, and how it is drawn
KINDS = {"only GAN": drawing.RED, "both": drawing.GREY, "only WGAN-GP": drawing.GREEN, "neither": "#dddddd"}


@dataclass(frozen=True)
class Layers:
    """One network of an architecture: its nonlinearity (a name in ACTIVATIONS), depth, normalisation and width."""

    activation: str
    depth: int
    norm: bool
    width: int

    def __str__(self) -> str:
        return f"{self.activation}, {self.depth} x {self.width}{', norm' if self.norm else ''}"


@dataclass(frozen=True)
class Architecture:
    """Networks for points (d,) or images (c, 32, 32) as `wgan.Run` takes them.

    critic_norm: what normalisation in the critic means: "batch" for the GAN, "layer" under a gradient penalty.
    """

    generator: Layers
    critic: Layers
    critic_norm: str = "batch"

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]:
        if classes or (len(shape) == 3 and shape[1:] != (32, 32)):
            raise UserError(f"these architectures are for points or images of 32 x 32 without labels, not {shape}")
        make = self._images if len(shape) == 3 else self._points
        return make(shape, z_dim)

    def _points(self, shape: tuple[int, ...], z_dim: int) -> tuple[nn.Module, nn.Module]:
        body = dense(self.generator, z_dim, "batch")
        generator = Generator(Stack(*body, nn.Linear(self.generator.width, shape[0])), z_dim)
        return generator, Critic(nn.Sequential(*dense(self.critic, shape[0], self.critic_norm)), self.critic.width)

    def _images(self, shape: tuple[int, ...], z_dim: int) -> tuple[nn.Module, nn.Module]:
        g, d = self.generator, self.critic
        widths = [g.width * 4, g.width * 2, g.width]
        body: list[nn.Module] = [nn.Linear(z_dim, 16 * widths[0]), nn.Unflatten(1, (widths[0], 4, 4))]
        body += [*normal("batch", g.norm, widths[0], 2), ACTIVATIONS[g.activation]()]
        for i, more in enumerate(spread(g.depth)):
            after = widths[i + 1] if i < 2 else shape[0]
            body += [*convolutions(g, widths[i], more, "batch"), nn.ConvTranspose2d(widths[i], after, 4, 2, 1)]
            body += [*normal("batch", g.norm, after, 2), ACTIVATIONS[g.activation]()] if i < 2 else [nn.Tanh()]
        generator = Generator(Stack(*body), z_dim)
        body, inputs = [], shape[0]
        for i, more in enumerate(spread(d.depth)):
            after = d.width * 2**i
            # the first layer is not normalised, as in DCGAN
            body += [nn.Conv2d(inputs, after, 4, 2, 1), *normal(self.critic_norm, d.norm and i > 0, after, 2)]
            body += [ACTIVATIONS[d.activation](), *convolutions(d, after, more, self.critic_norm)]
            inputs = after
        return generator, Critic(nn.Sequential(*body, nn.Flatten()), inputs * 16)


def drawn(seed: int, index: int, *, small: bool) -> Architecture:
    """Architecture number `index` of a seed, each choice with equal chances. small: for points."""
    source = seeds.generator(seed, "architecture", index)

    def layers() -> Layers:
        depths, widths = (SMALL_DEPTHS, WIDTHS) if small else (DEPTHS, FILTERS)
        choices = (tuple(ACTIVATIONS), depths, (True, False), widths)
        activation, depth, norm, width = (
            options[int(torch.randint(len(options), (), generator=source))] for options in choices
        )
        return Layers(str(activation), int(depth), bool(norm), int(width))

    return Architecture(layers(), layers())


def tally(gan: np.ndarray, gp: np.ndarray, at: float) -> dict[str, list[int]]:
    """Scores [architectures, seeds] by two methods -> how many of each seed have a score of at least `at`, by KINDS."""
    one, other = gan >= at, gp >= at
    kinds = (one & ~other, one & other, ~one & other, ~one & ~other)
    return {name: [int(n) for n in kind.sum(0)] for name, kind in zip(KINDS, kinds, strict=True)}


def bars(axes: Any, tallies: Mapping[str, Mapping[str, list[int]]]) -> None:
    """Table 2 as stacked bars: a row for each threshold by its name, in it the architectures of all seeds by KINDS."""
    for row, counts in enumerate(tallies.values()):
        left = 0
        for kind, colour in KINDS.items():
            count = sum(counts[kind])
            axes.barh(row, count, left=left, color=colour, height=0.75, label=None if row else kind)
            if count:
                ink = "black" if kind == "neither" else "white"
                axes.text(left + count / 2, row, count, ha="center", va="center", fontsize=9, color=ink)
            left += count
    axes.set_yticks(range(len(tallies)), list(tallies))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=9, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))


def dense(layers: Layers, inputs: int, norm: str) -> list[nn.Module]:
    """Hidden layers [n, inputs] -> [n, width], the first without normalisation; He's initial weights, biases 0."""
    body: list[nn.Module] = []
    for i in range(layers.depth):
        linear = nn.Linear(inputs if i == 0 else layers.width, layers.width)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        body += [linear, *normal(norm, layers.norm and i > 0, layers.width, 0), ACTIVATIONS[layers.activation]()]
    return body


def convolutions(layers: Layers, width: int, count: int, norm: str) -> list[nn.Module]:
    """`count` layers of 3 x 3 that keep width and resolution."""
    body: list[nn.Module] = []
    for _ in range(count):
        body += [nn.Conv2d(width, width, 3, 1, 1), *normal(norm, layers.norm, width, 2)]
        body += [ACTIVATIONS[layers.activation]()]
    return body


def spread(depth: int) -> list[int]:
    """How many further layers each of three resolutions has in a network of `depth` layers: 3 + 1 of them are given."""
    return [(depth - 4 + i) // 3 for i in range(3)]


def normal(norm: str, on: bool, width: int, axes: int) -> list[nn.Module]:
    """A normalisation for [n, width] (axes 0) or [n, width, h, w] (axes 2), or none."""
    if not on:
        return []
    if norm == "layer":
        return [nn.GroupNorm(1, width)]
    return [nn.BatchNorm2d(width) if axes else nn.BatchNorm1d(width)]
