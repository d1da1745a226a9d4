"""`wgan bench`: seconds of a step, ours and the textbook loop's in turn, and what share of the machine that is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from wgan.algorithm import WHOLE, update
from wgan.bench.ceilings import copy, matmul, waiting
from wgan.bench.opponent import Opponent, opponent
from wgan.bench.traffic import Counter, peak_memory
from wgan.data import Data, load
from wgan.data.cache import progress
from wgan.devices import find_device, keep_memory
from wgan.errors import at_least
from wgan.graphs import WARM_UP, fastest, resident
from wgan.run import Run
from wgan.spans import measured
from wgan.state import start

# seconds that each loop goes on for before it is the other's turn: alone on the machine for a while, as training is
TURN = 0.3


@dataclass(frozen=True)
class Benchmark:
    """What `bench` measured. Times are medians of steps done in turn with the textbook's; *_range: least and largest.

    seconds_per_step: of one step of ours. textbook_seconds: of one of the textbook's, None where it has no such run.
    ratio_to_textbook: the second over the first. images_per_second: real samples that the critic sees. parts: seconds
    of a step by what is done. operations, bytes: of a step, counted. matmul_fp32, matmul_bf16: operations a second of a
    large product; copy: bytes a second. ceiling_share: the step's operations a second over those of the product in the
    run's precision. peak_memory_bytes: of the process (CPU) or the allocator (GPU), before the textbook's first step.
    """

    data: str
    device: str
    threads: int
    precision: str
    batch_size: int
    n_critic: int
    repeats: int
    seconds_per_step: float
    seconds_range: tuple[float, float]
    textbook_seconds: float | None
    textbook_range: tuple[float, float] | None
    ratio_to_textbook: float | None
    images_per_second: float
    parts: dict[str, float]
    operations: int
    bytes: int
    matmul_fp32: float
    matmul_bf16: float
    copy: float
    ceiling_share: float
    peak_memory_bytes: int

    def row(self) -> dict[str, Any]:
        """What --json prints."""
        return asdict(self)

    def lines(self) -> list[str]:
        """What `wgan bench` prints."""
        low, high = self.seconds_range
        told = [
            (
                "step",
                f"{seconds(self.seconds_per_step)}",
                f"median of {self.repeats} turns, {seconds(low)} to {seconds(high)}",
            ),
            ("images/s", f"{self.images_per_second:,.0f}", "real samples that the critic sees"),
        ]
        if self.textbook_seconds is not None and self.textbook_range is not None:
            low, high = self.textbook_range
            told += [
                ("textbook", seconds(self.textbook_seconds), f"eager fp32, in turn; {seconds(low)} to {seconds(high)}"),
                ("ratio", f"{self.ratio_to_textbook:.2f}x", "textbook / ours"),
            ]
        rate = self.operations / self.seconds_per_step
        told += [
            ("arithmetic", f"{self.operations / 1e9:.3g} GFLOP", f"a step, so {rate / 1e9:,.0f} GFLOP/s"),
            ("ceiling", f"{100 * self.ceiling_share:.0f} %", f"of a {self.precision} matrix product here"),
            ("products", f"{self.matmul_fp32 / 1e9:,.0f} GFLOP/s", f"fp32; bf16 {self.matmul_bf16 / 1e9:,.0f} GFLOP/s"),
            ("traffic", f"{self.bytes / 1e9:.3g} GB", f"a step at most; a copy runs at {self.copy / 1e9:.3g} GB/s"),
            ("memory", f"{self.peak_memory_bytes / 2**20:,.0f} MiB", "peak"),
        ]
        lines = [
            f"{self.data} on {self.device}, {self.threads} threads, {self.precision}, batch {self.batch_size}, "
            f"n_critic {self.n_critic}"
        ]
        lines += [f"  {name:<12} {value:<16} {meaning}" for name, value, meaning in told]
        lines += ["  where a step's time goes"]
        for name, spent in sorted(self.parts.items(), key=lambda part: -part[1]):
            lines += [f"    {name:<18} {seconds(spent):>9} {100 * spent / sum(self.parts.values()):5.0f} %"]
        return lines


def seconds(value: float) -> str:
    """12.3 ms, 1.23 s"""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def bench(
    run: Run,
    *,
    repeats: int = 5,
    textbook: bool = True,
    device: str = "auto",
    data_root: Path | None = None,
    quiet: bool = True,
) -> Benchmark:
    """Measure `run` on this machine. Nothing is written, but for what is remembered of which kernels are quick.

    repeats: timed turns of each, of TURN seconds and a step at least. textbook: time the textbook loop too, where it
    has the run (the presets' pairings and constraints, no labels), in a process of its own. Errors: UserError for what
    can't be run, as training would raise.
    """
    at_least(1, "repeats", repeats)
    where = find_device(device)
    data = load(run.data, size=run.size, root=data_root, quiet=quiet)
    run = run.resolved(data, where)
    wait = waiting(where)
    with progress("benchmark", 2 * repeats + 4, quiet) as advance:
        operations, traffic = _counted(run, data, where)
        advance(1)
        keep_memory(where)
        state = start(run, data, where)
        source, iterate = resident(data, where), fastest(run, state, where, WHOLE)

        def steps(n: int) -> float:
            wait()
            begin = time.perf_counter()
            for _ in range(n):
                update(run, state, source, where, WHOLE, iterate)
            wait()
            return (time.perf_counter() - begin) / n

        # the first steps also warm up: kernels are chosen, memory is taken, on a GPU a graph is made
        steps(WARM_UP + 2 if where.type == "cuda" else 2)
        memory = peak_memory(where)
        advance(1)
        mine, theirs = _in_turn(steps, opponent(run, where, data_root) if textbook else None, repeats, advance)
        with measured(wait) as parts:
            begin = time.perf_counter()
            for _ in range(repeats):
                # not as one graph, whose parts can't be told apart
                update(run, state, source, where)
            wait()
            total = time.perf_counter() - begin
        advance(2)
    parts = {name: spent / repeats for name, spent in parts.items()}
    parts["other"] = max(0.0, total / repeats - sum(parts.values()))
    fp32, bf16 = (matmul(where, dtype) for dtype in (torch.float32, torch.bfloat16))
    median = statistics.median(mine)
    return Benchmark(
        data=data.name,
        device=str(where),
        threads=torch.get_num_threads(),
        precision=run.precision,
        batch_size=run.batch_size,
        n_critic=run.n_critic,
        repeats=repeats,
        seconds_per_step=median,
        seconds_range=(min(mine), max(mine)),
        textbook_seconds=statistics.median(theirs) if theirs else None,
        textbook_range=(min(theirs), max(theirs)) if theirs else None,
        ratio_to_textbook=statistics.median(theirs) / median if theirs else None,
        images_per_second=run.batch_size * run.n_critic / median,
        parts=parts,
        operations=operations,
        bytes=traffic,
        matmul_fp32=fp32,
        matmul_bf16=bf16,
        copy=copy(where),
        ceiling_share=operations / median / (bf16 if run.precision == "bf16" else fp32),
        peak_memory_bytes=memory,
    )


def _counted(run: Run, data: Data, device: torch.device) -> tuple[int, int]:
    """Operations and bytes of a step of the networks as they are written, without any faster way."""
    plain = replace(run, precision="fp32")
    state = start(plain, data, device, fast=False)
    with Counter() as counter:
        update(plain, state, data, device)
    return counter.operations, counter.bytes


def _in_turn(
    steps: Callable[[int], float], other: Opponent | None, repeats: int, advance: Callable[[int], None]
) -> tuple[list[float], list[float]]:
    """Seconds of a step in each loop's turns, one after the other, so that the machine's moods are shared."""

    def turn(does: Callable[[int], float]) -> partial[float]:
        return partial(does, max(1, round(TURN / does(1))))

    mine, theirs = list[float](), list[float]()
    with other or nullcontext():
        ours = turn(steps)
        if other:
            other.steps(2)
            its = turn(other.steps)
        for _ in range(repeats):
            mine.append(ours())
            if other:
                theirs.append(its())
            advance(2)
    return mine, theirs
