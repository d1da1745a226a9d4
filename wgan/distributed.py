"""One run over several processes, or in pieces: whose rows of a batch are whose, and how they come together again.

`torchrun --nproc-per-node N -m wgan train ...` starts the processes. Noise, batches and random points are those of the
whole batch in every process, which takes its rows of them; a batch norm's statistics are of all rows; and the gradients
of each update are summed in one all-reduce. So the run is the same whatever their number, up to the order of sums.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from wgan.errors import Lost, UserError
from wgan.fast.norms import leaky, normed, parts_of


@dataclass(frozen=True)
class Share:
    """What this process does of each update: process `rank` of `size`, in pieces of at most `micro_batch` rows.

    micro_batch 0: in one piece.
    """

    rank: int = 0
    size: int = 1
    micro_batch: int = 0

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def split(self, count: int) -> bool:
        """Whether a piece is less than a whole batch of `count`."""
        return self.size > 1 or 0 < self.micro_batch < count

    @property
    def place(self) -> tuple[int, ...]:
        """What tells this process's dropout masks from those of the others; nothing where there is one process."""
        return (self.rank,) if self.size > 1 else ()

    def rows(self, batch: int) -> slice:
        """This process's rows of a batch."""
        return slice(batch * self.rank // self.size, batch * (self.rank + 1) // self.size)

    def pieces(self, count: int) -> list[slice]:
        """Its `count` rows in pieces that are gone through one after another, their gradients summed."""
        step = self.micro_batch or max(1, count)
        return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)]

    def total(self, module: nn.Module, numbers: list[Tensor]) -> list[Tensor]:
        """Sum the gradients of `module`, in place, and the scalars `numbers` over all processes."""
        if self.size == 1:
            return numbers
        gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
        parts = [x.detach().reshape(-1).float() for x in [*gradients, *numbers]]
        flat = torch.cat(parts)
        with telling():
            dist.all_reduce(flat)
        summed = torch.split(flat, [len(part) for part in parts])
        for gradient, found in zip(gradients, summed, strict=False):
            gradient.copy_(found.view_as(gradient))
        return [found.reshape(()) for found in summed[len(gradients) :]]


@contextmanager
def telling() -> Iterator[None]:
    """Turns a broken connection into one line."""
    try:
        yield
    except RuntimeError:
        raise Lost(
            "another process of this run has gone; the same command goes on from the last checkpoint, by itself with "
            "torchrun --max-restarts"
        ) from None


def connect(device: torch.device, micro_batch: int = 0) -> Share:
    """This process's share, as torchrun tells it in the environment; alone without. Joins the others when first called.

    Errors: UserError when the others can't be reached.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return Share(micro_batch=micro_batch)
    if not dist.is_initialized():
        try:
            store, rank, size = next(rendezvous("env://"))
            if os.environ.get("GROUP_WORLD_SIZE") == "1":
                # on one machine torchrun keeps its store over a restart, with the addresses of processes that are gone
                attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
                store = dist.PrefixStore(f"attempt {attempt}", store)  # type: ignore[attr-defined]
            dist.init_process_group(
                "nccl" if device.type == "cuda" else "gloo", store=store, rank=rank, world_size=size
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"can't reach the other processes: {str(error).splitlines()[0]}; start them with torchrun, or unset "
                "WORLD_SIZE to train in one"
            ) from None
        atexit.register(_leave)
    return Share(dist.get_rank(), dist.get_world_size(), micro_batch)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def end(code: int) -> None:
    """End one of several processes, with its work done, without Python's way out.

    There the destructors of gloo's threads abort one process in some twenty, and torchrun starts all of them again.
    """
    if dist.is_initialized() and dist.get_world_size() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        dist.destroy_process_group()
        os._exit(code)


def local_device(name: str) -> str:
    """ "auto" and "cuda" under torchrun mean this process's own GPU of the machine."""
    rank = os.environ.get("LOCAL_RANK")
    if rank is None or name not in ("auto", "cuda") or not torch.cuda.is_available():
        return name
    return f"cuda:{int(rank) % torch.cuda.device_count()}"


@contextmanager
def first_alone(share: Share) -> Iterator[None]:
    """The first process goes through the body before the others: what it downloads and caches they find.

    Its UserError is raised in all of them.
    """
    if share.first:
        try:
            yield
        except UserError as error:
            from_first(share, str(error))
            raise
        from_first(share, "")
    else:
        if message := from_first(share, ""):
            raise UserError(message)
        yield


def from_first(share: Share, value: Any) -> Any:
    """`value` of the first process, in all of them."""
    if share.size == 1:
        return value
    box = [value]
    with telling():
        dist.broadcast_object_list(box)
    return box[0]


def any_number(number: int | None) -> int | None:
    """The largest `number` of all processes, None when none has one: so that a signal to one stops all at one step."""
    if not dist.is_initialized():
        return number
    box = torch.tensor(number or 0)
    with telling():
        dist.all_reduce(box, dist.ReduceOp.MAX)
    return int(box) or None


