"""The seven architectures of Figure 2 of WGAN-GP (Gulrajani et al. 2017), and least squares GANs.

After the authors' gan_64x64.py. Those that are no part of `wgan.networks` are made to be hard to train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wgan.networks import DCGAN, MLP, Network
from wgan.networks.base import Critic, Generator, Stack, glorot_init, norm, normal_init
from wgan.networks.checks import pyramid
from wgan.networks.resnet import convolution
from wgan.objectives import Pairing


def _least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _least_squares_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    return (fake - 1).square().mean() / 2


# Mao et al. 2017 (LSGAN), eq. 9: a = 0, b = c = 1
least_squares = Pairing("least-squares", _least_squares_critic, _least_squares_generator)


class Gate(nn.Module):
    """x [n, 2 w, ...] -> sigmoid(first half) * tanh(second half), [n, w, ...] (van den Oord et al. 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=1)
        return torch.sigmoid(gate) * torch.tanh(value)


@dataclass(frozen=True)
class OtherDCGAN:
    """DCGAN with "tanh" or "gated" multiplicative nonlinearities in both networks; fields as of `wgan.networks.DCGAN`.

    Gated layers have twice the filters, of which half are gates.
    """

    activation: str = "tanh"
    filters: int = 64
    norm: str = "batch"
    critic_norm: str = "batch"

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[Generator, Critic]:
        channels, base, k = pyramid("dcgan", shape)
        widths = [self.filters * 2**i for i in range(k)]
        twice, activation = (2, Gate) if self.activation == "gated" else (1, nn.Tanh)
        layers: list[nn.Module] = [nn.Unflatten(1, (z_dim, 1, 1))]
        inputs, strides = z_dim, (base, 1, 0)
        for width in reversed(widths):
            layers += [nn.ConvTranspose2d(inputs, twice * width, *strides, bias=False)]
            layers += [*norm(self.norm, twice * width), activation()]
            inputs, strides = width, (4, 2, 1)
        generator = Generator(Stack(*layers, nn.ConvTranspose2d(inputs, channels, *strides), nn.Tanh()), z_dim)
        layers, inputs = [], channels
        for i, width in enumerate(widths):
            layers += [nn.Conv2d(inputs, twice * width, 4, 2, 1, bias=False)]
            layers += [*(norm(self.critic_norm, twice * width) if i else []), activation()]
            inputs = width
        critic = Critic(nn.Sequential(*layers, nn.Flatten()), inputs * base**2)
        for network in (generator, critic):
            normal_init(network)
        return generator, critic


class Bottleneck(nn.Module):
    """x [n, inputs, h, w] -> shortcut + 0.3 * (1x1 to half the width, 3x3, 1x1), each after norm and ReLU.

    resample: nn.Upsample or nn.AvgPool2d before the 3x3 and in the shortcut, None to keep height and width.
    """

    def __init__(self, inputs: int, outputs: int, norm_name: str, resample: Callable[[], nn.Module] | None) -> None:
        super().__init__()
        width = max(1, min(inputs, outputs) // 2)
        self.residual = nn.Sequential(
            *norm(norm_name, inputs),
            nn.ReLU(),
            convolution(inputs, width, kernel=1),
            *norm(norm_name, width),
            nn.ReLU(),
            *([resample()] if resample else []),
            convolution(width, width),
            *norm(norm_name, width),
            nn.ReLU(),
            convolution(width, outputs, kernel=1),
        )
        self.shortcut = nn.Sequential(
            *([resample()] if resample else []),
            *([convolution(inputs, outputs, kernel=1, gain=1.0)] if inputs != outputs else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        residual: Tensor = self.residual(x)
        return shortcut + 0.3 * residual


@dataclass(frozen=True)
class DeepResNet:
    """Bottleneck blocks in both networks: `blocks` at each size of the image, one less at the largest.

    At 64 px blocks=6 are the 101 layers of the paper: 4 blocks that resample and 29 that do not, of 3 convolutions
    each, and 2 other layers. Widths are `filters` at half the side of the image, doubled with each halving of it.
    """

    filters: int = 64
    blocks: int = 6
    norm: str = "batch"
    critic_norm: str = "layer"

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[Generator, Critic]:
        channels, base, k = pyramid("resnet", shape)
        # from the smallest to the largest side
        widths = [self.filters * 2**i // 2 for i in reversed(range(k + 1))]
        first = nn.Linear(z_dim, widths[0] * base**2)
        glorot_init(first)
        layers: list[nn.Module] = [first, nn.Unflatten(1, (widths[0], base, base))]
        for i, width in enumerate(widths):
            if i:
                layers += [Bottleneck(widths[i - 1], width, self.norm, lambda: nn.Upsample(scale_factor=2))]
            layers += [Bottleneck(width, width, self.norm, None) for _ in range(self.blocks - (i == k))]
        layers += [*norm(self.norm, widths[-1]), nn.ReLU(), convolution(widths[-1], channels, gain=0.2), nn.Tanh()]
        generator = Generator(Stack(*layers), z_dim)
        layers = [convolution(channels, widths[-1], gain=1.0)]
        for i, width in reversed(list(enumerate(widths))):
            layers += [Bottleneck(width, width, self.critic_norm, None) for _ in range(self.blocks - (i == k))]
            if i:
                layers += [Bottleneck(width, widths[i - 1], self.critic_norm, lambda: nn.AvgPool2d(2))]
        critic = Critic(nn.Sequential(*layers, nn.Flatten()), widths[0] * base**2)
        glorot_init(critic.head, 0.2)
        return generator, critic


ROWS = {
    "dcgan": "baseline",
    "constant": "no BN, constant\nfilters in G",
    "mlp": "MLP generator",
    "plain": "no normalisation",
    "gated": "gated",
    "tanh": "tanh",
    "resnet": "deep ResNet",
}


def rows(full: bool, critic_norm: str) -> dict[str, Network]:
    """The networks of ROWS as the paper has them, or a quarter as wide and the ResNet an eighth, with 20 layers.

    critic_norm: "batch", "layer" or "none", for all but the one without any normalisation.
    """
    filters = 64 if full else 16
    return {
        "dcgan": DCGAN(filters, critic_norm=critic_norm),
        "constant": DCGAN(filters, "none", critic_norm, constant_filters=True),
        "mlp": MLP(512 if full else 256, filters=filters, critic_norm=critic_norm),
        "plain": DCGAN(filters, "none", "none"),
        "gated": OtherDCGAN("gated", filters, critic_norm=critic_norm),
        "tanh": OtherDCGAN("tanh", filters, critic_norm=critic_norm),
        "resnet": DeepResNet(64, 6, critic_norm=critic_norm) if full else DeepResNet(8, 1, critic_norm=critic_norm),
    }
