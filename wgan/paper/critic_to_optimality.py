"""The longer the critic is trained, the better its gradient.

Claim: The more a critic is trained, the more reliable its gradient; the better a discriminator, the less is left of it.
Source: WGAN, Section 3.
Expected: The cosine with the true gradient rises towards 1 for a critic; the minimax gradient fades.
Here: A generator that stays at N(0, 0.3²) in the middle of the 8 Gaussians. By symmetry each sample is best moved to
the nearest mode (of width 0.014), so the true gradient is known. ReLU networks 2-64-64-1. --full: 2-512-512-512-1.
Thresholds: Fixed on seeds 100-102, before seeds 0-2 were run. Second width tried: at 0.5 some fakes lie on the modes.
Caveat: Holds for the penalty, which is the worst of all until 100 steps. A clipped critic points well early and gets no
better after 25 steps. Under -log D, the loss GANs are trained with, the gradient points nearly as well, and grows.
Cost: 1 minute of CPU time for three seeds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import cosine_similarity, device

from wgan import seeds
from wgan.reproduction import Check, Job, Results, Scale, drawing, points
from wgan.reproduction.critics import generator_gradient, mlp, training

MARKS, SPREAD = (1, 5, 25, 100, 500, 2000), 0.3


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {rule: partial(measure, rule, (512, 512, 512) if scale.full else (64, 64), seed) for rule in points.LOSSES}


def measure(rule: str, widths: tuple[int, ...], seed: int, here: Path) -> dict[str, Any]:
    """Cosine of the gradient on 4,096 fakes with the true one, and its mean norm, after MARKS steps."""
    _, objective, optimizer, _ = points.LOSSES[rule]
    batches, build = partial(points.ring_and_middle, SPREAD), partial(mlp, 2, *widths)
    _, fake = batches(seeds.draw(device("cpu"), seed, "fakes"), 4096)
    true = points.away_from_nearest(fake, points.mixture("8gaussians"))
    found: dict[str, Any] = {"cosine": [], "norm": [], "x": fake[:200]}
    for step, critic in training(build, batches, objective, optimizer, steps=MARKS[-1], seed=seed):
        if step in MARKS:
            gradient = generator_gradient(critic, objective, fake)
            found["cosine"].append(float(cosine_similarity(gradient.flatten(), true.flatten(), dim=0)))
            found["norm"].append(float(gradient.norm(dim=1).mean()))
            found["pull"] = -gradient[:200]
    return found


def draw(results: Results) -> Figure:
    figure, axes = drawing.panels(1, 3, width=3.2)
    for rule, (label, _, _, colour) in points.LOSSES.items():
        for each, key in zip(axes, ("cosine", "norm"), strict=False):
            each.set_xscale("log")
            drawing.band(each, MARKS, [x[key] for x in results[rule]], colour, label, marker="o", markersize=3)
    axes[2].quiver(*results["gp"][0]["x"].T, *results["gp"][0]["pull"].T, color=drawing.GREEN, width=0.005)
    axes[2].scatter(*np.asarray(points.mixture("8gaussians").centres).T, s=50, color=drawing.GREY)
    axes[2].set(aspect="equal", xticks=[], yticks=[])
    drawing.name(axes[2], "Where WGAN-GP pulls the fakes")
    drawing.name(axes[0], "Direction", "critic steps", "cosine with the true gradient of W")
    drawing.name(axes[1], "Size", "critic steps", "mean |dL/dx| on the fakes")
    axes[1].set_yscale("log")
    axes[1].legend(frameon=False, fontsize=8)
    return figure


def passes(results: Results) -> list[Check]:
    end = {rule: points.last(results, rule, "cosine") for rule in points.LOSSES}
    better = [float(x["cosine"][-1] - x["cosine"][3]) for x in results["gp"]]
    faded = [float(x["norm"][-1] / x["norm"].max()) for x in results["minimax"]]
    told: dict[str, Any] = {"control": end["minimax"], "control_name": "GAN, minimax", "paper": "more reliable"}
    return [
        Check(what="cosine with the true gradient at the end, WGAN-GP", ours=end["gp"], at_least=0.95, **told),
        Check(what="the same less that after 100 steps, WGAN-GP", ours=better, at_least=0.1),
        Check(what="its size (true: 1)", ours=points.last(results, "gp", "norm"), at_least=0.9, at_most=1.2),
        Check(what="minimax gradient at the end over its largest", ours=faded, at_most=0.2, paper="vanishes"),
        Check(what="cosine at the end, clipping", ours=end["clip"], **told),
        Check(what="cosine at the end, -log D", ours=end["logistic"], **told),
    ]
