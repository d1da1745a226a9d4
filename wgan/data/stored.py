"""Decoded once, memory-mapped ever after: images and labels of a source as one entry of the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wgan.data.base import Images, Request, read_at_random
from wgan.data.cache import ArrayFile, build, need_room

# hashing goes at about 1 GB/s: up to this size all of an array is read to know it again, beyond it a sample
HASH_ALL_BELOW = 256 << 20
SAMPLED_ROWS = 4096


def content_hash(array: np.ndarray, *more: str) -> str:
    """Hex digest of shape, dtype and content; of 4,096 evenly spread rows only when the array has 256 MiB or more.

    `more`: what else tells this array from another (a file's size and time, where only a sample is read).
    """
    found = hashlib.sha256(repr((array.shape, array.dtype.str, *more)).encode())
    if array.nbytes < HASH_ALL_BELOW:
        rows = np.arange(len(array))
    else:
        read_at_random(array)
        rows = np.unique(np.linspace(0, len(array) - 1, SAMPLED_ROWS).astype(np.int64))
    step = max(1, (1 << 20) // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(rows), step):
        found.update(np.ascontiguousarray(array[rows[start : start + step]]).tobytes())
    return found.hexdigest()


def stamp(*paths: Path) -> str:
    """Hex digest of the paths, sizes and modification times of files: changes when one of them is replaced."""
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def stored(
    request: Request,
    sources: Sequence[Path],
    classes: tuple[str, ...],
    decode: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> Images:
    """The images that `decode()` -> (uint8 [n, c, h, w], labels int64 [n]) reads from `sources`, out of the cache.

    `decode` runs when there is no entry yet, or when a source has changed since. `decode` raises UserError only.
    """

    def fill(folder: Path) -> None:
        images, labels = decode()
        need_room(folder, images.nbytes + labels.nbytes)
        with ArrayFile(folder / "images.npy", images.shape[1:]) as file:
            file.append(images)
        np.save(folder / "labels.npy", labels.astype(np.int64))
        digest = hashlib.sha256(file.digest.encode() + labels.astype(np.int64).tobytes())
        (folder / "fingerprint").write_text(digest.hexdigest())

    entry = build(request.cache, f"{request.name}-{request.split}", f"{stamp(*sources)}-1", fill)
    return Images(
        request.name,
        np.load(entry / "images.npy", mmap_mode="r"),
        np.load(entry / "labels.npy"),
        classes,
        (entry / "fingerprint").read_text(),
    )


def why(error: BaseException) -> str:
    """The reason in an exception, short and on one line, for a UserError."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return (str(error) or type(error).__name__).splitlines()[0][:200]
