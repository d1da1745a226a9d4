"""What features are: images in, vectors out, with a name, protocol and fingerprint that travel with each result."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from wgan.errors import UserError


class Extracted(NamedTuple):
    """`features` float32 [n, d] and, from a network that classifies, `probabilities` float32 [n, classes] of rows
    that sum to 1; both on the CPU.
    """

    features: Tensor
    probabilities: Tensor | None


@runtime_checkable
class Features(Protocol):
    """What a metric that compares images asks for; any object with these attributes will do.

    name: what results call it. dim: numbers per image. protocol: all that someone else needs to get the same numbers
    (resizer, scaling, weights, accuracy, versions). fingerprint: changes with anything that changes the numbers by
    more than rounding, so that statistics kept under it are never those of other features.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def protocol(self) -> dict[str, str | int | float]: ...
    @property
    def fingerprint(self) -> str: ...

    def __call__(self, images: Tensor) -> Extracted:
        """Features of images uint8 [n, c, h, w] in [0, 255], one batch; the caller decides how many at once."""
        ...


def check_images(images: Tensor) -> None:
    """UserError unless `images` are uint8 [n, c, h, w]: floats might mean [0, 1], [-1, 1] or [0, 255]."""
    if images.dtype != torch.uint8 or images.ndim != 4 or 0 in images.shape[1:]:
        kind = str(images.dtype).removeprefix("torch.")
        raise UserError(
            f"features are of images uint8 [n, channels, height, width] in 0..255, not {kind} {list(images.shape)}"
        )
