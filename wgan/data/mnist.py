"""`mnist` and `fashion-mnist`: 70,000 gray images of 28 x 28 pixels in 10 classes, from the official idx files.

LeCun, Cortes & Burges, The MNIST Database; Xiao, Rasul & Vollgraf, Fashion-MNIST, 2017 (arXiv:1708.07747).
The idx format: two zero bytes, type (8 = uint8), number of axes, each axis as a big-endian 32-bit number, the bytes.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wgan.data.base import Images, Request
from wgan.data.download import fetch
from wgan.data.stored import stored, why
from wgan.errors import UserError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# the largest official file has 47 MB unpacked; a gzip file can claim any size
LARGEST_FILE = 256 << 20


@dataclass(frozen=True)
class Idx:
    """A data set of four idx files: where they come from, the md5 of each .gz, the names of the labels."""

    url: str
    md5: dict[str, str]
    classes: tuple[str, ...]


MNIST = Idx(
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    tuple("0123456789"),
)
FASHION = Idx(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def open_mnist(request: Request) -> Images:
    """uint8 [60000, 1, 28, 28] (test: 10000), labels 0..9, from `root/mnist/`, else downloaded there (12 MB)."""
    return _open(request, MNIST)


def open_fashion_mnist(request: Request) -> Images:
    """uint8 [60000, 1, 28, 28] (test: 10000), labels 0..9, from `root/fashion-mnist/`, else downloaded (31 MB)."""
    return _open(request, FASHION)


def _open(request: Request, source: Idx) -> Images:
    request.check(("train", "test"))
    folder = request.root / request.name
    paths = []
    for name in FILES[request.split]:
        packed = folder / f"{name}.gz"
        if (folder / name).is_file():
            paths.append(folder / name)
        else:
            paths.append(fetch(f"{source.url}/{name}.gz", packed, f"md5:{source.md5[name]}", quiet=request.quiet))

    def decode() -> tuple[np.ndarray, np.ndarray]:
        images, labels = read_idx(paths[0], axes=3), read_idx(paths[1], axes=1)
        if images.shape[1:] != (28, 28):
            raise UserError(f"'{paths[0]}': images of {images.shape[2]}x{images.shape[1]} pixels, not 28x28")
        if len(images) != len(labels):
            raise UserError(f"'{paths[0]}' holds {len(images)} images but '{paths[1]}' {len(labels)} labels")
        if not len(labels) or labels.max() > 9:
            raise UserError(f"'{paths[1]}': labels must be 0..9, and at least one")
        return images[:, None], labels.astype(np.int64)

    return stored(request, paths, source.classes, decode)


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The uint8 array of `axes` axes in an idx file, gzipped or not. UserError: not one, truncated, too long."""
    remedy = "remove it to have it downloaded again"
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"'{path}' is truncated or damaged ({why(error)}): {remedy}") from error
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes((0, 0, 8, axes)):
        raise UserError(f"'{path}' is no idx file of uint8 with {axes} axes: {remedy}")
    shape = struct.unpack(f">{axes}I", content[4:start])
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise UserError(f"'{path}' has {len(content)} bytes where its header says {expected}: truncated? {remedy}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
