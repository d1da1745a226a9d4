"""`digits`: 1,797 handwritten digits of 8 x 8 pixels, shipped with the package (source, licence: DIGITS.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wgan.data.base import Images, Request
from wgan.data.stored import content_hash

CLASSES = tuple("0123456789")


def open_digits(request: Request) -> Images:
    """uint8 [1797, 1, 8, 8]: the file's 0..16 scaled to 0..255; labels 0..9. One split, 'train'."""
    request.check(("train",))
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        levels, labels = file["images"], file["labels"]
    images = np.round(levels * (255 / 16)).astype(np.uint8)[:, None]
    return Images("digits", images, labels.astype(np.int64), CLASSES, content_hash(images))
