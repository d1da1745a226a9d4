"""Metrics: tensors in, numbers out. No files, no networks, no printing; all arithmetic in float64.

Features are floating-point tensors [n, d] of any dtype, images uint8 [n, c, h, w]. What is wrong with them raises a
`UserError` of one line. What each number means, its direction and when it lies stands at the top of its file:

| metric                                                | file               | source                                |
|-------------------------------------------------------|--------------------|---------------------------------------|
| `frechet_distance`, `frechet_of_moments` (FID)        | frechet.py         | Heusel et al. 2017                    |
| `Moments`, a stream's mean and covariance             | moments.py         | Chan, Golub & LeVeque 1979            |
| `kernel_distance`, `mmd2` (KID)                       | kernel.py          | Binkowski et al. 2018                 |
| `inception_score`                                     | inception.py       | Salimans et al. 2016                  |
| `precision_recall`                                    | manifold.py        | Kynkaanniemi et al. 2019              |
| `density_coverage`; `prdc` for all four               | manifold.py        | Naeem et al. 2020                     |
| `laplacian_swd`, `mean_swd`                           | laplacian.py       | Karras et al. 2018 (ProGAN)           |
| `sliced_wasserstein`                                  | sliced.py          | Rabin et al. 2011                     |
| `transport_distance`, `transport_plan` (exact W1, W2) | transport.py       | assignment by SciPy                   |
| `nearest`                                             | neighbours.py      | exhaustive search                     |
| `memorisation`                                        | memory.py          | Meehan, Chaudhuri & Dasgupta 2020     |
| `modes` of a toy mixture                              | mixture.py         | VEEGAN 2017, PacGAN 2018              |
| `class_balance`, `stacked_labels` (Stacked-MNIST)     | balance.py         | Metz et al. 2017                      |
"""

from __future__ import annotations

from wgan.metrics.balance import Balance, class_balance, stacked_labels
from wgan.metrics.base import Spread
from wgan.metrics.frechet import frechet_distance, frechet_of_moments
from wgan.metrics.inception import inception_score
from wgan.metrics.kernel import kernel_distance, mmd2
from wgan.metrics.laplacian import laplacian_swd, mean_swd
from wgan.metrics.manifold import DensityCoverage, PrecisionRecall, density_coverage, prdc, precision_recall
from wgan.metrics.memory import Memorisation, memorisation
from wgan.metrics.mixture import Modes, modes
from wgan.metrics.moments import Moments
from wgan.metrics.neighbours import nearest
from wgan.metrics.sliced import sliced_wasserstein
from wgan.metrics.transport import transport_distance, transport_plan

__all__ = [
    "Balance",
    "DensityCoverage",
    "Memorisation",
    "Modes",
    "Moments",
    "PrecisionRecall",
    "Spread",
    "class_balance",
    "density_coverage",
    "frechet_distance",
    "frechet_of_moments",
    "inception_score",
    "kernel_distance",
    "laplacian_swd",
    "mean_swd",
    "memorisation",
    "mmd2",
    "modes",
    "nearest",
    "prdc",
    "precision_recall",
    "sliced_wasserstein",
    "stacked_labels",
    "transport_distance",
    "transport_plan",
]
