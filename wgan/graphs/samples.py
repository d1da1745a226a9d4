"""Finite data that lie on the GPU as they are stored: a batch is a list of places, and is gathered there.

A batch of 64 images of 3x64x64 is then 512 bytes to send, not 3 MB, and its conversion costs the processor nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wgan.data import Batch, Data, Images, Points
from wgan.data.base import order

# how much of the free memory the samples may take: networks, gradients and optimisers need the rest
SHARE = 0.5
# bytes that are read and sent at once
CHUNK = 256 << 20


@dataclass(frozen=True, eq=False)
class Resident:
    """Images or points on a device (the protocol `wgan.data.Data`): batches as the data's own, bit for bit.

    samples: [count, *shape], uint8 images or float32 points. numbers: labels int64 [count] or None. levels: float32
    [256], what each uint8 stands for; None for points. stride: of the data's batches, which tells torch in which layout
    to convolve images of one channel. `batch` gives tensors on the device.
    """

    name: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    count: int
    fingerprint: str
    samples: Tensor
    numbers: Tensor | None
    levels: Tensor | None
    stride: tuple[int, ...]

    def places(self, seed: int, start: int, n: int) -> Tensor:
        """Where samples start .. start + n - 1 of the stream of `seed` lie: int64 [n], on the CPU."""
        return torch.from_numpy(order(seed, start, n, self.count))

    def gather(self, places: Tensor) -> Batch:
        """The samples at `places`, int64 [n] on the device."""
        x = self.samples.index_select(0, places)
        if self.levels is not None:
            # by table, as a GPU divides by a constant with another last bit than a CPU
            x = self.levels[x.int()]
        x = x.as_strided(x.shape, self.stride)
        return Batch(x, None if self.numbers is None else self.numbers.index_select(0, places))

    def batch(self, seed: int, start: int, n: int) -> Batch:
        """Samples start .. start + n - 1 of the stream of `seed`."""
        return self.gather(self.places(seed, start, n).to(self.samples.device))


def resident(data: Data, device: torch.device) -> Data:
    """`data` on the GPU `device` when it is finite and fits into half of its free memory; else `data` itself."""
    # not a subclass, whose batches may be of its own making
    if device.type == "cuda" and (type(data) is Images or type(data) is Points):
        free, _ = torch.cuda.mem_get_info(device)
        if data.array.nbytes <= SHARE * free:
            return place(data, device)
    return data


def place(data: Images | Points, device: torch.device) -> Resident:
    """`data` on any device, whether it fits or not."""
    dtype = torch.uint8 if isinstance(data, Images) else torch.float32
    samples = torch.empty(data.array.shape, dtype=dtype, device=device)
    step = max(1, CHUNK // max(1, data.array[:1].nbytes))
    for begin in range(0, data.count, step):
        # a copy: the array may be a file that can't be written to, which torch doesn't take
        samples[begin : begin + step] = torch.from_numpy(np.array(data.array[begin : begin + step], order="C"))
    labels = None if data.labels is None else torch.from_numpy(data.labels.astype(np.int64)).to(device)
    return Resident(
        name=data.name,
        shape=data.shape,
        classes=data.classes,
        count=data.count,
        fingerprint=data.fingerprint,
        samples=samples,
        numbers=labels,
        # as `Images.batch` converts
        levels=torch.arange(256).float().div_(127.5).sub_(1.0).to(device) if isinstance(data, Images) else None,
        stride=data.batch(0, 0, 2).x.stride(),
    )
