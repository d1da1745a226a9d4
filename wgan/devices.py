"""Which device a run is on."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import time
from functools import lru_cache
from typing import Literal

import torch

from wgan.errors import UserError

# mallopt's names for two thresholds, and what they become: memory that was freed is kept
TRIM_THRESHOLD, MMAP_THRESHOLD, KEPT = -1, -3, 1 << 30
# a product of two matrices of this side tells which precision is quicker, and by how much bf16 has to be
SIDE, QUICKER = 512, 1.2


def find_device(name: str = "auto") -> torch.device:
    """ "auto": a GPU where there is one, else the CPU; otherwise as torch names them ("cpu", "cuda", "cuda:1", "mps").

    Errors: UserError for a name that torch doesn't know and a device that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"unknown device '{name}'; use auto, cpu, cuda, cuda:1, mps") from None
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise UserError(f"device '{name}' is not there; leave --device out or use --device cpu") from None
    if device.type == "meta":
        raise UserError("device 'meta' holds no numbers; use auto, cpu, cuda, cuda:1, mps")
    return device


def keep_memory(device: torch.device) -> None:
    """Have the C library keep freed memory for the next tensor of that size, when the device is a CPU with glibc.

    By default it gives blocks of some MB back at once, and the system clears each page anew: a tenth of a step.
    """
    if device.type == "cpu" and sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            c = ctypes.CDLL(None)
            c.mallopt(MMAP_THRESHOLD, KEPT)
            c.mallopt(TRIM_THRESHOLD, KEPT)


@lru_cache(maxsize=8)
def quickest_precision(device: torch.device) -> Literal["fp32", "bf16"]:
    """ "bf16" where the device has it natively and products are quicker in it, else "fp32"."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    native = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    if device.type != "cpu" or not any(getattr(torch.cpu, name, lambda: False)() for name in native):
        return "fp32"
    return "bf16" if _seconds(torch.float32) > QUICKER * _seconds(torch.bfloat16) else "fp32"


def _seconds(dtype: torch.dtype) -> float:
    """Of a product; the least of five, the first of which warms up."""
    a = torch.ones(SIDE, SIDE, dtype=dtype)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        a @ a
        took.append(time.perf_counter() - begin)
    return min(took)
