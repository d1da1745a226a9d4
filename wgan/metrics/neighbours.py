"""Nearest neighbours by Euclidean distance, exhaustively, in blocks of bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

from wgan.errors import at_least
from wgan.metrics.base import points, rows, same_width, widened

BLOCK = 1024  # rows of either side in one product, 8 MiB of float64 distances: most of them stay in the cache


def nearest(queries: Tensor, reference: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest rows of `reference [m, d]` to each row of `queries [n, d]`, nearest first.

    Returns distances float64 [n, k] and indices int64 [n, k]. Of rows at the same distance any may be named. A copy is
    at distance 0 exactly: the found pairs' distances are taken from their differences, not from products.
    UserError: fewer than k reference samples, wrong shapes, NaN or infinite.
    """
    at_least(1, "k of nearest neighbours", k)
    queries = points("nearest neighbours", "query", queries, least=0)
    reference = points("nearest neighbours", "reference", reference, k, "give more or a smaller k").to(queries.device)
    same_width("nearest neighbours", query=queries, reference=reference)
    centre = mean_of(reference)
    found = [_nearest(part, reference, centre, k) for part in rows(queries, BLOCK)]
    return torch.cat([distances for distances, _ in found]), torch.cat([index for _, index in found])


def _nearest(queries: Tensor, reference: Tensor, centre: Tensor, k: int) -> tuple[Tensor, Tensor]:
    near = widened(queries).new_empty(len(queries), 0)
    index = near.long()
    x = queries - centre
    for start, part in zip(range(0, len(reference), BLOCK), rows(reference, BLOCK), strict=True):
        block = squared_distances(x, part - centre)
        new = block.topk(min(k, len(part)), dim=1, largest=False)
        near, index = torch.cat([near, new.values], 1), torch.cat([index, new.indices + start], 1)
        near, best = near.topk(min(k, near.shape[1]), dim=1, largest=False)
        index = index.gather(1, best)
    exact = [(widened(queries) - widened(reference[one])).square().sum(1).sqrt() for one in index.unbind(1)]
    distances, order = torch.stack(exact, 1).sort(dim=1, stable=True)
    return distances, index.gather(1, order)


def mean_of(x: Tensor) -> Tensor:
    """The mean row [d] of `x [n, d]`, float64. Distances lose the least to rounding once it is subtracted, which also
    makes float64 of a narrower x in the same pass.
    """
    total = widened(x.new_zeros(x.shape[1]))
    for part in rows(x):
        total += part.sum(0, dtype=torch.float64)
    return total / max(len(x), 1)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2 as [n, m] from float64 `x [n, d]`, `y [m, d]`, by one matrix product.

    Its error is up to about d eps (|x_i|^2 + |y_j|^2), so it may be slightly below 0.
    """
    return torch.addmm(y.square().sum(1), x, y.T, alpha=-2).add_(x.square().sum(1)[:, None])
