"""Sliced Wasserstein-1 distance: the mean over random directions of the distance of projections (Rabin et al. 2011).

On a line the optimal transport between equally many points joins the i-th smallest to the i-th smallest. 0 is best; at
most W1, and far less in high dimension: two points at distance 1 have a mean projection of about sqrt(2 / (pi d)).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wgan.errors import at_least
from wgan.metrics.base import points, rows, same_count, same_width, widened

_AT_ONCE = 1 << 25  # projections that are held for each side: 256 MiB of float64


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = 512, seed: int = 0) -> float:
    """Between points `a [n, d]` and `b [n, d]`, in their unit. UserError: unequal n or d, wrong shapes, NaN."""
    at_least(1, "directions of the sliced distance", directions)
    at_least(0, "seed", seed)
    a, b = points("sliced distance", "first", a), points("sliced distance", "second", b)
    same_width("sliced distance", first=a, second=b)
    same_count("sliced distance", first=a, second=b)
    drawn = unit_directions(a.shape[1], directions, np.random.default_rng(seed))
    total = 0.0
    for part in rows(drawn, max(1, _AT_ONCE // len(a))):
        total += sorted_difference(part @ widened(a.cpu()).T, part @ widened(b.cpu()).T)
    return total / directions


def unit_directions(dim: int, count: int, rng: np.random.Generator) -> Tensor:
    """`count` directions drawn evenly from the sphere, float64 [count, dim]."""
    drawn = torch.from_numpy(rng.standard_normal((count, dim)))
    return functional.normalize(drawn)


def sorted_difference(a: Tensor, b: Tensor) -> float:
    """The sum over rows of W1 between the numbers in a row of `a [k, n]` and of `b [k, n]`; sorts both in place."""
    # NumPy sorts twice as fast as torch on one thread
    x, y = a.numpy(), b.numpy()
    x.sort(axis=1)
    y.sort(axis=1)
    return float(np.abs(np.subtract(x, y, out=x), out=x).mean(axis=1).sum())
