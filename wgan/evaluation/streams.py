"""What is measured, batch by batch: real samples, those of a run, or images that anyone's GAN made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wgan import seeds
from wgan.data import Data, Images, Points, load, order
from wgan.data.arrays import _channels_first as channels_first
from wgan.data.arrays import from_array
from wgan.data.grid import as_bytes
from wgan.data.stored import content_hash, why
from wgan.errors import UserError
from wgan.sample import Sampler

# one order of the real samples for all evaluations, so that their features are kept once; no run trains in it
ORDER = seeds.derive(0, "evaluation")
BLOCK = 16 << 20  # bytes looked at in one go

Samples = str | Path | np.ndarray | Tensor | Data


@dataclass(frozen=True, eq=False)
class Stream:
    """`count` samples of `shape` that can be read by position, as often as wanted, without holding them.

    read(start, n): uint8 [n, c, h, w] in [0, 255] of images, float32 [n, d] of points. labels: int64 [count] or None.
    fingerprint: changes when the samples do, "" where that isn't known. note: how they were read, "" for nothing odd.
    """

    name: str
    shape: tuple[int, ...]
    count: int
    read: Callable[[int, int], Tensor]
    fingerprint: str = ""
    labels: np.ndarray | None = None
    note: str = ""

    def batches(self, size: int) -> Iterator[Tensor]:
        """All samples in turn, `size` at a time."""
        for start in range(0, self.count, size):
            yield self.read(start, min(size, self.count - start))


# --- real samples ----------------------------------------------------------------------------------------------------


def real_stream(data: Data, n: int, start: int = 0, name: str = "") -> Stream:
    """Positions start .. start + n - 1 of the order of all evaluations: each sample once up to `data.count`.

    name: how the stream is called, that of the data when empty.
    """
    place = f"{data.fingerprint}/{ORDER}/{start}/{n}" if data.fingerprint else ""
    if isinstance(data, Images | Points):
        return _picked(data, order(ORDER, start, n, data.count), place, name)

    def drawn(first: int, m: int) -> Tensor:
        return as_read(data.batch(ORDER, start + first, m).x, data.name, start + first)

    return Stream(name or data.name, tuple(data.shape), n, drawn, place)


def _picked(data: Images | Points, index: np.ndarray, fingerprint: str, name: str = "") -> Stream:
    array, labels = data.array, None if data.labels is None else np.asarray(data.labels)[index]

    def rows(first: int, m: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array[index[first : first + m]]))

    return Stream(name or data.name, data.shape, len(index), rows, fingerprint, labels, "; ".join(data.notes))


# --- a run's samples -------------------------------------------------------------------------------------------------


def generated_stream(sampler: Sampler, n: int, seed: int, labels: np.ndarray | None, name: str) -> Stream:
    """The samples of `wgan sample --n N --seed SEED`, made when they are read.

    labels: int64 [n] for a conditional run; None lets its classes take turns.
    """
    z = sampler.noise(n, seed)
    given = None if labels is None else torch.from_numpy(labels)
    if given is None and sampler.classes:
        given = torch.arange(n) % len(sampler.classes)

    def made(first: int, m: int) -> Tensor:
        part = slice(first, first + m)
        return as_read(sampler.decode(z[part], labels=None if given is None else given[part]), name, first)

    return Stream(name, sampler.shape, n, made, labels=None if given is None else given.numpy())


def as_read(x: Tensor, name: str, first: int = 0) -> Tensor:
    """Samples as networks give them, images in [-1, 1], as `Stream.read` gives them. Errors: UserError for NaN."""
    bad = ~x.isfinite().flatten(1).all(1)
    if bad.any():
        raise UserError(f"{name} gives NaN or infinity, first in sample {first + int(bad.float().argmax())}")
    return torch.from_numpy(as_bytes(x)) if x.ndim == 4 else x.float()


# --- anyone's samples ------------------------------------------------------------------------------------------------


def open_samples(
    samples: Samples, *, size: int | None = None, root: Path | None = None, allow_bad: bool = False, quiet: bool = False
) -> Stream:
    """All samples of a folder of images, a .npy or .npz file, an array, a tensor or a data set, in their order.

    Images are uint8 in [0, 255], or float in [-1, 1] or [0, 255], which is rounded to bytes: [n, c, h, w], [n, h, w, c]
    or [n, h, w]. Points are float [n, d]. size: images are brought to size x size pixels.
    Errors: UserError for another shape, type or range, NaN, an empty or unreadable folder or file.
    """
    if isinstance(samples, Tensor):
        x = samples.detach().cpu()
        samples = (x.float() if x.is_floating_point() else x).numpy()
    name = "the array" if isinstance(samples, np.ndarray) else str(samples)
    if isinstance(samples, str | Path) and name.endswith(".npy") and Path(name).expanduser().is_file():
        samples = _mapped(Path(name).expanduser())
    if isinstance(samples, np.ndarray):
        if samples.dtype.kind == "f" and samples.ndim in (3, 4):
            return _of_floats(name, samples, size)
        samples = from_array(name, samples)
    data = load(samples, size=size, root=root, allow_bad=allow_bad, quiet=quiet)
    if data.count is None:
        raise UserError(f"samples '{data.name}' are an infinite distribution: give a folder or an array of samples")
    if isinstance(data, Images | Points):
        return _picked(data, np.arange(data.count), data.fingerprint)
    return real_stream(data, data.count)


def _mapped(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise UserError(f"'{path}' holds Python objects: save it as one array of uint8 or float") from error
        raise UserError(f"'{path}' is truncated or no .npy file ({why(error)})") from error
    return array


def _of_floats(name: str, array: np.ndarray, size: int | None) -> Stream:
    """Float images, turned into bytes where they are read: the array may be larger than memory."""
    if array.size == 0:
        raise UserError(f"samples '{name}' are empty: an array {list(array.shape)}")
    images = channels_first(name, array)
    if size is not None and images.shape[2:] != (size, size):
        raise UserError(f"samples '{name}' are float: only uint8 images can be brought to --size {size}")
    low, high = _range(name, images)
    if -1.001 <= low < 0 and high <= 1.001:
        scale, offset, what = 127.5, 127.5, "[-1, 1]"
    elif low >= 0 and 1 < high <= 255:
        scale, offset, what = 1.0, 0.0, "[0, 255]"
    else:
        what = "could be meant in [0, 1] or [-1, 1]" if low >= 0 and high <= 1 else "fit no range"
        raise UserError(
            f"samples '{name}': float images in [{low:g}, {high:g}] {what}: give uint8 in 0..255, or float in [-1, 1] "
            "or [0, 255]; from [0, 1]: (255 * x).round().astype('uint8')"
        )

    def read(first: int, m: int) -> Tensor:
        levels = np.rint(np.asarray(images[first : first + m], np.float32) * scale + offset).clip(0, 255)
        return torch.from_numpy(np.ascontiguousarray(levels.astype(np.uint8)))

    shape = tuple(int(k) for k in images.shape[1:])
    return Stream(name, shape, len(images), read, content_hash(array), note=f"float in {what}, rounded to bytes")


def _range(name: str, images: np.ndarray) -> tuple[float, float]:
    """(lowest, highest) value. Errors: UserError when one is no number."""
    rows = max(1, BLOCK // max(1, images[:1].nbytes))
    ends = []
    for start in range(0, len(images), rows):
        block = images[start : start + rows]
        finite = np.isfinite(block).reshape(len(block), -1).all(1)
        if not finite.all():
            raise UserError(f"samples '{name}' hold NaN or infinity, first in sample {start + int((~finite).argmax())}")
        ends.append((float(block.min()), float(block.max())))
    return min(low for low, _ in ends), max(high for _, high in ends)


def chosen(stream: Stream, n: int, seed: int) -> Stream:
    """`n` samples of a stream, drawn without replacement by `seed`: a folder may be sorted by what is in it."""
    if n == stream.count:
        return stream
    # sorted, as rows lie in files in this order
    index = np.sort(order(seeds.derive(seed, "evaluated samples"), 0, n, stream.count))

    def read(first: int, m: int) -> Tensor:
        wanted = index[first : first + m]
        runs = np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1)
        return torch.cat([stream.read(int(run[0]), len(run)) for run in runs])

    labels = None if stream.labels is None else stream.labels[index]
    return replace(stream, count=n, read=read, labels=labels)
