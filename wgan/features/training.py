"""The small network behind classifier features, and how it learns: one recipe for every labelled set of images.

A residual network of 0.46 million weights and 20 to 30 million multiplications an image: larger images enter through a
convolution of a larger stride. The training is the usual one for few passes over the data (as in Page,
How to Train Your ResNet, 2018, and Smith & Topin, Super-Convergence, 2017, arXiv:1708.07120): SGD with momentum, one
rise and one fall of a high learning rate, smoothed labels. Its length is counted in steps, never in seconds, so that
(data, seed, threads) decide every weight.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wgan import seeds
from wgan.data import Images, order
from wgan.log import Reporter

# a part of the cache's key: count up when anything below changes what is learnt, or what features it gives
RECIPE = 1

BATCH = 256
# gray images are digits, letters and the like, and are learnt in far fewer steps
STEPS_GRAY, STEPS_COLOUR = 400, 1000
# height or width beyond which moving the pixels about costs more than the network, and steps are halved
LARGE = 128
# no more passes than this over a small data set, which is known by heart by then
EPOCHS = 60
# at the peak; reached after this share of the steps
LR, RISE = 0.2, 0.2
MOMENTUM, WEIGHT_DECAY, SMOOTHING = 0.9, 5e-4, 0.1
WIDTH = 32
# the largest height or width that convolutions of stride 1 see
GRID = 32
# images that pass the trained network at once: their grids stay in the processor's cache
AT_ONCE = 128
# images that mean and standard deviation are taken from
MOMENTS_FROM = 5000


def default_steps(shape: tuple[int, ...], count: int) -> int:
    """How long the recipe trains on `count` images of `shape` (c, h, w)."""
    steps = STEPS_GRAY if shape[0] < 3 else STEPS_COLOUR
    if max(shape[1:]) > LARGE:
        steps //= 2
    return min(steps, math.ceil(EPOCHS * count / BATCH))


class Network(nn.Module):
    """Pixels float [n, c, h, w] in [0, 255] -> (features [n, dim] >= 0, logits [n, classes]); 8 <= h, w <= 256."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...], classes: int, width: int = WIDTH) -> None:
        super().__init__()
        channels, side = shape[0], max(shape[1:])
        stride = 1
        while side > GRID * stride:
            stride *= 2
        self.dim = 4 * width
        # mean and standard deviation of the training images' channels
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))
        self.body = nn.Sequential(
            *_convolution(channels, width, stride + 2, stride),
            # small images keep their pixels
            *([_halve()] if side > GRID // 2 else []),
            *_convolution(width, 2 * width),
            _halve(),
            Residual(2 * width),
            *_convolution(2 * width, 4 * width),
            _halve(),
            Residual(4 * width),
        )
        self.head = nn.Linear(self.dim, classes)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body((pixels - self.mean).div_(self.std)).mean((2, 3))
        return features, self.head(features)


class Residual(nn.Module):
    """x [n, width, h, w] -> relu(x + two 3x3 convolutions of x), of the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # without the last ReLU, which comes after the sum
        self.residual = nn.Sequential(*_convolution(width, width), *_convolution(width, width)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.residual(x)
        return torch.relu(x + residual)


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _halve() -> nn.Module:
    return nn.MaxPool2d(2, ceil_mode=True)


def fit(
    images: Images, rows: np.ndarray, *, steps: int, seed: int, device: torch.device, half: bool, reporter: Reporter
) -> Network:
    """A network trained on the images `rows` int64 [n] of a labelled data set, ready to predict (eval mode).

    half: convolutions in bfloat16. The same arguments, device and number of threads give the same weights.
    """
    assert images.labels is not None
    with seeds.scope(seed, "classifier weights"):
        network = Network(images.shape, len(images.classes))
    _learn_moments(network, images.array[rows[_spread(len(rows), MOMENTS_FROM)]])
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = _optimizer(network)
    with reporter.running(steps, 0):
        for step in range(steps):
            _set_lr(optimizer, step, steps)
            batch = rows[order(seed, step * BATCH, BATCH, len(rows))]
            draw = np.random.default_rng(seeds.derive(seed, "classifier shifts", step))
            pixels = torch.from_numpy(shifted(images.array[batch], draw)).to(device)
            labels = torch.from_numpy(images.labels[batch].astype(np.int64)).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                _, logits = network(pixels.to(torch.float32, memory_format=torch.channels_last))
            loss = cross_entropy(logits.float(), labels, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            reporter.update(step + 1, f"loss {loss.item():.2f}")
    return network.eval()


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the indices 0 .. count - 1, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _learn_moments(network: Network, pixels: np.ndarray) -> None:
    mean, std = (torch.from_numpy(f(pixels, (0, 2, 3), dtype=np.float64)) for f in (np.mean, np.std))
    network.mean.copy_(mean[None, :, None, None])
    # a channel that is the same everywhere, as alpha often is
    network.std.copy_(std.clamp_min(1.0)[None, :, None, None])


def _optimizer(network: Network) -> torch.optim.SGD:
    """Weight decay for what multiplies, none for biases and for the scales of batch norm."""
    weights = [[w for w in network.parameters() if (w.ndim > 1) is many] for many in (True, False)]
    groups = [{"params": weights[0], "weight_decay": WEIGHT_DECAY}, {"params": weights[1], "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, nesterov=True)


def _set_lr(optimizer: torch.optim.SGD, step: int, steps: int) -> None:
    """In a straight line up to LR, in another one down towards 0."""
    rise = max(1, round(RISE * steps))
    share = min((step + 1) / rise, (steps - step) / (steps - rise + 1))
    for group in optimizer.param_groups:
        group["lr"] = LR * share


def shifted(pixels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """uint8 [n, c, h, w]: each image moved by up to a sixteenth of its size, borders reflected.

    Half of the images of three and more channels are mirrored too: these are photographs, of things that look as well
    the other way round. Those of one or two channels are mostly writing, which does not.
    """
    count, channels, height, width = pixels.shape
    up, left = (max(1, round(side / 16)) for side in (height, width))
    padded = np.pad(pixels, ((0, 0), (0, 0), (up, up), (left, left)), mode="reflect")
    y, x = (draw.integers(0, 2 * by + 1, count) for by in (up, left))
    mirrored = np.less(draw.random(count), 0.5 if channels >= 3 else 0.0)
    moved = np.empty_like(pixels)
    # one by one: slices are copied several times as fast as indexed pixels
    for i in range(count):
        crop = padded[i, :, y[i] : y[i] + height, x[i] : x[i] + width]
        moved[i] = crop[:, :, ::-1] if mirrored[i] else crop
    return moved


@torch.inference_mode()
def predict(network: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 [n, c, h, w] -> features float32 [n, dim] and probabilities float32 [n, classes], on the CPU.

    In float32 and from each image alone: the batch an image comes in changes nothing but the last digits.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, max(1, len(images)), AT_ONCE):
        pixels = images[start : start + AT_ONCE].to(network.mean.device)
        features, logits = network(pixels.to(torch.float32, memory_format=torch.channels_last))
        found.append((features.cpu(), logits.softmax(1).cpu()))
    return torch.cat([features for features, _ in found]), torch.cat([shares for _, shares in found])


def accuracy(network: Network, images: Images, rows: np.ndarray) -> float:
    """Share of the images `rows` whose most probable class is their label."""
    assert images.labels is not None
    right = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        _, probabilities = predict(network, torch.from_numpy(images.array[batch]))
        right += int((probabilities.argmax(1).numpy() == images.labels[batch]).sum())
    return right / len(rows)


def native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself; where it is emulated it costs time instead of saving it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
