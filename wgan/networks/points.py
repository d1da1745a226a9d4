"""Multilayer perceptrons for vectors: the toy experiments of Gulrajani et al. (2017, section 4.1, gan_toy.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from wgan.fast.mlp import End
from wgan.networks import checks
from wgan.networks.base import Critic, Generator, Stack, glorot_init, hidden

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "tanh": nn.Tanh,
}


@dataclass(frozen=True)
class Points:
    """Both networks are `depth` hidden layers of `width` units between linear ends, for points of shape (d,).

    The toy code of WGAN-GP has 3 x 512 ReLU; its hidden weights are uniform with variance 2 / fan_in, its last ones
    Glorot's, biases 0. Points are unbounded.

    activation: "relu", "leaky_relu" (slope 0.2) or "tanh".
    dropout: rate after each of the critic's activations, in [0, 1); for WGAN-CT.
    Labels join z as a one-hot vector; the critic projects them. Raises UserError for images.
    """

    width: int = 512
    depth: int = 3
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        checks.whole("points", "width", self.width)
        checks.whole("points", "depth", self.depth)
        checks.choice("points", "activation", self.activation, tuple(ACTIVATIONS))
        checks.rate("points", "dropout", self.dropout)

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[Generator, Critic]:
        checks.sizes("points", z_dim, classes)
        d = checks.point("points", shape)
        activation = ACTIVATIONS[self.activation]
        body = hidden(z_dim + classes, self.width, self.depth, activation)
        output = End(self.width, d)
        generator = Generator(Stack(*body, output), z_dim, classes, append_labels=classes > 0, separable=True)
        body = hidden(d, self.width, self.depth, activation, self.dropout, first=End)
        critic = Critic(nn.Sequential(*body), self.width, classes, separable=not self.dropout)
        for layer in [*generator.body, *body]:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        for last in (output, critic.head, *([critic.embed] if critic.embed is not None else [])):
            glorot_init(last)
        return generator, critic
