"""Short experiments on copies of a checkpoint. Each takes a `Patient` and gives one part of the `Evidence`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.algorithm import update_critic, update_generator
from wgan.data import Data
from wgan.doctor.evidence import Climb, Estimate, Gain, Gap, Layers, Push, Weights
from wgan.doctor.patient import Patient
from wgan.networks import has_batch_norm
from wgan.objectives import Clip, gradient_norms, interpolate
from wgan.state import State, generate, given

# scores of so many samples: the noise of a mean is 3 % of the scores' deviation
SAMPLES = 1024
# the issue's own question: what do 50 more critic updates gain?
CLIMB, LOOKS, LOOK_SAMPLES = 50, 5, 512
# a step size at which any critic of reasonable initial weights moves in 50 updates; tried when the run's own is lower
FAST_LR = 1e-3
PUSHES = 3
BINS = 40


class Batches:
    """Fixed samples to judge a critic on: real [n, *shape] with labels, and fakes of the generator as it trains."""

    def __init__(self, patient: Patient, state: State, data: Data, purpose: str, n: int = SAMPLES) -> None:
        run = patient.run
        n = min(n, data.count or n)
        # batch norm sees batches of the size that it was trained with
        self.size = run.batch_size
        n = max(self.size, n - n % self.size) if has_batch_norm(state.critic) else n
        batch = data.batch(seeds.derive(run.seed, "doctor", *purpose.encode()), 0, n)
        self.real = batch.x.to(patient.device)
        self.labels = batch.labels.to(patient.device) if run.conditional and batch.labels is not None else None
        z = seeds.draw(patient.device, run.seed, f"doctor z {purpose}").normal(n, run.z_dim)
        with torch.no_grad():
            parts = [generate(state.generator, z[at], self._labels(at)).float() for at in self._slices(n)]
        self.fake = torch.cat(parts)
        draw = seeds.draw(patient.device, run.seed, f"doctor between {purpose}")
        self.between = interpolate(self.real, self.fake, draw)

    def _slices(self, n: int) -> list[slice]:
        return [slice(i, min(i + self.size, n)) for i in range(0, n, self.size)]

    def _labels(self, at: slice) -> Tensor | None:
        return None if self.labels is None else self.labels[at]

    def scores(self, critic: nn.Module, x: Tensor) -> Tensor:
        """Scores float64 [m] of the first m samples x [m, *shape], on the CPU."""
        with judging(critic), torch.no_grad():
            parts = [given(critic, self._labels(at))(x[at]) for at in self._slices(len(x))]
        return torch.cat(parts).cpu().double()

    def slopes(self, critic: nn.Module, n: int = SAMPLES) -> Tensor:
        """Gradient norms float64 between the first n real and fake samples, on the CPU."""
        between = self.between[:n]
        with judging(critic):
            parts = [
                gradient_norms(given(critic, self._labels(at)), between[at], create_graph=False).detach()
                for at in self._slices(len(between))
            ]
        return torch.cat(parts).cpu().double()

    def raw_and_slope(self, critic: nn.Module, n: int = SAMPLES) -> tuple[float, float]:
        """(E f(real) - E f(fake), mean slope) on the first n of them."""
        raw = self.scores(critic, self.real[:n]).mean() - self.scores(critic, self.fake[:n]).mean()
        return raw.item(), self.slopes(critic, n).mean().item()


@contextmanager
def judging(critic: nn.Module) -> Iterator[None]:
    """The critic as one function of a sample; with batch norm, which makes it none, as it is trained."""
    training = critic.training
    critic.train(has_batch_norm(critic))
    # running statistics are not what is judged
    momenta = [
        (layer, layer.momentum) for layer in critic.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    for layer, _ in momenta:
        layer.momentum = 0.0
    try:
        yield
    finally:
        critic.train(training)
        for layer, momentum in momenta:
            layer.momentum = momentum


def scale_of(x: Tensor, most: int = SAMPLES) -> float:
    """Mean Euclidean distance between two samples of x [n, ...]."""
    flat = x[:most].flatten(1).float()
    return float(torch.pdist(flat).mean()) if len(flat) > 1 else 1.0


def probe_estimate(patient: Patient, state: State, batches: Batches) -> Estimate:
    """The critic as it is, on fixed batches."""
    raw, slope = batches.raw_and_slope(state.critic)
    corrected = patient.run.objective.corrected(raw, slope)
    w1 = corrected if corrected is not None else raw / slope if slope > 0 else math.nan
    distance = float((batches.real.flatten(1) - batches.fake.flatten(1)).norm(dim=1).mean())
    return Estimate(raw, slope, w1, distance, scale_of(batches.real), len(batches.real))


def probe_gain(patient: Patient, batches: Batches, tick: Callable[[], None] = lambda: None) -> Gain:
    """CLIMB more critic updates with the generator fixed, on copies; `tick` is called after each update."""
    own, *fast = (_climb(patient, lr, batches, tick) for lr in climbs(patient))
    return Gain(own, fast[0] if fast else None, scale_of(batches.real))


def climbs(patient: Patient) -> list[float]:
    """The step sizes that are tried: the run's own, and a faster one where that is slow."""
    own = patient.run.critic_optimizer.lr
    return [own, FAST_LR] if own < FAST_LR else [own]


