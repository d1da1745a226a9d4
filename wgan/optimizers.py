"""The two optimisers of the papers, with their constants said out loud."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from wgan.errors import UserError


def _check(name: str, field: str, value: float, high: float = math.inf) -> None:
    if not 0 <= value < high:  # false for nan
        raise UserError(f"{name}({field}={value}): must be at least 0 and below {high}")


@dataclass(frozen=True)
class RMSProp:
    """RMSProp, as in Algorithm 1 of WGAN (Arjovsky et al. 2017), which gives lr and not the constants.

    lr: step size. alpha: decay of the mean square (torch's default, so the authors' code's). eps: added to the root.
    """

    lr: float = 5e-5
    alpha: float = 0.99
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _check("rmsprop", "lr", self.lr)
        _check("rmsprop", "alpha", self.alpha, high=1)
        _check("rmsprop", "eps", self.eps)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, eps=self.eps)


@dataclass(frozen=True)
class Adam:
    """Adam, as in Algorithm 1 of WGAN-GP (Gulrajani et al. 2017): lr 1e-4, beta1 0, beta2 0.9."""

    lr: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _check("adam", "lr", self.lr)
        _check("adam", "beta1", self.beta1, high=1)
        _check("adam", "beta2", self.beta2, high=1)
        _check("adam", "eps", self.eps)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        # torch 2.13 wants both betas to be floats
        betas = (float(self.beta1), float(self.beta2))
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, eps=self.eps, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The step size from now on; a tensor, which a captured step reads, is filled."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


Optimizer = RMSProp | Adam
OPTIMIZERS: dict[str, type[RMSProp] | type[Adam]] = {"rmsprop": RMSProp, "adam": Adam}
