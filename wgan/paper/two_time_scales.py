"""Two time scales: two players whose curvature differs want two step sizes.

Claim: On f(x, y) = (1 + x²)(100 - y²), x minimising and y maximising under noisy gradients, one large step size
fluctuates, one small one converges slowly, and two time scales converge fast.
Source: Heusel et al. 2017 (GANs Trained by a Two Time-Scale Update Rule), toy data of Section 4.
Expected: Two time scales stay far nearer to (0, 0) than a step of 0.01 for both, and get there in fewer steps than a
step of 0.001 for both.
Here: Noise N(0, 1), 5,000 simultaneous steps from (0.5, 0.5); the seed decides the noise. --full changes nothing.
Thresholds: Fixed on seeds 100-102, before seeds 0-2 were run. First tried: the mean of the last 1,000 steps, at most
0.2 of that of 0.01 for both, which is a random walk's: 0.29, 0.15, 0.06.
Caveat: The claim is speed; later on 0.001 for both is nearer to (0, 0), as the noise counts with the larger step. And
0.01 for both fails for one reason: x, of curvature 200, is at the very edge of stability there (2 / 200).
Cost: 1 second of CPU time for three seeds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wgan import seeds
from wgan.reproduction import Check, Job, Results, Scale, drawing, games

STEPS, NEAR = 5000, 0.1
# step sizes of x and of y
RULES = {
    "large": ("0.01 for both", (0.01, 0.01), drawing.RED),
    "small": ("0.001 for both", (0.001, 0.001), drawing.GREY),
    "two": ("x 0.0001, y 0.01", (0.0001, 0.01), drawing.GREEN),
    "reversed": ("x 0.01, y 0.0001", (0.01, 0.0001), drawing.ORANGE),
}


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {rule: partial(measure, rule, seed) for rule in RULES}


def measure(rule: str, seed: int, here: Path) -> dict[str, Any]:
    """The path, its distance from (0, 0), the mean of that from step 1,000 on, and the first step that is NEAR."""
    noise = seeds.draw(games.CPU, seed, "noise").normal(STEPS, 2).double().numpy()
    path = games.play(games.saddle, games.simultaneous, np.array([0.5, 0.5]), np.array(RULES[rule][1]), STEPS, noise)
    radius = np.linalg.norm(path, axis=1)
    first = np.argmax(np.append(radius, 0) < NEAR)
    return {"path": path, "radius": radius, "mean": radius[1000:].mean(), "steps": first}


def draw(results: Results) -> Figure:
    figure, axes = drawing.panels(2, 4, width=2.6, height=2.5)
    for i, (rule, (label, _, colour)) in enumerate(RULES.items()):
        top, bottom = axes[i], axes[4 + i]
        top.plot(np.arange(1, STEPS + 2), results[rule][0]["radius"], color=colour, linewidth=0.9)
        top.axhline(NEAR, color="black", linewidth=0.7, linestyle=":")
        top.set(xscale="log", yscale="log", ylim=(5e-4, 3))
        x, y = results[rule][0]["path"].T
        bottom.plot(x, y, color=colour, linewidth=0.5, alpha=0.8)
        bottom.plot([x[0], 0], [y[0], 0], "+", color="black", markersize=9)
        bottom.set(xlim=(-1.2, 1.2), ylim=(-0.25, 0.75))
        drawing.name(top, label, "step", "distance" if i == 0 else "")
        drawing.name(bottom, "", "x", "y" if i == 0 else "")
    return figure


def passes(results: Results) -> list[Check]:
    mean, first = ({rule: results.numbers(rule, key) for rule in RULES} for key in ("mean", "steps"))
    ratio = [a / b for a, b in zip(mean["two"], mean["large"], strict=True)]
    faster = [a / b for a, b in zip(first["two"], first["small"], strict=True)]
    large: Any = {"control": mean["large"], "control_name": "0.01 for both", "paper": "fluctuates"}
    small: Any = {"control": first["small"], "control_name": "0.001 for both", "paper": "slower"}
    return [
        Check(what="mean distance from step 1,000 on, two time scales", ours=mean["two"], at_most=0.06, **large),
        Check(what="the same over that of 0.01 for both", ours=ratio, at_most=0.25),
        Check(what=f"steps until the distance is {NEAR}, two time scales", ours=first["two"], at_most=200, **small),
        Check(what="the same over that of 0.001 for both", ours=faster, at_most=0.3),
        Check(what="mean distance from step 1,000 on, x fast and y slow", ours=mean["reversed"], **large),
        Check(what="mean distance from step 1,000 on, 0.001 for both (nearer: not gated)", ours=mean["small"], **large),
    ]
