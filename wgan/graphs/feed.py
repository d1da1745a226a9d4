"""What an iteration asks the host for: noted once, then made beforehand for any step, and sent in one copy."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from wgan import seeds
from wgan.data import Batch, Data
from wgan.distributed import Share
from wgan.graphs.samples import Resident
from wgan.watch import Losses

# bytes, as torch's own memory is aligned
ALIGNED = 512


class Feed:
    """All that an iteration asks the host for, in its order: noted once, then made beforehand for any step.

    source: the data. data: the same through this feed. step, images: where the iteration begins that is noted or made.
    """

    def __init__(self, source: Data, device: torch.device, step: int, images: int) -> None:
        self.source, self.device, self.step, self.images = source, device, step, images
        self.data = Fed(source.name, source.shape, source.classes, source.count, source.fingerprint, self)
        self.asked: list[Asked] = []
        self.draws: list[Drawn] = []
        self.answers: Iterator[tuple[Asked, list[Tensor]]] | None = None
        self.filled = (-1, -1)
        self.sent: torch.cuda.Event | None = None

    def noting(self) -> AbstractContextManager[None]:
        """Inside, what is asked for is made at once, as ever, and noted."""
        return seeds.fed_by(partial(Drawn, self))

    def answering(self, iteration: Callable[[Share], Losses]) -> Losses:
        """An iteration that is answered from the device's memory. Errors: RuntimeError when it asks otherwise."""
        self.answers = zip(self.asked, self.there, strict=True)
        try:
            with seeds.fed_by(partial(Drawn, self)):
                losses = iteration(Share())
            if next(self.answers, None) is not None:
                raise RuntimeError("an iteration asks for less than the one before")
        finally:
            self.answers = None
        return losses

    def ask(self, what: Hashable, make: Callable[[], list[Tensor]]) -> list[Tensor]:
        """The answer to the next question. make: makes it, for where the feed is."""
        if self.answers is not None:
            asked, found = next(self.answers, (None, []))
            if asked is None or asked.what != what:
                raise RuntimeError("an iteration asks for other numbers than the one before")
            return found
        made = make()
        forms = [torch.empty_like(x, device="meta") for x in made]
        self.asked.append(Asked(what, make, [(x.shape, x.stride(), x.dtype) for x in forms]))
        return made

    def lay_out(self) -> None:
        """Memory for what was noted, on both sides; that on the CPU is pinned, from where copies don't wait."""
        ends = [0]
        for asked in self.asked:
            for shape, _, dtype in asked.forms:
                ends.append(ends[-1] + -(-shape.numel() * dtype.itemsize // ALIGNED) * ALIGNED)
        self.buffer = torch.empty(ends[-1], dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        self.buffer_there = torch.empty_like(self.buffer, device=self.device)
        self.here, self.there = self.views(self.buffer, ends), self.views(self.buffer_there, ends)

    def views(self, buffer: Tensor, begins: list[int]) -> list[list[Tensor]]:
        """The tensors of each question in `buffer`."""
        at = iter(begins)

        def view(shape: torch.Size, stride: tuple[int, ...], dtype: torch.dtype) -> Tensor:
            return buffer[next(at) :][: shape.numel() * dtype.itemsize].view(dtype).as_strided(shape, stride)

        return [[view(*form) for form in asked.forms] for asked in self.asked]

    def fill(self, step: int, images: int) -> None:
        """Make all of it for the iteration that begins there."""
        if self.sent is not None:
            self.sent.synchronize()
        self.step, self.images = step, images
        for draw in self.draws:
            draw.begin()
        for asked, views in zip(self.asked, self.here, strict=True):
            for view, made in zip(views, asked.make(), strict=True):
                view.copy_(made)
        self.filled = (step, images)

    def send(self, step: int, images: int) -> None:
        """Queue the copy to the device."""
        if self.filled != (step, images):
            self.fill(step, images)
        self.buffer_there.copy_(self.buffer, non_blocking=True)
        if self.device.type == "cuda":
            self.sent = torch.cuda.current_stream(self.device).record_event()


class Asked(NamedTuple):
    """what: the question. make: the answer for the feed's step, on the CPU. forms: of its tensors, made dense.

    With strides, which for one channel tell torch in which layout to convolve.
    """

    what: Hashable
    make: Callable[[], list[Tensor]]
    forms: list[tuple[torch.Size, tuple[int, ...], torch.dtype]]


class Drawn:
    """The numbers of one draw (the protocol `wgan.seeds.Numbers`) for the step that the feed is at."""

    def __init__(self, feed: Feed, seed: int, purpose: str, position: tuple[int, ...]) -> None:
        self.feed, self.seed, self.purpose, self.position = feed, seed, purpose, position
        self.noted = self.where
        if feed.answers is None:
            feed.draws.append(self)
            self.begin()

    @property
    def where(self) -> int:
        """What a position starts from: the step, but the place in the data for what is added to images."""
        return self.feed.images if self.purpose == "dequantize" else self.feed.step

    def begin(self) -> None:
        """Go to where the feed is."""
        moved = [first + self.where - self.noted for first in self.position[:1]]
        self.source = seeds.generator(self.seed, self.purpose, *moved, *self.position[1:])

    def uniform(self, *shape: int) -> Tensor:
        return self.feed.ask(("uniform", self.purpose, shape), lambda: [torch.rand(*shape, generator=self.source)])[0]

    def normal(self, *shape: int) -> Tensor:
        return self.feed.ask(("normal", self.purpose, shape), lambda: [torch.randn(*shape, generator=self.source)])[0]


@dataclass(frozen=True, eq=False)
class Fed:
    """A feed's data (the protocol `wgan.data.Data`): of those on the device, the host makes the places alone."""

    name: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    count: int | None
    fingerprint: str
    feed: Feed

    def batch(self, seed: int, start: int, n: int) -> Batch:
        source, ahead = self.feed.source, start - self.feed.images
        if isinstance(source, Resident):
            (places,) = self.feed.ask(n, lambda: [source.places(seed, self.feed.images + ahead, n)])
            return source.gather(places.to(self.feed.device))
        parts = self.feed.ask(n, lambda: [x for x in source.batch(seed, self.feed.images + ahead, n) if x is not None])
        return Batch(parts[0], parts[1] if len(parts) > 1 else None)
