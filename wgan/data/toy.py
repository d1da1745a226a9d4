"""Toy distributions in the plane, infinite, with the parameters of the papers' experiments.

8gaussians, 25gaussians, swissroll: Gulrajani et al. 2017 (Improved Training of Wasserstein GANs), Figure 1a and the
authors' gan_toy.py. line:THETA: Arjovsky, Chintala & Bottou 2017 (Wasserstein GAN), Example 1.
"""

from __future__ import annotations

import math

import numpy as np

from wgan.data.base import Request, Toy
from wgan.errors import UserError

_CORNERS = 2 * math.pi / 8 * np.arange(8)
EIGHT = 2.0 * np.stack([np.cos(_CORNERS), np.sin(_CORNERS)], axis=1)
TWENTY_FIVE = 2.0 * np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij"), axis=-1).reshape(25, 2)


def _eight(n: int, rng: np.random.Generator) -> np.ndarray:
    """Eight Gaussians of std 0.02 on a circle of radius 2, all divided by 1.414."""
    centre = EIGHT[rng.integers(0, 8, n)]
    return (centre + 0.02 * rng.standard_normal((n, 2))) / 1.414


def _twenty_five(n: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussians of std 0.05 on the grid 2 {-2, ..., 2}^2, all divided by 2.828."""
    centre = 2.0 * rng.integers(-2, 3, (n, 2))
    return (centre + 0.05 * rng.standard_normal((n, 2))) / 2.828


def _swiss_roll(n: int, rng: np.random.Generator) -> np.ndarray:
    """Columns 0 and 2 of the roll t (cos t, ., sin t), t = 1.5 pi (1 + 2 U[0, 1]), plus noise of std 0.25, over 7.5."""
    t = 1.5 * math.pi * (1 + 2 * rng.random(n))
    roll = np.stack([t * np.cos(t), t * np.sin(t)], axis=1)
    return (roll + 0.25 * rng.standard_normal((n, 2))) / 7.5


def eight_gaussians(request: Request) -> Toy:
    request.check(("train", "test"))
    return Toy("8gaussians", 2, _eight, centres=EIGHT / 1.414, std=0.02 / 1.414)


def twenty_five_gaussians(request: Request) -> Toy:
    request.check(("train", "test"))
    return Toy("25gaussians", 2, _twenty_five, centres=TWENTY_FIVE / 2.828, std=0.05 / 2.828)


def swiss_roll(request: Request) -> Toy:
    request.check(("train", "test"))
    return Toy("swissroll", 2, _swiss_roll)


def line(request: Request) -> Toy:
    """`line:THETA`: the points (theta, u), u ~ U[0, 1]; W1 between two such lines is the distance of their thetas."""
    request.check(("train", "test"), takes_argument=True)
    try:
        theta = float(request.argument)
    except ValueError:
        theta = math.nan
    if not math.isfinite(theta):
        raise UserError(f"data '{request.name}': needs a number, as in 'line:0.5'")

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        return np.stack([np.full(n, theta), rng.random(n)], axis=1)

    return Toy(f"line:{theta:g}" if float(f"{theta:g}") == theta else f"line:{theta!r}", 2, sample)


def gaussian(request: Request) -> Toy:
    """`gaussian` or `gaussian:D`: the standard normal distribution in D dimensions, 2 when not given."""
    request.check(("train", "test"), takes_argument=True)
    text = request.argument or "2"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 100_000):
        raise UserError(f"data '{request.name}': needs a number of dimensions from 1 to 100000, as in 'gaussian:3'")
    dim = int(text)

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((n, dim))

    return Toy(f"gaussian:{dim}" if request.argument else "gaussian", dim, sample)
