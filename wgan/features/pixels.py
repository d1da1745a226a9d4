"""`pixels`: the image itself as one long vector. Sees colours and places, knows nothing of what is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from wgan.errors import UserError
from wgan.features.base import Extracted, check_images


@dataclass(frozen=True)
class Pixels:
    """Pixels in [-1, 1], row by row and channel by channel, of images of one `shape` (c, h, w)."""

    shape: tuple[int, int, int]
    name: str = "pixels"

    @property
    def dim(self) -> int:
        return math.prod(self.shape)

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {"features": "pixels", "resizer": "none", "scaling": "x / 127.5 - 1", "dim": self.dim}

    @property
    def fingerprint(self) -> str:
        return "pixels-1"

    def __call__(self, images: Tensor) -> Extracted:
        """Features float32 [n, c h w] in [-1, 1] of images uint8 [n, c, h, w]. UserError: images of another shape."""
        check_images(images)
        if tuple(images.shape[1:]) != self.shape:
            raise UserError(f"pixels of {list(images.shape[1:])} cannot be compared with {list(self.shape)}")
        # uint8 in [0, 255] -> float in [-1, 1]
        return Extracted(images.cpu().flatten(1).float().div_(127.5).sub_(1.0), None)
