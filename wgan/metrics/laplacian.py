"""Sliced Wasserstein distance of image patches, level by level of a Laplacian pyramid (Karras et al. 2018, section 5).

The protocol of Progressive Growing of GANs, as its authors' code has it:
- each image is split into a Laplacian pyramid: what a 5x5 binomial blur to half the size and back loses at the full
  size, at half of it, ... and last the blurred image itself, at 16 pixels
- from each level 128 patches of 7x7 pixels, all channels, at random places of each image
- each set's patches get mean 0 and variance 1 in each channel
- the mean difference of sorted projections over 4 x 128 random directions, times 1000

The first levels tell of fine texture, the last of the large forms. 0 is best, but two sets of real images are not at 0:
patches are drawn apart. Contrast and mean colour don't count, as each set is normalised by itself. Published figures
use 8192 images of each set; fewer give larger values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wgan.errors import UserError, at_least
from wgan.metrics.base import describe, rows, same_count, widened
from wgan.metrics.sliced import sorted_difference, unit_directions

PATCH = 7
SMALLEST = 16
_IMAGES = 32  # whose patches are taken in one go: 5 MB of colour patches, which stay in the cache
_AT_ONCE = 1 << 25  # projections that are held for each side: 256 MiB of float64


def laplacian_swd(
    real: Tensor, fake: Tensor, *, seed: int = 0, patches: int = 128, directions: int = 512
) -> dict[int, float]:
    """Resolution (the smaller side in pixels) -> distance x 1000, of images `real` and `fake`, uint8 [n, c, h, w].

    Sizes are halved while both sides are even and the smaller one stays at 16 or more: 32 -> 32, 16; 48 -> 48, 24;
    28 -> 28 alone. Where nothing can be halved, as in images below 32 pixels, the images themselves are the one level.
    seed: of places and directions. `mean_swd` gives the mean over levels.
    Cost at 8192 images of 32x32: 4 minutes of one core and 0.95 GiB; both grow with n.
    UserError: not uint8 [n, c, h, w], different sizes or counts, a side below 7 pixels, no images.
    """
    at_least(1, "patches of the Laplacian distance", patches)
    at_least(1, "directions of the Laplacian distance", directions)
    at_least(0, "seed", seed)
    _check(real, fake)
    levels = zip(_pyramid(real.cpu()), _pyramid(fake.cpu()), strict=True)
    return {
        min(a.shape[2:]): 1000 * _distance(a, b, (seed, number), patches, directions)
        for number, (a, b) in enumerate(levels)
    }


def mean_swd(levels: dict[int, float]) -> float:
    """The mean over resolutions, published as the average SWD."""
    return sum(levels.values()) / len(levels)


def _check(real: Tensor, fake: Tensor) -> None:
    for name, x in (("real", real), ("fake", fake)):
        if not isinstance(x, Tensor) or x.ndim != 4 or x.dtype != torch.uint8 or not x.numel():
            given = describe(x) if isinstance(x, Tensor) else type(x).__name__
            raise UserError(f"Laplacian distance: {name} images must be a tensor uint8 [n, c, h, w], not {given}")
    if real.shape[1:] != fake.shape[1:]:
        raise UserError(
            f"Laplacian distance: images differ in [c, h, w]: real {list(real.shape[1:])}, fake {list(fake.shape[1:])}"
        )
    same_count("Laplacian distance", "leave out images of the larger set", real=real, fake=fake)
    if min(real.shape[2:]) < PATCH:
        raise UserError(
            f"Laplacian distance: needs images of at least {PATCH}x{PATCH} pixels, has {list(real.shape[2:])}"
        )


def _levels(height: int, width: int) -> int:
    """How many levels a pyramid of such images has."""
    count = 1
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST:
        height, width, count = height // 2, width // 2, count + 1
    return count


def _pyramid(images: Tensor) -> list[Tensor]:
    """Laplacian pyramid of `images [n, c, h, w]`, largest first, float32 (an error of 1e-7 beside a quarter of the
    memory that patches in float64 would take; sums and products of it are float64).
    """
    parts = []
    for part in rows(images, _IMAGES):
        levels = [widened(part)]
        for _ in range(_levels(*images.shape[2:]) - 1):
            levels.append(_blur(levels[-1])[:, :, ::2, ::2])
            levels[-2] = levels[-2] - _doubled(levels[-1])
        parts.append([level.float() for level in levels])
    return [torch.cat(level) for level in zip(*parts, strict=True)]


def _blur(x: Tensor) -> Tensor:
    """Convolution with outer([1 4 6 4 1], [1 4 6 4 1]) / 256, mirrored at the edges without repeating them."""
    x = functional.pad(x, (2, 2, 2, 2), mode="reflect")
    for axis in (2, 3):
        first, second, third, fourth, fifth = (x.narrow(axis, i, x.shape[axis] - 4) for i in range(5))
        x = (first + fifth + 4 * (second + fourth) + 6 * third) / 16
    return x


def _doubled(x: Tensor) -> Tensor:
    """Twice the size: pixels with zeros between them, blurred, times 4."""
    n, c, h, w = x.shape
    sparse = x.new_zeros(n, c, 2 * h, 2 * w)
    sparse[:, :, ::2, ::2] = x
    return 4 * _blur(sparse)


class _Patches:
    """Patches of one level `x [n, c, h, w]` at places that stay, taken anew for each use: all would fill the memory."""

    def __init__(self, x: Tensor, per_image: int, rng: np.random.Generator) -> None:
        self.x, self.per_image, self.count = x, per_image, len(x) * per_image
        self.top = torch.from_numpy(rng.integers(0, x.shape[2] - PATCH + 1, self.count))
        self.left = torch.from_numpy(rng.integers(0, x.shape[3] - PATCH + 1, self.count))
        numbers = self.count * PATCH * PATCH  # in each channel
        zero = torch.zeros(x.shape[1], 1, 1, dtype=torch.float64)
        self.mean = sum((p.sum((0, 2, 3)).view_as(zero) for p in self.raw()), zero) / numbers
        squares = ((p - self.mean).square().sum((0, 2, 3)).view_as(zero) for p in self.raw())
        variance = sum(squares, zero) / numbers
        # a channel without any variation stays at 0
        self.scale = torch.where(variance > 0, variance, 1).rsqrt()

    def raw(self) -> Iterator[Tensor]:
        """float64 [some, c, 7, 7], in order."""
        windows = self.x.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
        for start in range(0, len(self.x), _IMAGES):
            where = slice(start * self.per_image, (start + _IMAGES) * self.per_image)
            top, left = self.top[where], self.left[where]
            image = start + torch.arange(len(top)) // self.per_image
            yield widened(windows[image, :, top, left])

    def projected(self, directions: Tensor) -> Tensor:
        """Normalised patches along `directions [k, c 49]`, as [k, count]."""
        scaled = directions.view(-1, len(self.mean), PATCH, PATCH) * self.scale
        at_mean = (scaled * self.mean).sum((1, 2, 3))[:, None]
        out, start = directions.new_empty(len(directions), self.count), 0
        for patches in self.raw():
            end = start + len(patches)
            out[:, start:end] = torch.addmm(at_mean, scaled.flatten(1), patches.flatten(1).T, beta=-1)
            start = end
        return out


def _distance(real: Tensor, fake: Tensor, seed: tuple[int, int], patches: int, directions: int) -> float:
    rng = np.random.default_rng(seed)
    a, b = _Patches(real, patches, rng), _Patches(fake, patches, rng)
    total = 0.0
    drawn = unit_directions(real.shape[1] * PATCH * PATCH, directions, rng)
    for part in rows(drawn, max(1, _AT_ONCE // a.count)):
        total += sorted_difference(a.projected(part), b.projected(part))
    return total / directions
