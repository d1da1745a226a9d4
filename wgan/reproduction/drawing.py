"""How all figures look: panels, colours, and a line with the spread over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, LIGHT, ORANGE, GREY, GREEN, PURPLE, RED = (
    "#08519c",
    "#9ecae1",
    "#d95f02",
    "#777777",
    "#238b45",
    "#6a51a3",
    "#b2182b",
)


def panels(rows: int, columns: int, *, width: float = 4.0, height: float = 3.2) -> tuple[Figure, list[Any]]:
    """A figure of rows x columns panels of width x height inches each; and its axes, row by row."""
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def band(axes: Any, x: Any, seeds: Sequence[Any], colour: str, label: str, **style: Any) -> None:
    """The median over the seeds as a line, and from the least to the largest as a shade. seeds: one [len(x)] each."""
    values = np.stack([np.asarray(each, float) for each in seeds])
    axes.plot(x, np.median(values, axis=0), color=colour, label=label, **({"linewidth": 1.6} | style))
    if len(values) > 1:
        axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0)


def dots(axes: Any, x: float, values: Sequence[float], colour: str, label: str | None = None) -> None:
    """One dot a seed above `x`, and a bar at their median."""
    axes.plot([x] * len(values), values, "o", color=colour, markersize=4.5, alpha=0.8, label=label)
    axes.plot([x - 0.18, x + 0.18], [np.median(values)] * 2, color=colour, linewidth=2)


def picture(axes: Any, image: Any) -> None:
    """An image, [h, w] or [h, w, 3], uint8, without ticks."""
    axes.imshow(image, cmap="gray", interpolation="nearest", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def name(axes: Any, title: str, x: str = "", y: str = "") -> None:
    """Title at the left, names of the axes."""
    axes.set_title(title, loc="left", fontsize=10.5)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
