"""Does bf16 end where fp32 ends? The 25 Gaussians and the digits of `make train`, both ways, over seeds.

    python benchmarks/precision.py [--seeds 5] [--points-steps 1000] [--points-width 128] [--points-batch 256]

25 Gaussians: preset wgan-gp with RECIPE; the exact distances W1 and W2 to the distribution, the modes found and the
share of good samples, by `wgan.evaluate` on 2,500 samples. Digits: the run of `make train`; the share of conditional
samples that a classifier takes for their label (benchmarks/readable_digits.py). Each line has the mean over seeds and
the range. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import runpy
import shlex
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

import wgan
from wgan.cli import main as command
from wgan.evaluation import evaluate

ROOT = Path(__file__).parent.parent
# that the modes are found in minutes
RECIPE: dict[str, Any] = {
    "z_dim": 2,
    "lr_decay": "linear",
    "critic_optimizer": "adam(lr=1e-3)",
    "generator_optimizer": "adam(lr=1e-3)",
}


def points(precision: str, seed: int, told: argparse.Namespace, folder: Path) -> dict[str, float]:
    """What `wgan evaluate` says of the 25 Gaussians."""
    own = {
        "steps": told.points_steps,
        "batch_size": told.points_batch,
        "networks": f"points(width={told.points_width})",
    }
    run = wgan.preset("wgan-gp", data="25gaussians", seed=seed, precision=precision, **own, **RECIPE)
    wgan.train(run, folder, wgan.Options(quiet=True, held_out="none"))
    return {row.key: row.value for row in evaluate(folder).rows if row.key in ("modes", "high_quality", "w1", "w2")}


def digits(precision: str, seed: int, folder: Path) -> dict[str, float]:
    """The share of digits that can be read."""
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "wgan train digits" in line)
    told = shlex.split(line.split("bin/wgan ")[1])
    command([*told, "--out", str(folder), "--quiet", "--precision", precision, "--seed", str(seed)])
    reading = runpy.run_path(str(ROOT / "benchmarks" / "readable_digits.py"))
    return {"readable": reading["readable"](reading["reader"]()[0], wgan.load(folder))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--points-steps", type=int, default=1000)
    parser.add_argument("--points-width", type=int, default=128)
    parser.add_argument("--points-batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("points", "digits"))
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    for name in ("points", "digits"):
        if told.only not in (None, name):
            continue
        for precision in ("fp32", "bf16"):
            found: list[dict[str, float]] = []
            for seed in range(told.seeds):
                with tempfile.TemporaryDirectory() as folder:
                    where = Path(folder) / "run"
                    found.append(
                        points(precision, seed, told, where) if name == "points" else digits(precision, seed, where)
                    )
            for key in found[0]:
                values = [each[key] for each in found]
                spread = f"{statistics.mean(values):.4g}  {min(values):.4g} to {max(values):.4g}"
                print(f"{name:7} {precision}  {key:24} {spread}", flush=True)


if __name__ == "__main__":
    main()