class Sum(torch.autograd.Function):
    """x summed over all processes; so are the gradients on the way back, to any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        summed = x.clone()
        with telling():
            dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        found: Tensor = Sum.apply(gradient.contiguous())  # type: ignore[no-untyped-call]
        return found


class Normalise(torch.autograd.Function):
    """x [n, c, ...] by the mean and the variance of all processes' rows -> y and, without a gradient, these and the
    count. Torch's own kernels do what visits memory; differentiated twice, it is `normalised`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # float32, so that its statistics are too where x is of less
        one = x.new_ones(x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
        _, mean, inverse = torch.native_batch_norm(x, one, one, None, None, True, 0.0, eps)
        count = x.numel() // x.shape[1]
        # sums in float64: means of squares less squares of means lose digits
        mine, variance = mean.double(), inverse.double().pow(-2) - eps
        sums = torch.cat([mine * count, (variance + mine.square()) * count, mine.new_tensor([count])])
        with telling():
            dist.all_reduce(sums)
        total = sums[-1]
        means, squares = (sums[:-1] / total).chunk(2)
        shared = (squares - means.square()).clamp_min(0)
        mean, variance = means.to(mean.dtype), shared.to(mean.dtype)
        scale, offset = one if weight is None else weight, torch.zeros_like(one) if bias is None else bias
        y = batch_norm(x, mean, variance, scale, offset, False, 0.0, eps)
        ctx.save_for_backward(x, weight, bias, mean, variance, total)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, total)
        return y, mean, variance, total.to(mean.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *rest: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance, total = ctx.saved_tensors
        if torch.is_grad_enabled():
            given = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
            found = iter(torch.autograd.grad(normalised(x, weight, bias, ctx.eps), given, gradient, create_graph=True))
            return *(next(found) if t is not None and t.requires_grad else None for t in (x, weight, bias)), None
        # as if mean and variance were given: then for those, which all rows have in common
        scale = torch.ones_like(mean) if weight is None else weight
        fixed, along, offset = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scale, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        sums = torch.cat([along, offset]).double()
        with telling():
            dist.all_reduce(sums)
        slope, level = (sums / total).to(mean.dtype).chunk(2)
        inverse = (variance + ctx.eps).rsqrt()
        scale = inverse * scale
        shape = [1, -1, *[1] * (x.ndim - 2)]
        of_x, rest_of_it = scale * slope * inverse, scale * (level - slope * inverse * mean)
        change = torch.addcmul(rest_of_it.to(x.dtype).view(shape), x, of_x.to(x.dtype).view(shape))
        needs = ctx.needs_input_grad
        return fixed.sub_(change), along if needs[1] else None, offset if needs[2] else None, None


def normalised(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """The same in operations that can be differentiated to any order."""
    shape = [1, -1, *[1] * (x.ndim - 2)]
    over = [axis for axis in range(x.ndim) if axis != 1]
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    count = wide.new_tensor([wide.numel() // wide.shape[1]])
    sums: Tensor = Sum.apply(torch.cat([wide.sum(over), count]))  # type: ignore[no-untyped-call]
    total = sums[-1].detach()
    centred = wide - (sums[:-1] / total).view(shape)
    squares: Tensor = Sum.apply(centred.square().sum(over))  # type: ignore[no-untyped-call]
    y = centred * (squares / total + eps).rsqrt().view(shape)
    if weight is not None and bias is not None:
        y = y * weight.view(shape) + bias.view(shape)
    return y.to(x.dtype)


class AllProcesses:
    """Where the statistics of a batch norm are of all processes' rows (the protocol `wgan.fast.norms.Others`)."""

    def add(self, sums: Tensor) -> None:
        with telling():
            dist.all_reduce(sums)

    def plainly(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        return normalised(x, weight, bias, eps)


class SharedBatchNorm(_BatchNorm):
    """Batch norm whose statistics are of the rows of all processes. Takes over the tensors of the layer it replaces."""

    knows_parts = True

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            self.register_buffer(name, buffer)
        # what the layer does after its norm (`wgan.fast.norms`)
        self.slope: float = getattr(layer, "slope", 1.0)
        self.train(layer.training)

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.track_running_stats:
            return leaky(super().forward(x), self.slope)
        found = normed(self, x, self.slope, AllProcesses())
        return leaky(torch.cat([self._by_torch(part) for part in parts_of(x)]), self.slope) if found is None else found

    def _by_torch(self, x: Tensor) -> Tensor:
        y, mean, variance, count = Normalise.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._remember(mean, variance * count / (count - 1).clamp_min(1))
        normalised: Tensor = y
        return normalised

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_(variance.to(self.running_var.dtype), rate)


def share_batch_norms(module: nn.Module, share: Share) -> None:
    """Put a SharedBatchNorm in the place of each batch norm below `module`, when there are several processes."""
    if share.size == 1:
        return
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                setattr(parent, name, SharedBatchNorm(child))
