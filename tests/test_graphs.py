"""Samples on the GPU and whole iterations as graphs: what of it can be had on a CPU, bit for bit; the rest on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import POINTS, bits, tiny
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wgan.algorithm import iterate, update
from wgan.data import Data, Images, Points, load
from wgan.data import Points as Table
from wgan.distributed import Share
from wgan.graphs.feed import Feed
from wgan.graphs.graph import WARM_UP, Graphs, Replay, fastest, make_capturable
from wgan.graphs.samples import place, resident
from wgan.networks import DCGAN
from wgan.objectives import Constraint, Critic, Draw, Objective, Orthonormal, wasserstein
from wgan.optimizers import Adam, RMSProp, set_lr
from wgan.run import Run
from wgan.state import State, start
from wgan.watch import Losses

CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
RNG = np.random.default_rng(0)

# --- samples on the device -------------------------------------------------------------------------------------------


def stored(kind: str, folder: Path) -> Images | Points:
    labels = RNG.integers(0, 3, 100)
    pixels = RNG.integers(0, 256, (100, 6, 5, 3), dtype=np.uint8)
    if kind == "points":
        return Table("p", RNG.normal(size=(100, 4)).astype(np.float32), labels, ("a", "b", "c"), "x")
    if kind == "channels last":
        return Images("v", pixels.transpose(0, 3, 1, 2), labels, ("a", "b", "c"), "x")
    if kind == "file":
        np.save(folder / "x.npy", pixels)
    data = load("digits" if kind == "digits" else str(folder / "x.npy"))
    assert isinstance(data, Images)
    return data


@pytest.mark.parametrize("kind", ["digits", "points", "channels last", "file"])
def test_batches_on_the_device_are_the_datas_own(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored(kind, tmp_path)
    monkeypatch.setattr("wgan.graphs.samples.CHUNK", 1000)
    there = place(data, CPU)
    assert (there.name, there.shape, there.classes) == (data.name, data.shape, data.classes)
    assert (there.count, there.fingerprint) == (data.count, data.fingerprint)
    # the second runs over the end of an epoch
    for begin, n in ((0, 16), (data.count - 7, 20)):
        ours, its = there.batch(3, begin, n), data.batch(3, begin, n)
        assert ours.x.dtype == its.x.dtype
        assert ours.x.stride() == its.x.stride()
        assert torch.equal(ours.x, its.x)
        assert (ours.labels is None) == (its.labels is None)
        if ours.labels is not None and its.labels is not None:
            assert torch.equal(ours.labels, its.labels)


def test_data_stay_where_they_are_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    data, toy = load("digits"), load("8gaussians")
    assert resident(data, CPU) is data
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (2 * 1797 * 64 - 1, 1 << 40))
    # infinite data; data of which two don't fit
    assert resident(toy, torch.device("cuda")) is toy
    assert resident(data, torch.device("cuda")) is data


# --- iterations in one piece -----------------------------------------------------------------------------------------


class Plain:
    """Instead of a GPU's capture: the iteration is gone through again, and as by a GPU the counter is left alone."""

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def __call__(self, iteration: Replay, state: State) -> Replay:
        def replay() -> Losses:
            images = state.images
            losses = iteration()
            state.images = images
            return losses

        return replay


def follow(run: Run, data: Data, graphs: Graphs | None, steps: int = 6) -> list[dict[str, Any]]:
    """The bits of state, losses and gradients after each step."""
    run = run.resolved(data)
    state, found = start(run, data, CPU), []
    for _ in range(steps):
        losses = update(run, state, data, CPU, iterate=graphs or iterate)
        told = {f"losses.{key}": x for key, x in vars(losses).items() if x is not None}
        gradients = {f"gradient.{key}": w.grad for key, w in state.generator.named_parameters()}
        assert all(w.requires_grad for w in state.critic.parameters())
        found.append(bits(state.tensors() | told | gradients) | {"at": (state.step, state.images)})
    return found


