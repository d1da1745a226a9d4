"""What figures of image runs have in common: curves with samples along them, samples side by side, their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wgan.curve import limits, median_filter
from wgan.data.grid import grid
from wgan.networks import Network
from wgan.reproduction.check import Check, spread
from wgan.reproduction.drawing import panels, picture
from wgan.reproduction.estimates import spearman
from wgan.reproduction.images import gan, trained, wgan
from wgan.reproduction.results import Job, Result, Results, Scale
from wgan.run import Run

# the WGAN paper filters its curves by medians of 101 steps of some 100,000; here they have 300 logged steps
WINDOW = 15


def at_points(result: Result, key: str = "estimate") -> np.ndarray:
    """A curve of a run, smoothed by a running median of WINDOW logged steps, at the steps measured."""
    return np.asarray(np.interp(result["at"], result["step"], median_filter(result[key], WINDOW)))


def correlation(result: Result, key: str = "estimate", metric: str = "frechet") -> float:
    """Spearman's correlation of a smoothed curve of a run with a metric, over the steps measured."""
    return spearman(at_points(result, key), result[metric])


# --- how such figures look -------------------------------------------------------------------------------------------


def sheet(samples: np.ndarray, columns: int) -> np.ndarray:
    """uint8 [n, h, w, c] side by side, [height, width, 3]."""
    return np.asarray(grid(samples.transpose(0, 3, 1, 2), columns, pad=1, scale=1).convert("RGB"))


def curves(axes: Any, results: Sequence[Result], colour: str, key: str = "estimate", *, samples: bool = True) -> None:
    """The smoothed curve of each seed over the raw one of the first; above it a row of the first's samples."""
    first = results[0]
    axes.plot(first["step"], first[key], color=colour, linewidth=0.5, alpha=0.35)
    for result in results:
        axes.plot(result["step"], median_filter(result[key], WINDOW), color=colour, linewidth=1.5, alpha=0.85)
    low, high = limits(np.concatenate([median_filter(result[key], WINDOW) for result in results]))
    axes.set_ylim(low, high + 0.45 * (high - low) * samples)
    axes.set_xlim(0, first["step"][-1])
    chosen = np.unique(np.linspace(0, len(first["at"]) - 1, 5).round().astype(int)) if samples else ()
    for place, i in enumerate(chosen):
        small = axes.inset_axes((place / len(chosen) + 0.01, 0.69, 1 / len(chosen) - 0.02, 0.25))
        small.imshow(sheet(first["samples"][i][:4], 2), interpolation="nearest")
        small.set_axis_off()
        small.set_title(f"{first['at'][i]:,}", fontsize=7, pad=1.5)


# --- WGAN and GAN side by side: Figures 5 to 7 -----------------------------------------------------------------------


def side_by_side(run: Run, networks: Network, scale: Scale) -> dict[str, Job]:
    """A WGAN and a GAN with the same networks; the GAN's step costs a third, and it is given three times as many."""
    lr = 5e-5 if scale.full else 5e-4
    longer = replace(run, steps=3 * run.steps)
    job = partial(trained, n=0 if scale.full else 2000, shown=12)
    return {
        "wgan": partial(job, wgan(run, networks, lr), scale, points=1),
        "gan": partial(job, gan(longer, networks, 2e-4), scale, points=3),
    }


SIDES = {"WGAN": ("wgan", -1), "GAN, as many steps": ("gan", 0), "GAN, as much time": ("gan", -1)}


def score(results: Results, side: str, metric: str) -> list[float]:
    """A metric of one of SIDES, one a seed."""
    name, point = SIDES[side]
    return [float(each[metric][point]) for each in results[name]]


def draw_sides(results: Results) -> Figure:
    """Samples of the first seed, with what all seeds score."""
    figure, axes = panels(1, len(SIDES), width=2.7, height=2.75)
    for each, (side, (name, point)) in zip(axes, SIDES.items(), strict=True):
        picture(each, sheet(results[name][0]["samples"][point][:12], 4))
        distance, classes = (spread(score(results, side, metric)) for metric in ("frechet", "classes"))
        each.set_title(side, loc="left", fontsize=10.5)
        each.set_xlabel(f"Frechet distance {distance}\nclasses {classes}", fontsize=8.5)
    return figure


def sides(
    results: Results,
    *,
    paper: str,
    distance: float,
    worse: float | None = None,
    worse_in_time: float | None = None,
    classes: float | None = None,
) -> list[Check]:
    """What Figures 5 to 7 say of both, as numbers.

    distance: the WGAN's Frechet distance at most. worse, worse_in_time: the GAN's over it at least, after as many steps
    and as much time. classes: seen among the WGAN's samples at least. None decides nothing.
    """
    ours, steps, cost = SIDES
    frechet = {side: score(results, side, "frechet") for side in SIDES}
    ratio = {
        side: [gan / wgan for gan, wgan in zip(frechet[side], frechet[ours], strict=True)] for side in (steps, cost)
    }
    seen = {side: score(results, side, "classes") for side in SIDES}
    return [
        Check(
            what="Frechet distance, WGAN",
            ours=frechet[ours],
            control=frechet[steps],
            control_name=steps,
            paper=paper,
            at_most=distance,
        ),
        Check(what="GAN's Frechet distance over the WGAN's, as many steps", ours=ratio[steps], at_least=worse),
        Check(what="the same, as much time", ours=ratio[cost], at_least=worse_in_time),
        Check(
            what="classes among the WGAN's samples, of 10",
            ours=seen[ours],
            control=seen[steps],
            control_name=steps,
            at_least=classes,
        ),
        Check(what="classes among the GAN's, as much time", ours=seen[cost]),
    ]
