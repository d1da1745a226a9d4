"""What all generators and critics share: labels, norms, scores.

A network is any callable `f(shape, z_dim, classes=0) -> (generator, critic)`, where shape = (c, h, w) for images and
(d,) for points. It draws its initial weights from torch's global generator: seed that first and they are determined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wgan.errors import UserError
from wgan.fast.mlp import layers_of, scores_and_gradients


class Network(Protocol):
    """Builds the two players for samples of `shape`; classes > 0 makes both take labels int64 [n] in [0, classes)."""

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]: ...


class Labelled(nn.Module):
    """A layer whose forward takes (x, labels); in a Stack it is given the labels."""


class ConditionalBatchNorm2d(Labelled):
    """Batch norm with a scale and a shift per class (Dumoulin et al. 2017; used by the WGAN-GP CIFAR code).

    x [n, channels, h, w] and labels int64 [n] in [0, classes) -> [n, channels, h, w].
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        scale: Tensor = self.scale(labels)[:, :, None, None]
        shift: Tensor = self.shift(labels)[:, :, None, None]
        normed: Tensor = self.norm(x)
        return scale * normed + shift


class Stack(nn.Sequential):
    """nn.Sequential that hands the labels to the layers that are Labelled."""

    # as in nn.Sequential (`wgan.fast.layers`)
    in_turn = True

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, labels) if isinstance(layer, Labelled) else layer(x)
        return x