BARE = DCGAN(filters=4, critic_norm="none")
RUNS = {
    "wgan": tiny("wgan", steps=6),
    "wgan with linear decay": tiny("wgan", steps=6, lr_decay="linear"),
    # n_critic is 3 at steps 0, 5, 10 and 15
    "warm-up": tiny("wgan-code", steps=17, warmup_n_critic=3, warmup_steps=1, warmup_every=5),
    "wgan-gp": tiny("wgan-gp", steps=6),
    "wgan-gp in bf16": tiny("wgan-gp", steps=6, precision="bf16"),
    "dequantized": tiny("wgan-gp-resnet", steps=6),
    "dragan": tiny("dragan", steps=6),
    "sngan": tiny("sngan", steps=6),
    "r3gan": tiny("r3gan", steps=6),
    "conditional": tiny("wgan-gp", steps=6, conditional=True, networks=BARE),
    "conditional relativistic": tiny("r3gan", steps=6, generator_batch_size=12, conditional=True),
    "orthonormal": tiny("wgan", steps=6, networks=BARE, objective=Objective(wasserstein, Orthonormal(iterations=3))),
    "points": tiny("wgan", steps=6, data="8gaussians", networks=POINTS),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_fed_iteration_is_the_usual_one(name: str) -> None:
    run, said = RUNS[name], list[str]()
    data = load(run.data)
    expected = follow(run, data, None, run.steps)
    graphs = Graphs(Plain(), said.append)
    assert follow(run, data, graphs, run.steps) == expected
    assert said == []
    # each n_critic has a graph of its own
    assert sorted(graphs.graphs) == ([2, 3] if name == "warm-up" else [run.n_critic])
    if isinstance(data, Images):
        there = place(data, CPU)
        graphs = Graphs(Plain(), said.append)
        assert follow(run, there, graphs, run.steps) == expected
        assert said == []


@pytest.mark.parametrize("name", RUNS)
def test_a_fed_iteration_does_nothing_on_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On tensors without numbers: a number that is asked for is an error, one that comes from the CPU is seen."""
    run, meta = RUNS[name], torch.device("meta")
    data = load(run.data)
    run = run.resolved(data)
    state = start(run, data, CPU)
    feed = Feed(place(data, CPU) if isinstance(data, Images) else data, CPU, 0, 0)
    with feed.noting():
        iterate(run, state, feed.data, CPU, Share())
    for module in (state.critic.to(meta), state.generator.to(meta)):
        module.zero_grad()
    # there is no autocast without a device, and no optimiser; torch's own are made for capture
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    monkeypatch.setattr(torch.optim.RMSprop, "step", lambda self: None)
    there = Feed(place(data, meta) if isinstance(data, Images) else data, meta, 0, 0)
    there.asked = feed.asked
    there.lay_out()
    with OnCPU() as seen:
        losses = there.answering(partial(iterate, run, state, there.data, meta))
    assert seen.operations > 100
    assert seen.there == set()
    assert losses.critic.device == meta
    assert all(weight.grad is not None for weight in state.generator.parameters())


class OnCPU(TorchDispatchMode):
    """Counts operations, and names those with a tensor on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.there = 0, set[str]()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        found = operation(*args, **(kwargs or {}))
        if any(isinstance(x, Tensor) and x.device == CPU for x in tree_leaves((args, kwargs, found))):
            self.there.add(str(operation))
        return found


def test_numbers_are_made_once_for_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen, filled = tiny("wgan-gp", steps=7), list[Tensor](), list[int]()
    fill = Feed.fill
    monkeypatch.setattr(Feed, "fill", lambda self, step, images: filled.append(step) or fill(self, step, images))

    class Watched(Plain):
        def __call__(self, iteration: Replay, state: State) -> Replay:
            state.generator.register_forward_pre_hook(lambda module, z: seen.append(z[0].clone()))
            return super().__call__(iteration, state)

    follow(run, load("digits"), Graphs(Watched(), str), 7)
    # three times to compare, then a step each, all with two passes of the generator: for the critic and for itself
    compared, steps = seen[:6], seen[6:]
    assert len(steps) == (7 - WARM_UP) * 2
    assert all(torch.equal(compared[i], compared[j]) for i in range(2) for j in (i + 2, i + 4))
    assert all(torch.equal(x, y) for x, y in zip(compared[:2], steps[:2], strict=True))
    assert len({x.numpy().tobytes() for x in steps}) == len(steps)
    assert filled == [3, 4, 5, 6]


class Refusing(Plain):
    """A capture that breaks off after it has changed all there is to change."""

    def __call__(self, iteration: Replay, state: State) -> Replay:
        iteration()
        state.critic.requires_grad_(False)
        state.generator.zero_grad()
        raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be ...")


class Changed(Plain):
    """A replay of something else."""

    def __init__(self, change: Callable[[State], None]) -> None:
        self.change = change

    def __call__(self, iteration: Replay, state: State) -> Replay:
        usual = super().__call__(iteration, state)

        def replay() -> Losses:
            losses = usual()
            self.change(state)
            return losses

        return replay


@torch.no_grad()
def scale_weights(state: State) -> None:
    for weight in state.generator.parameters():
        weight.mul_(1.001)


@torch.no_grad()
def forget_statistics(state: State) -> None:
    for buffer in state.generator.buffers():
        buffer.zero_()


@torch.no_grad()
def turn_gradient(state: State) -> None:
    for weight in state.critic.parameters():
        assert weight.grad is not None
        weight.grad.mul_(1.01)


@torch.no_grad()
def overflow(state: State) -> None:
    next(state.critic.parameters()).fill_(torch.nan)


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (Refusing(), "operation not permitted when stream is capturing"),
        (Changed(scale_weights), "generator's change of weights is off by"),
        (Changed(forget_statistics), "generator's change of buffers is off by"),
        (Changed(turn_gradient), "critic's gradient is off by 1 %"),
        (Changed(overflow), "critic's change of weights is off by nan"),
    ],
    ids=["refused", "weights", "buffers", "gradient", "nan"],
)
def test_a_graph_that_is_not_the_iteration_is_not_used(capture: Plain, reason: str) -> None:
    run, said = RUNS["warm-up"], list[str]()
    data = load("digits")
    assert follow(run, data, Graphs(capture, said.append), run.steps) == follow(run, data, None, run.steps)
    # one line for both of its n_critic
    (line,) = said
    assert line.startswith("training without CUDA graphs, which don't work for this run (")
    assert reason in line
    assert "\n" not in line


