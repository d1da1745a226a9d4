"""An iteration of Algorithm 1 as one CUDA graph: captured once, then replayed without Python between the kernels.

The random numbers and the places of samples are still made on the CPU from (seed, purpose, position), so that one seed
means one run on every device. An iteration that runs as usual notes what it asks for (`Feed`); from then on all of it
is made beforehand, sent in one copy, and read by the graph where it lies. There is a graph for each n_critic.

No torch.compile: it can't differentiate twice, as the penalties do, and what a small network loses on a GPU is the
time of launching its kernels, which a graph of the same kernels has no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd

from wgan.algorithm import Iterate, iterate
from wgan.data import Data
from wgan.distributed import Share
from wgan.graphs.check import TOLERANCES, Kept, addresses, changing, disagreement, networks
from wgan.graphs.feed import Feed
from wgan.run import Run
from wgan.state import State
from wgan.watch import Losses

# iterations as usual before a capture, in which libraries and optimisers get their memory (torch's notes advise 3)
WARM_UP = 3
Replay = Callable[[], Losses]


class Capture(Protocol):
    """What records an iteration on a device, and may change the state. `aside`: where those before it have to run."""

    def aside(self) -> AbstractContextManager[None]: ...
    def __call__(self, iteration: Replay, state: State) -> Replay: ...


def fastest(
    run: Run, state: State, device: torch.device, share: Share, say: Callable[[str], None] = lambda line: None
) -> Iterate:
    """`iterate` as graphs where that may go: on one GPU, in one piece, without dropout. Call it with the loaded state.

    say: told in one line when graphs turn out not to work, whereupon training goes on without.
    """
    split = share.split(max(run.batch_size, run.generator_batch_size))
    layers = [*state.critic.modules(), *state.generator.modules()]
    # a mask is drawn on the GPU from the position's seed, which a graph can't set
    if device.type != "cuda" or split or any(isinstance(layer, _DropoutNd) and layer.p > 0 for layer in layers):
        return iterate
    for optimizer in (state.critic_optimizer, state.generator_optimizer):
        make_capturable(optimizer, device)
    return Graphs(OnGPU(device), say)


def make_capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Lets a graph hold the optimiser's steps: their count and their size are on the device."""
    for group in optimizer.param_groups:
        group["capturable"] = True
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
    for slots in optimizer.state.values():
        slots["step"] = slots["step"].to(device)


class Graphs:
    """`wgan.algorithm.iterate`, called alike: as usual at first, then from a graph that has been compared with it."""

    def __init__(self, capture: Capture, say: Callable[[str], None]) -> None:
        self.capture, self.say = capture, say
        self.off = False
        # by n_critic
        self.warmed = Counter[int]()
        self.feeds: dict[int, Feed] = {}
        self.graphs: dict[int, Captured] = {}

    def __call__(self, run: Run, state: State, data: Data, device: torch.device, share: Share) -> Losses:
        n = run.n_critic_at(state.step)
        graph = self.graphs.get(n)
        if graph is not None and graph.addresses != addresses(state):
            # weights were loaded or moved meanwhile
            self.graphs.clear()
            self.warmed.clear()
            graph = None
        if graph is None and self.warmed[n] == WARM_UP and not self.off:
            graph = self.captured(run, state, self.feeds[n])
        if graph is not None:
            self.graphs[n] = graph
            return self.play(run, state, graph)
        if self.off:
            return iterate(run, state, data, device, share)
        self.warmed[n] += 1
        feed = self.feeds[n] = Feed(data, device, state.step, state.images)
        with self.capture.aside(), feed.noting():
            return iterate(run, state, feed.data, device, share)

    def play(self, run: Run, state: State, graph: Captured) -> Losses:
        images = state.images + run.n_critic_at(state.step) * run.batch_size
        graph.feed.send(state.step, state.images)
        losses = graph.replay()
        state.images = images
        # the next step's numbers, while the device works
        following = self.graphs.get(run.n_critic_at(state.step + 1))
        if following is not None and state.step + 1 < run.steps:
            following.feed.fill(state.step + 1, images)
        return losses

    def captured(self, run: Run, state: State, feed: Feed) -> Captured | None:
        """A graph that does what an iteration as usual does, or None; the state is as before."""
        usual = partial(iterate, run, state, feed.source, feed.device, Share())
        kept = Kept(state)
        try:
            feed.lay_out()
            feed.send(state.step, state.images)
            replay = self.capture(partial(feed.answering, partial(iterate, run, state, feed.data, feed.device)), state)
            trouble = disagreement(state, kept, usual, replay, TOLERANCES[run.precision])
        except Exception as error:  # networks of the user's own may do anything that a graph can't hold
            trouble = (str(error) or type(error).__name__).splitlines()[0]
        kept.restore()
        if trouble:
            self.off = True
            self.graphs.clear()
            self.say(f"training without CUDA graphs, which don't work for this run ({trouble})")
            return None
        return Captured(feed, replay, changing(state), addresses(state))


class Captured(NamedTuple):
    """A graph, what it reads, and what it changes: these tensors, of which some are at these addresses."""

    feed: Feed
    replay: Replay
    changing: list[Tensor]
    addresses: list[int]


class OnGPU:
    """CUDA's stream capture (the protocol `Capture`)."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, work is queued on the stream of the captures, after what was queued before."""
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream(self.device).wait_stream(self.stream)

    def __call__(self, iteration: Replay, state: State) -> Replay:
        # what waits for the device is found out here, as before torch 2.12 a capture that fails leaves damage behind
        with self.aside(), without_waiting():
            iteration()
        graph = torch.cuda.CUDAGraph()
        try:
            # `aside` around it, as a capture that fails doesn't go back to the stream before
            with self.aside(), torch.cuda.graph(graph, stream=self.stream):
                losses = iteration()
        except BaseException:
            # which it leaves in the middle of a capture
            generator = torch.cuda.default_generators[self.stream.device.index]
            generator.graphsafe_set_state(torch.Generator(self.stream.device))
            raise
        gradients = [(weight, weight.grad) for module in networks(state) for weight in module.parameters()]

        def replay() -> Losses:
            graph.replay()
            for weight, gradient in gradients:
                weight.grad = gradient
            return losses

        return replay


@contextmanager
def without_waiting() -> Iterator[None]:
    """Inside, most operations that wait for the device raise RuntimeError."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
