"""Figure 5: WGAN and GAN with DCGAN's generator.

Claim: With the DCGAN architecture both WGAN and GAN make good samples.
Source: WGAN, Figure 5.
Expected: Samples of like quality.
Here: CIFAR-10 at 32x32, DCGAN of a quarter of the paper's width, batches of 32, 300 steps; RMSProp at 5e-4 in place of
5e-5, since there are so few, and a critic near its optimum from the start. A step of the GAN costs a third of the
WGAN's: it is measured after as many steps and after as much time. Scored by 2,000 samples through a classifier of
CIFAR-10: the Frechet distance of its features (other real images: 0.1), and how many classes it sees (exp of the
entropy of their shares, 10 at best). With --full 64x64 photographs and the paper's networks and step size, through
Inception.
Thresholds: Fixed on the like runs of figures 3 and 4 with seed 100, before seeds 0-2 were run.
Cost: 5 minutes of CPU time for three seeds, and once 4.5 minutes for the classifier.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from wgan.networks import DCGAN
from wgan.reproduction import Check, Job, Results, Scale, galleries, images

NEEDS = ("cifar10",)


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    networks = DCGAN(filters=64 if scale.full else 16)
    return galleries.side_by_side(images.setting(scale, seed, 300), networks, scale)


def draw(results: Results) -> Figure:
    return galleries.draw_sides(results)


def passes(results: Results) -> list[Check]:
    return galleries.sides(results, paper="both good", distance=13.0, classes=6.0)
