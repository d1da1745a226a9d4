"""A diagnosis for people and for programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wgan.doctor.checks import CHECKS
from wgan.doctor.critic_checks import GAIN, GAIN_FLOOR, GAP, slope_bounds
from wgan.doctor.evidence import Evidence
from wgan.doctor.examination import Diagnosis
from wgan.doctor.findings import Finding, Severity, number
from wgan.run import spell_objective

PARTS = ("estimate", "gain", "gap", "weights", "layers", "variety", "push")
COLOURS = {Severity.LOST: "bold red", Severity.DOUBTFUL: "bold yellow"}


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """The findings, worst first; what was measured; what could not be."""
    evidence = diagnosis.evidence
    run, step = evidence.run, evidence.step
    data = run.data if isinstance(run.data, str) else run.data.name
    console.print(
        Text(f"{diagnosis.path}  step {step:,} of {run.steps:,}  {data}  {spell_objective(run.objective, brief=True)}")
    )
    console.print()
    if diagnosis.healthy:
        console.print(Text.assemble(("healthy", "bold green"), f"  none of {len(CHECKS)} checks found anything"))
        console.print()
    for finding in diagnosis.findings:
        _print_finding(finding, console)
    table = Table.grid(padding=(0, 2))
    table.add_row(*(Text(text, style="dim") for text in ("measured", "", "healthy")))
    for row in figures(evidence):
        table.add_row(*(Text(text, style=style) for text, style in zip(row, ("dim", "", "dim"), strict=True)))
    console.print(table)
    for note in evidence.notes:
        console.print(Text(f"note: {note}", style="dim"))
    if diagnosis.plots:
        console.print(Text(f"plots: {next(iter(diagnosis.plots.values())).parent}", style="dim"))


def _print_finding(finding: Finding, console: Console) -> None:
    console.print(
        Text.assemble((finding.title, COLOURS[finding.severity]), (f"  {finding.severity.name.lower()}", "dim"))
    )
    body = Table.grid(padding=(0, 2))
    for i, each in enumerate(finding.evidence):
        body.add_row("  seen" if i == 0 else "", Text(str(each)))
    body.add_row("  why", Text(finding.why))
    body.add_row("  do", Text(finding.remedy, style="bold"))
    if finding.plot:
        body.add_row("  plot", Text(str(finding.plot)))
    console.print(body)
    console.print()


def figures(evidence: Evidence) -> list[tuple[str, str, str]]:
    """(what, its value, what is healthy) of all that was measured, sick or not."""
    rows: list[tuple[str, str, str]] = []
    estimate, gain, gap, weights, layers, variety, push = (getattr(evidence, name) for name in PARTS)
    if estimate:
        told = slope_bounds(evidence, estimate.raw)
        healthy = f"{told[1] * told[0]:.2g} to {told[2] * told[0]:.2g}" if told else ""
        share = number(100 * estimate.w1 / estimate.scale)
        rows += [
            ("Wasserstein estimate", f"{number(estimate.w1)}, {share} % of the spread", ""),
            ("E f(real) - E f(fake)", number(estimate.raw), ""),
            ("slope of the critic", number(estimate.slope), healthy),
        ]
    if gain:
        share = number(100 * gain.relative(GAIN_FLOOR))
        rows.append((f"{gain.own.steps[-1]} more critic updates", f"gain {share} % of W1", f"below {100 * GAIN:.0f}"))
    if gap:
        error = number(100 * gap.error / (abs(gap.train - gap.fake) or 1.0))
        text = f"{number(100 * gap.share)} +- {error} % of the estimate"
        rows.append(("training over held-out", text, f"below {100 * GAP:.0f}"))
    if weights:
        rows.append(("weights at +-c", f"{number(100 * weights.share)} %", ""))
    if layers:
        rows.append(("gradient, layer to layer", f"{number(layers.decades)} decades", ""))
    if variety:
        rows.append(("spread of the fakes", f"{number(100 * variety.spread)} % of the real samples'", "about 100"))
        rows.append(("groups of real samples", f"{variety.covered} of {variety.cells} reached", "nearly all"))
        if variety.modes is not None:
            rows.append(("modes", f"{variety.modes} of {variety.centres} with a sample within 3 std", ""))
        if variety.recall is not None:
            rows.append(
                ("recall, coverage", f"{number(variety.recall)}, {number(variety.coverage)}", "by raw distances")
            )
    if push:
        text = f"moves {number(100 * push.move)} % of the spread, {number(100 * push.kept)} % as promised"
        rows.append(("a generator update", text, ""))
    return rows


def as_json(diagnosis: Diagnosis) -> str:
    """One object: run, step, healthy, findings, measured, notes, plots. Numbers that are none become null."""
    evidence = diagnosis.evidence
    measured: dict[str, Any] = {
        name: None if (part := getattr(evidence, name)) is None else asdict(part) for name in PARTS
    }
    for name, keys in {"gap": ("counts", "low", "high"), "variety": ("shares",), "weights": ("counts",)}.items():
        for key in keys if measured[name] else ():  # for the plots
            del measured[name][key]
    measured["coupling"] = evidence.coupling
    return json.dumps(
        _finite(
            {
                "run": str(diagnosis.path),
                "step": evidence.step,
                "healthy": diagnosis.healthy,
                "findings": [finding.as_dict() for finding in diagnosis.findings],
                "measured": measured,
                "notes": list(evidence.notes),
                "plots": {name: str(path) for name, path in diagnosis.plots.items()},
            }
        ),
        indent=2,
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
