"""DCGAN as in the code of Arjovsky, Chintala & Bottou (2017), and the crippled generator of their Figure 6."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from wgan.networks import checks
from wgan.networks.base import Critic, Generator, Stack, dropout, norm, normal_init


@dataclass(frozen=True)
class DCGAN:
    """Strided 4x4 convolutions, no biases; weights N(0, 0.02) (Radford et al. 2016; WGAN section 4, models/dcgan.py).

    Images are square, of side base * 2^k with base 4 to 7 and 8 <= side <= 256 (a power of two has base 4, as in the
    authors' code), with 1 to 4 channels. Raises UserError for any other shape.

    filters: channels of the layers next to the image; they double with each halving of the side.
    norm: of the generator, "batch", "layer" or "none"; with labels "batch" becomes conditional, else labels join z.
    critic_norm: of the critic's layers but the first. "batch" is the authors' choice for clipping; penalties on the
        gradient of single samples need "layer" or "none" (WGAN-GP section 4).
    constant_filters: as many filters in each layer of the generator; with norm="none" the generator of Figure 6. (The
        paper says constant; the released "nobn" code still halves, which is constant_filters=False, norm="none".)
    dropout: rate after each of the critic's activations, in [0, 1); for WGAN-CT.
    """

    filters: int = 64
    norm: str = "batch"
    critic_norm: str = "batch"
    constant_filters: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        checks.whole("dcgan", "filters", self.filters)
        checks.choice("dcgan", "norm", self.norm, checks.NORMS)
        checks.choice("dcgan", "critic_norm", self.critic_norm, checks.NORMS)
        checks.flag("dcgan", "constant_filters", self.constant_filters)
        checks.rate("dcgan", "dropout", self.dropout)

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[Generator, Critic]:
        checks.sizes("dcgan", z_dim, classes)
        pyramid = checks.pyramid("dcgan", shape)
        generator = self._generator(pyramid, z_dim, classes)
        return generator, convolutional_critic(pyramid, classes, self.filters, self.critic_norm, self.dropout)

    def _generator(self, pyramid: tuple[int, int, int], z_dim: int, classes: int) -> Generator:
        channels, base, k = pyramid
        widths = [self.filters * (1 if self.constant_filters else 2**i) for i in reversed(range(k))]
        append = classes > 0 and self.norm != "batch"
        inputs = z_dim + (classes if append else 0)
        layers: list[nn.Module] = [nn.Unflatten(1, (inputs, 1, 1))]
        layers += [nn.ConvTranspose2d(inputs, widths[0], base, 1, 0, bias=False)]
        for i, width in enumerate(widths):
            layers += [*norm(self.norm, width, classes), nn.ReLU()]
            following = widths[i + 1] if i + 1 < k else channels
            layers += [nn.ConvTranspose2d(width, following, 4, 2, 1, bias=False)]
        generator = Generator(Stack(*layers, nn.Tanh()), z_dim, classes, append, separable=True)
        normal_init(generator)
        return generator


def convolutional_critic(
    pyramid: tuple[int, int, int], classes: int, filters: int, critic_norm: str, rate: float
) -> Critic:
    """DCGAN's critic without a sigmoid, for pyramid = (channels, base, k) of `checks.pyramid`.

    The authors' last layer, a convolution of the whole base grid to one number, is a linear map of the flattened
    features: written as such, features and score come apart. (Their mean over the batch belongs to the objective.)
    """
    channels, base, k = pyramid
    layers: list[nn.Module] = []
    for i in range(k):
        width = filters * 2**i
        layers += [nn.Conv2d(channels if i == 0 else width // 2, width, 4, 2, 1, bias=False)]
        layers += [*(norm(critic_norm, width) if i > 0 else []), nn.LeakyReLU(0.2), *dropout(rate)]
    features = filters * 2 ** (k - 1) * base**2
    critic = Critic(
        nn.Sequential(*layers, nn.Flatten()),
        features,
        classes,
        bias=False,
        separable=not rate,
    )
    normal_init(critic)
    return critic
