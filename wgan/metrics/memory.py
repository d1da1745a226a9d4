"""Does the generator repeat its training samples? Nearest neighbours in train against held-out data.

For a generator that knows the distribution and not the samples, training data and as much held-out data are two draws
of the same kind: half of its samples have their nearest neighbour in either (the idea of the three-sample test of
Meehan, Chaudhuri & Dasgupta 2020). Copies pull the share towards 1. A share below one half says that the two sets are
not drawn alike, and no more.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from wgan.metrics.base import points, same_count, same_width
from wgan.metrics.neighbours import nearest


class Memorisation(NamedTuple):
    """closer_to_train: share of samples nearer to train than to held-out data, ties half; 0.5 is what unseen real data
    gives, 1 a generator of copies. ratio: median of a sample's distance to train over that to held-out; 1, and 0
    (infinite if most samples are copies of held-out data).
    copies: share at distance 0 from a training sample.
    """

    closer_to_train: float
    ratio: float
    copies: float


def memorisation(samples: Tensor, train: Tensor, heldout: Tensor) -> Memorisation:
    """Of `samples [n, d]` against `train [m, d]` and `heldout [m, d]`, all features (or pixels) of one kind.

    UserError: train and held-out of different size (the larger would be nearer by its size alone), no samples, wrong
    shapes, NaN or infinite.
    """
    samples = points("memorisation", "generated", samples)
    train, heldout = points("memorisation", "train", train), points("memorisation", "held-out", heldout)
    same_width("memorisation", generated=samples, train=train, heldout=heldout)
    same_count("memorisation", "take a random part of the larger one", train=train, heldout=heldout)
    (to_train, _), (to_heldout, _) = nearest(samples, train), nearest(samples, heldout)
    closer = (to_train < to_heldout).double() + (to_train == to_heldout).double() / 2
    ratio = (to_train / to_heldout).nan_to_num(nan=1.0, posinf=float("inf")).flatten()  # 0 / 0: a copy of both
    # not `median`, which takes the lower of the two middle values, nor `quantile`, which makes NaN of infinity
    middle = ratio.sort().values[[(len(ratio) - 1) // 2, len(ratio) // 2]].mean()
    return Memorisation(closer.mean().item(), middle.item(), (to_train == 0).double().mean().item())
