"""Figure 6: a generator without batch norm and with constant filters, as WGAN and as GAN.

Claim: A generator without batch norm and with a constant number of filters learns as a WGAN, not as a GAN.
Source: WGAN, Figure 6.
Expected: The WGAN makes samples; the GAN fails.
Here: CIFAR-10 at 32x32, that generator and a DCGAN critic of a quarter of the paper's width, batches of 32, 300 steps;
RMSProp at 5e-4 in place of 5e-5, since there are so few, and a critic near its optimum from the start. A step of the
GAN costs a third of the WGAN's: it is measured after as many steps and after as much time. Scored by 2,000 samples
through a classifier of CIFAR-10: the Frechet distance of its features (other real images: 0.1), and how many classes it
sees (exp of the entropy of their shares, 10 at best). With --full 64x64 photographs and the paper's networks and step
size, through Inception.
Thresholds: Fixed on seed 100, before seeds 0-2 were run.
Caveat: So early the WGAN's samples are poor too, and the GAN catches up when it is given as much time.
Cost: 5 minutes of CPU time for three seeds, and once 4.5 minutes for the classifier.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from wgan.networks import DCGAN
from wgan.reproduction import Check, Job, Results, Scale, galleries, images

NEEDS = ("cifar10",)


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    networks = DCGAN(filters=64 if scale.full else 16, norm="none", constant_filters=True)
    return galleries.side_by_side(images.setting(scale, seed, 300), networks, scale)


def draw(results: Results) -> Figure:
    return galleries.draw_sides(results)


def passes(results: Results) -> list[Check]:
    return galleries.sides(results, paper="WGAN makes samples, GAN fails", distance=23.0, worse=1.2)
