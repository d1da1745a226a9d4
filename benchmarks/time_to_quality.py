"""Quality against training time: the textbook loop and the package's, on the same run and the same networks.

    python benchmarks/time_to_quality.py run textbook --preset wgan-gp --seed 0 --minutes 10 --out results/quality
    python benchmarks/time_to_quality.py run ours --preset wgan-gp --seed 0 --minutes 10 --out results/quality
    python benchmarks/time_to_quality.py report --out results/quality --png docs/images/time-to-quality.png

Quality is the figure of `wgan train --evaluate-every`: for CIFAR-10 the Frechet distance to training images in the
features of the package's own classifier (docs/metrics.md), of the running average where there is one, from the same
noise at every measurement and for both loops. Time is that of training steps alone, not of loading and measuring: CPU
seconds of the process, which on one thread hardly depend on what else the machine does; wall seconds are kept beside
them. The package's step is `wgan.algorithm.update`, without the log and the checkpoints around it. CPU only. A run ends
after --minutes, or at its last step.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from textbook import Textbook, has

import wgan
from wgan.algorithm import update
from wgan.data import Data, load
from wgan.devices import keep_memory
from wgan.errors import UserError, at_least
from wgan.evaluation.during import Score, open_scores
from wgan.networks import NETWORKS
from wgan.parts import spell
from wgan.results import read_metrics, saying, whole
from wgan.run import Run
from wgan.state import State, start
from wgan.watch import Options

CPU = torch.device("cpu")
# colours of wgan/doctor/plot.py and of the papers' figures
COLOURS = {"textbook": "#d95f02", "ours": "#08519c"}
# CPU minutes at which a recipe without a partner is told
TIMES = (5, 10, 20, 30)
# what all runs of a folder, of a recipe and of one loop of it must have in common to be compared
OF_FOLDER = ("data", "metric", "n", "threads")
OF_RECIPE = ("preset", "networks", "set")
OF_LOOP = ("precision",)
COLUMNS = 3

# --- run -------------------------------------------------------------------------------------------------------------


def open_ours(run: Run, data: Data) -> tuple[State, Callable[[], object]]:
    """The state of a resolved run in the package's loop, and its step."""
    keep_memory(CPU)
    state = start(run, data, CPU)
    return state, partial(update, run, state, data, CPU)


def open_textbook(run: Run, data: Data) -> tuple[State, Callable[[], object]]:
    """The same of the textbook loop; the state shares its networks, and its counters stay 0."""
    training = Textbook(run, data, CPU, run.seed)
    critic, generator = training.optimizers
    return State(training.critic, training.generator, training.average, critic, generator), training.step


LOOPS = {"textbook": open_textbook, "ours": open_ours}


@dataclass
class Clock:
    """Seconds spent in steps: of the processor, all threads together, and on the wall."""

    cpu: float = 0.0
    wall: float = 0.0

    def time(self, step: Callable[[], object]) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        step()
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


def chosen_run(told: argparse.Namespace) -> Run:
    """The run of these flags. Errors: UserError for unknown or refused fields, and what the textbook hasn't."""
    fields = dict(map(parse_field, told.set))
    own = {"data": told.data, "networks": told.networks, "precision": told.precision, "seed": told.seed}
    for name in fields.keys() & own.keys():
        raise UserError(f"--set {name}: give --{name}")
    if told.loop == "textbook":
        if told.precision == "bf16":
            raise UserError("the textbook loop is float32: leave --precision bf16 out")
        own["precision"] = "fp32"
    run = wgan.preset(told.preset, **fields, **{name: value for name, value in own.items() if value is not None})
    if told.loop == "textbook" and not has(run):
        raise UserError("the textbook loop has no such objective: it knows the parts of the presets, no labels")
    return run


def parse_field(text: str) -> tuple[str, Any]:
    """`n_critic=1` as ("n_critic", 1): numbers, true and false as in JSON, everything else as text."""
    name, found, value = text.partition("=")
    if not found:
        raise UserError(f"--set {text}: must be a field and its value, such as n_critic=1")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def train(told: argparse.Namespace) -> None:
    """Train by one loop and write a line for each measurement, the first before any step."""
    at_least(1, "--threads", told.threads)
    if not (told.minutes > 0 and told.every > 0):
        raise UserError(f"--minutes {told.minutes:g}, --every {told.every:g}: must be above 0")
    torch.set_num_threads(told.threads)
    run = chosen_run(told)
    data = load(run.data, size=run.size)
    run = run.resolved(data, CPU)
    scores = open_scores(run, data, CPU, Options(evaluate_every=1, evaluate_n=told.n, evaluate_features=told.features))
    assert scores is not None
    state, step = LOOPS[told.loop](run, data)
    name = told.name or told.preset
    described = {
        "name": name,
        "loop": told.loop,
        "preset": told.preset,
        "seed": run.seed,
        "networks": spell(run.networks, NETWORKS),
        "set": sorted(told.set),
        "data": data.name,
        "n": scores.bench.setting.n,
        "threads": told.threads,
        "precision": run.precision,
    }
    file = told.out / f"{name}-{told.loop}-{run.seed}.jsonl"
    if file.exists():
        raise UserError(f"'{file}' is there already: remove it, or give another --name")
    with saying(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="utf-8") as lines:
            follow(step, run.steps, lambda: scores.measure(state), lines, described, told.minutes, told.every)


