"""The bilinear game: why simultaneous gradient steps spiral away from an equilibrium.

Claim: On min_x max_y xy simultaneous gradient steps diverge at any step size and alternating ones circle for ever;
extragradient and optimistic steps converge.
Source: Daskalakis et al. 2018 (Training GANs with Optimism); Gidel et al. 2019 (A Variational Inequality Perspective).
Expected: With step size h, steps T: (1 + h²)^(T/2) of the first distance for simultaneous steps, (1 - h² + h⁴)^(T/2)
for extragradient ones.
Here: h = 0.1 and T = 500. The game is the library's: its Wasserstein losses, by autograd, on a critic of one weight
against one fake (x the weight, y the fake). A seed decides the starting point, nothing else. --full changes nothing.
Thresholds: Fixed on seeds 100-102, before seeds 0-2 were run; 0.1 % around closed forms.
Cost: 5 s of CPU time for three seeds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wgan.objectives import Objective, wasserstein
from wgan.reproduction import Check, Job, Results, Scale, drawing, games

LR, STEPS = 0.1, 500
METHODS = {
    "simultaneous": (games.simultaneous, drawing.RED),
    "alternating": (games.alternating, drawing.ORANGE),
    "extragradient": (games.extragradient, drawing.GREEN),
    "optimistic": (games.optimistic, drawing.BLUE),
}


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {name: partial(measure, name, seed) for name in METHODS}


def measure(name: str, seed: int, here: Path) -> dict[str, Any]:
    """The path, its distance from (0, 0) over the first one, that of the closed form, and how far the two differ."""
    method, start = METHODS[name][0], games.start(seed)
    path = games.play(games.Dirac(Objective(wasserstein)).field, method, start, LR, STEPS)
    exact = games.bilinear_path(method, start, LR, STEPS)
    radius, expected = np.linalg.norm(path, axis=1), np.linalg.norm(exact, axis=1)
    error = (np.linalg.norm(path - exact, axis=1) / expected).max()
    return {"path": path, "radius": radius, "last": radius[-1], "expected": expected[-1], "error": error}


def draw(results: Results) -> Figure:
    figure, axes = drawing.panels(2, 3, width=3.3, height=3.1)
    lrs = np.linspace(0.01, 0.4, 79)
    for each, (name, (_, colour)) in zip((axes[0], axes[1], axes[3], axes[4]), METHODS.items(), strict=True):
        x, y = results[name][0]["path"].T
        each.plot(x, y, color=colour, linewidth=1.1)
        each.plot([x[0], 0], [y[0], 0], "+", color="black", markersize=9)
        each.axis("square")
        drawing.name(each, name, "x", "y")
        drawing.band(axes[2], np.arange(STEPS + 1), [run["radius"] for run in results[name]], colour, name)
        growth = [np.linalg.norm(games.bilinear_path(METHODS[name][0], games.FIRST, lr, 50)[-1]) for lr in lrs]
        axes[5].semilogy(lrs, growth, color=colour, label=name)
    axes[2].set_yscale("log")
    axes[2].legend(frameon=False, fontsize=8)
    drawing.name(axes[2], "Distance from the equilibrium", "steps", "over that at the start")
    drawing.name(axes[5], "The same after 50 steps (formula)", "step size", "over that at the start")
    return figure


def passes(results: Results) -> list[Check]:
    checks = []
    for name, paper in zip(METHODS, ("diverges", "stays at a distance", "converges", "converges"), strict=True):
        formula = results.numbers(name, "expected")
        low, high = (0.9, 1.1) if name == "alternating" else (min(formula) * 0.999, max(formula) * 1.001)
        told: Any = {"control": formula, "control_name": "closed form", "paper": paper, "every": True}
        what = f"distance after {STEPS} steps over the first, {name}"
        checks.append(Check(what=what, ours=results.numbers(name, "last"), at_least=low, at_most=high, **told))
    worst = [max(errors) for errors in zip(*(results.numbers(name, "error") for name in METHODS), strict=True)]
    return [
        *checks,
        Check(what="largest relative error of any point of any path", ours=worst, at_most=1e-9, every=True),
    ]
