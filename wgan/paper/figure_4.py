"""Figures 4 and 8: the loss of a standard GAN tells nothing about its samples.

Claim: The Jensen-Shannon estimate of a standard GAN stays constant or rises, whatever becomes of the samples (Figure
4), and so does the generator's loss (Figure 8).
Source: WGAN, Figure 4; the same runs are Figure 8.
Expected: Constant or rising curves near log 2 = 0.69, without a relation to the quality of the samples.
Here: CIFAR-10 at 32x32, networks of a quarter of the paper's width, batches of 32, one discriminator update a step,
600 steps. Quality is the Frechet distance of the features of a classifier of CIFAR-10, of 1,000 samples at 8 steps.
With --full 64x64 photographs and the paper's networks.
Thresholds: Fixed on seed 100, before seeds 0-2 were run.
Cost: 5 minutes of CPU time for three seeds, and once 4.5 minutes for the classifier.
"""

from __future__ import annotations

import math
from functools import partial

from matplotlib.figure import Figure

from wgan.networks import DCGAN, MLP
from wgan.reproduction import Check, Job, Results, Scale, drawing, galleries, images

NEEDS = ("cifar10",)
ALSO = ("figure-8",)
PANELS = {"mlp": "MLP generator", "dcgan": "DCGAN generator", "mlps": "both MLPs"}


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    filters, width = (64, 512) if scale.full else (16, 256)
    run = images.setting(scale, seed, 600)
    jobs = {
        "mlp": images.gan(run, MLP(width=width, filters=filters), 2e-4),
        "dcgan": images.gan(run, DCGAN(filters=filters), 2e-4),
        "mlps": images.gan(run, MLP(width=width, critic="mlp"), 2e-4),
    }
    return {name: partial(images.trained, each, scale) for name, each in jobs.items()}


def draw(results: Results) -> Figure:
    figure, axes = drawing.panels(2, 3, width=3.4, height=2.9)
    for i, (name, title) in enumerate(PANELS.items()):
        galleries.curves(axes[i], results[name], drawing.RED)
        axes[i].axhline(math.log(2), color=drawing.GREY, linewidth=0.8, linestyle="--")
        drawing.name(axes[i], title, y="JS estimate (dashed: log 2)" if i == 0 else "")
        galleries.curves(axes[3 + i], results[name], drawing.ORANGE, "generator_loss", samples=False)
        drawing.name(axes[3 + i], "", "generator steps", "generator's loss" if i == 0 else "")
    return figure


def passes(results: Results) -> list[Check]:
    js, loss = (
        {name: [galleries.at_points(each, key) for each in results[name]] for name in PANELS}
        for key in ("estimate", "generator_loss")
    )
    rise = {name: [float(x[-1] - x[0]) for x in js[name]] for name in PANELS}
    rho = {name: [galleries.correlation(each) for each in results[name]] for name in PANELS}
    gain = [float(each["frechet"][-1] / each["frechet"][0]) for each in results["dcgan"]]
    told = partial(Check, paper="constant or rising")
    return [
        told(what="last JS estimate minus the first, DCGAN", ours=rise["dcgan"], at_least=-0.1),
        told(what="the same, MLP generator", ours=rise["mlp"], at_least=-0.1),
        told(
            what="last generator's loss over the first, DCGAN", ours=[x[-1] / x[0] for x in loss["dcgan"]], at_least=0.8
        ),
        Check(what="last Frechet distance over the first, DCGAN", ours=gain, paper="samples get better", at_most=0.9),
        Check(
            what="rank correlation of JS estimate and Frechet distance, DCGAN",
            ours=rho["dcgan"],
            paper="none",
            at_most=0.5,
        ),
        Check(what="the same, MLP generator", ours=rho["mlp"], paper="none", at_most=0.5),
    ]