def test_where_there_are_no_graphs() -> None:
    data = load("digits")
    ready = {rate: tiny("wgan", networks=DCGAN(filters=4, dropout=rate)).resolved(data) for rate in (0.0, 0.5)}
    gpu = torch.device("cuda")
    for device, share, rate in (
        (CPU, Share(), 0.0),
        (gpu, Share(0, 2), 0.0),
        (gpu, Share(micro_batch=4), 0.0),
        # a graph's masks would not be those of (seed, purpose, position)
        (gpu, Share(), 0.5),
    ):
        assert fastest(ready[rate], start(ready[rate], data, CPU), device, share) is iterate


class Fickle(Constraint):
    """Asks for other numbers from time to time."""

    calls = 0

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        self.calls += 1
        return draw.uniform(len(real), 1 + self.calls // 10).sum() * 0


def test_other_questions_than_before_are_noticed() -> None:
    said = list[str]()
    run = replace(RUNS["wgan"], objective=Objective(wasserstein, Fickle()))
    follow(run, load("digits"), Graphs(Plain(), said.append))
    assert said == [
        "training without CUDA graphs, which don't work for this run (an iteration asks for other numbers than the one "
        "before)"
    ]


class Dated(Plain):
    """Tells the steps at which it was asked for a capture."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, iteration: Replay, state: State) -> Replay:
        self.steps.append(state.step)
        return super().__call__(iteration, state)


@torch.no_grad()
def move(state: State) -> None:
    """As `.cpu()` and back does."""
    for weight in state.generator.parameters():
        weight.data = weight.data.clone()


def load_copy(state: State) -> None:
    """The optimisers have new tensors after that, the networks have not."""
    state.load({k: x.clone() for k, x in state.tensors().items()}, {"step": state.step, "images": state.images})


@pytest.mark.parametrize("change", [load_copy, move])
def test_a_state_that_lies_elsewhere_needs_a_new_graph(change: Callable[[State], None]) -> None:
    data, dated, found = load("digits"), Dated(), list[Any]()
    run = replace(RUNS["wgan-gp"], steps=10).resolved(data)
    for iteration in (Graphs(dated, str), iterate):
        state = start(run, data, CPU)
        for step in range(10):
            if step == 5:
                change(state)
            update(run, state, data, CPU, iterate=iteration)
        found.append(bits(state.tensors()))
    assert found[0] == found[1]
    assert dated.steps == [WARM_UP, 5 + WARM_UP]


@pytest.mark.parametrize("optimizer", [RMSProp(0.1), Adam(0.1)], ids=["rmsprop", "adam"])
def test_step_sizes_on_the_device(optimizer: RMSProp | Adam) -> None:
    weight = nn.Parameter(torch.ones(3))
    plain = optimizer.build([weight])
    weight.grad = torch.ones(3)
    plain.step()
    make_capturable(plain, CPU)
    (group,) = plain.param_groups
    lr = group["lr"]
    set_lr(plain, 0.25)
    assert group["lr"] is lr
    assert (float(lr), lr.dtype) == (0.25, torch.float32)
    assert group["capturable"]
    assert float(plain.state[weight]["step"]) == 1
    other = optimizer.build([weight])
    set_lr(other, 0.3)
    assert other.param_groups[0]["lr"] == 0.3


# --- on a GPU --------------------------------------------------------------------------------------------------------


@GPU
@pytest.mark.parametrize("name", RUNS)
def test_a_graph_is_the_usual_iteration(name: str) -> None:
    device, said = torch.device("cuda"), list[str]()
    data = load(RUNS[name].data)
    run = RUNS[name].resolved(data)

    def weights(fast: bool) -> tuple[Tensor, Tensor]:
        state = start(run, data, device)
        source = resident(data, device) if fast else data
        usual = fastest(run, state, device, Share(), said.append)
        assert isinstance(usual, Graphs)
        for _ in range(run.steps):
            losses = update(run, state, source, device, iterate=usual if fast else iterate)
        flat = torch.cat([w.detach().flatten() for w in (*state.critic.parameters(), *state.generator.parameters())])
        return flat, losses.critic

    (ours, loss), (expected, its) = weights(True), weights(False)
    assert said == []
    close = 0.05 if run.precision == "bf16" else 1e-3
    assert float((ours - expected).norm() / expected.norm()) < close
    torch.testing.assert_close(loss, its, rtol=10 * close, atol=10 * close)
