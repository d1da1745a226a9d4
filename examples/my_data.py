"""Data of your own: an array is enough, and anything that gives a batch for a position will do."""

import numpy as np

import wgan


def crescent(n, rng):
    """n points [n, 2] on a half moon of radius 1 and thickness 0.05."""
    angle, radius = rng.uniform(0, np.pi, n), 1 + 0.05 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


data = wgan.data.Toy("crescent", dim=2, sample=crescent)
run = wgan.preset("wgan-gp", data=data, steps=200)
