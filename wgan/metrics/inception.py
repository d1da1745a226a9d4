"""Inception score: how sure a classifier is of each sample, and how many classes it sees in all (Salimans et al. 2016).

    exp( E_x KL( p(y|x) | p(y) ) )

From 1 (worst) to the number of classes. It never looks at real samples: one perfect image of each class scores best.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from wgan.errors import UserError, at_least
from wgan.metrics.base import Spread, points, widened


def inception_score(probabilities: Tensor, splits: int = 10, *, seed: int | None = 0) -> Spread:
    """Mean and spread over `splits` parts of `probabilities [n, classes]`, whose rows sum to 1.

    seed: of the order in which samples are dealt out, since a part of samples sorted by class would score too low;
    None keeps their order, as the authors' code does. Each part has a marginal p(y) of its own, so figures of another
    n or number of splits can't be compared (Barratt & Sharma 2018).
    UserError: fewer than 2 samples a split, wrong shape, NaN, rows that are no probabilities.
    """
    at_least(1, "splits of the inception score", splits)
    at_least(0, "seed", seed or 0)
    p = points("inception score", "probability", probabilities, 2 * splits, "give more or fewer splits")
    p = widened(p)
    off = (p.sum(1) - 1).abs()
    # Half precision leaves sums of a thousand classes at about 1e-3 from 1
    if p.min() < 0 or off.max() > 1e-2:
        raise UserError(
            "inception score: rows must be probabilities, at least 0 and with the sum 1 "
            f"(smallest {p.min().item():.3g}, farthest sum {p.sum(1)[off.argmax()].item():.3g}): apply softmax first"
        )
    if seed is not None:
        p = p[torch.from_numpy(np.random.default_rng(seed).permutation(len(p))).to(p.device)]
    bounds = [i * len(p) // splits for i in range(splits + 1)]
    return Spread.of([_score(p[start:end]) for start, end in pairwise(bounds)])


def _score(p: Tensor) -> float:
    """exp of the mean over rows of KL(row | mean row); 0 log 0 = 0."""
    divergence = torch.special.xlogy(p, p) - torch.special.xlogy(p, p.mean(0))
    return float(divergence.sum(1).mean().exp())
