"""Every random number follows from (seed, purpose, position): nothing has to be remembered to go on after a stop.

Numbers are drawn on the CPU, so that one seed means one run on every device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


def derive(seed: int, purpose: str, *position: int) -> int:
    """A 63-bit seed for one purpose at one place; different arguments give unrelated seeds."""
    text = "/".join([str(seed), purpose, *map(str, position)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *position: int) -> torch.Generator:
    """A CPU generator that starts at (seed, purpose, position)."""
    return torch.Generator().manual_seed(derive(seed, purpose, *position))


@contextmanager
def scope(seed: int, purpose: str, *position: int) -> Iterator[None]:
    """Inside, torch's global CPU generator starts at (seed, purpose, position); afterwards it is as it was before.

    For code that draws from the global generator: weight initialisation, dropout, a user's own layers.
    """
    before = torch.get_rng_state()
    _start_all(derive(seed, purpose, *position))
    try:
        yield
    finally:
        torch.set_rng_state(before)


def _start_all(seed: int) -> None:
    """What torch.manual_seed does, for the devices in use; that one takes 2 ms a call on a machine without a GPU."""
    torch.default_generator.manual_seed(seed)
    # a step that is being captured can't seed the GPU
    if torch.cuda.is_initialized() and not torch.cuda.is_current_stream_capturing():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


class Numbers(Protocol):
    """Where else a draw has its numbers from: float32, of any device, one shape after another."""

    def uniform(self, *shape: int) -> Tensor: ...
    def normal(self, *shape: int) -> Tensor: ...


# of (seed, purpose, position)
Feeding = Callable[[int, str, tuple[int, ...]], Numbers]
_feeding: Feeding | None = None


@contextmanager
def fed_by(feeding: Feeding) -> Iterator[None]:
    """Inside, draws have their numbers from `feeding`: those of a step that is captured once and replayed lie in one
    place on the device.
    """
    global _feeding
    before, _feeding = _feeding, feeding
    try:
        yield
    finally:
        _feeding = before


@dataclass(frozen=True)
class Draw:
    """Random numbers of one update, float32 on `device` (the protocol `wgan.objectives.Draw`).

    rows, batch: the numbers are those of a batch of `batch` rows, of which `rows` are given; None: all that are asked.
    whole: gives the real samples of all rows; None where those at hand are all. fed: gives the numbers in the place of
    `source`.
    """

    source: torch.Generator
    device: torch.device
    rows: slice | None = None
    batch: int = 0
    whole: Callable[[], Tensor] | None = None
    fed: Numbers | None = None

    def uniform(self, *shape: int) -> Tensor:
        """Independent numbers from U[0, 1), shape as given."""
        shape = self._whole(shape)
        return self._taken(self.fed.uniform(*shape) if self.fed else torch.rand(*shape, generator=self.source))

    def normal(self, *shape: int) -> Tensor:
        """Independent numbers from N(0, 1), shape as given."""
        shape = self._whole(shape)
        return self._taken(self.fed.normal(*shape) if self.fed else torch.randn(*shape, generator=self.source))

    def spread(self, real: Tensor) -> Tensor:
        """The standard deviation (biased) of all numbers of the whole batch that `real` [n, ...] are rows of."""
        numbers = real if self.whole is None else self.whole()
        wide = numbers.float() if numbers.dtype in (torch.bfloat16, torch.float16) else numbers
        return wide.std(correction=0)

    def _whole(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape if self.rows is None else (self.batch, *shape[1:])

    def _taken(self, numbers: Tensor) -> Tensor:
        return (numbers if self.rows is None else numbers[self.rows]).to(self.device)


def draw(
    device: torch.device,
    seed: int,
    purpose: str,
    *position: int,
    rows: slice | None = None,
    batch: int = 0,
    whole: Callable[[], Tensor] | None = None,
) -> Draw:
    """The numbers at (seed, purpose, position), delivered on `device`; with `rows` those of these rows of `batch`."""
    fed = _feeding(seed, purpose, position) if _feeding else None
    return Draw(generator(seed, purpose, *position), device, rows, batch, whole, fed)
