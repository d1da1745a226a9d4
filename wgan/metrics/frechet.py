"""Frechet distance between Gaussians fitted to two sets of features (Dowson & Landau 1982; Heusel et al. 2017, eq. 6).

    |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))

It is the squared 2-Wasserstein distance of the two Gaussians, and called FID only for the features of the Inception
network of 2015. 0 is best; no upper end; its unit is that of the features, squared.

It is biased upwards at a finite number of samples, the more the fewer there are, so figures at different n can't be
compared (Binkowski et al. 2018, appendix D). With fewer samples than features it is still defined, as below, but mostly
bias: prefer the kernel distance there. It sees nothing beyond the first two moments.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wgan.metrics.base import points, same_width
from wgan.metrics.moments import Moments


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Between features `real [n, d]` and `fake [m, d]`; n and m may differ, and be smaller than d.

    UserError: fewer than 2 samples of either, wrong shapes, NaN or infinite.
    """
    real = points("frechet distance", "real", real, least=2)
    fake = points("frechet distance", "fake", fake, least=2)
    same_width("frechet distance", real=real, fake=fake)
    return frechet_of_moments(Moments.of(real), Moments.of(fake))


def frechet_of_moments(a: Moments, b: Moments) -> float:
    """The same from moments, at least 0. UserError: different dimensions, fewer than 2 samples in either.

    With any factors S_a = F F^T, S_b = G G^T the trace of the root is the sum of the singular values of F^T G, since
    their squares are the non-zero eigenvalues of S_a S_b. Roots of eigenvalues of the product itself would turn its
    rounding error e into sqrt(e), once for each direction without variance.
    Cost at d = 2048: 4 s of one core, 9 s if both covariances are (nearly) singular.
    """
    same_width("frechet distance", first=a.mean[None], second=b.mean[None])
    first, second = a.covariance, b.covariance
    overlap = torch.linalg.svdvals(_factor(first).T @ _factor(second)).sum()
    apart = (a.mean - b.mean).square().sum()
    return max(0.0, float(apart + first.trace() + second.trace() - 2 * overlap))


def _factor(covariance: Tensor) -> Tensor:
    """F with F F^T = covariance [d, d]: Cholesky's, or [d, rank] where it may have directions without variance."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    pivots = factor.diagonal().square()
    # smaller pivots may be rounding errors, which those before them magnify
    if not failed and pivots.min() > 1e-8 * covariance.diagonal().max():
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    # Eigenvalues that are rounding errors (up to 4 eps were seen, at 2 to 300 dimensions) would add their roots
    rounding = (len(values) + 10) * torch.finfo(torch.float64).eps
    kept = values > values[-1].clamp(min=0) * rounding
    factor = vectors[:, kept] * values[kept].sqrt()
    return factor
