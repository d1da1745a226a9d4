"""What a run would be and cost, without training it."""

from __future__ import annotations

import time

import torch

from wgan.algorithm import update
from wgan.data import Data, load
from wgan.devices import find_device
from wgan.log import duration
from wgan.networks import multiply_adds, parameter_count
from wgan.run import Run, to_fields
from wgan.state import State, start
from wgan.watch import Options


def dry_run(run: Run, options: Options) -> list[str]:
    """Lines that tell the resolved run, its networks, and its cost, from two steps that are thrown away.

    Errors: UserError as training would raise.
    """
    device = find_device(options.device)
    data = load(run.data, size=run.size, root=options.data_root, allow_bad=options.allow_bad, quiet=options.quiet)
    run = run.resolved(data, device)
    # a faster way has fewer products than the layer asks for
    state = start(run, data, device, fast=False)
    lines = [f"{name:<24}{value}" for name, value in to_fields(run).items()]
    z, x = torch.zeros(1, run.z_dim, device=device), torch.zeros(1, *data.shape, device=device)
    labels = [torch.zeros(1, dtype=torch.int64, device=device)] if run.conditional else []
    for name, module, given in (("generator", state.generator, z), ("critic", state.critic, x)):
        work = multiply_adds(module, given, *labels)
        lines.append(
            f"{name:<24}{parameter_count(module):,} parameters, {work / 1e6:,.2f} million multiply-adds a sample"
        )
    seconds = _seconds_per_step(run, start(run, data, device), data, device)
    lines.append(f"{'critic updates':<24}{run.n_critic} a step, {run.batch_size} real samples each")
    lines.append(
        f"{'cost':<24}{seconds:.3g} s a step on {device}, {duration(seconds * run.steps)} for {run.steps:,} steps"
    )
    return lines


def _seconds_per_step(run: Run, state: State, data: Data, device: torch.device) -> float:
    """Of the second of two steps: the first one also warms up."""
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        update(run, state, data, device).critic.item()
        seconds = time.perf_counter() - begin
    return seconds
