"""Does `wgan doctor` name what is wrong, and keep silent where nothing is? Sick and healthy runs, three seeds each.

    OMP_NUM_THREADS=1 python benchmarks/doctor_table.py [--seeds 0 1 2] [--only digits-gp ...] [--out results/doctor]

Trains small runs (digits of 8 x 8 or 16 x 16 pixels, toy points; 5 to 25 s each on one quiet core), each sick one made
from a healthy one by one change, examines them, and prints the table of docs/doctor.md: in how many seeds the sickness
was named, in how many the log alone gave a warning during training, what else was found, what each check measured.
Runs that are there already are not trained again.

Thresholds were set on seeds 10, 11, 12; the table in the documents is of seeds 0, 1, 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import wgan
from wgan.algorithm import update_critic
from wgan.data import load
from wgan.doctor import Watcher, examine
from wgan.doctor.critic_checks import GAIN_FLOOR, wrong_share
from wgan.doctor.patient import open_patient
from wgan.results import open_results
from wgan.run import Run, with_lr
from wgan.state import start
from wgan.watch import Options

QUIET = Options(quiet=True, sample_every=0, save_every=0, device="cpu", heldout_every=50)


@dataclass(frozen=True)
class Case:
    """expected: the finding that must be made, "" for healthy runs. held_out: as for wgan doctor."""

    run: Run
    expected: str = ""
    held_out: str = "auto"
    plant: Callable[[Run, Path, Path], None] | None = None


def run_of(preset: str, lr: float, generator_lr: float | None = None, **fields: Any) -> Run:
    return with_lr(wgan.preset(preset, **fields), critic=lr, generator=generator_lr or lr)


def sick(base: Run, critic: float = 1, generator: float = 1, **fields: Any) -> Run:
    """`base` with its step sizes multiplied and fields changed."""
    run = with_lr(base, critic=base.critic_optimizer.lr * critic, generator=base.generator_optimizer.lr * generator)
    return wgan.run.from_fields(fields, run)


def cases(root: Path) -> dict[str, Case]:
    """All runs by name; `root` is where the small data sets are put."""
    plain, batch = "dcgan(filters=16, critic_norm='none')", "dcgan(filters=16)"
    points: dict[str, Any] = {"networks": "points(width=64, depth=3)", "z_dim": 8, "batch_size": 128, "steps": 400}
    digits: dict[str, Any] = {"data": "digits", "z_dim": 16, "steps": 300}
    gp = run_of("wgan-gp", 1e-3, networks=plain, **digits)
    wide = run_of(
        "wgan-gp", 1e-3, networks="dcgan(filters=8, critic_norm='none')", size=16, **(digits | {"steps": 200})
    )
    clip = run_of("wgan", 5e-4, networks=batch, **(digits | {"steps": 500}))
    sn = run_of("sngan", 2e-3, networks=plain, generator_batch_size=64, **(digits | {"steps": 400}))
    lp8 = run_of("wgan-lp", 1e-3, data="8gaussians", **points)
    gp25 = run_of("wgan-gp", 1e-3, data="25gaussians", objective="wasserstein + gp(weight=0.1)", **points)
    clip8 = run_of("wgan", 5e-4, data="8gaussians", objective="wasserstein + clip(c=0.1)", **points)
    most, few = str(root / "digits-split.npz"), str(root / "digits-100.npz")
    return {
        "digits wgan-gp": Case(gp),
        "digits wgan": Case(clip),
        "digits sngan": Case(sn),
        "8gaussians wgan-lp": Case(lp8),
        "25gaussians wgan-gp, weight 0.1": Case(gp25),
        "8gaussians wgan, c 0.1": Case(clip8),
        "16 x 16 digits wgan-gp": Case(wide),
        "1,400 digits wgan-gp, 397 held out": Case(replace(gp, data=most)),
        "digits wgan-gp, critic lr / 100": Case(sick(gp, critic=0.01), "critic-not-converged"),
        "digits sngan, critic lr / 100": Case(sick(sn, critic=0.01), "critic-not-converged"),
        "25gaussians wgan-gp, critic lr / 100": Case(sick(gp25, critic=0.01), "critic-not-converged"),
        "digits wgan-gp, generator lr x 100": Case(sick(gp, generator=100), "generator-too-fast"),
        "digits sngan, generator lr x 100": Case(sick(sn, generator=100), "generator-too-fast"),
        "8gaussians wgan-lp, generator lr x 100": Case(sick(lp8, generator=100), "generator-too-fast"),
        "16 x 16 digits wgan-gp, critic batch norm": Case(
            sick(wide, networks="dcgan(filters=8)", allow_critic_batch_norm=True), "batch-norm-in-penalised-critic"
        ),
        "digits wgan, c / 100": Case(sick(clip, objective="wasserstein + clip(c=1e-4)"), "clip-too-small"),
        "8gaussians wgan, c / 30": Case(sick(clip8, objective="wasserstein + clip(c=0.003)"), "clip-too-small"),
        "digits wgan, c x 100": Case(sick(clip, objective="wasserstein + clip(c=1.0)"), "clip-too-large"),
        "8gaussians wgan, c x 10": Case(sick(clip8, objective="wasserstein + clip(c=1.0)"), "clip-too-large"),
        "100 digits wgan-gp, 1,697 held out": Case(replace(gp, data=few, steps=600), "critic-overfits"),
        "digits wgan-gp, generator of one class": Case(gp, "mode-collapse", plant=plant_class),
        "8gaussians wgan-lp, generator of two modes": Case(lp8, "mode-collapse", plant=plant_modes),
        "digits wgan-gp, generator deaf to z": Case(gp, "dead-generator", plant=plant_constant),
    }


def make_data(root: Path) -> None:
    """Digits split in two ways, one class of them, and two modes of eight."""
    root.mkdir(parents=True, exist_ok=True)
    digits = load("digits")
    order = np.random.default_rng(0).permutation(len(digits.array))
    x, labels = digits.array[order], digits.labels[order]
    for name, n in (("digits-split", 1400), ("digits-100", 100)):
        np.savez(root / f"{name}.npz", x_train=x[:n], x_test=x[n:])
    np.savez(root / "digits-0.npz", images=x[labels == 0])
    toy = load("8gaussians").batch(0, 0, 8192).x.numpy()
    np.savez(root / "modes-2.npz", x=toy[(toy[:, 0] > 0.5) & (toy[:, 1] > -0.5)])


def plant_class(run: Run, folder: Path, root: Path) -> None:
    _plant(run, folder, replace(run, data=str(root / "digits-0.npz")))


def plant_modes(run: Run, folder: Path, root: Path) -> None:
    _plant(run, folder, replace(run, data=str(root / "modes-2.npz")))


def plant_constant(run: Run, folder: Path, root: Path) -> None:
    """A generator whose first layer has forgotten z."""
    _plant(run, folder, replace(run, steps=100), deaf=True)


def _plant(run: Run, folder: Path, narrow: Run, deaf: bool = False, steps: int = 100) -> None:
    """The generator of `narrow`, and a critic trained beside it on all of the data, as a run of `run`."""
    for state, _ in wgan.steps(narrow, None, QUIET):
        generator = state.generator
    data = load(run.data)
    run, device = run.resolved(data), torch.device("cpu")
    state = start(run, data, device)
    state.generator.load_state_dict(generator.state_dict())
    if deaf:
        with torch.no_grad():
            next(state.generator.parameters()).zero_()
    for _ in range(steps):
        for t in range(run.n_critic):
            update_critic(run, state, data, device, t)
        state.step += 1
    results = open_results(folder, run, data)
    results.save(state, 0.0, 1, 0)
    results.close()


def row_of(case: Case, folder: Path, root: Path) -> dict[str, Any]:
    """Train, plant or find the run, examine it: names of findings and the figure of each check."""
    if not (folder / "checkpoints").exists() or not any((folder / "checkpoints").iterdir()):
        if case.plant:
            case.plant(case.run, folder, root)
        else:
            wgan.train(case.run, folder, QUIET)
    diagnosis = examine(folder, held_out=case.held_out, device="cpu")
    patient = open_patient(folder, held_out="none", device="cpu", quiet=True)
    watcher = Watcher(patient.run, patient.state())
    e = diagnosis.evidence
    push, gap, variety = e.push, e.gap, e.variety
    return {
        "findings": [finding.name for finding in diagnosis.findings],
        "warned": [finding.name for row in patient.rows for finding in watcher.see(row)] if patient.rows else None,
        "gain %": 100 * e.gain.relative(GAIN_FLOOR),
        "below 0 %": None if wrong_share(e) is None else 100 * wrong_share(e),
        "slope": e.estimate.slope,
        "gap %": 100 * gap.share if gap else None,
        "+-": 100 * gap.error / abs(gap.train - gap.fake) if gap else None,
        "move %": 100 * push.move,
        "kept %": 100 * push.kept,
        "overshoot %": 100 * push.overshoot,
        "spread %": 100 * variety.spread,
        "groups %": 100 * variety.covered / variety.cells,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=None, help="parts of the cases' names")
    parser.add_argument("--out", type=Path, default=Path("results/doctor"))
    told = parser.parse_args()
    torch.set_num_threads(1)
    root = told.out / "data"
    make_data(root)
    begun = False
    for name, case in cases(root).items():
        if told.only is not None and not any(part in name for part in told.only):
            continue
        rows = []
        for seed in told.seeds:
            folder = told.out / f"{name.replace(' ', '_').replace('/', 'over').replace(',', '')}-{seed}"
            rows.append(row_of(replace(case, run=replace(case.run, seed=seed)), folder, root))
        if not begun:
            names = ["run", "named", "warned", "also", *figures(rows[0])]
            print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
            begun = True
        print(f"| {' | '.join(line(name, case, rows))} |", flush=True)


def figures(row: dict[str, Any]) -> list[str]:
    """The names of a row's numbers."""
    return [key for key in row if key not in ("findings", "warned")]


def line(name: str, case: Case, rows: list[dict[str, Any]]) -> list[str]:
    """The cells of one case, from one row a seed."""
    named = sum(hit(case, row["findings"]) for row in rows)
    warned = [hit(case, row["warned"]) for row in rows if row["warned"] is not None]
    others = [finding for row in rows for finding in row["findings"] if finding != case.expected]
    also = ", ".join(f"{finding} {others.count(finding)}" for finding in dict.fromkeys(others))
    what = f"{case.expected or 'nothing found'} {named}/{len(rows)}"
    cells = [what.replace("-", " "), f"{sum(warned)}/{len(warned)}" if warned else "-", also.replace("-", " ")]
    return [name, *cells, *(" ".join(brief(row[key]) for row in rows) for key in figures(rows[0]))]


def hit(case: Case, found: list[str]) -> bool:
    """Whether the expected finding was made; of a healthy run, that none was."""
    return case.expected in found if case.expected else not found


def brief(number: float | None) -> str:
    return "-" if number is None else f"{number:.2g}" if abs(number) < 9.95 else f"{number:.0f}"


if __name__ == "__main__":
    main()
