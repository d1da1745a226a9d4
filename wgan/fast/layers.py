"""Layers that do the same in less time. The class of a layer changes; its tensors, their names and the result don't.

On every device: a mean of 2x2 after a 3x3 convolution, and a doubling of pixels before one, become one 4x4 convolution
of stride 2, with 16 products where 36 were; an activation's derivative isn't differentiated where that is zero. On a
CPU the way of each convolution is chosen by measurement (`wgan.fast.choosing`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from wgan.fast.activations import LeakyReLU
from wgan.fast.choosing import convolve, spread
from wgan.fast.norms import FastBatchNorm2d


class FastConv2d(nn.Conv2d):
    """nn.Conv2d of square kernels without groups and dilation."""

    def forward(self, x: Tensor) -> Tensor:
        return _add(convolve(x, self.weight, self.stride[0], int(self.padding[0])), self.bias)


class FastConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d of square kernels without groups, dilation and output padding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None:
            found: Tensor = super().forward(x, output_size)
            return found
        return _add(spread(x, self.weight, self.stride[0], int(self.padding[0])), self.bias)


class PooledConv2d(nn.Conv2d):
    """A 3x3 convolution and the mean of each 2x2 of its outputs: a 4x4 kernel, the mean of four shifts of it."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2 or x.shape[3] % 2:  # the mean leaves a last odd row out
            return avg_pool2d(super().forward(x), 2)
        return _add(convolve(x, _widened(self.weight) / 4, 2, 1), self.bias)


class UpsampledConv2d(nn.Conv2d):
    """A 3x3 convolution of an image whose pixels are made 2x2: two rows of the small one are all that it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return _add(spread(x, _widened(self.weight).flip(2, 3).transpose(0, 1), 2, 1), self.bias)


class Nothing(nn.Identity):
    """In the place of a layer whose work the one beside it does."""


class FastLeakyReLU(nn.LeakyReLU):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = LeakyReLU.apply(x, self.negative_slope)  # type: ignore[no-untyped-call]
        return found


class FastReLU(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = LeakyReLU.apply(x, 0.0)  # type: ignore[no-untyped-call]
        return found


def _add(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype).view(1, -1, 1, 1)


def _widened(w: Tensor) -> Tensor:
    """The sum of the four places of a 3x3 kernel in a 4x4 one."""
    return sum((pad(w, (i, 1 - i, j, 1 - j)) for i in (0, 1) for j in (0, 1)), start=w.new_zeros(()))


def speed_up(network: nn.Module) -> None:
    """Change the classes of the layers of `network` that have a faster way; the result is the same up to rounding.

    To be called before anything parametrises their weights, and before the network is copied. Layers become one only
    in a Sequential that calls them in turn, and when nothing else holds them: elsewhere each has still to do its own.
    """
    held = _held(network)
    for layer in list(network.modules()):
        if isinstance(layer, nn.Sequential) and _in_turn(layer):
            _join(list(layer), held)
    for layer in network.modules():
        if type(layer) is nn.ReLU:
            _become(layer, FastReLU)
        elif type(layer) is nn.LeakyReLU and 0 <= layer.negative_slope < 1:
            _become(layer, FastLeakyReLU)
        elif type(layer) is nn.BatchNorm2d:
            _become(layer, FastBatchNorm2d)
        elif type(layer) is nn.Conv2d and _plain(layer):
            _become(layer, FastConv2d)
        elif type(layer) is nn.ConvTranspose2d and _plain(layer) and not any(layer.output_padding):
            _become(layer, FastConvTranspose2d)


def join_norms(network: nn.Module) -> None:
    """Have batch norms do the leaky ReLU that follows them; after `speed_up`, and when all layers are what they stay.

    (Some constraints put other activations in the place of those.)
    """
    held = _held(network)
    for layer in list(network.modules()):
        for first, second in pairwise(list(layer) if isinstance(layer, nn.Sequential) and _in_turn(layer) else ()):
            alone = held[id(first)] == held[id(second)] == 1
            if type(first) is FastBatchNorm2d and isinstance(second, FastReLU | FastLeakyReLU) and alone:
                first.slope = second.negative_slope if isinstance(second, FastLeakyReLU) else 0.0
                _become(second, Nothing)


def _held(network: nn.Module) -> Counter[int]:
    """How often each layer is held, by its identity."""
    return Counter(id(layer) for _, layer in network.named_modules(remove_duplicate=False))


def _in_turn(layers: nn.Sequential) -> bool:
    """Whether each layer is given what the one before it made: so in torch's own class, and where a class says so."""
    return type(layers).forward is nn.Sequential.forward or getattr(layers, "in_turn", False)


def _join(layers: list[nn.Module], held: Counter[int]) -> None:
    """Layers one after another: a pair that is one convolution becomes one."""
    for first, second in pairwise(layers):
        if held[id(first)] > 1 or held[id(second)] > 1:
            continue
        if type(first) is nn.Conv2d and _keeps(first) and type(second) is nn.AvgPool2d and _halves(second):
            _become(first, PooledConv2d)
            _become(second, Nothing)
        elif type(second) is nn.Conv2d and _keeps(second) and type(first) is nn.Upsample and _doubles(first):
            _become(first, Nothing)
            _become(second, UpsampledConv2d)


def _become(layer: nn.Module, kind: type[nn.Module]) -> None:
    layer.__class__ = kind


def _plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    square = all(len(set(_pair(sizes))) == 1 for sizes in (layer.kernel_size, layer.stride, layer.padding))
    text = isinstance(layer.padding, str)
    return square and not text and layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"


def _keeps(layer: nn.Conv2d) -> bool:
    """A 3x3 convolution that keeps height and width."""
    return _plain(layer) and (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))


def _halves(layer: nn.AvgPool2d) -> bool:
    plain = not layer.ceil_mode and layer.divisor_override is None
    return plain and _pair(layer.kernel_size) == _pair(layer.stride) == (2, 2) and _pair(layer.padding) == (0, 0)


def _doubles(layer: nn.Upsample) -> bool:
    factor = layer.scale_factor
    return layer.mode == "nearest" and layer.size is None and factor in (2, 2.0, (2, 2), (2.0, 2.0))


def _pair(sizes: object) -> tuple[object, ...]:
    return tuple(sizes) if isinstance(sizes, Iterable) else (sizes, sizes)
