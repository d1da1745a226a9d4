"""Who draws, who judges: `f(shape, z_dim, classes=0) -> (generator, critic)`. A size is a parameter, never a file."""

from __future__ import annotations

from wgan.networks.base import Critic, Generator, Given, Network, has_batch_norm
from wgan.networks.count import multiply_adds, parameter_count
from wgan.networks.dcgan import DCGAN
from wgan.networks.mlp import MLP
from wgan.networks.points import Points
from wgan.networks.resnet import ResNet

NETWORKS: dict[str, type[DCGAN] | type[MLP] | type[ResNet] | type[Points]] = {
    "dcgan": DCGAN,
    "mlp": MLP,
    "resnet": ResNet,
    "points": Points,
}

__all__ = [
    "DCGAN",
    "MLP",
    "NETWORKS",
    "Critic",
    "Generator",
    "Given",
    "Network",
    "Points",
    "ResNet",
    "has_batch_norm",
    "multiply_adds",
    "parameter_count",
]
