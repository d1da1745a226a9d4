"""Class balance: which classes a classifier finds among the samples, against how often they should be there.

    reverse KL = sum over classes of q log(q / p),  q the samples' shares, p the reference

in nats. This is the measure of missing modes on Stacked-MNIST (Metz et al. 2017; 1000 classes, 26,000 samples in
Srivastava et al. 2017 and Lin et al. 2018): modes = 1000 - missing. Even perfect samples are not at 0: with n samples
of c classes expect (c - 1) / (2 n), 0.02 there. It is as good as its classifier: samples of no class count as some.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wgan.errors import UserError, at_least
from wgan.metrics.base import describe


class Balance(NamedTuple):
    """missing: classes without a sample; reverse_kl: in nats, 0 best; share: of each class, float64 [classes]."""

    missing: int
    reverse_kl: float
    share: Tensor


def class_balance(labels: Tensor, classes: int, reference: Tensor | None = None) -> Balance:
    """Of `labels [n]`, whole numbers 0 .. classes - 1.

    reference: expected shares or counts [classes] (they are scaled to sum 1); None means all alike. A class that the
    reference says can't occur, but does, makes the divergence infinite.
    UserError: no labels, labels that are no whole numbers or out of range, a reference of another shape or below 0.
    """
    at_least(1, "classes of the class balance", classes)
    if labels.ndim != 1 or not len(labels) or labels.is_floating_point() or labels.is_complex():
        raise UserError(f"class balance: labels must be whole numbers [n], n at least 1, not {describe(labels)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            f"class balance: labels run from {int(labels.min())} to {int(labels.max())}, not within 0..{classes - 1}"
        )
    count = torch.bincount(labels.detach().cpu().long(), minlength=classes)
    share = count.double() / len(labels)
    return Balance(int((count == 0).sum()), divergence(share, _expected(classes, reference)), share)


def stacked_labels(digits: Tensor) -> Tensor:
    """The mode 0..999 of each Stacked-MNIST image from the digits of its three channels, `digits [n, 3]` in 0..9.

    UserError: another shape, or numbers that are no digits.
    """
    if digits.ndim != 2 or digits.shape[1] != 3 or digits.is_floating_point() or digits.is_complex():
        raise UserError(f"stacked labels: needs whole numbers [n, 3], one digit a channel, not {describe(digits)}")
    if digits.numel() and (digits.min() < 0 or digits.max() > 9):
        raise UserError(f"stacked labels: digits run from {int(digits.min())} to {int(digits.max())}, not within 0..9")
    return digits.long() @ torch.tensor([100, 10, 1], device=digits.device)


def divergence(q: Tensor, p: Tensor) -> float:
    """KL(q | p) in nats for shares `q`, `p` [k]; 0 log 0 = 0, infinite where q has what p has not."""
    return max(0.0, float((torch.special.xlogy(q, q) - torch.special.xlogy(q, p)).sum()))


def _expected(classes: int, reference: Tensor | None) -> Tensor:
    if reference is None:
        return torch.full((classes,), 1 / classes, dtype=torch.float64)
    p = reference.detach().cpu().double()
    if p.shape != (classes,) or not p.isfinite().all() or p.min() < 0 or not p.sum() > 0:
        raise UserError(
            f"class balance: the reference must be {classes} shares or counts, at least 0, not {describe(reference)}"
        )
    return p / p.sum()
