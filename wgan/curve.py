"""The learning curve in the form of the WGAN paper's Figure 3: the estimate against generator steps, with samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wgan.results import read_metrics, samples_by_step, whole
from wgan.run import Run

THUMBNAILS = 5


def median_filter(values: np.ndarray, width: int) -> np.ndarray:
    """Median over a centred window of odd `width`; the window shrinks at the ends, so nothing is pulled to zero."""
    half = width // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.nanmedian(windows, axis=1))


def curve_of(run: Run, rows: list[dict[str, Any]]) -> tuple[str, np.ndarray, np.ndarray]:
    """(label, steps, values) of what the paper would plot for this objective."""
    key = "jensen_shannon" if "jensen_shannon" in rows[0] else "wasserstein"
    label = {"jensen_shannon": "Jensen-Shannon estimate"}.get(key, "Wasserstein estimate")
    if key == "wasserstein" and run.objective.pairing.name != "wasserstein":
        label = "score gap (no distance)"
    return label, np.array([row["step"] for row in rows]), np.array([row[key] for row in rows], float)


def save_curve(run: Run, folder: Path, *, grids: bool = True) -> None:
    """Draw `folder`/curve.png from its metrics.jsonl and samples/. Does nothing before the second logged step.

    grids: the samples are grids of images, of which a corner is enough to see; otherwise they are shown whole.
    """
    rows = read_metrics(folder / "metrics.jsonl")
    if len(rows) < 2:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    label, steps, values = curve_of(run, rows)
    # the paper filters with medfilt of 101 steps; here a fifteenth of the curve, at most that
    width = min(101, max(3, len(values) // 15)) | 1
    figure = Figure(figsize=(8, 5), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    pictures = thumbnails(folder, int(steps[-1]), grids)
    layout = figure.add_gridspec(2 if pictures else 1, max(1, len(pictures)), height_ratios=[1, 3] if pictures else [1])
    axes = figure.add_subplot(layout[-1, :])
    axes.plot(steps, values, color="#9ecae1", linewidth=0.8, label="each logged step")
    axes.plot(
        steps, median_filter(values, width), color="#08519c", linewidth=1.8, label=f"median of {width} logged steps"
    )
    bottom, top = limits(values)
    if label.startswith("Jensen") and top > np.log(2):
        axes.axhline(np.log(2), color="0.5", linewidth=0.8, linestyle="--", label="log 2: disjoint")
    axes.set_ylim(bottom, top)
    axes.set_xlim(0, steps[-1])
    axes.set_xlabel("generator steps")
    axes.set_ylabel(label)
    axes.legend(frameon=False, loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    for i, (step, picture) in enumerate(pictures):
        small = figure.add_subplot(layout[0, i])
        small.imshow(picture)
        small.set_title(f"step {step}", fontsize=8)
        small.set_axis_off()
    with whole(folder / "curve.png") as aside:
        figure.savefig(aside, format="png")


def limits(values: np.ndarray) -> tuple[float, float]:
    """(bottom, top) of the axis: zero and all but the farthest 1 % of the values, with room where they end."""
    low, high = (float(end) for end in np.percentile(values, [0.5, 99.5]))
    room = 0.08 * (max(0.0, high) - min(0.0, low)) or 1.0
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else room)


def thumbnails(folder: Path, last: int, grids: bool = True) -> list[tuple[int, np.ndarray]]:
    """(step, uint8 [h, w, 3]) of samples at about evenly spaced steps up to `last`; broken pictures are left out."""
    found: dict[int, np.ndarray] = {}
    paths = samples_by_step(folder)
    steps = [step for step in paths if step <= last]
    for at in np.linspace(0, last, THUMBNAILS):
        for step in sorted(steps, key=lambda step: abs(step - at)):
            picture = found.get(step)
            if picture is None:
                picture = _thumbnail(paths[step], 2 if grids else 1)
            if picture is not None:
                found[step] = picture
                break
    return sorted(found.items(), key=lambda item: item[0])


def _thumbnail(path: Path, part: int) -> np.ndarray | None:
    """The top left 1/part of a picture each way: with 2, 4 x 4 of a grid of 8 x 8. None when it can't be read."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").crop((0, 0, image.width // part, image.height // part)))
    except (OSError, SyntaxError):  # what Pillow raises for a broken PNG
        return None
