"""Runs so small that a step takes a few milliseconds, and what tests compare of them."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from wgan import checkpoint
from wgan.networks import DCGAN
from wgan.networks import Points as MLPForPoints
from wgan.presets import PRESETS
from wgan.run import Run
from wgan.training import steps
from wgan.watch import Metrics, Options

QUIET = Options(quiet=True, log_every=1000, sample_every=0, save_every=0, device="cpu")
POINTS = MLPForPoints(width=16, depth=2)


def tiny(preset: str, **fields: Any) -> Run:
    """A preset on digits or points with small networks and batches; the rest is the preset's."""
    run = PRESETS[preset].run
    norm = "none" if run.objective.per_sample else "batch"
    networks: Any = DCGAN(filters=4, critic_norm=norm) if run.networks is None else replace(run.networks, filters=4)
    small: dict[str, Any] = {
        "data": "digits",
        "networks": networks,
        "batch_size": 8,
        "z_dim": 8,
        "steps": 5,
        "precision": "fp32",
    }
    small |= {"n_critic": min(run.n_critic, 2), "generator_batch_size": 12 if run.generator_batch_size else 0}
    small |= {"warmup_n_critic": min(run.warmup_n_critic, 7), "warmup_steps": min(run.warmup_steps, 2)}
    small |= {"warmup_every": min(run.warmup_every, 4)}
    return replace(run, **(small | fields))


def bits(tensors: dict[str, Tensor]) -> dict[str, tuple[str, bytes]]:
    """Type and bytes of each tensor, detached from it."""
    return {name: (str(x.dtype), x.detach().cpu().contiguous().numpy().tobytes()) for name, x in tensors.items()}


def train_to(
    run: Run, out: Path | None = None, last: int | None = None, options: Options = QUIET
) -> tuple[dict[str, tuple[str, bytes]], list[Metrics]]:
    """Train and leave the loop after step `last` (None: at the end). Returns the state's bits and the metrics."""
    seen, found = [], {}
    with closing(steps(run, out, options)) as loop:
        for state, metrics in loop:
            seen.append(metrics)
            found = bits(state.tensors())
            if state.step == last:
                break
    return found, seen


def saved(out: Path) -> tuple[int, dict[str, tuple[str, bytes]]]:
    """(step, bits) of the newest checkpoint of a run."""
    path, tensors, header, complaints = checkpoint.newest(out / "checkpoints")
    assert path is not None
    assert complaints == []
    return header["step"], bits(tensors)


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl without what a clock decides."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows]


def rows_of(out: Path) -> list[dict[str, Any]]:
    """All lines of metrics.jsonl, each of which must be whole, untimed."""
    return untimed([json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()])
