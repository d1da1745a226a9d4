"""Figure 5b: the critic overfits, and its loss on held-out images tells.

Claim: Trained on a random 1,000 images of MNIST the critic overfits: its negative loss rises on the training images
while it falls on held-out ones.
Source: WGAN-GP, Figure 5b.
Expected: The two curves part under the penalty, and under clipping; with 30,000 images they stay closer together.
Here: A perfect generator that stands still, 30,000 other images of MNIST: none that is trained in minutes leaves the
critic nothing but memory. An MLP of 3 x 256, 500 steps of 64 images. With --full a DCGAN in play for 20,000 steps.
Thresholds: Fixed on seed 100, before seeds 0-2 were run. The third setting tried: 100 steps of a small DCGAN
left no gap, 400 of MLPs for both one of 7 % of the loss.
Cost: 1.5 minutes of CPU time for three seeds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wgan import DCGAN, Adam, Clip, GradientPenalty, Objective, RMSProp, Run, wasserstein
from wgan.data import load
from wgan.reproduction import Check, Job, Results, Scale, drawing
from wgan.reproduction.critics import mlp
from wgan.reproduction.estimates import alone, in_play, negative_loss, reals, subset
from wgan.run import with_lr

NEEDS = ("mnist",)
GP = Run(objective=Objective(wasserstein, GradientPenalty(10.0)), critic_optimizer=Adam(5e-4, 0.5, 0.9), steps=500)
CLIP = replace(GP, objective=Objective(wasserstein, Clip(0.03)), critic_optimizer=RMSProp(5e-4))
RULES = {"gp": (GP, 1000), "all": (GP, 30_000), "clip": (CLIP, 1000)}
KEYS = {"training": drawing.BLUE, "held-out": drawing.ORANGE}
LABELS = ("WGAN-GP, 1,000 images", "WGAN-GP, 30,000 images", "WGAN, clipping, 1,000 images")


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {name: partial(measure, replace(run, seed=seed), n, scale) for name, (run, n) in RULES.items()}


def measure(run: Run, n: int, scale: Scale, here: Path) -> dict[str, Any]:
    """The critic's negative loss on 1,000 images of the training set and of the test set, at 25 steps."""
    whole, test = (load("mnist", root=scale.data_root, split=split, quiet=True) for split in ("train", "test"))
    run = replace(run, data=subset(whole, 0, n, run.seed), precision="fp32")
    if scale.full:
        run = replace(run, networks=DCGAN(critic_norm="none"), steps=20_000, generator_optimizer=run.critic_optimizer)
        run = with_lr(run, critic=run.critic_optimizer.lr / 5, generator=run.critic_optimizer.lr / 5)
        critics = in_play(run, every=run.steps // 25, n=1000, device=scale.device)
    else:
        others = subset(whole, 30_000, 30_000, run.seed)
        critics = alone(run, others, lambda: mlp(784, 256, 256, 256), every=run.steps // 25, n=1000)
    sets = [reals(load(data), run.seed, 1000) for data in (run.data, test)]
    curve = [(step, *(negative_loss(run, critic, x, fake) for x in sets)) for step, critic, fake in critics]
    return dict(zip(("step", *KEYS), np.array(curve).T, strict=True))


def draw(results: Results) -> Figure:
    figure, axes = drawing.panels(1, 3, width=3.6)
    for panel, name, label in zip(axes, RULES, LABELS, strict=True):
        step = results[name][0]["step"]
        for key, colour in KEYS.items():
            drawing.band(panel, step, [each[key] for each in results[name]], colour, f"{key} images")
        drawing.name(panel, label, "steps", "negative critic loss" if panel is axes[0] else "")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def passes(results: Results) -> list[Check]:
    end: dict[str, Any] = {n: [np.array([np.median(each[k][-5:]) for each in results[n]]) for k in KEYS] for n in RULES}
    gap = {name: train - held for name, (train, held) in end.items()}
    told: dict[str, Any] = {"control": gap["all"], "control_name": "30,000 images", "paper": "the curves part"}
    return [
        Check(what="gap of the losses, penalty", ours=gap["gp"], at_least=0.4, **told),
        Check(what="training loss at the end (by chance 0)", ours=end["gp"][0], at_least=0.4, paper="rises"),
        Check(what="held-out loss at the end", ours=end["gp"][1], at_most=0.2, paper="falls"),
        Check(what="gap over the training loss, clipping", ours=gap["clip"] / end["clip"][0], paper="diverges"),
    ]
