"""What the machine can do: the rate of a large matrix product, and of a copy."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

# the product of two square matrices of this side
SIDE, SIDE_ON_GPU = 2048, 8192
COPIED = 1 << 28
REPEATS = 5


def waiting(device: torch.device) -> Callable[[], None]:
    """A function that returns when the device has done what it was given."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def matmul(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second (a multiply-add is two) of the best of REPEATS products."""
    side = SIDE_ON_GPU if device.type == "cuda" else SIDE
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return float(2 * side**3 / _best(lambda: a @ b, device))


def copy(device: torch.device) -> float:
    """Bytes a second, read and written, of the best of REPEATS copies of 256 MiB."""
    a = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    b = torch.zeros_like(a)
    return 2 * COPIED / _best(lambda: b.copy_(a), device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    wait, seconds = waiting(device), []
    work()
    for _ in range(REPEATS):
        wait()
        begin = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
