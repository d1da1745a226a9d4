"""Features of real and fake samples: taken in one pass, batch by batch; those of real ones are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wgan import seeds
from wgan.data.cache import ArrayFile, build, need_room, progress
from wgan.errors import UserError
from wgan.evaluation.streams import Stream
from wgan.features import Extracted, Features

# of pixels and points, which cost nothing to take again
_NOT_KEPT = ("pixels", "points")


@dataclass(frozen=True, eq=False)
class Side:
    """Samples and what the features made of them.

    features: float32 [n, d]; probabilities: float32 [n, classes] or None. judged: int64 [n], the label that a
    classifier gives each sample, None without one. images: uint8 [m, c, h, w], the first m <= n of them, m as kept.
    """

    stream: Stream
    features: Tensor
    probabilities: Tensor | None = None
    judged: Tensor | None = None
    images: Tensor | None = None

    @property
    def n(self) -> int:
        return len(self.features)

    def part(self, start: int, stop: int) -> Side:
        """Samples start .. stop - 1 alone; their images are left behind, see `with_images`."""
        cut = slice(start, stop)
        read, labels = self.stream.read, self.stream.labels
        stream = replace(
            self.stream,
            count=len(self.features[cut]),
            read=lambda first, m: read(start + first, m),
            labels=None if labels is None else labels[cut],
        )
        return replace(
            self,
            stream=stream,
            features=self.features[cut],
            probabilities=None if self.probabilities is None else self.probabilities[cut],
            judged=None if self.judged is None else self.judged[cut],
            images=None,
        )

    def with_images(self, n: int) -> Side:
        """With the first n images, or as many as there are."""
        return replace(self, images=self.stream.read(0, min(n, self.n)))


class AsTheyAre:
    """Points are their own features."""

    name = "points"
    protocol: dict[str, str | int | float] = {}  # noqa: RUF012  nothing is done to them
    fingerprint = "points"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, images: Tensor) -> Extracted:
        return Extracted(images.float(), None)


def take(
    stream: Stream,
    features: Features,
    judge: Features | None = None,
    *,
    batch_size: int,
    keep: int = 0,
    quiet: bool = True,
) -> Side:
    """One pass over a stream; only features, and the first `keep` images, stay in memory.

    judge: a classifier whose labels are wanted too; it may be `features` itself.
    Errors: UserError for features that are no numbers or of another length than `features.dim`.
    """
    # filled in place: a list of batches would take twice the room when it is put together
    found = torch.empty(stream.count, features.dim)
    probabilities = judged = None
    images: list[Tensor] = []

    def use(start: int, x: Tensor, got: Extracted) -> None:
        nonlocal probabilities, judged
        here = slice(start, start + len(x))
        found[here] = got.features
        if got.probabilities is not None:
            if probabilities is None:
                probabilities = torch.empty(stream.count, got.probabilities.shape[1])
            probabilities[here] = got.probabilities
        if judge is not None:
            if judged is None:
                judged = torch.empty(stream.count, dtype=torch.int64)
            judged[here] = _labels(got if judge is features else judge(x))
        if start < keep:
            images.append(x[: keep - start].clone())

    _each_batch(stream, features, use, batch_size, quiet)
    return Side(stream, found, probabilities, judged, torch.cat(images) if images else None)


def _labels(seen: Extracted) -> Tensor:
    assert seen.probabilities is not None, "a judge gives probabilities"
    return seen.probabilities.argmax(1).cpu()


def _each_batch(
    stream: Stream, features: Features, use: Callable[[int, Tensor, Extracted], None], batch_size: int, quiet: bool
) -> None:
    """Calls use(position, samples, what features made of them) for each batch, with a bar on a terminal.

    The caller's random numbers are as they were before, whatever a user's own features draw.
    """
    start = 0
    label = f"{features.name} of {stream.name}"
    with seeds.scope(0, "evaluation"), torch.no_grad(), progress(label, stream.count, quiet) as advance:
        for x in stream.batches(batch_size):
            use(start, x, checked(features, features(x), len(x), start, stream.name))
            start += len(x)
            advance(len(x))


def checked(features: Features, got: Extracted, n: int, start: int = 0, name: str = "the first sample") -> Extracted:
    """What features made of n samples. Errors: UserError for another shape, NaN or infinity."""
    shape = tuple(got.features.shape)
    if shape != (n, features.dim):
        raise UserError(f"features '{features.name}' give {list(shape)} for {n} samples: must be [{n}, {features.dim}]")
    bad = ~got.features.isfinite().all(1)
    if bad.any():
        first = start + int(bad.float().argmax())
        raise UserError(
            f"features '{features.name}' of {name} are NaN or infinite, first of sample {first}: "
            "look at that sample, or choose other --features"
        )
    return got


def take_real(
    stream: Stream,
    features: Features,
    judge: Features | None = None,
    *,
    cache: Path,
    batch_size: int,
    keep: int = 0,
    quiet: bool = True,
) -> Side:
    """As `take`, with the features kept in the data cache by content, and memory-mapped from there."""
    if not stream.fingerprint or features.name in _NOT_KEPT:
        return take(stream, features, judge, batch_size=batch_size, keep=keep, quiet=quiet)
    found = _kept(stream, features, cache, batch_size, quiet)
    judged = None
    if judge is not None:
        judged = _labels(found if judge is features else _kept(stream, judge, cache, batch_size, quiet))
    n = min(keep, stream.count)
    parts = [stream.read(i, min(batch_size, n - i)) for i in range(0, n, batch_size)]
    return Side(stream, found.features, found.probabilities, judged, torch.cat(parts) if parts else None)


def _kept(stream: Stream, features: Features, cache: Path, batch_size: int, quiet: bool) -> Extracted:
    """What the features make of real samples, from the cache."""

    def fill(folder: Path) -> None:
        need_room(folder, 4 * stream.count * features.dim)
        files: dict[str, ArrayFile] = {}

        def use(start: int, x: Tensor, got: Extracted) -> None:
            for name, value in got._asdict().items():
                if value is not None:
                    if name not in files:
                        files[name] = ArrayFile(folder / f"{name}.npy", tuple(value.shape[1:]), np.float32)
                    files[name].append(value.float().cpu().numpy())

        try:
            _each_batch(stream, features, use, batch_size, quiet)
        finally:
            for file in files.values():
                file.close()

    key = hashlib.sha256(f"{stream.fingerprint} {features.fingerprint}".encode()).hexdigest()
    size = "x".join(map(str, stream.shape))
    entry = build(cache, f"features-{stream.name}-{size}-{features.name}-{stream.count}", key, fill)
    found, probabilities = (_mapped(entry / f"{name}.npy") for name in Extracted._fields)
    assert found is not None
    return Extracted(found, probabilities)


def _mapped(path: Path) -> Tensor | None:
    """The array in a file, read where it is looked at; what is written to it stays in memory."""
    return torch.from_numpy(np.load(path, mmap_mode="c")) if path.exists() else None
