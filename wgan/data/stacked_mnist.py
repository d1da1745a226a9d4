"""`stacked-mnist`: colour images whose red, green and blue are three digits of MNIST, so that there are 1,000 modes.

Metz et al. 2017 (Unrolled GANs, arXiv:1611.02163) and Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761) count modes
with it. Sizes as in the code of Lin et al. 2018 (PacGAN, arXiv:1712.04086): 128,000 images to train on, 26,000 samples
to count modes in. They draw from all 70,000 digits; here each split draws from its own, so that test images are unseen.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from wgan.data.base import Images, Request
from wgan.data.cache import ArrayFile, build, need_room, progress
from wgan.data.mnist import open_mnist

COUNT = {"train": 128_000, "test": 26_000}
# label 100 r + 10 g + b for the digits r, g, b
CLASSES = tuple(f"{label:03d}" for label in range(1000))
# of the choice of digits; with another seed it is another data set
SEED = {"train": (0, 0), "test": (0, 1)}
_BLOCK = 1000


def open_stacked_mnist(request: Request) -> Images:
    """uint8 [128000, 3, 28, 28] (test: 26000), labels 0..999 named '000'..'999'; 301 MB (61 MB) in the cache.

    Made from `root/mnist/`, which is downloaded when it is not there (12 MB).
    """
    request.check(("train", "test"))
    digits = open_mnist(replace(request, name="mnist", size=None))
    entry = build(
        request.cache,
        f"{request.name}-{request.split}",
        f"{digits.fingerprint}-1",
        lambda folder: _fill(folder, digits, request),
    )
    return Images(
        request.name,
        np.load(entry / "images.npy", mmap_mode="r"),
        np.load(entry / "labels.npy"),
        CLASSES,
        (entry / "fingerprint").read_text(),
    )


def triples(digits: int, split: str) -> np.ndarray:
    """Which of `digits` digits make up each image: int64 [count of the split, 3], drawn with replacement."""
    return np.random.default_rng(SEED[split]).integers(0, digits, (COUNT[split], 3))


def _fill(folder: Path, digits: Images, request: Request) -> None:
    assert digits.labels is not None
    index = triples(digits.count, request.split)
    shape = (3, *digits.shape[1:])
    need_room(folder, len(index) * int(np.prod(shape)))
    with (
        progress("stacking digits", len(index), request.quiet) as advance,
        ArrayFile(folder / "images.npy", shape) as file,
    ):
        for start in range(0, len(index), _BLOCK):
            block = index[start : start + _BLOCK]
            file.append(digits.array[block, 0])
            advance(len(block))
    labels = digits.labels[index] @ np.array([100, 10, 1])
    np.save(folder / "labels.npy", labels)
    digest = hashlib.sha256(file.digest.encode() + labels.tobytes())
    (folder / "fingerprint").write_text(digest.hexdigest())
