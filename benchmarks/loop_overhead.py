"""What the loop costs beside the networks' arithmetic, and the peak memory: CIFAR-10, DCGAN, batch 64.

    python benchmarks/loop_overhead.py [--steps 12] [--data cifar10] [--json]

Times whole steps of `wgan.steps` with logging, EMA and a results folder, and inside the same steps the networks'
arithmetic alone: forward and backward passes, optimiser and clipping. The rest is the loop: data, noise, logging,
averages, bookkeeping. Pictures and checkpoints come every 500 steps by default and are timed apart.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import wgan
from wgan import algorithm
from wgan.watch import Options


class Stopwatch:
    """Sums the time spent inside the functions that it wraps; nested ones count once."""

    def __init__(self) -> None:
        self.seconds, self.depth = 0.0, 0

    def wrap(self, function: Any) -> Any:
        def timed(*arguments: Any, **named: Any) -> Any:
            self.depth += 1
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.depth -= 1
                if not self.depth:
                    self.seconds += time.perf_counter() - begin

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--preset", default="wgan")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    # an average of the generator and a line of the log at each step: the most that the loop ever does
    run = wgan.preset(told.preset, data=told.data, steps=told.steps + 2, ema=0.999)
    networks, loop = Stopwatch(), []
    with contextlib.ExitStack() as stack:
        for owner, name in [
            (algorithm, "generate"),
            (torch.Tensor, "backward"),
            (torch.optim.RMSprop, "step"),
            (torch.optim.Adam, "step"),
            (wgan.Objective, "critic_loss"),
            (wgan.Objective, "constrain"),
        ]:
            original = getattr(owner, name)
            stack.callback(setattr, owner, name, original)
            setattr(owner, name, networks.wrap(original))
        original_given = algorithm.given
        stack.callback(setattr, algorithm, "given", original_given)
        # only the generator update calls what `given` returns outside of critic_loss
        algorithm.given = lambda critic, labels: networks.wrap(original_given(critic, labels))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        options = Options(log_every=10, sample_every=0, save_every=0, quiet=True)
        begin, spent = time.perf_counter(), 0.0
        for state, _ in wgan.steps(run, Path(folder) / "run", options):
            whole, arithmetic = time.perf_counter() - begin, networks.seconds - spent
            if 2 < state.step < run.steps:  # the first warm up, the last saves and draws
                loop.append((whole, whole - arithmetic))
            begin, spent = time.perf_counter(), networks.seconds
    result = {
        "seconds_per_step": statistics.median(whole for whole, _ in loop),
        "loop_seconds_per_step": statistics.median(rest for _, rest in loop),
        # of all steps together, so that the logged ones, which also measure the critic's slope, count
        "loop_share": sum(rest for _, rest in loop) / sum(whole for whole, _ in loop),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": torch.get_num_threads(),
        "steps": len(loop),
    }
    if told.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<24}{value:.4g}")


if __name__ == "__main__":
    main()
