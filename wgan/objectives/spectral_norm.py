"""Spectral normalisation: a weight is divided by its largest singular value, W / sigma(W) (Miyato et al. 2018, eq. 8).

Choose it with `hinge` for samples: it costs two matrix-vector products a layer and leaves the loss alone. To *estimate*
W set maxmin=True: a spectrally normalised ReLU critic loses about half of its slope and reports about W / 2. For a
convolution sigma is that of the matrix [out, in k k], as in the paper; the operator's own norm can be up to
sqrt(overlap) times larger (see `orthonormal`), so that a convolutional critic's Lipschitz constant can exceed 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from wgan.errors import UserError
from wgan.objectives.base import Constraint, require_count
from wgan.objectives.group_sort import replace_activations

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# An embedding is the matrix of a projection critic's labels
_LAYERS = (nn.Linear, nn.Bilinear, nn.Embedding, *_CONVOLUTIONS)


class _InFloat32(nn.Module):
    """Keeps autocast away from a parametrisation: in bfloat16 sigma would be wrong by up to 0.4 %."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            normalised: Tensor = self.inner(weight)
        return normalised


@dataclass(frozen=True)
class SpectralNorm(Constraint):
    """Divides the weights of linear, convolutional and embedding layers by sigma.

    `power_iterations` are made once for each critic loss and once for each other call in train mode; in eval mode sigma
    comes from the last of them. maxmin puts MaxMin in the place of the critic's activations, which have to be nn.Module
    children.
    """

    maxmin: bool = False
    power_iterations: int = 1

    def __post_init__(self) -> None:
        require_count("spectral_norm", "power_iterations", self.power_iterations)
        if not isinstance(self.maxmin, bool):
            raise UserError(f"spectral_norm: maxmin must be true or false, got {self.maxmin!r}")

    def corrected(self, raw: float, slope: float) -> float | None:
        """raw / slope: the bound of a convolutional or ReLU critic is not its slope."""
        return raw / slope if slope > 0 else None

    def prepare(self, critic: nn.Module) -> None:
        layers: dict[str, nn.Module] = {p: layer for p, layer in critic.named_modules() if isinstance(layer, _LAYERS)}
        refuse_parametrised("spectral_norm", layers)
        if not layers:
            raise UserError("spectral_norm: the critic has no linear or convolutional layer to normalise")
        if self.maxmin and not replace_activations(critic, group=2):
            raise UserError(
                "spectral_norm: maxmin found no activation to replace; "
                "make the critic's activations nn.Module children (nn.ReLU, not functional relu) or set maxmin=false"
            )
        for layer in layers.values():
            parametrizations.spectral_norm(layer, n_power_iterations=self.power_iterations)
            parametrisation = layer.get_submodule("parametrizations.weight")
            parametrisation.register_module("0", _InFloat32(parametrisation.get_submodule("0")))


@contextmanager
def one_power_iteration(critic: nn.Module, *, first: bool) -> Iterator[None]:
    """Inside, the power iterations of `critic` stand still unless it is the `first` piece of an update.

    So that a batch in pieces has the sigma of one in one piece.
    """
    held = [] if first else [layer for layer in critic.modules() if isinstance(layer, _InFloat32) and layer.training]
    for layer in held:
        layer.eval()
    try:
        yield
    finally:
        for layer in held:
            layer.train()


def refuse_parametrised(part: str, layers: dict[str, nn.Module]) -> None:
    """Raises UserError if a layer's weight is parametrised already: two norms on one weight mean neither."""
    for path, layer in layers.items():
        if parametrize.is_parametrized(layer, "weight"):
            raise UserError(
                f"{part}: the weight of the critic's layer '{path}' is already parametrised; "
                "use only one of spectral_norm and orthonormal, on a critic fresh from its network"
            )
