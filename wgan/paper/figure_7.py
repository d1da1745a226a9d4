"""Figure 7: an MLP generator makes samples as a WGAN, and collapses as a GAN.

Claim: An MLP generator learns as a WGAN; as a GAN its samples are worse and its modes collapse.
Source: WGAN, Figure 7.
Expected: Worse samples than of DCGANs, without mode collapse; the GAN's have it.
Here: CIFAR-10 at 32x32, 4 layers of 256 ReLU units (the paper: 512) and a DCGAN critic of a quarter of the paper's
width, batches of 32, 300 steps; RMSProp at 5e-4 in place of 5e-5, since there are so few, and a critic near its optimum
from the start. A step of the GAN costs a third of the WGAN's: it is measured after as many steps and after as much
time. Scored by 2,000 samples through a classifier of CIFAR-10: the Frechet distance of its features (other real images:
0.2), and how many classes it sees (exp of the entropy of their shares, 10 at best). With --full 64x64 photographs and
the paper's networks and step size, through Inception.
Thresholds: Fixed on seed 100, before seeds 0-2 were run.
Cost: 5 minutes of CPU time for three seeds, and once 4.5 minutes for the classifier.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from wgan.networks import MLP
from wgan.reproduction import Check, Job, Results, Scale, galleries, images

NEEDS = ("cifar10",)


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    networks = MLP(width=512, filters=64) if scale.full else MLP(width=256, filters=16)
    return galleries.side_by_side(images.setting(scale, seed, 300), networks, scale)


def draw(results: Results) -> Figure:
    return galleries.draw_sides(results)


def passes(results: Results) -> list[Check]:
    return galleries.sides(
        results,
        paper="WGAN makes samples, GAN's modes collapse",
        distance=25.0,
        worse=1.4,
        worse_in_time=1.3,
        classes=5.0,
    )
