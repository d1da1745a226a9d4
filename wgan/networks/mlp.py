"""Images from a multilayer perceptron: Figures 3 (left) and 7 of Arjovsky, Chintala & Bottou (2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from wgan.errors import UserError
from wgan.networks import checks
from wgan.networks.base import Critic, Generator, Stack, hidden
from wgan.networks.dcgan import convolutional_critic


@dataclass(frozen=True)
class MLP:
    """A generator of `depth` hidden ReLU layers of `width` units, torch's default initial weights (WGAN section 4).

    The paper's captions and the WGAN-GP authors' version have 4 hidden layers, the latter a tanh at the end; the WGAN
    authors' code has 3 hidden layers and no tanh: mlp(depth=3, tanh=False). Without it images are not bound to [-1, 1].

    critic: "dcgan" (Figures 3a and 7; images as for DCGAN), or "mlp" (Figure 3c; any height and width).
    filters, critic_norm: of the "dcgan" critic, see DCGAN. The "mlp" critic has `depth` x `width` ReLU units, no norm.
    dropout: rate after each of the critic's activations, in [0, 1); for WGAN-CT.
    Labels join z as a one-hot vector; the critic projects them. Raises UserError for points and impossible sizes.
    """

    width: int = 512
    depth: int = 4
    tanh: bool = True
    critic: str = "dcgan"
    filters: int = 64
    critic_norm: str = "batch"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        checks.whole("mlp", "width", self.width)
        checks.whole("mlp", "depth", self.depth)
        checks.flag("mlp", "tanh", self.tanh)
        checks.choice("mlp", "critic", self.critic, ("dcgan", "mlp"))
        checks.whole("mlp", "filters", self.filters)
        checks.choice("mlp", "critic_norm", self.critic_norm, checks.NORMS)
        checks.rate("mlp", "dropout", self.dropout)
        if self.critic == "mlp" and self.critic_norm == "layer":
            raise UserError("mlp(critic='mlp') has no norm in the critic: leave critic_norm out or use critic='dcgan'")

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[Generator, Critic]:
        checks.sizes("mlp", z_dim, classes)
        shape = checks.image("mlp", shape)
        pixels = math.prod(shape)
        pyramid = checks.pyramid("mlp(critic='dcgan')", shape) if self.critic == "dcgan" else None
        layers = hidden(z_dim + classes, self.width, self.depth, nn.ReLU)
        layers += [nn.Linear(self.width, pixels), *([nn.Tanh()] if self.tanh else []), nn.Unflatten(1, shape)]
        generator = Generator(Stack(*layers), z_dim, classes, append_labels=classes > 0, separable=True)
        if pyramid is not None:
            return generator, convolutional_critic(pyramid, classes, self.filters, self.critic_norm, self.dropout)
        layers = hidden(pixels, self.width, self.depth, nn.ReLU, self.dropout)
        return generator, Critic(nn.Sequential(nn.Flatten(), *layers), self.width, classes, separable=not self.dropout)
