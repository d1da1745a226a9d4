"""Kernel distance (KID with Inception features): the squared MMD with a cubic kernel (Binkowski et al. 2018, eq. 4-5).

    k(x, y) = (x.y / d + 1)^3

The estimator is unbiased at every number of samples, so it may come out below 0 where the two sets are alike; its mean
over subsets estimates the same number as all samples at once, and their spread tells how far to trust it. 0 is best.
The kernel sees the first three moments.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wgan.errors import at_least
from wgan.metrics.base import Spread, points, rows, same_width, widened

_BLOCK = 256  # small enough that half of a subset's symmetric products is saved, large enough to run at full speed


def kernel_distance(real: Tensor, fake: Tensor, *, subsets: int = 100, size: int = 1000, seed: int = 0) -> Spread:
    """MMD^2 over `subsets` random pairs of `size` samples, each without replacement, of `real [n, d]`, `fake [m, d]`.

    100 x 1000 is what StyleGAN2-ADA reports, 50 x 1000 Binkowski et al. Subsets overlap, so the spread is not a
    standard error. UserError: fewer than `size` samples of either, wrong shapes, NaN or infinite.
    """
    at_least(1, "subsets of the kernel distance", subsets)
    at_least(2, "size of the kernel distance", size)
    at_least(0, "seed", seed)
    remedy = "give more or a smaller size"
    real = points("kernel distance", "real", real, size, remedy)
    fake = points("kernel distance", "fake", fake, size, remedy)
    same_width("kernel distance", real=real, fake=fake)
    rng = np.random.default_rng(seed)

    def drawn(x: Tensor) -> Tensor:
        return widened(x[torch.from_numpy(rng.choice(len(x), size, replace=False)).to(x.device)])

    return Spread.of([_mmd2(drawn(real), drawn(fake)) for _ in range(subsets)])


def mmd2(x: Tensor, y: Tensor) -> float:
    """The unbiased squared MMD of all of `x [n, d]` and `y [m, d]`; may be negative.

    Cost: (n + m)^2 / 2 products of length d; memory beside the features does not grow with n or m.
    UserError: fewer than 2 samples of either, wrong shapes, NaN or infinite.
    """
    x, y = points("mmd", "first", x, least=2), points("mmd", "second", y, least=2)
    same_width("mmd", first=x, second=y)
    return _mmd2(x, y)


def _mmd2(x: Tensor, y: Tensor) -> float:
    n, m = len(x), len(y)
    cross = sum(_kernel(a, b).sum().item() for a in rows(x, _BLOCK) for b in rows(y, _BLOCK))
    return _within(x) / (n * (n - 1)) + _within(y) / (m * (m - 1)) - 2 * cross / (n * m)


def _within(x: Tensor) -> float:
    """The sum of k(x_i, x_j) over all i != j; each block above the diagonal stands for its mirror image too."""
    blocks, total = rows(x, _BLOCK), 0.0
    for i, a in enumerate(blocks):
        own = _kernel(a, a)
        total += (own.sum() - own.trace()).item()
        total += 2 * sum(_kernel(a, b).sum().item() for b in blocks[i + 1 :])
    return total


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """k(x_i, y_j) as float64 [n, m]."""
    base = (widened(x) @ widened(y).T).div_(x.shape[1]).add_(1)
    return base.square().mul_(base)
