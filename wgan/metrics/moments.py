"""Mean and covariance of a stream of features, in float64, whatever the sizes of its batches.

Batches are merged by their means and scatters (Chan, Golub & LeVeque 1979, eq. 2.1), because a sum of squares minus a
squared sum loses all digits where the mean is large against the spread.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wgan.errors import UserError, at_least
from wgan.metrics.base import points, rows, widened


class Moments:
    """Running `n`, `mean [d]` and `covariance [d, d]` of all rows given to `update`; lives on the CPU.

    Memory: 8 d^2 bytes (32 MiB for 2048 features), however long the stream.
    """

    def __init__(self, dim: int) -> None:
        at_least(1, "dim of moments", dim)
        self.n = 0
        self.mean = torch.zeros(dim, dtype=torch.float64)
        self._scatter = torch.zeros(dim, dim, dtype=torch.float64)  # sum of (x - mean)(x - mean)^T

    @property
    def dim(self) -> int:
        return len(self.mean)

    @property
    def covariance(self) -> Tensor:
        """Divisor n - 1, as in `numpy.cov`. UserError: fewer than two samples."""
        if self.n < 2:
            raise UserError(f"covariance: needs at least 2 samples, has {self.n}")
        return self._scatter / (self.n - 1)

    def update(self, x: Tensor) -> Moments:
        """Takes in `x [n, d]` of any float dtype; returns itself. UserError: wrong shape, NaN or infinite."""
        x = points("moments", "feature", x, least=0)
        if x.shape[1] != self.dim:
            raise UserError(f"moments: numbers per sample differ (so far {self.dim}, now {x.shape[1]})")
        for part in rows(x):
            if len(part):
                self._merge(widened(part.cpu()))
        return self

    def _merge(self, x: Tensor) -> None:
        mean, total = x.mean(0), self.n + len(x)
        centred, step = x - mean, mean - self.mean
        self._scatter.addmm_(centred.T, centred)
        self._scatter.addr_(step, step, alpha=self.n * len(x) / total)
        self.mean = self.mean + step * (len(x) / total)
        self.n = total

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """Those of one tensor `x [n, d]`."""
        return cls(points("moments", "feature", x).shape[1]).update(x)

    @classmethod
    def restored(cls, n: int, mean: Tensor, covariance: Tensor) -> Moments:
        """From kept figures: `n`, `mean [d]`, `covariance [d, d]` (divisor n - 1). UserError: shapes, NaN, n < 2."""
        at_least(2, "n of kept moments", n)
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise UserError(f"kept moments: a mean {list(mean.shape)} with a covariance {list(covariance.shape)}")
        if not (mean.isfinite().all() and covariance.isfinite().all()):
            raise UserError("kept moments: hold NaN or infinite numbers: remove the file and compute them anew")
        moments = cls(len(mean))
        moments.n, moments.mean = n, widened(mean.detach().cpu()).clone()
        moments._scatter = widened(covariance.detach().cpu()) * (n - 1)
        return moments
