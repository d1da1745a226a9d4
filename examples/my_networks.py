"""Networks of your own: a function of the shape of one sample and the length of z that gives the two networks."""

import math

from torch import nn

import wgan


def two_layers(shape, z_dim, classes=0):
    size = math.prod(shape)
    generator = nn.Sequential(nn.Linear(z_dim, 64), nn.ReLU(), nn.Linear(64, size), nn.Tanh(), nn.Unflatten(1, shape))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0))
    return generator, critic


run = wgan.preset("wgan-gp", data="digits", networks=two_layers, steps=200)