def follow(
    step: Callable[[], object],
    last: int,
    measure: Callable[[], Score],
    lines: TextIO,
    described: dict[str, Any],
    minutes: float,
    every: float,
) -> None:
    """Step until `minutes` of CPU time or step `last`; measure at 0, each time another `every` are over, at the end."""
    clock, steps, due, done = Clock(), 0, 0.0, False
    while not done:
        done = clock.cpu >= 60 * minutes or steps >= last
        if done or clock.cpu >= 60 * due:
            score, due = measure(), due + every
            found = {"step": steps, "cpu_seconds": clock.cpu, "wall_seconds": clock.wall, "distance": score.value}
            lines.write(json.dumps({**described, "metric": score.key, **found}) + "\n")
            lines.flush()
            print(f"{clock.cpu / 60:6.2f} CPU min  step {steps:6}  {score.key} {score.value:.4g}", flush=True)
        if not done:
            clock.time(step)
            steps += 1


# --- report ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """What one run gave: minutes of CPU time [k], rising from 0, and distances [k]. told: what it was, for `read`."""

    name: str
    loop: str
    seed: int
    minutes: np.ndarray
    distances: np.ndarray
    told: dict[str, Any]

    def at(self, minutes: float) -> float:
        """The distance at a time, on the line between two measurements; NaN beyond the last."""
        return float(np.interp(minutes, self.minutes, self.distances, right=math.nan))

    def reaches(self, distance: float) -> float:
        """The first time at which the line through the measurements is at `distance` or below; infinite for never."""
        below = np.flatnonzero(self.distances <= distance)
        if not len(below) or not below[0]:
            return 0.0 if len(below) else math.inf
        cut = slice(int(below[0]) - 1, int(below[0]) + 1)
        (before, after), times = self.distances[cut], self.minutes[cut]
        return float(times[0] + (before - distance) / (before - after) * (times[1] - times[0]))


def read(folder: Path) -> list[Curve]:
    """The runs of a folder, sorted. Errors: UserError for none, for bad lines, for what can't be compared."""
    curves = [read_curve(file) for file in sorted(folder.glob("*.jsonl"))]
    if not curves:
        raise UserError(f"no measurements in '{folder}': make some with time_to_quality.py run")
    check_same(f"'{folder}'", curves, OF_FOLDER)
    for name, of_name in recipes(curves).items():
        check_same(f"recipe '{name}'", of_name, OF_RECIPE)
        for loop in LOOPS:
            check_same(f"recipe '{name}', {loop},", [curve for curve in of_name if curve.loop == loop], OF_LOOP)
    return sorted(curves, key=lambda curve: (curve.name, curve.loop, curve.seed))


def read_curve(file: Path) -> Curve:
    """Errors: UserError for a file without measurements. A line that is being written is left out."""
    try:
        rows = read_metrics(file)
        first = rows[0]
        minutes = np.array([row["cpu_seconds"] / 60 for row in rows])
        distances = np.array([row["distance"] for row in rows], float)
        told = {key: first[key] for key in (*OF_FOLDER, *OF_RECIPE, *OF_LOOP)}
        return Curve(first["name"], first["loop"], first["seed"], minutes, distances, told)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise UserError(f"'{file}' holds no measurements of time_to_quality.py: remove it") from None


def check_same(where: str, curves: Sequence[Curve], keys: Sequence[str]) -> None:
    for key in keys:
        values = {json.dumps(curve.told[key]) for curve in curves}
        if len(values) > 1:
            raise UserError(f"{where} has runs with {key} {' and '.join(sorted(values))}, which can't be compared")


