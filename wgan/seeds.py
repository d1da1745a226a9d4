"""Every random number follows from (seed, purpose, position): nothing has to be remembered to go on after a stop.

Numbers are drawn on the CPU, so that one seed means one run on every device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    torch.manual_seed(derive(seed, purpose, *position))
    try:
        yield
    finally:
        torch.set_rng_state(before)


@dataclass(frozen=True)
class Draw:
    """Random numbers of one update, float32 on `device` (the protocol `wgan.objectives.Draw`)."""

    source: torch.Generator
    device: torch.device

    def uniform(self, *shape: int) -> Tensor:
        """Independent numbers from U[0, 1), shape as given."""
        return torch.rand(*shape, generator=self.source).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Independent numbers from N(0, 1), shape as given."""
        return torch.randn(*shape, generator=self.source).to(self.device)


def draw(device: torch.device, seed: int, purpose: str, *position: int) -> Draw:
    """The numbers at (seed, purpose, position), delivered on `device`."""
    return Draw(generator(seed, purpose, *position), device)
