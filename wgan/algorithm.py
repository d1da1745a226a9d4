"""Algorithm 1 of "Wasserstein GAN" (Arjovsky, Chintala & Bottou 2017), for every objective.

The line numbers are the paper's. Algorithm 1 of WGAN-GP (Gulrajani et al. 2017) differs in the penalty and Adam alone.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from wgan import seeds
from wgan.data import Data
from wgan.run import Run
from wgan.state import State, generate, given, update_average
from wgan.watch import Losses


def update(run: Run, state: State, data: Data, device: torch.device) -> Losses:
    """One step: n_critic critic updates, then one generator update (WGAN, Algorithm 1, lines 2-11)."""
    for optimizer, part in (
        (state.critic_optimizer, run.critic_optimizer),
        (state.generator_optimizer, run.generator_optimizer),
    ):
        for group in optimizer.param_groups:
            group["lr"] = run.lr_at(state.step, part.lr)
    for t in range(run.n_critic_at(state.step)):
        losses = update_critic(run, state, data, device, t)
    losses = replace(losses, generator=update_generator(run, state, data, device))
    if state.average is not None:
        update_average(state.average, state.generator, run.ema_at(state.step))
    state.step += 1
    return losses


def update_critic(run: Run, state: State, data: Data, device: torch.device, t: int) -> Losses:
    """Critic update t of this step."""
    place = (state.step, t)
    if run.constrain == "before":
        run.objective.constrain(state.critic)
    # line 3: sample x_1..x_m ~ P_r
    real, labels = real_batch(run, data, device, state.images, run.batch_size)
    # line 4: sample z_1..z_m ~ p(z); the generator is fixed in critic updates, so its graph is not kept
    z = seeds.draw(device, run.seed, "critic z", *place).normal(run.batch_size, run.z_dim)
    with seeds.scope(run.seed, "critic layers", *place), precision(run, device):
        with torch.no_grad():
            fake = generate(state.generator, z, labels).to(real.dtype)
        # line 5: g_w <- grad_w [E f_w(x) - E f_w(g(z))]; the loss is its negative, plus the penalties
        draw = seeds.draw(device, run.seed, "penalty", *place)
        losses = run.objective.critic_loss(given(state.critic, labels), real, fake, draw)
    state.critic_optimizer.zero_grad(set_to_none=True)
    losses.loss.backward()  # type: ignore[no-untyped-call]
    # line 6: w <- w + alpha * RMSProp(w, g_w)
    state.critic_optimizer.step()
    # line 7: w <- clip(w, -c, c)
    if run.constrain == "after":
        run.objective.constrain(state.critic)
    state.images += run.batch_size
    wasserstein = losses.real_scores.mean() - losses.fake_scores.mean()
    return Losses(wasserstein.detach(), losses.loss.detach(), losses.penalty, real, fake, labels)


def update_generator(run: Run, state: State, data: Data, device: torch.device) -> Tensor:
    """The generator update of this step; returns its loss before the update."""
    size = run.generator_batch_size or run.batch_size
    # line 9: sample z_1..z_m ~ p(z)
    draw = seeds.draw(device, run.seed, "generator z", state.step)
    z = draw.normal(size, run.z_dim)
    labels = (draw.uniform(size) * len(data.classes)).long() if run.conditional else None
    # the critic's own gradients are not needed here, and would be half of the cost
    trained = [weight for weight in state.critic.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    with seeds.scope(run.seed, "generator layers", state.step), precision(run, device):
        real_scores = None
        if run.objective.pairing.pairs_real:
            real, real_labels = real_batch(run, data, device, state.images, size)
            with torch.no_grad():
                real_scores = given(state.critic, real_labels)(real)
        fake_scores = given(state.critic, labels)(generate(state.generator, z, labels))
        # line 10: g_theta <- -grad_theta E f(g_theta(z))
        loss = run.objective.generator_loss(real_scores, fake_scores)
    state.generator_optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for weight in trained:
        weight.requires_grad_(True)
    # line 11: theta <- theta - alpha * RMSProp(theta, g_theta)
    state.generator_optimizer.step()
    return loss.detach()


def real_batch(run: Run, data: Data, device: torch.device, start: int, size: int) -> tuple[Tensor, Tensor | None]:
    """Real samples [size, *shape] from position `start` on; their labels int64 [size] when the run is conditional."""
    batch = data.batch(run.seed, start, size)
    x = batch.x.to(device)
    if run.dequantize and len(data.shape) == 3:
        # images in [-1, 1] have 256 values that are 2/255 apart
        x = x + seeds.draw(device, run.seed, "dequantize", start).uniform(*x.shape) / 128
    return x, batch.labels.to(device) if run.conditional and batch.labels is not None else None


def precision(run: Run, device: torch.device) -> torch.autocast:
    """Inside, the networks' arithmetic is as the run wants it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=run.precision == "bf16")