def recipes(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """The curves by name."""
    return {name: [curve for curve in curves if curve.name == name] for name in sorted({c.name for c in curves})}


def pairs(curves: Sequence[Curve]) -> list[tuple[Curve, Curve]]:
    """(textbook, ours) of each seed that both have, of one recipe."""
    by = {(curve.loop, curve.seed): curve for curve in curves}
    seeds = sorted(seed for loop, seed in by if loop == "textbook" and ("ours", seed) in by)
    return [(by["textbook", seed], by["ours", seed]) for seed in seeds]


def compared(name: str, both: Sequence[tuple[Curve, Curve]]) -> list[str]:
    """The cells of a recipe's row: both loops at the last time that all textbook runs have, and who was there when.

    The same rule for both loops says when a curve first reaches the value that the textbook has in the end: where its
    curve isn't steady, the textbook reached it before the end.
    """
    end = min(float(textbook.minutes[-1]) for textbook, _ in both)
    last = [textbook.at(end) for textbook, _ in both]
    own, our = ([pair[i].reaches(value) for pair, value in zip(both, last, strict=True)] for i in (0, 1))
    ratios = [a / b if 0 < b < math.inf else math.nan for a, b in zip(own, our, strict=True)]
    mean = float(np.sum(own) / max(np.sum(our), 1e-9))
    seeds = ", ".join(str(ours.seed) for _, ours in both)
    reached = [spread(own), spread(our), spread(ratios, mean)]
    return [name, seeds, f"{end:.1f}", spread(last), spread([ours.at(end) for _, ours in both]), *reached]


def spread(values: Sequence[float], middle: float | None = None) -> str:
    """`12.3 (11.9 to 12.8)`: the mean unless told, least and largest; one value alone, `-` for what is not there."""
    if any(math.isnan(value) for value in values):
        return "-"
    middle = float(np.mean(values)) if middle is None else middle
    told = [("never" if math.isinf(value) else f"{value:.3g}") for value in (middle, min(values), max(values))]
    return told[0] if len(values) == 1 else f"{told[0]} ({told[1]} to {told[2]})"


def tables(curves: Sequence[Curve]) -> list[str]:
    """Lines of markdown: recipes that both loops ran, then the others."""
    paired = {name: pairs(of_name) for name, of_name in recipes(curves).items()}
    told = curves[0].told
    many = "1 thread" if told["threads"] == 1 else f"{told['threads']} threads"
    what = f"{told['metric']} of {told['n']:,} samples, {told['data']}, {many}; mean (range) over the seeds"
    lines = [what, ""]
    heads = ["recipe", "seeds", "CPU min", "textbook then", "ours then"]
    heads += ["textbook first there, CPU min", "ours first there, CPU min", "times as fast"]
    lines += table(heads, [compared(name, both) for name, both in paired.items() if both])
    rows = []
    for name, of_name in recipes(curves).items():
        for loop in LOOPS if not paired[name] else ():
            if alone := [curve for curve in of_name if curve.loop == loop]:
                seeds = ", ".join(str(curve.seed) for curve in alone)
                rows.append([name, loop, seeds, *(spread([curve.at(t) for curve in alone]) for t in TIMES)])
    return lines + table(["recipe", "loop", "seeds", *(f"{t} CPU min" for t in TIMES)], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Nothing where there are no rows."""
    cells = [heads, ["---"] * len(heads), *rows] if rows else []
    return [*(f"| {' | '.join(row)} |" for row in cells), *([""] if rows else [])]


def draw(curves: Sequence[Curve], png: Path) -> None:
    """All seeds of all recipes, one panel a recipe, those that both loops ran first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

    named = dict(sorted(recipes(curves).items(), key=lambda item: not pairs(item[1])))
    columns = min(COLUMNS, len(named))
    rows = math.ceil(len(named) / columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.6 * rows), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes in grid[len(named) :]:
        axes.set_visible(False)
    for axes, (name, of_name) in zip(grid, named.items(), strict=False):
        for loop, colour in COLOURS.items():
            for i, curve in enumerate(curve for curve in of_name if curve.loop == loop):
                label = f"{loop}, each seed" if i == 0 else None
                axes.plot(curve.minutes, curve.distances, ".-", color=colour, linewidth=1.2, label=label)
        axes.set_yscale("log")
        # of a decade, 10 alone would leave the axis nearly bare
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 4.0, 6.0, 8.0)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelleft=True)
        axes.set_xlim(left=0)
        axes.set_title(name, loc="left", fontsize=11)
        axes.set_xlabel("CPU minutes of training")
        axes.set_ylabel(curves[0].told["metric"] + " (lower is better)")
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.legend(frameon=False, loc="best")
        axes.spines[["top", "right"]].set_visible(False)
    with whole(png) as aside:
        figure.savefig(aside, format="png")


def report(told: argparse.Namespace) -> None:
    curves = read(told.out)
    print("\n".join(tables(curves)))
    if told.png is not None:
        draw(curves, told.png)


# --- the command -----------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run", help="train by one loop and measure on the way")
    one.set_defaults(do=train)
    one.add_argument("loop", choices=list(LOOPS))
    one.add_argument("--data", default="cifar10")
    one.add_argument("--preset", default="wgan-gp")
    one.add_argument("--networks", help="as for wgan train; the preset's, or what fits the data")
    one.add_argument("--precision", help="of ours, as for wgan train (the preset's); textbook: fp32")
    one.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="any other field of the run")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--name", default="", help="of the recipe (default: the preset)")
    one.add_argument("--minutes", type=float, default=10.0, help="of CPU time in training steps")
    one.add_argument("--every", type=float, default=1.0, help="CPU minutes between measurements")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--n", type=int, default=5000, help="samples of a measurement")
    one.add_argument("--features", default="", help="as for wgan train --evaluate-features")
    one.add_argument("--out", type=Path, default=Path("results/quality"))
    all_ = commands.add_parser("report", help="tables in markdown, and a picture")
    all_.set_defaults(do=report)
    all_.add_argument("--out", type=Path, default=Path("results/quality"))
    all_.add_argument("--png", type=Path)
    return parser.parse_args()


def main() -> None:
    told = arguments()
    try:
        told.do(told)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
