"""WGAN-GP, Table 3: Inception scores of residual networks on CIFAR-10.

Claim: Residual networks trained by WGAN-GP were the best without labels, and nearly so with labels.
Source: WGAN-GP, Table 3.
Expected: 7.86 +- 0.07 without labels, 8.42 +- 0.10 with labels.
Here: With --full alone: the preset wgan-gp-resnet (100,000 steps), 50,000 samples in 10 splits through the official
Inception weights. Labels enter by conditional batch norm and a projection critic; the paper has an auxiliary
classifier (AC-GAN).
Thresholds: Set beforehand at what another implementation got (7.33, mimicry), and 0.5 more with labels; never run here.
Cost: About a day of a GPU a seed.
"""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure

from wgan.presets import preset
from wgan.reproduction import Check, Job, Results, Scale, drawing, images

NEEDS = ("cifar10",)
FULL_ONLY = True
ROWS = {
    "unsupervised": {
        "ALI": 5.34,
        "BEGAN": 5.62,
        "DCGAN": 6.16,
        "Improved GAN (-L+HA)": 6.86,
        "EGAN-Ent-VI": 7.07,
        "DFM": 7.72,
        "WGAN-GP ResNet": 7.86,
    },
    "supervised": {
        "SteinGAN": 6.35,
        "DCGAN with labels": 6.58,
        "Improved GAN": 8.09,
        "AC-GAN": 8.25,
        "SGAN-no-joint": 8.37,
        "WGAN-GP ResNet": 8.42,
        "SGAN": 8.59,
    },
}


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    score = partial(images.trained, points=4, metrics=("classifier_score",), features="inception", n=50_000)
    return {
        row: partial(
            score,
            preset("wgan-gp-resnet", data="cifar10", precision="fp32", seed=seed, conditional=row == "supervised"),
            scale,
        )
        for row in ROWS
    }


def draw(results: Results) -> Figure:
    figure, axes = drawing.panels(1, 2, width=5.2)
    for each, (row, scores) in zip(axes, ROWS.items(), strict=True):
        each.plot(list(scores.values()), range(len(scores)), "o", color=drawing.GREY, label="the paper's table")
        ours = final(results, row)
        place = list(scores).index("WGAN-GP ResNet")
        each.plot(ours, [place] * len(ours), "D", color=drawing.GREEN, label="here", alpha=0.8)
        each.set_yticks(range(len(scores)), list(scores), fontsize=8.5)
        drawing.name(each, row, "Inception score")
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def final(results: Results, row: str) -> list[float]:
    return [float(each["classifier_score"][-1]) for each in results[row]]


def passes(results: Results) -> list[Check]:
    return [
        Check(what=f"Inception score, {row}", ours=final(results, row), paper=paper, at_least=least)
        for row, paper, least in (("unsupervised", "7.86 +- 0.07", 7.33), ("supervised", "8.42 +- 0.10", 7.83))
    ]
