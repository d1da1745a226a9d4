"""What one process of several does in tests/test_distributed.py, started by torchrun: trains, and keeps the weights."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tiny import POINTS, QUIET, tiny
from torch import Tensor

from wgan.networks import DCGAN
from wgan.objectives import (
    Clip,
    Dragan,
    Objective,
    SpectralNorm,
    hinge,
    logistic,
    relativistic,
    wasserstein,
)
from wgan.optimizers import Adam
from wgan.run import Run
from wgan.training import steps

STEPS = 20
# as many of the runs are trained by four processes, the first ones
FOUR = 7


def smooth(run: Run) -> Run:
    """With an optimiser whose steps are not the sign of a gradient near zero: eps 1e-3."""
    optimizer = Adam(1e-3, 0.0, 0.9, eps=1e-3)
    return replace(run, critic_optimizer=optimizer, generator_optimizer=optimizer, steps=STEPS)


def runs() -> dict[str, Run]:
    """By name; those whose name has "norm" have batch norm somewhere."""
    plain = DCGAN(filters=4, norm="layer", critic_norm="none")
    found = {
        "clip norm": tiny("wgan", objective=Objective(wasserstein, Clip(0.05))),
        "clip": tiny("wgan", objective=Objective(wasserstein, Clip(0.05)), networks=plain),
        "gp": tiny("wgan-gp", networks=plain, n_critic=3),
        "gp critic norm": tiny("wgan-gp", size=16, networks=DCGAN(filters=4), allow_critic_batch_norm=True),
        "spectral": tiny("sngan", networks=plain, objective=Objective(hinge, SpectralNorm())),
        "conditional norm": tiny("wgan-gp", conditional=True),
        "conditional": tiny("wgan-gp", conditional=True, networks=plain, ema=0.9),
        "gp norm": tiny("wgan-gp"),
        "dragan": tiny("dragan", networks=plain, objective=Objective(logistic, Dragan(10.0))),
        "relativistic": tiny("r3gan", networks=plain, objective=Objective(relativistic), generator_batch_size=12),
        "dequantized": tiny("wgan-gp-resnet", networks=plain),
        "points": tiny("wgan-gp", data="8gaussians", networks=POINTS, batch_size=10),
        "bf16 norm": tiny("wgan", precision="bf16"),
    }
    return {name: smooth(run) for name, run in found.items()}


def weights_of(run: Run, micro_batch: int = 0) -> tuple[dict[str, Tensor], list[tuple[float, ...]]]:
    """All weights after the last step, and the losses of each."""
    losses, found = [], {}
    for state, metrics in steps(run, None, replace(QUIET, micro_batch=micro_batch, held_out="none")):
        losses.append((metrics.wasserstein, metrics.critic_loss, metrics.generator_loss))
        found = {name: x.detach().clone() for name, x in state.tensors().items()}
    return found, losses


def main(out: Path) -> None:
    chosen = list(runs().items())[: FOUR if os.environ["WORLD_SIZE"] == "4" else None]
    kept: dict[str, Any] = {name: weights_of(run) for name, run in chosen}
    torch.save(kept, out / f"rank-{os.environ['RANK']}-of-{os.environ['WORLD_SIZE']}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
