"""Which way is the quickest for a convolution: measured once for a shape, and remembered on this machine.

The ways differ in the order of sums, so a run's last bits depend on the choice: remembered, it is the same in the next
process. WGAN_TUNING=0 measures nothing, and a fixed rule decides; so it does where nothing can be remembered.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from wgan.fast import ways
from wgan.fast.maps import LAST
from wgan.fast.native import cache_folder, digest, library, processor

# each way is run twice at least, and until it took this many seconds; the least counts, the first one also warms up
ENOUGH = 0.1
# rows of a batch that are measured: more go at the same rate
MOST_ROWS = 64
# with fewer channels than this, a patch is a short row: columns may be quickest there, and nowhere else
FEW = 16

Way = Callable[[Tensor, Tensor, int, int], Tensor]


def _library_convolve(x: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    return conv2d(x, w.to(x.dtype), None, stride, padding)


def _library_spread(y: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    return conv_transpose2d(y, w.to(y.dtype), None, stride, padding)


CONVOLVE: dict[str, Way] = {
    "library": _library_convolve,
    "columns": ways.column_convolve,
    "winograd": ways.winograd_convolve,
}
SPREAD: dict[str, Way] = {
    "library": _library_spread,
    "columns": ways.column_spread,
    "winograd": ways.winograd_spread,
}


class Shape(NamedTuple):
    """What a choice is made for: x [n, c, height, width] in `dtype`, w [o, c, kernel, kernel]; spread: its adjoint."""

    spread: bool
    n: int
    c: int
    o: int
    height: int
    width: int
    kernel: int
    stride: int
    padding: int
    dtype: str


def convolve(x: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    """conv2d(x, w, None, stride, padding) for a square kernel w [o, c, k, k], by the quickest way."""
    if not _ours(x, w):
        return conv2d(x, w, None, stride, padding)
    x = _cast(x)
    shape = Shape(False, _rows(len(x)), *_sizes(w), x.shape[2], x.shape[3], w.shape[2], stride, padding, str(x.dtype))
    return CONVOLVE[choose(shape, torch.get_num_threads())](x, w, stride, padding)


def spread(y: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    """conv_transpose2d(y, w, None, stride, padding) for a square kernel w [o, c, k, k], by the quickest way."""
    if not _ours(y, w):
        return conv_transpose2d(y, w, None, stride, padding)
    y = _cast(y)
    height, width = ((length - 1) * stride - 2 * padding + w.shape[2] for length in y.shape[2:])
    shape = Shape(True, _rows(len(y)), *_sizes(w), height, width, w.shape[2], stride, padding, str(y.dtype))
    return SPREAD[choose(shape, torch.get_num_threads())](y, w, stride, padding)


def _ours(x: Tensor, w: Tensor) -> bool:
    # maps.c reads weights as float32
    known = x.dtype in (torch.float32, torch.bfloat16) and w.dtype == torch.float32
    return x.device.type == "cpu" and known and library() is not None


def _cast(x: Tensor) -> Tensor:
    """In the precision that autocast asks for."""
    return x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x


def _sizes(w: Tensor) -> tuple[int, int]:
    """c, o"""
    return w.shape[1], w.shape[0]


def _rows(n: int) -> int:
    """A batch size up to a power of two, at most MOST_ROWS: the last batch of a set needs no measurement of its own."""
    return min(MOST_ROWS, 1 << max(0, n - 1).bit_length())


@lru_cache(maxsize=4096)
def choose(shape: Shape, threads: int) -> str:
    """The name of the quickest way there and back for `shape`."""
    table = SPREAD if shape.spread else CONVOLVE
    fixed = candidates(shape)[0]
    if os.environ.get("WGAN_TUNING") == "0":
        return fixed
    key = f"{threads} threads {' '.join(map(str, shape))}"
    known = _read().get(key)
    if known in table:
        return known
    try:
        with _alone():
            # another process may have measured it meanwhile: all of them take what the first one found
            if (known := _read().get(key)) not in table:
                known = _quickest(shape)
                _write(_read() | {key: known})
    except OSError:
        return fixed
    return known


def candidates(shape: Shape) -> list[str]:
    """The ways that may be quickest, the likeliest first."""
    if min(shape.c, shape.o) < FEW:
        return ["columns", "library"]
    if ways.winograd_fits(shape.kernel, shape.stride, shape.padding, shape.height, shape.width):
        return ["winograd", "library"]
    return ["library", "columns"]


def _quickest(shape: Shape) -> str:
    table = SPREAD if shape.spread else CONVOLVE
    return min(candidates(shape), key=lambda way: seconds(table[way], shape))


def seconds(way: Way, shape: Shape) -> float:
    """Of one convolution there and back."""
    source = torch.Generator().manual_seed(0)
    dtype = {"torch.float32": torch.float32, "torch.bfloat16": torch.bfloat16}[shape.dtype]
    height, width = (
        (length + 2 * shape.padding - shape.kernel) // shape.stride + 1 for length in (shape.height, shape.width)
    )
    size = (shape.n, shape.o, height, width) if shape.spread else (shape.n, shape.c, shape.height, shape.width)
    x, w = torch.randn(size, generator=source), torch.randn(shape.o, shape.c, *[shape.kernel] * 2, generator=source)
    x = x.to(dtype).contiguous(memory_format=LAST).requires_grad_()
    w = w.contiguous(memory_format=LAST).requires_grad_()
    took: list[float] = []
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        while len(took) < 2 or sum(took) < ENOUGH:
            begin = time.perf_counter()
            y = way(x, w, shape.stride, shape.padding)
            torch.autograd.grad(y, (x, w), torch.ones_like(y))
            took.append(time.perf_counter() - begin)
    return min(took)


# --- the memory -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def cache_file() -> Path:
    """Where choices are remembered, for this processor and this torch."""
    return cache_folder() / f"convolutions-{digest(processor() + torch.__version__)}.json"


def _read() -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(cache_file().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {key: way for key, way in found.items() if isinstance(way, str)}
    return {}


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Inside, no other process measures. Errors: OSError where nothing can be remembered."""
    import fcntl

    file = cache_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(known: dict[str, str]) -> None:
    file = cache_file()
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(json.dumps(known, indent=0), encoding="utf-8")
    os.replace(aside, file)
