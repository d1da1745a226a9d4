"""`inception`: pool3 of the Inception network of 2015, the features that FID, KID and the Inception Score are made of.

The architecture is Inception-v3 (Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016) as
in Google's graph `inception-2015-12-05`, which Salimans et al. (2016) and Heusel et al. (2017) took for their scores.
It differs from the one of torchvision in four ways: 1008 classes; average pooling counts only pixels inside the
image; the last block pools by maximum; weights of its own. Names of units and tensors are those of the official file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wgan.errors import UserError
from wgan.features.base import Extracted, check_images
from wgan.features.resize import resize_tf1
from wgan.features.weights import Weights

SIZE, DIM, CLASSES = 299, 2048, 1008
# of images: the one is repeated three times
CHANNELS = (1, 3)
# images at once: more are not faster on a CPU, and each needs 9 MB between the widest layers
CHUNK = {"cpu": 16}
CHUNK_ELSEWHERE = 64
_EPS = 0.001


class Conv(NamedTuple):
    """One convolution of the plan: `out` channels, kernel of h x w pixels. Stride 1 keeps the size; 2 does not pad."""

    out: int
    h: int = 1
    w: int = 1
    stride: int = 1


# a branch: convolutions one after another; a pair at its end reads the same input, and its results are joined
Branch = Sequence[Conv | tuple[Conv, Conv]]
Plan = dict[str, Branch]


def _a(pool: int) -> Plan:
    """Blocks of 35 x 35 pixels."""
    return {
        "branch1x1": [Conv(64)],
        "branch5x5": [Conv(48), Conv(64, 5, 5)],
        "branch3x3dbl": [Conv(64), Conv(96, 3, 3), Conv(96, 3, 3)],
        "branch_pool": [Conv(pool)],
    }


def _c(width: int) -> Plan:
    """Blocks of 17 x 17 pixels: 7 x 7 kernels as a row and a column."""
    row, column = Conv(width, 1, 7), Conv(width, 7, 1)
    return {
        "branch1x1": [Conv(192)],
        "branch7x7": [Conv(width), row, Conv(192, 7, 1)],
        "branch7x7dbl": [Conv(width), column, row, column, Conv(192, 1, 7)],
        "branch_pool": [Conv(192)],
    }


_FORK = (Conv(384, 1, 3), Conv(384, 3, 1))
# blocks of 8 x 8 pixels
_E: Plan = {
    "branch1x1": [Conv(320)],
    "branch3x3": [Conv(384), _FORK],
    "branch3x3dbl": [Conv(448), Conv(384, 3, 3), _FORK],
    "branch_pool": [Conv(192)],
}
# the two that halve the size; beside their branches they keep a pooled copy of their input
_B: Plan = {
    "branch3x3": [Conv(384, 3, 3, 2)],
    "branch3x3dbl": [Conv(64), Conv(96, 3, 3), Conv(96, 3, 3, 2)],
}
_D: Plan = {
    "branch3x3": [Conv(192), Conv(320, 3, 3, 2)],
    "branch7x7x3": [Conv(192), Conv(192, 1, 7), Conv(192, 7, 1), Conv(192, 3, 3, 2)],
}


class FrozenNorm(nn.Module):
    """Batch norm with statistics that no longer change; `fold` makes it a part of the convolution before it."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=_EPS)


class Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, channels: int, conv: Conv, pad: bool = True) -> None:
        super().__init__()
        padding = (conv.h // 2, conv.w // 2) if pad and conv.stride == 1 else 0
        self.conv = nn.Conv2d(channels, conv.out, (conv.h, conv.w), conv.stride, padding, bias=False)
        self.bn: nn.Module = FrozenNorm(conv.out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """The same function with one pass less: W x -> (s W) x + (b - s m), s = weight / sqrt(var + eps).

        The weights are laid out channels last, the order in which today's convolutions read fastest.
        """
        old, norm = self.conv, self.bn
        if not isinstance(norm, FrozenNorm):
            return
        # in float64, so that the new weights are as near to the old function as float32 can be
        scale = norm.weight.double() / (norm.running_var.double() + _EPS).sqrt()
        bias = norm.bias.double() - scale * norm.running_mean.double()
        weight = (scale[:, None, None, None] * old.weight.double()).contiguous(memory_format=torch.channels_last)
        old.bias = nn.Parameter(bias.to(old.weight.dtype), False)
        old.weight = nn.Parameter(weight.to(old.weight.dtype), False)
        self.bn = nn.Identity()


class Block(nn.Module):
    """Branches over the same input, their channels joined in the plan's order. pool: 'average' or 'max', in front of
    the branch of that name; 'shrink', a pooled copy of the input at half the size as the last channels.
    """

    def __init__(self, channels: int, plan: Plan, pool: str) -> None:
        super().__init__()
        self.pool, self.branches, self.out = pool, [], channels if pool == "shrink" else 0
        for name, stages in plan.items():
            width, steps = channels, []
            for place, stage in enumerate(stages, 1):
                convs = (stage,) if isinstance(stage, Conv) else stage
                own = name if len(stages) == 1 else f"{name}_{place}"
                # branch3x3_1, then branch3x3_2a and branch3x3_2b
                steps.append([own] if isinstance(stage, Conv) else [f"{own}{letter}" for letter in "ab"])
                for unit, conv in zip(steps[-1], convs, strict=True):
                    self.add_module(unit, Unit(width, conv))
                width = sum(conv.out for conv in convs)
            self.branches.append((name == "branch_pool", steps))
            self.out += width

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for pooled, steps in self.branches:
            y = self._pooled(x) if pooled else x
            for units in steps:
                parts = [self.get_submodule(unit)(y) for unit in units]
                y = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
            results.append(y)
        if self.pool == "shrink":
            results.append(F.max_pool2d(x, 3, 2))
        return torch.cat(results, 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "max":
            return F.max_pool2d(x, 3, 1, 1)
        # as TensorFlow's SAME padding: the mean of those of the nine pixels that lie inside the image
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Inception(nn.Module):
    """Images float [n, 3, 299, 299] in [-1, 1) -> pool3 [n, 2048]; `fc` gives the logits of its 1008 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, Conv(32, 3, 3, 2))
        self.Conv2d_2a_3x3 = Unit(32, Conv(32, 3, 3), pad=False)
        self.Conv2d_2b_3x3 = Unit(32, Conv(64, 3, 3))
        self.Conv2d_3b_1x1 = Unit(64, Conv(80))
        self.Conv2d_4a_3x3 = Unit(80, Conv(192, 3, 3), pad=False)
        channels, blocks = 192, []
        for name, plan, pool in (
            ("Mixed_5b", _a(32), "average"),
            ("Mixed_5c", _a(64), "average"),
            ("Mixed_5d", _a(64), "average"),
            ("Mixed_6a", _B, "shrink"),
            ("Mixed_6b", _c(128), "average"),
            ("Mixed_6c", _c(160), "average"),
            ("Mixed_6d", _c(160), "average"),
            ("Mixed_6e", _c(192), "average"),
            ("Mixed_7a", _D, "shrink"),
            ("Mixed_7b", _E, "average"),
            # the graph's own: by maximum here, where the paper and all other Inception networks have the average
            ("Mixed_7c", _E, "max"),
        ):
            block = Block(channels, plan, pool)
            self.add_module(name, block)
            blocks.append(name)
            channels = block.out
        self.blocks = tuple(blocks)
        self.fc = nn.Linear(channels, CLASSES)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # [n, 64, 147, 147]
        x = F.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # [n, 192, 71, 71]
        x = F.max_pool2d(x, 3, 2)  # [n, 192, 35, 35]
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        return x.float().mean((2, 3)) if x.dtype == torch.bfloat16 else x.mean((2, 3))  # over 8 x 8 pixels

    def fold(self) -> Inception:
        """Batch norms into the convolutions: the same function up to rounding, 1.6 times as fast. Returns itself."""
        for unit in self.modules():
            if isinstance(unit, Unit):
                unit.fold()
        return self


def network_of(weights: Weights) -> Inception:
    """The network with these weights, float32. UserError: tensors missing, unknown, of a wrong shape, not finite."""
    with torch.device("meta"):  # without filling 96 MB by chance first
        network = Inception()
    wanted = network.state_dict()
    # counters that newer torch adds to each batch norm; they have no part in the function
    given = {name: value for name, value in weights.tensors.items() if not name.endswith("num_batches_tracked")}
    for name in [*wanted, *given]:
        if name not in given or name not in wanted:
            how = "lacks" if name not in given else "has an unknown"
            raise UserError(f"'{weights.path}' {how} tensor '{name}': it is not of FID's Inception network")
        if given[name].shape != wanted[name].shape:
            shapes = f"{list(given[name].shape)}, not {list(wanted[name].shape)}"
            raise UserError(f"'{weights.path}': '{name}' is {shapes}: it is not of FID's Inception network")
        if not given[name].isfinite().all() or (name.endswith("running_var") and (given[name] < 0).any()):
            raise UserError(f"'{weights.path}': '{name}' holds numbers that no trained network has (NaN, infinite ...)")
    network.load_state_dict({name: value.float() for name, value in given.items()}, assign=True)
    return network


class InceptionFeatures:
    """pool3 and class probabilities of images, by the protocol of FID.

    name: 'inception' for the official weights alone, else 'inception-unofficial', whose distance must not be called
    FID. arithmetic: 'float32', or 'bfloat16', twice as fast where processors have it; that moved distances by 0.07 to
    0.9 % (random weights, benchmarks/inception_speed.py), so it is for rough values only.
    """

    dim = DIM

    def __init__(self, weights: Weights, device: torch.device, arithmetic: str = "float32") -> None:
        if arithmetic not in ("float32", "bfloat16"):
            raise UserError(f"arithmetic '{arithmetic}' of the Inception network must be float32 or bfloat16")
        self.name = "inception" if weights.official else "inception-unofficial"
        self.device, self.arithmetic, self._sha256 = device, arithmetic, weights.sha256
        network = network_of(weights)
        # Salimans et al.'s code multiplies pool3 by the weights of the last layer and leaves its bias out
        self._classes = network.fc.weight.double().T.contiguous()
        self._dtype = torch.bfloat16 if arithmetic == "bfloat16" else torch.float32
        self._network = network.fold().to(device, self._dtype)

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {
            "features": "pool3 of Inception-v3 of 2015-12-05",
            "weights_sha256": self._sha256,
            "resizer": "TensorFlow 1 bilinear to 299 x 299, no antialiasing",
            "scaling": "(x - 128) / 128",
            "probabilities": "softmax of 1008 logits without bias",
            "arithmetic": self.arithmetic,
            "torch": str(torch.__version__),
            "dim": DIM,
        }

    @property
    def fingerprint(self) -> str:
        return f"inception-{self._sha256}-{self.arithmetic}-1"

    def __call__(self, images: Tensor) -> Extracted:
        """Features [n, 2048], probabilities [n, 1008] of uint8 [n, 1 or 3, h, w] of any size; the aspect is not kept.

        UserError: another type, shape or number of channels.
        """
        check_images(images)
        if images.shape[1] not in CHANNELS:
            raise UserError(f"images have {images.shape[1]} channels, and the Inception network takes 1 or 3")
        chunk = CHUNK.get(self.device.type, CHUNK_ELSEWHERE)
        chunks = [images[start : start + chunk] for start in range(0, len(images), chunk)]
        # torch lets GPUs round the factors of convolutions to 10 bits: not where digits are compared with others'
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            parts = [self._network(self.prepared(some)).float().cpu() for some in chunks]
        features = torch.cat([torch.empty(0, DIM), *parts])
        # on the CPU in float64: 0.05 % of the work
        return Extracted(features, (features.double() @ self._classes).softmax(1).float())

    def prepared(self, images: Tensor) -> Tensor:
        """The network's input [n, 3, 299, 299] in [-1, 1) for images uint8 [n, 1 or 3, h, w] in [0, 255]."""
        x = resize_tf1(images.to(self.device).float(), SIZE).sub_(128).div_(128)
        return x.expand(-1, 3, -1, -1).to(self._dtype).contiguous(memory_format=torch.channels_last)
