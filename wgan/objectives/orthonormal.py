"""Orthonormal layers with GroupSort: a critic that is 1-Lipschitz by construction (Anil, Lucas & Grosse 2019).

Each weight matrix W is replaced by the nearest one with orthonormal rows (or columns, whichever are fewer), by Bjorck's
iteration  W <- W (3 I - W^T W) / 2  (Bjorck & Bowie 1971, order 1), and each activation by GroupSort.

W is first divided by (sum of the 8th powers of its singular values)^(1/8), an upper bound on the largest, at most
m^(1/8) times too large for m of them. All then lie in [0, 1], which the iteration maps into [0, 1]: too few iterations
leave a layer below norm 1, never above.

A convolution sees each input pixel in up to overlap = ceil(k / stride)^2 patches (k^2 at stride 1), so the norm of the
operator is at most sqrt(overlap) times that of the matrix [out, in k k]. Its matrix is orthonormalised *and divided by
sqrt(overlap)*: every layer is 1-Lipschitz for sure, at the price of a slope below 1 where the bound is loose.

What no layer can see is how the critic joins them: residual sums, overlapping max-pooling and nearest upsampling each
raise the constant.

Choose it to *measure* W1 from below with a plain critic of linear layers (points, small images); for samples `gp` or
`spectral_norm` learn faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wgan.errors import UserError
from wgan.objectives.base import Constraint, require_count, widened
from wgan.objectives.group_sort import REPLACED, replace_activations
from wgan.objectives.spectral_norm import refuse_parametrised

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# Layers that divide by statistics of their input, with or without weights of their own
_NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
)


def orthonormalise(matrix: Tensor, iterations: int) -> Tensor:
    """Bjorck's iteration on `[..., m, n]`: towards the polar decomposition's factor, singular values in [0, 1]."""
    if matrix.shape[-2] > matrix.shape[-1]:
        return orthonormalise(matrix.mT, iterations).mT
    gram = matrix @ matrix.mT
    eighth = (gram @ gram).square().sum((-2, -1), keepdim=True)  # sum of sigma^8
    w = matrix / eighth.clamp_min(torch.finfo(matrix.dtype).tiny).pow(1 / 8)
    for _ in range(iterations):
        w = 1.5 * w - 0.5 * (w @ w.mT) @ w
    return w


class OrthonormalWeight(nn.Module):
    """The parametrisation of one weight `[out, in, ...]`: `groups` matrices `[out / groups, in ...]`, times scale."""

    def __init__(self, iterations: int, groups: int = 1, scale: float = 1.0) -> None:
        super().__init__()
        self.iterations = iterations
        self.groups = groups
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        # Autocast would multiply matrices in bfloat16, where the iteration cannot come closer to 1 than 0.4 %
        with torch.autocast(weight.device.type, enabled=False):
            matrix = widened(weight).reshape(self.groups, weight.shape[0] // self.groups, -1)
            return (self.scale * orthonormalise(matrix, self.iterations)).reshape(weight.shape).to(weight.dtype)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        """The exact polar factor, so that training starts where the iteration converges fastest."""
        matrix = widened(weight).reshape(self.groups, weight.shape[0] // self.groups, -1)
        u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
        polar: Tensor = u @ vh
        return polar.reshape(weight.shape).to(weight.dtype)


@dataclass(frozen=True)
class Orthonormal(Constraint):
    """Orthonormal weights and GroupSort(group) activations (group 2 is MaxMin) all through the critic.

    `iterations` of Bjorck for each forward pass, 4 m m n multiplications each for a weight [m, n] with m <= n. Refuses
    critics with layers that it cannot bound: batch norm and the like, embeddings, weights outside linear layers and
    convolutions.
    """

    group: int = 2
    iterations: int = 15

    def __post_init__(self) -> None:
        require_count("orthonormal", "group", self.group, least=2)
        require_count("orthonormal", "iterations", self.iterations)

    def corrected(self, raw: float, slope: float) -> float | None:
        """raw itself: f is 1-Lipschitz, so that E f(real) - E f(fake) is at most W1."""
        return raw

    def prepare(self, critic: nn.Module) -> None:
        layers: dict[str, nn.Module] = {
            path: layer for path, layer in critic.named_modules() if isinstance(layer, (nn.Linear, *_CONVOLUTIONS))
        }
        refuse_parametrised("orthonormal", layers)
        for path, layer in critic.named_modules():
            _refuse_unbounded(path, layer)
        if replace_activations(critic, self.group) == 0 and len(layers) > 1:
            raise UserError(
                "orthonormal: found no activation between the critic's layers to replace by GroupSort; "
                "make its activations nn.Module children (nn.ReLU, not functional relu)"
            )
        for layer in layers.values():
            if isinstance(layer, _CONVOLUTIONS):
                weight = OrthonormalWeight(self.iterations, layer.groups, overlap(layer) ** -0.5)
            else:
                weight = OrthonormalWeight(self.iterations)
            _parametrise(layer, weight)


@torch.no_grad()
def _parametrise(layer: nn.Module, weight: OrthonormalWeight) -> None:
    assert isinstance(layer, (nn.Linear, *_CONVOLUTIONS))
    before = layer.weight.norm()
    parametrize.register_parametrization(layer, "weight", weight)
    if layer.bias is not None and before > 0:
        # With its weight, or the places where GroupSort changes order may leave the data, where f stays linear for ever
        layer.bias.mul_(layer.weight.norm() / before)


def overlap(layer: nn.Module) -> int:
    """How many patches of a convolution can share one input pixel: the product over axes of ceil(k / stride).

    With dilation d only one in stride / gcd(stride, d) of a pixel's kernel positions falls on the output grid. A
    transposed convolution is the adjoint of one of the same kernel, and has its norm.
    """
    assert isinstance(layer, _CONVOLUTIONS)
    axes = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    return math.prod(math.ceil(k / (stride // math.gcd(stride, d))) for k, stride, d in axes)


def _refuse_unbounded(path: str, layer: nn.Module) -> None:
    kind = f"orthonormal: the critic's layer '{path}' ({type(layer).__name__})"
    if isinstance(layer, _NORMS):
        raise UserError(f"{kind} is not 1-Lipschitz; choose a critic without normalisation, or gp")
    if isinstance(layer, _CONVOLUTIONS):
        if layer.padding_mode != "zeros":
            raise UserError(f"{kind} pads with padding_mode='{layer.padding_mode}'; use 'zeros', or gp")
    elif not isinstance(layer, (nn.Linear, *REPLACED)) and next(layer.parameters(recurse=False), None) is not None:
        raise UserError(
            f"{kind} has weights that cannot be made orthonormal; use linear layers and convolutions, or gp"
        )
