"""Figure 2: a perfect discriminator's gradient vanishes, a critic's stays.

Claim: A discriminator that tells two Gaussians apart perfectly gives the generator no gradient; a WGAN critic trained
to optimality gives clean ones everywhere.
Source: WGAN, Figure 2.
Expected: The minimax gradient falls by orders of magnitude from 100 to 2,000 steps; the critic's stays where it was.
Here: N(±2, 0.5²) (the paper prints no parameters), ReLU networks 1-64-64-1, batches of 256. --full: 10,000 steps.
Thresholds: Fixed on seeds 100-102, before seeds 0-2 were run. The median over fakes is the second statistic tried: the
few between the Gaussians hold a mean of 0.001 up, even under the perfect discriminator.
Caveat: -log D, by which GANs are trained, does not vanish: it grows. What vanishes is the theory's minimax loss.
Cost: 40 seconds of CPU time for three seeds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import device, linspace

from wgan import seeds
from wgan.reproduction import Check, Job, Results, Scale, drawing
from wgan.reproduction.critics import generator_gradient, mlp, training
from wgan.reproduction.points import LOSSES, two_gaussians


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {rule: partial(measure, rule, 10_000 if scale.full else 2000, seed) for rule in LOSSES}


def measure(rule: str, last: int, seed: int, here: Path) -> dict[str, Any]:
    """Scores along a line after `last` steps; the generator's gradient on 4,096 fakes then ("late") and after 100."""
    _, objective, optimizer, _ = LOSSES[rule]
    found: dict[str, Any] = {}
    _, fake = two_gaussians(seeds.draw(device("cpu"), seed, "fakes"), 4096)
    build = partial(mlp, 1, 64, 64)
    for step, critic in training(build, two_gaussians, objective, optimizer, steps=last, seed=seed):
        if step in (100, last):
            gradient = generator_gradient(critic, objective, fake)
            found["late" if step == last else "early"] = float(gradient.abs().median())
            found["uphill"] = float((gradient < 0).double().mean())
    return found | {"scores": critic(linspace(-4, 4, 401)[:, None]).detach().numpy()}


def draw(results: Results) -> Figure:
    figure, (left, right) = drawing.panels(1, 2, width=4.6)
    x = np.linspace(-4, 4, 401)
    for rule, (label, _, _, colour) in LOSSES.items():
        f = results[rule][0]["scores"]
        if rule != "logistic":  # D in [0, 1] as the paper draws it, and critics, told up to a constant, on its scale
            y = (1 + np.tanh(f / 2)) / 2 if rule == "minimax" else (f - f.min()) / np.ptp(f)
            left.plot(x, y, color=colour, label="discriminator D(x)" if rule == "minimax" else f"{label}, f(x)")
        drawing.dots(right, 0, results.numbers(rule, "early"), colour)
        drawing.dots(right, 1, results.numbers(rule, "late"), colour, label)
    left.plot(x, np.exp(-2 * (np.abs(x) - 2) ** 2) / 2, color=drawing.GREY, linestyle=":", label="fakes, real")
    drawing.name(left, "Trained to optimality", "x", "scaled to [0, 1]")
    drawing.name(right, "Gradient that reaches the fakes", y="median |dL/dx|")
    right.set(yscale="log", xticks=[0, 1], xticklabels=["100 critic steps", "to the end"])
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8, loc="center")
    return figure


def passes(results: Results) -> list[Check]:
    late = {rule: results.numbers(rule, "late") for rule in LOSSES}
    kept = [a / b for a, b in zip(late["gp"], results.numbers("gp", "early"), strict=True)]
    told: dict[str, Any] = {"control": late["minimax"], "control_name": "GAN, minimax", "paper": "does not vanish"}
    return [
        Check(what="gradient on the fakes, clipping", ours=late["clip"], at_least=0.2, at_most=2.0, **told),
        Check(what="gradient on the fakes, penalty", ours=late["gp"], at_least=0.2, at_most=2.0, **told),
        Check(what="the same over that after 100 steps, penalty", ours=kept, at_least=0.5, at_most=2.0),
        Check(what="share of fakes pulled to the real data", ours=results.numbers("gp", "uphill"), at_least=0.99),
        Check(what="gradient under minimax", ours=late["minimax"], paper="vanishes", at_most=1e-4),
        Check(what="gradient under -log D (not gated: it grows)", ours=late["logistic"]),
    ]