def norm(name: str, channels: int, classes: int = 0) -> list[nn.Module]:
    """The normalising layers called `name` for [n, channels, h, w]: one, or none at all.

    "batch": BatchNorm2d, class-conditional when classes > 0. "layer": over channels, height and width of one sample,
    with a scale and a shift per channel, as in the WGAN-GP code (group norm with one group). "none": nothing.
    """
    if name == "batch":
        return [ConditionalBatchNorm2d(channels, classes) if classes else nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if name == "layer" else []


def dropout(rate: float) -> list[nn.Module]:
    """A dropout layer, or none when the rate is 0. Its mask comes from torch's global generator."""
    return [nn.Dropout(rate)] if rate else []


def hidden(
    inputs: int,
    width: int,
    depth: int,
    activation: Callable[[], nn.Module],
    rate: float = 0,
    first: type[nn.Linear] = nn.Linear,
) -> list[nn.Module]:
    """`depth` layers of Linear, activation and dropout: [n, inputs] -> [n, width]. first: the first layer's class."""
    layers: list[nn.Module] = []
    for i in range(depth):
        linear = nn.Linear(width, width) if i else first(inputs, width)
        layers += [linear, activation(), *dropout(rate)]
    return layers


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Labels int64 [n] -> [n, classes], 1 at the label and 0 elsewhere."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)).to(dtype)


class Generator(nn.Module):
    """z [n, z_dim] (and labels int64 [n] when classes > 0) -> samples [n, *shape]; images are in [-1, 1].

    body: maps [n, z_dim], or [n, z_dim + classes] with `append_labels`, to samples. Labels reach it through conditional
    norms or, where there are none, as a one-hot vector behind z: with the first layer that is a learned embedding.
    separable: as of a Critic. Samples for several updates may then be made in one pass.
    """

    def __init__(
        self, body: Stack, z_dim: int, classes: int = 0, append_labels: bool = False, *, separable: bool = False
    ) -> None:
        super().__init__()
        self.separable = separable
        self.body = body
        self.z_dim = z_dim
        self.classes = classes
        self.append_labels = append_labels

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise UserError(f"this generator takes z of shape [n, {self.z_dim}], not {list(z.shape)}")
        labels = _checked(labels, len(z), self.classes, "generator")
        if labels is not None and self.append_labels:
            z = torch.cat([z, one_hot(labels, self.classes, z.dtype)], dim=1)
        samples: Tensor = self.body(z, labels)
        return samples


class Critic(nn.Module):
    """x [n, *shape] (and labels int64 [n] when classes > 0) -> scores [n], unbounded, in the dtype of the weights.

    body: maps x to features [n, width]. With labels the score is head(features) + <embed(y), features>, the projection
    critic of Miyato & Koyama (2018, eq. 4).
    separable: no layer but batch norm couples the samples of a batch, and none draws random numbers. Real and fake
        samples may then go through in one pass, with the scores that two would give (`wgan.fast.norms`).
    """

    def __init__(
        self, body: nn.Module, width: int, classes: int = 0, bias: bool = True, *, separable: bool = False
    ) -> None:
        super().__init__()
        self.body = body
        self.separable = separable
        self.head = nn.Linear(width, 1, bias=bias)
        # A Linear on one-hot labels is an embedding that spectral norm and orthonormal layers reach like any layer
        self.embed = nn.Linear(classes, width, bias=False) if classes else None
        self.classes = classes

    def features(self, x: Tensor) -> Tensor:
        """The input of the last layer, [n, width]; what WGAN-CT compares."""
        features: Tensor = self.body(x)
        return features

    def score(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores [n] of features [n, width]: for objectives that need both from one pass through the dropout."""
        labels = _checked(labels, len(features), self.classes, "critic")
        # W is a difference of nearly equal means: the 8 bits of bfloat16 would quantise it, so autocast ends here
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(next(self.head.parameters()).dtype)
            scores: Tensor = self.head(features).squeeze(1)
            if labels is not None and self.embed is not None:
                embedded = self.embed(one_hot(labels, self.classes, features.dtype))
                scores = scores + (embedded * features).sum(dim=1)
            return scores

    def scores_and_gradients(self, x: Tensor, points: Callable[[], Tensor]) -> tuple[Tensor, Tensor] | None:
        """Scores [n] of x and the gradients of the scores at `points()`, in one pass; None where there is no such way.

        There is one for perceptrons without labels, dropout and norms; else `points` isn't called. The result is
        differentiable once.
        """
        known = layers_of(self.body)
        if known is None or not self.separable or self.classes or type(self.head) is not nn.Linear:
            return None
        return scores_and_gradients(x, points(), *known, self.head)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.score(self.features(x), labels)


class Given:
    """A critic with its labels bound, f(. | y): what an objective sees of a conditional critic.

    Called with x [n, *shape] -> scores [n]; labels: int64 [n]. `features` and `score` as in Critic; a critic of your
    own needs these two only for objectives that compare features (WGAN-CT).
    """

    def __init__(self, critic: nn.Module, labels: Tensor) -> None:
        self.critic = critic
        self.labels = labels
        self.separable: bool = getattr(critic, "separable", False)

    def modules(self) -> Iterator[nn.Module]:
        """The critic's layers, as nn.Module has it."""
        return self.critic.modules()

    def __call__(self, x: Tensor) -> Tensor:
        # real and fake samples in one pass have the same labels
        scores: Tensor = self.critic(x, self.labels.repeat(max(1, len(x) // max(1, len(self.labels)))))
        return scores

    def features(self, x: Tensor) -> Tensor:
        return cast(Critic, self.critic).features(x)

    def score(self, features: Tensor) -> Tensor:
        return cast(Critic, self.critic).score(features, self.labels)


def has_batch_norm(module: nn.Module) -> bool:
    """Whether any layer couples the samples of a batch; a penalty on single samples' gradients is then ill-defined."""
    return any(isinstance(layer, _BatchNorm) for layer in module.modules())


def normal_init(module: nn.Module) -> None:
    """DCGAN's initial weights, in place: weights N(0, 0.02), batch-norm scales N(1, 0.02), all offsets 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, ConditionalBatchNorm2d):
            nn.init.normal_(layer.scale.weight, 1.0, 0.02)


def glorot_init(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Weights uniform with standard deviation gain * sqrt(2 / (fan_in + fan_out)), bias 0, in place."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _checked(labels: Tensor | None, n: int, classes: int, who: str) -> Tensor | None:
    if classes and labels is None:
        raise UserError(f"this {who} was built for {classes} classes: call it with labels, int64 [n]")
    if labels is not None and not classes:
        raise UserError(f"this {who} was built without classes: call it without labels, or build it with classes > 0")
    if labels is not None and labels.shape != (n,):
        raise UserError(
            f"this {who} got {n} samples and labels of shape {list(labels.shape)}; it needs one label a sample"
        )
    return labels
