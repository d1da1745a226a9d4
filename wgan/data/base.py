"""What is real: one array (or one sampler) that yields batches by position.

A position counts samples in an endless stream that is fixed by the seed: for arrays one permutation after another, so
that every epoch shows each sample exactly once; for toy distributions fresh points. Nothing remembers where it was.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from wgan.errors import UserError


class Batch(NamedTuple):
    """Samples `x` float32 [n, *shape] (images in [-1, 1], points as they are) and `labels` int64 [n] or None."""

    x: Tensor
    labels: Tensor | None


@runtime_checkable
class Data(Protocol):
    """What the training loop asks of a data set; any object with these attributes will do.

    name: what the user called it. shape: of one sample, (c, h, w) or (d,). classes: names of the labels 0, 1, ...
    or (). count: samples in one epoch, None when infinite. fingerprint: changes when the content changes.
    """

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def count(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...

    def batch(self, seed: int, start: int, n: int) -> Batch:
        """Samples start .. start + n - 1 of the stream of `seed`."""
        ...


@dataclass(frozen=True)
class Request:
    """What a source is asked to open: `name` as the user wrote it, `argument` the part after the first colon.

    root: the folder of data sets; size: wanted height and width in pixels or None; split: 'train', 'test', ...
    """

    name: str
    argument: str = ""
    root: Path = Path("datasets")
    split: str = "train"
    size: int | None = None
    allow_bad: bool = False
    quiet: bool = False

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def check(self, splits: tuple[str, ...], takes_argument: bool = False) -> None:
        """UserError unless the split is one of `splits` and, where it takes none, no `:ARGUMENT` was given."""
        if self.argument and not takes_argument:
            raise UserError(f"data '{self.name}': '{self.name.split(':')[0]}' takes nothing after a colon")
        if self.split not in splits:
            raise UserError(f"data '{self.name}' has no split '{self.split}'; it has: {', '.join(splits)}")


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def order(seed: int, start: int, n: int, count: int) -> np.ndarray:
    """Indices int64 [n] at positions start .. start + n - 1: without replacement within each epoch of `count`."""
    parts = []
    while n > 0:
        epoch, offset = divmod(start, count)
        part = _permutation(seed, epoch, count)[offset : offset + n]
        parts.append(part)
        start, n = start + len(part), n - len(part)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def read_at_random(array: np.ndarray) -> None:
    """Tells the system not to read ahead in a memory-mapped `array` of 1 GiB or more: batches come from all over it.

    Measured on 36 GB, ext4: 8 ms for a batch of 64 images of 12 kB, 980 ms with reading ahead.
    A smaller array is left alone, as reading ahead soon has all of it in memory.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and array.nbytes >= 1 << 30 and hasattr(mmap, "MADV_RANDOM"):
        owner.madvise(mmap.MADV_RANDOM)


def _check_labels(name: str, labels: np.ndarray | None, count: int, classes: tuple[str, ...]) -> None:
    if labels is None:
        return
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(classes):
        raise UserError(f"data '{name}': needs one whole label in 0..{len(classes) - 1} for each of {count} samples")


def _pick(labels: np.ndarray | None, index: np.ndarray) -> Tensor | None:
    return None if labels is None else torch.from_numpy(labels[index].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Images:
    """Images uint8 [n, c, h, w] in [0, 255], in memory or memory-mapped; labels int64 [n] in [0, len(classes)).

    `notes` are lines for the user about how the array came to be (files left out, resizing).
    """

    name: str
    array: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8 or self.array.ndim != 4:
            raise UserError(
                f"data '{self.name}': images must be uint8 [n, channels, height, width], "
                f"not {self.array.dtype} {list(self.array.shape)}"
            )
        if self.array.size == 0:
            raise UserError(f"data '{self.name}' holds no images")
        if not 1 <= self.array.shape[1] <= 4:
            raise UserError(f"data '{self.name}': {self.array.shape[1]} channels; images have 1 to 4")
        _check_labels(self.name, self.labels, len(self.array), self.classes)
        read_at_random(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[1:])

    @property
    def count(self) -> int:
        return len(self.array)

    def batch(self, seed: int, start: int, n: int) -> Batch:
        index = order(seed, start, n, self.count)
        # an array stored [n, h, w, c] is seen through a transposed view: without the copy its strides reach the network
        x = torch.from_numpy(np.ascontiguousarray(self.array[index]))
        # uint8 in [0, 255] -> float in [-1, 1]
        return Batch(x.float().div_(127.5).sub_(1.0), _pick(self.labels, index))


@dataclass(frozen=True, eq=False)
class Points:
    """A finite table of points float32 [n, d], used as they are (no scaling); labels int64 [n] in [0, len(classes))."""

    name: str
    array: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.array.ndim != 2 or self.array.size == 0 or self.array.dtype != np.float32:
            raise UserError(
                f"data '{self.name}': points must be float32 [n, d], not {self.array.dtype} {list(self.array.shape)}"
            )
        _check_labels(self.name, self.labels, len(self.array), self.classes)
        read_at_random(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.array.shape[1],)

    @property
    def count(self) -> int:
        return len(self.array)

    def batch(self, seed: int, start: int, n: int) -> Batch:
        index = order(seed, start, n, self.count)
        return Batch(torch.from_numpy(np.ascontiguousarray(self.array[index])), _pick(self.labels, index))


@lru_cache(maxsize=4)
def _block(toy: Toy, seed: int, k: int) -> np.ndarray:
    """Block k of a toy's stream; the batches of a block come one after another."""
    return toy.sample(toy.block, np.random.default_rng((seed, k)))


@dataclass(frozen=True, eq=False)
class Toy:
    """An infinite distribution: `sample(n, rng)` returns float [n, dim] drawn from `rng`.

    The stream is made of blocks, block k from (seed, k): what stands at a position does not depend on the batch size.
    A mixture of equally likely Gaussians tells its `centres` float64 [k, dim] and the `std` along each axis of all of
    them, in the coordinates of the samples: by these modes are counted.
    """

    name: str
    dim: int
    sample: Callable[[int, np.random.Generator], np.ndarray]
    classes: tuple[str, ...] = ()
    block: int = 256
    centres: np.ndarray | None = None
    std: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def count(self) -> None:
        return None

    @property
    def fingerprint(self) -> str:
        return self.name

    def batch(self, seed: int, start: int, n: int) -> Batch:
        first, last = start // self.block, (start + max(n, 1) - 1) // self.block
        blocks = [_block(self, seed, k) for k in range(first, last + 1)]
        offset = start - first * self.block
        points = np.concatenate(blocks)[offset : offset + n]
        return Batch(torch.from_numpy(np.ascontiguousarray(points, np.float32)), None)
