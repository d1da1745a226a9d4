"""What one step asks of the machine: arithmetic, and bytes through memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what every operation computes, reads and writes.

    operations: of matrix products and convolutions, forward and backward; a multiply-add is two. bytes: of the tensors
    that each operation reads and writes, as if nothing stayed in a cache; views cost nothing.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=found)
        if not func.is_view:
            seen = {(x.data_ptr(), x.nbytes) for x in tree_leaves((args, kwargs, found)) if isinstance(x, Tensor)}
            self.bytes += sum(size for _, size in seen)
        return found


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process (CPU) or the device's allocator has held."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) * (1 if sys.platform == "darwin" else 1024)
