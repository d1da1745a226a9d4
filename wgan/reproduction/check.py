"""What a figure claims, as numbers: ours over the seeds, a control's, the paper's, and the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Check:
    """One number of a claim. Without at_least and at_most it is reported and decides nothing.

    what: the quantity, with its unit. ours: one value a seed. control, control_name: the same of what the claim is set
    against. paper: the paper's number, or what it says in words. at_least, at_most: bounds (both included) on the
    median of `ours`, or with every=True on each of its values. A value that is no number never passes.
    """

    what: str
    ours: Sequence[float]
    control: Sequence[float] = ()
    control_name: str = ""
    paper: str = "no number"
    at_least: float | None = None
    at_most: float | None = None
    every: bool = False

    @property
    def passes(self) -> bool | None:
        """Whether the bounds hold; None without bounds."""
        if self.at_least is None and self.at_most is None:
            return None
        values = list(self.ours) if self.every else [float(np.median(self.ours))]
        low, high = self.at_least, self.at_most
        return all(
            not math.isnan(x) and (low is None or x >= low) and (high is None or x <= high) for x in map(float, values)
        )

    @property
    def threshold(self) -> str:
        """`median >= 0.2`"""
        who = "each" if self.every else "median"
        if self.at_least is not None and self.at_most is not None:
            return f"{who} in [{self.at_least:.6g}, {self.at_most:.6g}]"
        if self.at_least is not None:
            return f"{who} ≥ {self.at_least:.6g}"
        return f"{who} ≤ {self.at_most:.6g}" if self.at_most is not None else "reported only"

    def row(self) -> dict[str, Any]:
        """As result.json has it."""
        return {
            "what": self.what,
            "ours": [float(x) for x in self.ours],
            "control": [float(x) for x in self.control],
            "control_name": self.control_name,
            "paper": self.paper,
            "threshold": self.threshold,
            "passes": self.passes,
        }


def number(value: float) -> str:
    """Three figures: 0.0123, 1.23e-07, 1,234; whole numbers as such."""
    value = float(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if value.is_integer() and abs(value) < 1e6:
        return f"{int(value):,}"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """`0.61 (0.57 to 0.79)`: the median, the least and the largest."""
    if not len(values):
        return ""
    middle, low, high = number(float(np.median(values))), number(min(values)), number(max(values))
    return middle if low == high == middle else f"{middle} ({low} to {high})"
