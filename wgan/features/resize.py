"""Resizing as TensorFlow 1 did it, which FID is defined by: bilinear, without antialiasing, in its own coordinates.

`tf.image.resize_bilinear(align_corners=False)` before TensorFlow 2 takes the pixel i of the result from the place
i * (old size / new size) of the image, counted from the first pixel's centre. Today's libraries add half a pixel to
both; their results are shifted by up to half a pixel, and FIDs computed with them differ by more than most papers'
gains (Parmar, Zhang & Zhu, On Aliased Resizing, CVPR 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor


def resize_tf1(images: Tensor, size: int) -> Tensor:
    """Images float [n, c, h, w] -> [n, c, size, size] in the same range; the aspect ratio is not kept.

    In float32 the same bits as TensorFlow 1's CPU kernel: along rows first, then along columns, each a + (b - a) d.
    """
    return _along(_along(images, 3, size), 2, size)


def _along(x: Tensor, axis: int, size: int) -> Tensor:
    """`x` [n, c, h, w] with `size` places along one axis (2 or 3)."""
    low, high, share = (part.to(x.device) for part in _taps(x.shape[axis], size))
    first = x.index_select(axis, low)
    step = x.index_select(axis, high).sub_(first)
    return step.mul_(share.to(x.dtype).view(-1, 1) if axis == 2 else share.to(x.dtype)).add_(first)


def _taps(old: int, new: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each of `new` places: the pixel before it, the one after it, and how far it is between them, in [0, 1)."""
    # float32 throughout, as in the original: in float64 some places near a pixel fall on its other side
    place = torch.arange(new, dtype=torch.float32) * (torch.tensor(old, dtype=torch.float32) / new)
    low = place.long()
    return low, (low + 1).clamp(max=old - 1), place - low
