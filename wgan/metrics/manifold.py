"""Precision, recall, density, coverage: which samples lie within reach of the other set's neighbours.

Around each sample of a set lies a ball up to its k-th nearest neighbour in that set.
precision: share of fake samples inside some real ball; recall: share of real samples inside some fake ball
    (Kynkaanniemi et al. 2019, eq. 1-2; k = 3; the ball is closed, as in their code). Both from 0 to 1, 1 best.
density: how many real balls a fake sample lies in, over k; 1 where the sets are alike, more where fakes crowd
    together. coverage: share of real balls that hold a fake sample, 0 to 1; about 1 - 2^-k = 0.97 for two large sets
    that are alike and equal in size (Naeem et al. 2020, section 3; k = 5; the ball is open, as in their code).

One far outlier among the real samples makes a huge ball, which inflates precision; among fakes it inflates recall.
Density and coverage use real balls only, so they do not depend on outliers of the generator. All four depend on n.

Memory beside the features: about 200 MiB at d = 2048, whatever n. Cost: n^2 / 2 + m^2 / 2 + n m products of length d;
at 10,000 each and d = 2048 `prdc` takes 27 s of one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from wgan.errors import at_least
from wgan.metrics.base import points, same_width
from wgan.metrics.neighbours import BLOCK, mean_of, squared_distances


class PrecisionRecall(NamedTuple):
    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    density: float
    coverage: float


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> PrecisionRecall:
    """Of features `real [n, d]` and `fake [m, d]`. UserError: fewer than k + 1 of either, wrong shapes, NaN."""
    real, fake = _checked("precision and recall", real, fake, k, least_fake=k + 1)
    balls = _PrecisionRecall(_radii(real, k)[k], _radii(fake, k)[k])
    for pair in _pairs(real, fake):
        balls.add(pair)
    return balls.result()


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> DensityCoverage:
    """Of features `real [n, d]` and `fake [m, d]`. UserError: fewer than k + 1 real samples, no fake, shapes, NaN."""
    real, fake = _checked("density and coverage", real, fake, k, least_fake=1)
    balls = _DensityCoverage(_radii(real, k)[k], len(fake), k)
    for pair in _pairs(real, fake):
        balls.add(pair)
    return balls.result()


def prdc(real: Tensor, fake: Tensor, k: int = 3, k_density: int = 5) -> tuple[PrecisionRecall, DensityCoverage]:
    """Both of the above in one pass over the distances, hence in two thirds of the time."""
    at_least(1, "k_density of density and coverage", k_density)
    at_least(1, "k of precision and recall", k)
    real, fake = _checked("precision, recall, density and coverage", real, fake, max(k, k_density), least_fake=k + 1)
    of_real = _radii(real, max(k, k_density))
    closed = _PrecisionRecall(of_real[k], _radii(fake, k)[k])
    opened = _DensityCoverage(of_real[k_density], len(fake), k_density)
    for pair in _pairs(real, fake):
        closed.add(pair)
        opened.add(pair)
    return closed.result(), opened.result()


def _checked(metric: str, real: Tensor, fake: Tensor, k: int, least_fake: int) -> tuple[Tensor, Tensor]:
    at_least(1, f"k of {metric}", k)
    real = points(metric, "real", real, k + 1, "give more or a smaller k")
    fake = points(metric, "fake", fake, least_fake, "give more or a smaller k")
    same_width(metric, real=real, fake=fake)
    return real, fake.to(real.device)


def _blocks(x: Tensor) -> list[slice]:
    return [slice(start, min(start + BLOCK, len(x))) for start in range(0, len(x), BLOCK)]


def _radii(x: Tensor, k: int) -> Tensor:
    """Squared distances from each sample to its 0th (itself) ... k-th nearest in `x [n, d]`, as [k + 1, n].

    Each block of the symmetric matrix serves its rows and, off the diagonal, its columns.
    """
    centre, blocks = mean_of(x), _blocks(x)
    near = centre.new_full((len(x), k + 1), float("inf"))

    def offer(where: slice, block: Tensor) -> None:
        new = block.topk(min(k + 1, block.shape[1]), dim=1, largest=False).values
        near[where] = torch.cat([near[where], new], 1).topk(k + 1, dim=1, largest=False).values

    for i, mine in enumerate(blocks):
        a = x[mine] - centre
        for theirs in blocks[i:]:
            block = squared_distances(a, x[theirs] - centre)
            offer(mine, block)
            if theirs != mine:
                offer(theirs, block.T)
    return near.sort(dim=1).values.T


class _Pair(NamedTuple):
    """Blocks of squared distances real x fake: their lower and upper ends, since products round.

    Two distances that are equal can differ by their rounding errors: a closed ball takes the lower end, an open one the
    upper end, so that a tie (a copied sample, say) counts as what it is and not as its rounding falls out.
    """

    real: slice
    fake: slice
    lower: Tensor
    upper: Tensor


def _pairs(real: Tensor, fake: Tensor) -> Iterator[_Pair]:
    # A product of length d in any order of sums: d eps |x||y| at most (Higham 2002, eq. 3.5); twice that for 2 x.y, and
    # again for the squares, and for the radius it is compared with
    tolerance = 4 * real.shape[1] * torch.finfo(torch.float64).eps
    centre = mean_of(real)
    for mine in _blocks(real):
        a = real[mine] - centre
        size = a.square().sum(1)[:, None] * tolerance
        for theirs in _blocks(fake):
            b = fake[theirs] - centre
            error = size + b.square().sum(1) * tolerance
            block = squared_distances(a, b)
            yield _Pair(mine, theirs, block - error, error.add_(block))


class _PrecisionRecall:
    """Closed balls of squared radii `real [n]`, `fake [m]`."""

    def __init__(self, real: Tensor, fake: Tensor) -> None:
        self.real, self.fake = real, fake
        self.precise = torch.zeros_like(fake, dtype=torch.bool)
        self.recalled = torch.zeros_like(real, dtype=torch.bool)

    def add(self, pair: _Pair) -> None:
        self.precise[pair.fake] |= (pair.lower <= self.real[pair.real][:, None]).any(0)
        self.recalled[pair.real] |= (pair.lower <= self.fake[pair.fake]).any(1)

    def result(self) -> PrecisionRecall:
        return PrecisionRecall(self.precise.double().mean().item(), self.recalled.double().mean().item())


class _DensityCoverage:
    """Open balls of squared radii `real [n]`, each up to its k-th neighbour, for m fake samples."""

    def __init__(self, real: Tensor, m: int, k: int) -> None:
        self.real, self.m, self.k = real, m, k
        self.inside = 0
        self.covered = torch.zeros_like(real, dtype=torch.bool)

    def add(self, pair: _Pair) -> None:
        inside = pair.upper < self.real[pair.real][:, None]
        self.inside += int(inside.sum())
        self.covered[pair.real] |= inside.any(1)

    def result(self) -> DensityCoverage:
        return DensityCoverage(self.inside / (self.k * self.m), self.covered.double().mean().item())