def _climb(patient: Patient, lr: float, batches: Batches, tick: Callable[[], None]) -> Climb:
    state = patient.state()
    for group in state.critic_optimizer.param_groups:
        group["lr"] = lr
    looks = [CLIMB * i // LOOKS for i in range(LOOKS + 1)]
    values = []
    for t in range(CLIMB + 1):
        if t in looks:
            raw, slope = batches.raw_and_slope(state.critic, LOOK_SAMPLES)
            values.append(raw / slope if slope > 0 else math.nan)
        if t < CLIMB:
            update_critic(patient.run, state, patient.data, patient.device, t)
            tick()
    return Climb(lr, tuple(looks), tuple(values))


def probe_gap(patient: Patient, state: State, train: Batches) -> Gap | None:
    """The critic on its training data beside data that it has not seen; None without any."""
    if patient.held_out is None:
        return None
    held = Batches(patient, state, patient.held_out, "held-out")
    scores = [
        train.scores(state.critic, train.real),
        held.scores(state.critic, held.real),
        train.scores(state.critic, train.fake),
    ]
    train_mean, held_mean, fake_mean = (each.mean().item() for each in scores)
    # however few training samples there are: as many others of the same kind would give another mean
    error = math.sqrt(sum(float(each.var()) / len(each) for each in scores[:2]))
    low, high, counts = _histograms(scores)
    return Gap(train_mean, held_mean, fake_mean, error, len(held.real), patient.held_out.name, low, high, counts)


def _histograms(scores: list[Tensor]) -> tuple[float, float, tuple[tuple[float, ...], ...]]:
    """(low, high, shares in equal bins between them) of all but the farthest 1 % of the scores."""
    together = torch.cat(scores)
    if not together.isfinite().all():
        return 0.0, 1.0, ()
    low, high = (float(together.quantile(q)) for q in (0.005, 0.995))
    return low, high, tuple(tuple((torch.histc(each, BINS, low, high) / len(each)).tolist()) for each in scores)


def probe_layers(state: State, batches: Batches, n: int = 128) -> Layers | None:
    """Gradient norms through the critic at `n` points between real and fake.

    None for too few layers, and for numbers that are none.
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    seen: list[tuple[str, Tensor]] = []

    def hook(name: str) -> Callable[..., None]:
        def keep(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.requires_grad:
                output.retain_grad()
                seen.append((name, output))

        return keep

    handles = [
        layer.register_forward_hook(hook(f"{name} {type(layer).__name__.removeprefix('Parametrized')}"))
        for name, layer in state.critic.named_modules()
        if isinstance(layer, kinds)
    ]
    x = batches.between[:n].detach().requires_grad_()
    labels = None if batches.labels is None else batches.labels[:n]
    try:
        with judging(state.critic), torch.enable_grad():
            given(state.critic, labels)(x).sum().backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
    state.critic.zero_grad(set_to_none=True)
    parts = [("input", x), *seen]
    norms = [float(t.grad.flatten(1).norm(dim=1).mean()) for _, t in parts if t.grad is not None and len(t) == len(x)]
    if len(norms) != len(parts) or len(norms) < 3 or not all(map(math.isfinite, norms)):
        return None
    return Layers(tuple(name for name, _ in parts), tuple(norms))


def probe_weights(patient: Patient, state: State) -> Weights | None:
    """Where a clipped critic's weights lie; None when nothing is clipped."""
    for constraint in patient.run.objective.constraints:
        if isinstance(constraint, Clip):
            flat = torch.cat([w.detach().flatten().float().cpu() for w in state.critic.parameters()]) / constraint.c
            counts = torch.histc(flat.clamp(-1, 1), BINS, -1, 1)
            return Weights(constraint.c, constraint.share(state.critic), tuple(int(c) for c in counts))
    return None


def probe_push(patient: Patient, scale: float) -> Push:
    """PUSHES generator updates on a copy, at the run's step size."""
    run, state = patient.run, patient.state()
    for group in state.generator_optimizer.param_groups:
        group["lr"] = run.generator_optimizer.lr
    n = min(256, max(run.batch_size, 64))
    z = seeds.draw(patient.device, run.seed, "doctor push").normal(n, run.z_dim)
    labels = torch.arange(n, device=patient.device) % len(patient.data.classes) if run.conditional else None
    gradients, moves, kept = [], [], []
    weights = list(state.generator.parameters())
    for _ in range(PUSHES):
        samples, old = _made(state, z, labels), [w.detach().clone() for w in weights]
        loss = update_generator(run, state, patient.data, patient.device)
        steps = [(w.grad, w.detach() - before) for w, before in zip(weights, old, strict=True) if w.grad is not None]
        gradients.append(float(nn.utils.get_total_norm([grad for grad, _ in steps])))
        moves.append(float((_made(state, z, labels) - samples).flatten(1).norm(dim=1).mean()) / scale)
        promised = sum(float((grad * step).sum()) for grad, step in steps)
        # the same step again, hence the same z and layers' noise: its loss is the one after the first update
        after = update_generator(run, state, patient.data, patient.device)
        kept.append(float(after - loss) / promised if promised else 1.0)
        state.step += 1
    return Push(*(sum(values) / PUSHES for values in (gradients, moves, kept)))


@torch.no_grad()
def _made(state: State, z: Tensor, labels: Tensor | None) -> Tensor:
    """Samples as in training: batch norm by the batch."""
    return generate(state.generator, z, labels).float()


def probe_coupling(state: State, batches: Batches) -> float | None:
    """RMS change of the scores of half a batch when the other half is fake instead of real, over their deviation.

    None without batch norm in the critic: then it is 0.
    """
    if not has_batch_norm(state.critic):
        return None
    half = batches.size // 2
    judged, real, fake = batches.real[:half], batches.real[half : 2 * half], batches.fake[:half]
    labels = None if batches.labels is None else batches.labels[: 2 * half]
    if half < 2 or len(real) < half:
        return None
    with judging(state.critic), torch.no_grad():
        with_real, with_fake = (
            given(state.critic, labels)(torch.cat([judged, other]))[:half] for other in (real, fake)
        )
        spread = torch.cat([given(state.critic, labels)(torch.cat([judged, real])), with_fake]).std()
    return float((with_real - with_fake).square().mean().sqrt() / spread.clamp_min(1e-30))
