"""Modes of a toy mixture that samples hit, by the protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al.
2018, section 4.1): 2500 samples from each of 10 trained generators, of which the mean is reported.

- a sample belongs to the centre nearest to it
- it is of high quality if it lies within 3 standard deviations of that centre
- a mode is captured if at least one sample of high quality belongs to it
- reverse KL: sum q log(q / p) in nats over the modes, q the share of all samples that belong to a mode, p the mixture's

PacGAN's released code builds its histogram of high-quality samples only and takes its Jensen-Shannon divergence; here
all samples count, as a histogram that drops most of its samples looks balanced where only few are good.
In d dimensions even a sample of the mixture itself is within 3 standard deviations with the probability of a chi of d
degrees alone: 98.9 % in the plane.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wgan.errors import UserError
from wgan.metrics.balance import class_balance
from wgan.metrics.base import points, same_width
from wgan.metrics.neighbours import nearest

WITHIN = 3.0


class Modes(NamedTuple):
    """captured: modes with a high-quality sample; high_quality: share of samples; reverse_kl: in nats, 0 best."""

    captured: int
    high_quality: float
    reverse_kl: float


def modes(samples: Tensor, centres: Tensor, std: float, shares: Tensor | None = None) -> Modes:
    """Of `samples [n, d]` against a mixture of round Gaussians at `centres [k, d]` of standard deviation `std`.

    shares: the mixture's weights [k]; None means all alike. All in one unit: the toys of this package are scaled.
    UserError: a std that is not positive, no samples or centres, wrong shapes, NaN or infinite.
    """
    if not 0 < std < float("inf"):
        raise UserError(f"modes: std is {std}: must be positive, the standard deviation of one Gaussian")
    samples, centres = points("modes", "generated", samples), points("modes", "centre", centres)
    same_width("modes", generated=samples, centre=centres)
    distance, index = nearest(samples, centres)
    good, owner = distance[:, 0] <= WITHIN * std, index[:, 0]
    balance = class_balance(owner, len(centres), shares)
    return Modes(len(torch.unique(owner[good])), good.double().mean().item(), balance.reverse_kl)
