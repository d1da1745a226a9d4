"""What the metrics share: a mean with its spread, and the checks of what comes in."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wgan.errors import UserError

# Squares, and for the cubic kernel sixth powers, of anything larger may leave the range of float64
LARGEST = 1e50
_ROWS = 4096  # rows that are looked at, or widened to float64, in one go: bounds the memory beside the features


class Spread(NamedTuple):
    """A mean over subsets or splits and their standard deviation (divisor: their number, as in the authors' codes)."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        x = torch.tensor(values, dtype=torch.float64)
        return cls(x.mean().item(), x.std(correction=0).item())


def widened(x: Tensor) -> Tensor:
    """`x` in float64, the dtype of all arithmetic here."""
    return x.to(torch.float64)


def rows(x: Tensor, at_once: int = _ROWS) -> list[Tensor]:
    """Views of `x [n, ...]` of at most `at_once` rows each, one at least."""
    return [x[start : start + at_once] for start in range(0, max(len(x), 1), at_once)]


def points(metric: str, name: str, x: Tensor, least: int = 1, remedy: str = "give more") -> Tensor:
    """`x` without its graph, if it is a finite floating-point [n, d] with n >= `least` and d >= 1.

    UserError: anything else; it begins with `metric` and calls x by `name` ("real", "fake", ...).
    """
    if not isinstance(x, Tensor):
        raise UserError(f"{metric}: {name} must be a torch tensor, not {type(x).__name__}; see torch.from_numpy")
    if x.ndim != 2 or not x.shape[1] or not x.is_floating_point():
        raise UserError(
            f"{metric}: {name} must be floating-point numbers of shape [n, d], one row a sample; "
            f"it is {describe(x)}; flatten images and call .float() first"
        )
    if len(x) < least:
        raise UserError(f"{metric}: needs at least {least} {name} samples, has {len(x)}: {remedy}")
    x = x.detach()
    bad = sum(int((~(part.abs() < LARGEST)).any(1).sum()) for part in rows(x))
    if bad:
        raise UserError(
            f"{metric}: {bad} of {len(x)} {name} samples hold NaN, infinite or huge (1e50) numbers: "
            "look at the samples, or at the network that made these features of them"
        )
    # Apple's GPUs have no float64
    return x.cpu() if x.device.type == "mps" else x


def same_width(metric: str, **named: Tensor) -> None:
    """UserError unless all have the same number of columns."""
    if len({x.shape[1] for x in named.values()}) > 1:
        widths = " and ".join(f"{name} {x.shape[1]}" for name, x in named.items())
        raise UserError(f"{metric}: numbers per sample differ ({widths}): take all features with the same network")


def same_count(metric: str, remedy: str = "leave out samples of the larger one", **named: Tensor) -> None:
    """UserError unless all have the same number of samples."""
    if len({len(x) for x in named.values()}) > 1:
        counts = " and ".join(f"{name} {len(x)}" for name, x in named.items())
        raise UserError(f"{metric}: needs equally many samples of each, has {counts}: {remedy}")


def describe(x: Tensor) -> str:
    """`float32 [3, 4]`."""
    return f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}"
