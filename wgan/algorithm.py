"""Algorithm 1 of "Wasserstein GAN" (Arjovsky, Chintala & Bottou 2017), for every objective.

The line numbers are the paper's. Algorithm 1 of WGAN-GP (Gulrajani et al. 2017) differs in the penalty and Adam alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from wgan import seeds
from wgan.data import Data
from wgan.distributed import Share
from wgan.fast.norms import in_parts, keeps_parts_apart
from wgan.objectives import one_power_iteration
from wgan.optimizers import set_lr
from wgan.run import Run
from wgan.spans import span
from wgan.state import State, generate, given, update_average
from wgan.watch import Losses

# every row, in one piece
WHOLE = Share()
# fakes that are made ahead in one pass, unless one update wants more: more take memory and no less time. Images, points
AHEAD = {3: 128, 1: 1024}


def iterate(run: Run, state: State, data: Data, device: torch.device, share: Share = WHOLE) -> Losses:
    """n_critic critic updates, then one generator update (WGAN, Algorithm 1, lines 2-11), at the step sizes as set."""
    for t, samples in enumerate(samples_ahead(run, state, data, device, share)):
        losses = update_critic(run, state, data, device, t, share, samples)
    return replace(losses, generator=update_generator(run, state, data, device, share))


Iterate = Callable[[Run, State, Data, torch.device, Share], Losses]


def update(
    run: Run, state: State, data: Data, device: torch.device, share: Share = WHOLE, iterate: Iterate = iterate
) -> Losses:
    """One step of a run: an iteration of Algorithm 1, with what the run's schedules say around it.

    share: this process's part of each batch; the losses returned are of all parts, their samples of this one. iterate:
    `wgan.graphs` has the same in one piece.
    """
    set_lr(state.critic_optimizer, run.lr_at(state.step, run.critic_optimizer.lr))
    set_lr(state.generator_optimizer, run.lr_at(state.step, run.generator_optimizer.lr))
    losses = iterate(run, state, data, device, share)
    if state.average is not None:
        update_average(state.average, state.generator, run.ema_at(state.step))
    state.step += 1
    return losses


class Samples(NamedTuple):
    """What a critic update looks at: real samples, their labels (int64 [n] or None), and fake ones of those labels."""

    real: Tensor
    labels: Tensor | None
    fake: Tensor


def samples_ahead(
    run: Run, state: State, data: Data, device: torch.device, share: Share = WHOLE
) -> Iterator[Samples | None]:
    """For each critic update of this step its samples, or None: those that it makes by itself.

    The generator is fixed until its own update. Where it takes samples one by one, those of several critic updates are
    made in one pass.
    """
    n, rows = run.n_critic_at(state.step), share.rows(run.batch_size)
    if not keeps_parts_apart(state.generator):
        yield from [None] * n
        return
    together = max(1, AHEAD.get(len(data.shape), 1) // run.batch_size)
    for first in range(0, n, together):
        updates = range(first, min(first + together, n))
        with span("data"):
            places = [state.images + i * run.batch_size for i in range(len(updates))]
            batches = [real_batch(run, data, device, place, run.batch_size, rows) for place in places]
        z = torch.cat([critic_noise(run, state, device, t)[rows] for t in updates])
        labels = [labels for _, labels in batches if labels is not None]
        with precision(run, device), torch.no_grad(), in_parts(len(updates)), span("generator forward"):
            fakes = generate(state.generator, z, torch.cat(labels) if labels else None)
        for (real, own), fake in zip(batches, torch.split(fakes, rows.stop - rows.start), strict=True):
            yield Samples(real, own, fake.to(real.dtype))


def critic_noise(run: Run, state: State, device: torch.device, t: int) -> Tensor:
    """The z [batch_size, z_dim] of critic update t of this step."""
    return seeds.draw(device, run.seed, "critic z", state.step, t).normal(run.batch_size, run.z_dim)


def update_critic(
    run: Run,
    state: State,
    data: Data,
    device: torch.device,
    t: int,
    share: Share = WHOLE,
    samples: Samples | None = None,
) -> Losses:
    """Critic update t of this step, on `samples` where there are some."""
    place, rows = (state.step, t), share.rows(run.batch_size)
    if run.constrain == "before":
        run.objective.constrain(state.critic)
    if samples is None:
        # line 3: sample x_1..x_m ~ P_r
        with span("data"):
            real, labels = real_batch(run, data, device, state.images, run.batch_size, rows)
        # line 4: sample z_1..z_m ~ p(z)
        z = critic_noise(run, state, device, t)[rows]
    else:
        real, labels, fake = samples
    state.critic_optimizer.zero_grad(set_to_none=True)
    split, sums = share.split(run.batch_size), list[Tensor]()

    def whole() -> Tensor:
        return real_batch(run, data, device, state.images, run.batch_size)[0]

    with seeds.scope(run.seed, "critic layers", *place, *share.place), precision(run, device):
        if samples is None:
            # the generator is fixed in critic updates, so its graph is not kept
            with torch.no_grad(), span("generator forward"):
                fake = generate(state.generator, z, labels).to(real.dtype)
        for piece in share.pieces(len(real)):
            # line 5: g_w <- grad_w [E f_w(x) - E f_w(g(z))]; the loss is its negative, plus the penalties
            mine = slice(rows.start + piece.start, rows.start + piece.stop)
            draw = seeds.draw(
                device, run.seed, "penalty", *place, rows=mine, batch=run.batch_size, whole=whole if split else None
            )
            critic = given(state.critic, None if labels is None else labels[piece])
            with one_power_iteration(state.critic, first=piece.start == 0):
                losses = run.objective.critic_loss(critic, real[piece], fake[piece], draw)
            weight = (piece.stop - piece.start) / run.batch_size
            with torch.autocast(device.type, enabled=False), span("critic backward"):
                (losses.loss * weight).backward()
            add(sums, weight, losses.wasserstein, losses.loss.detach(), losses.penalty)
    wasserstein, loss, penalty = share.total(state.critic, sums)
    with span("optimiser"):
        # line 6: w <- w + alpha * RMSProp(w, g_w)
        state.critic_optimizer.step()
        # line 7: w <- clip(w, -c, c)
        if run.constrain == "after":
            run.objective.constrain(state.critic)
    state.images += run.batch_size
    return Losses(wasserstein, loss, penalty, real, fake, labels)


def update_generator(run: Run, state: State, data: Data, device: torch.device, share: Share = WHOLE) -> Tensor:
    """The generator update of this step; returns its loss before the update."""
    size = run.generator_batch_size or run.batch_size
    rows = share.rows(size)
    # line 9: sample z_1..z_m ~ p(z)
    draw = seeds.draw(device, run.seed, "generator z", state.step)
    z = draw.normal(size, run.z_dim)[rows]
    labels = (draw.uniform(size) * len(data.classes)).long()[rows] if run.conditional else None
    # the critic's own gradients are not needed here, and would be half of the cost
    trained = [weight for weight in state.critic.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    state.generator_optimizer.zero_grad(set_to_none=True)
    sums = list[Tensor]()
    with seeds.scope(run.seed, "generator layers", state.step, *share.place), precision(run, device):
        for piece in share.pieces(len(z)):
            real_scores, asked = None, None if labels is None else labels[piece]
            with one_power_iteration(state.critic, first=piece.start == 0):
                if run.objective.pairing.pairs_real:
                    mine = slice(rows.start + piece.start, rows.start + piece.stop)
                    real, real_labels = real_batch(run, data, device, state.images, size, mine)
                    with torch.no_grad():
                        real_scores = given(state.critic, real_labels)(real)
                fake_scores = given(state.critic, asked)(generate(state.generator, z[piece], asked))
            # line 10: g_theta <- -grad_theta E f(g_theta(z))
            loss, part = run.objective.generator_loss(real_scores, fake_scores), len(z[piece]) / size
            with torch.autocast(device.type, enabled=False), span("generator backward"):
                (loss * part).backward()  # type: ignore[no-untyped-call]
            add(sums, part, loss.detach())
    (total,) = share.total(state.generator, sums)
    for weight in trained:
        weight.requires_grad_(True)
    # line 11: theta <- theta - alpha * RMSProp(theta, g_theta)
    with span("optimiser"):
        state.generator_optimizer.step()
    return total


def add(sums: list[Tensor], weight: float, *numbers: Tensor) -> None:
    """Add weight * numbers to `sums`, which is empty at first."""
    found = [weight * number for number in numbers]
    sums[:] = [old + new for old, new in zip(sums, found, strict=True)] if sums else found


def real_batch(
    run: Run, data: Data, device: torch.device, start: int, size: int, rows: slice | None = None
) -> tuple[Tensor, Tensor | None]:
    """Rows of the `size` real samples [n, *shape] from position `start` on, all of them unless told; their labels
    int64 [n] when the run is conditional.
    """
    rows = rows or slice(0, size)
    batch = data.batch(run.seed, start + rows.start, rows.stop - rows.start)
    x = batch.x.to(device)
    if run.dequantize and len(data.shape) == 3:
        # images in [-1, 1] have 256 values that are 2/255 apart
        x = x + seeds.draw(device, run.seed, "dequantize", start).uniform(size, *x.shape[1:])[rows] / 128
    return x, batch.labels.to(device) if run.conditional and batch.labels is not None else None


@contextmanager
def precision(run: Run, device: torch.device) -> Iterator[None]:
    """Inside, the networks' arithmetic is as the run wants it; with bf16, what stays fp32 may be TF32 on a GPU."""
    low = run.precision == "bf16"
    with tensor_cores(low, device), torch.autocast(device.type, torch.bfloat16, enabled=low):
        yield


@contextmanager
def tensor_cores(allowed: bool, device: torch.device) -> Iterator[None]:
    """Inside, float32 products on a GPU are TF32, of 10 bits, or not. Torch by itself lets convolutions be."""
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = allowed
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
