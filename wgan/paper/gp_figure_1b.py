"""Figure 1b: gradients explode or vanish layer by layer under clipping, not under the penalty.

Claim: In deep critics the gradient of the loss with respect to a layer's activations grows or decays exponentially with
the layer when weights are clipped, depending on c; and clipping pushes most weights to the two ends of [-c, c].
Source: WGAN-GP, Figure 1b.
Expected: Straight lines of large slope on the logarithmic axis for every c, a flat one for the penalty.
Here: Swiss roll, both networks 12 ReLU layers without norm as in the paper, of 64 units, 80 generator steps; the
critics' step sizes are 1e-3. Slopes are of log10 |gradient| in float64, at the end. With --full 512 units, 2,000 steps.
Thresholds: Fixed on seed 100, before seeds 0-2 were run.
Cost: 1 minute of CPU time for three seeds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from wgan import Adam, Clip, GradientPenalty, Objective, RMSProp, Run, wasserstein
from wgan.data import load
from wgan.networks import Points
from wgan.reproduction import Check, Job, Results, Scale, critics, drawing
from wgan.reproduction.estimates import fakes, layer_gradients, reals

CLIPS = {"c-0.1": 0.1, "c-0.01": 0.01, "c-0.001": 0.001}
DEEP = Run(data="swissroll", networks=Points(64, 12), z_dim=2, batch_size=256, steps=80, critic_optimizer=RMSProp(1e-3))
GP = replace(DEEP, objective=Objective(wasserstein, GradientPenalty(10.0)))
GP = replace(GP, critic_optimizer=Adam(1e-3, 0.5, 0.9), generator_optimizer=Adam(1e-4, 0.5, 0.9))
RULES = {name: replace(DEEP, objective=Objective(wasserstein, Clip(c))) for name, c in CLIPS.items()} | {"penalty": GP}
COLOURS = dict(zip(RULES, (drawing.PURPLE, drawing.BLUE, drawing.LIGHT, drawing.GREEN), strict=True))


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {name: partial(measure, replace(run, seed=seed), CLIPS.get(name, 0.0), scale) for name, run in RULES.items()}


def measure(run: Run, c: float, scale: Scale, here: Path) -> dict[str, Any]:
    """norms of the gradient at each of the 12 activations, weights (a part), and the share of them at the ends."""
    if scale.full:
        run = replace(run, networks=Points(512, 12), steps=2000)
    *_, (state, _) = critics.quietly(run, device=scale.device if scale.full else "cpu")
    norms = layer_gradients(state.critic, reals(load("swissroll"), run.seed, 512), fakes(run, state, 512))
    weights = torch.cat([w.detach().cpu().flatten() for w in state.critic.parameters() if w.ndim == 2])
    slope = np.polyfit(np.arange(12), np.log10(norms), 1)[0]
    found = {"slope": slope, "saturated": float(((weights.abs() - c).abs() <= 0.05 * c).double().mean())}
    return {"norms": norms, "weights": weights.numpy()[::7], **found}


def draw(results: Results) -> Figure:
    figure, (left, *small) = drawing.panels(1, 3, width=3.6)
    for name, colour in COLOURS.items():
        drawing.band(left, range(1, 13), [each["norms"] for each in results[name]], colour, name.replace("-", " = "))
    left.set(yscale="log", xticks=range(1, 13))
    left.legend(frameon=False, fontsize=8)
    drawing.name(left, "Gradient at each layer of the critic", "layer, from the input on", "|d loss / d activations|")
    for axes, name, title in zip(small, ("c-0.01", "penalty"), ("clipping, c = 0.01", "the penalty"), strict=True):
        weights = results[name][0]["weights"]
        axes.hist(weights, bins=60, range=np.quantile(weights, [0.001, 0.999]), color=COLOURS[name])
        drawing.name(axes, f"Weights under {title}", "weight", "how many")
    return figure


def passes(results: Results) -> list[Check]:
    slopes = {name: results.numbers(name, "slope") for name in RULES}
    ours = [abs(slope) for slope in slopes["penalty"]]
    steep = [min(map(abs, each)) for each in zip(*(slopes[name] for name in CLIPS), strict=True)]
    told: dict[str, Any] = {"control": steep, "control_name": "clipping, the flattest c", "paper": "flat"}
    checks = [Check(what="|slope| of log10 gradient, a layer, penalty", ours=ours, at_most=0.1, **told)]
    for name, c in CLIPS.items():
        told = dict(zip(("at_least", "at_most"), (None, -0.3) if c == 0.1 else (0.3, None), strict=True))
        what = f"slope of log10 gradient, a layer, c = {c:g}"
        checks.append(Check(what=what, ours=slopes[name], paper="exponential", **told))
        what = f"share of weights within 5 % of +-c, c = {c:g}"
        checks.append(Check(what=what, ours=results.numbers(name, "saturated"), paper="most", at_least=0.5))
    return checks
