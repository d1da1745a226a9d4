"""What is in a data set, in a few numbers and lines, before hours are spent on it."""

from __future__ import annotations

import hashlib
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wgan.data.base import Data, Images

_CHUNK_BYTES = 64 << 20  # of float32 samples in memory at once


@dataclass(frozen=True)
class Description:
    """Numbers about `seen` samples of a data set; every tuple of numbers has one entry a channel, or a dimension.

    Of images, mean, std (population), low and high are of pixels in [0, 1]; of points they are as the points are.
    classes: (name, count) in the order of the labels. constant: images of one colour. duplicates: samples that equal
    an earlier one in every pixel. Both are None for points.
    """

    name: str
    count: int | None
    shape: tuple[int, ...]
    seen: int
    classes: tuple[tuple[str, int], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    constant: int | None = None
    duplicates: int | None = None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For the terminal: one fact a line, labels in a column; up to 100 characters wide where words allow it."""
        rows = [("data", self.name), ("samples", self._samples())]
        if self.classes:
            rows.append(("classes", _class_text(self.classes)))
        if self.seen != self.count:
            rows.append(("measured", f"on {self.seen:,} samples" + ("" if self.count is None else " drawn at random")))
        rows += [(what, self._numbers(what)) for what in ("mean", "std", "low", "high")]
        if self.constant:
            rows.append(("constant", f"{self.constant:,} images of one colour"))
        if self.duplicates is not None:
            rows.append(("duplicates", f"{self.duplicates:,} equal to another" if self.duplicates else "none"))
        rows += [("note", note) for note in self.notes]
        return [line for what, text in rows for line in _wrapped(what, text)]

    def _samples(self) -> str:
        many = "infinitely many" if self.count is None else f"{self.count:,}"
        if len(self.shape) != 3:
            return f"{many} points in {self.shape[0]} dimension" + ("" if self.shape[0] == 1 else "s")
        c, h, w = self.shape
        return f"{many} images, {w}x{h} px, {_CHANNELS.get(c, f'{c} channels')}"

    def _numbers(self, what: str) -> str:
        values = {"mean": self.mean, "std": self.std, "low": self.low, "high": self.high}[what]
        shown = " ".join(f"{value:.4g}" if len(self.shape) != 3 else f"{value:.4f}" for value in values[:8])
        more = f" ... ({len(values)} in all)" if len(values) > 8 else ""
        return shown + more + ("   of [0, 1]" if len(self.shape) == 3 and what == "mean" else "")


def _wrapped(what: str, text: str) -> list[str]:
    if len(text) <= 89:  # as it is: wrapping would squeeze its spaces
        return [f"{what:<11}{text}"]
    # a path is never cut, so that it can be copied
    start, rest = f"{what:<11}", " " * 11
    return textwrap.wrap(
        text, 100, initial_indent=start, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


_CHANNELS = {1: "gray", 2: "gray and alpha", 3: "RGB", 4: "RGBA"}


def _class_text(classes: tuple[tuple[str, int], ...]) -> str:
    counts = [count for _, count in classes]
    if len(classes) <= 12:
        return f"{len(classes)}: " + ", ".join(f"{name} {count:,}" for name, count in classes)
    first = ", ".join(name for name, _ in classes[:5])
    return f"{len(classes)}: {first}, ...; {min(counts):,} to {max(counts):,} samples each"


def describe(data: Data, limit: int = 10_000) -> Description:
    """Measures all samples of `data`, or `limit` of them drawn at random when there are more; in chunks.

    Classes are counted over all samples of `Images`, else over those measured.
    """
    seen = limit if data.count is None else min(limit, data.count)
    images = len(data.shape) == 3
    moments = _Moments()
    labels: Counter[int] = Counter()
    constant = 0
    hashes: set[bytes] = set()
    for x, y in _chunks(data, seen):
        if y is not None:
            labels.update(y.tolist())
        if images:
            flat = x.reshape(*x.shape[:2], -1)
            constant += int((flat.max(2) == flat.min(2)).all(1).sum())
            hashes.update(hashlib.blake2b(sample.tobytes(), digest_size=16).digest() for sample in x)
            moments.add((flat.astype(np.float64).transpose(1, 0, 2).reshape(x.shape[1], -1) + 1) / 2)
        else:
            moments.add(x.astype(np.float64).reshape(len(x), -1).T)
    if isinstance(data, Images) and data.labels is not None:
        labels = Counter(dict(enumerate(np.bincount(data.labels, minlength=len(data.classes)).tolist())))
    return Description(
        name=data.name,
        count=data.count,
        shape=tuple(data.shape),
        seen=seen,
        classes=tuple((name, labels[i]) for i, name in enumerate(data.classes)),
        mean=_floats(moments.mean),
        std=_floats(np.sqrt(moments.squares / moments.n)),
        low=_floats(moments.low),
        high=_floats(moments.high),
        constant=constant if images else None,
        duplicates=seen - len(hashes) if images else None,
        notes=data.notes if isinstance(data, Images) else (),
    )


def _chunks(data: Data, seen: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    step = max(1, _CHUNK_BYTES // (4 * int(np.prod(data.shape))))
    for start in range(0, seen, step):
        x, y = data.batch(0, start, min(step, seen - start))
        yield x.numpy(), None if y is None else y.numpy()


def _floats(row: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in row)


class _Moments:
    """Mean, sum of squared deviations, minimum and maximum of each row, chunk by chunk.

    Chan, Golub & LeVeque (1979): stable where the sum of squares minus the square of the sum is not.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean: np.ndarray = np.zeros(())
        self.squares: np.ndarray = np.zeros(())
        self.low: np.ndarray = np.array(np.inf)
        self.high: np.ndarray = np.array(-np.inf)

    def add(self, rows: np.ndarray) -> None:
        """rows: float64 [d, m]."""
        m, mean = rows.shape[1], rows.mean(1)
        total, gap = self.n + m, mean - self.mean
        self.squares = self.squares + rows.var(1) * m + gap**2 * (self.n * m / total)
        self.mean = self.mean + gap * (m / total)
        self.low, self.high = np.minimum(self.low, rows.min(1)), np.maximum(self.high, rows.max(1))
        self.n = total
