"""The residual networks of Gulrajani et al. (2017), Appendix F, as in their code (gan_cifar_resnet.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from wgan.networks import checks
from wgan.networks.base import Critic, Generator, Labelled, Stack, dropout, glorot_init, norm


@dataclass(frozen=True)
class ResNet:
    """Pre-activation residual blocks of constant width; at 32 px exactly the WGAN-GP CIFAR-10 networks.

    Generator: linear to a base grid, one doubling block for each factor of two, norm, ReLU, 3x3 convolution, tanh.
    Critic: a first block without pre-activation, halving blocks down to twice the base grid, two blocks of constant
    size, ReLU, global mean, linear. 32 px: 3 doubling blocks; 2 halving and 2 constant ones.
    The appendix upsamples "before the second convolution"; the code, followed here, before the first.

    Images are square, of side base * 2^k with base 4 to 7 and 8 <= side <= 256, with 1 to 4 channels. Raises UserError
    for any other shape. The paper's z_dim is 128.

    filters: of every layer.
    norm: of the generator, "batch" (paper), "layer" or "none"; with labels "batch" becomes conditional in the blocks,
        else labels join z.
    critic_norm: of the critic's blocks but the first, "none" (paper), "layer" or "batch" (not for gradient penalties).
    dropout: rate after each of the critic's blocks but the first, in [0, 1); WGAN-CT has 0.2, 0.5 and 0.5 there.
    """

    filters: int = 128
    norm: str = "batch"
    critic_norm: str = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        checks.whole("resnet", "filters", self.filters)
        checks.choice("resnet", "norm", self.norm, checks.NORMS)
        checks.choice("resnet", "critic_norm", self.critic_norm, checks.NORMS)
        checks.rate("resnet", "dropout", self.dropout)

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[Generator, Critic]:
        checks.sizes("resnet", z_dim, classes)
        channels, base, k = checks.pyramid("resnet", shape)
        return self._generator(channels, base, k, z_dim, classes), self._critic(channels, k, classes)

    def _generator(self, channels: int, base: int, k: int, z_dim: int, classes: int) -> Generator:
        append = classes > 0 and self.norm != "batch"
        first = nn.Linear(z_dim + (classes if append else 0), self.filters * base**2)
        glorot_init(first)
        body = Stack(
            first,
            nn.Unflatten(1, (self.filters, base, base)),
            *(Block(self.filters, self.norm, "up", classes) for _ in range(k)),
            # as in the code, this norm is the same for all classes
            *norm(self.norm, self.filters),
            nn.ReLU(),
            convolution(self.filters, channels, gain=1.0),
            nn.Tanh(),
        )
        return Generator(body, z_dim, classes, append, separable=True)

    def _critic(self, channels: int, k: int, classes: int) -> Critic:
        layers: list[nn.Module] = [FirstBlock(channels, self.filters)]
        # k - 1 halvings in all: 32 px end at 8 px
        for resample in ["down"] * (k - 2) + ["none"] * 2:
            layers += [Block(self.filters, self.critic_norm, resample), *dropout(self.dropout)]
        body = nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        critic = Critic(body, self.filters, classes, separable=not self.dropout)
        for last in (critic.head, *([critic.embed] if critic.embed is not None else [])):
            glorot_init(last)
        return critic


def convolution(inputs: int, outputs: int, kernel: int = 3, gain: float = math.sqrt(2)) -> nn.Conv2d:
    """A convolution that keeps height and width; weights uniform, Glorot's times `gain` (their "he_init"), bias 0."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    glorot_init(layer, gain)
    return layer


class Block(Labelled):
    """x [n, width, h, w] -> [n, width, h', w']: norm, ReLU, 3x3, norm, ReLU, 3x3, plus a shortcut.

    resample: "up" doubles height and width before the first convolution, "down" halves them (mean of 2x2) after the
    second, "none" keeps them. The shortcut is the identity or a 1x1 convolution when the size changes; it commutes with
    both kinds of resampling and runs on the small side, at a quarter of the cost and for the same result.
    """

    def __init__(self, width: int, norm_name: str, resample: str, classes: int = 0) -> None:
        super().__init__()
        up, down = resample == "up", resample == "down"
        self.residual = Stack(
            *norm(norm_name, width, classes),
            nn.ReLU(),
            *([nn.Upsample(scale_factor=2)] if up else []),
            convolution(width, width),
            *norm(norm_name, width, classes),
            nn.ReLU(),
            convolution(width, width),
            *([nn.AvgPool2d(2)] if down else []),
        )
        self.shortcut = nn.Sequential(
            *([nn.AvgPool2d(2)] if down else []),
            *([convolution(width, width, kernel=1, gain=1.0)] if up or down else []),
            *([nn.Upsample(scale_factor=2)] if up else []),
        )

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        residual: Tensor = self.residual(x, labels)
        return shortcut + residual


class FirstBlock(nn.Module):
    """The critic's first block: 3x3, ReLU, 3x3, mean of 2x2; no norm, no ReLU on the pixels; [n, c, h, w] halved."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            convolution(channels, width), nn.ReLU(), convolution(width, width), nn.AvgPool2d(2)
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), convolution(channels, width, kernel=1, gain=1.0))

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        residual: Tensor = self.residual(x)
        return shortcut + residual
