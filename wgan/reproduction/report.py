"""What is told of outcomes: in the terminal, and on a page in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from wgan.reproduction.catalogue import Figure, heading
from wgan.reproduction.check import spread
from wgan.reproduction.running import Outcome
from wgan.results import whole


def print_outcome(outcome: Outcome, console: Console) -> None:
    """One outcome for the terminal."""
    verdict = "[bold green]PASS[/]" if outcome.passes else "[bold red]FAIL[/]"
    console.print(f"{verdict}  [bold]{outcome.figure.name}[/]  {escape(outcome.figure.title)}")
    for word in ("Claim", "Here", "Caveat"):
        if word in outcome.figure.parts:
            console.print(Padding(f"[dim]{word}[/]  {escape(outcome.figure.parts[word])}", (0, 0, 0, 2)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "number", "ours", "control", "paper", "threshold"):
        table.add_column(name, header_style="dim")
    for check in outcome.checks:
        mark = {True: "[green]pass[/]", False: "[bold red]FAIL[/]", None: ""}[check.passes]
        control = f"{spread(check.control)} {check.control_name}".strip()
        cells = (check.what, spread(check.ours), control, check.paper, check.threshold)
        table.add_row(mark, *map(escape, cells))
    console.print(Padding(table, (0, 0, 0, 2)))
    seeds = ", ".join(map(str, outcome.seeds))
    cost = f"{outcome.cpu_seconds:.0f} s of CPU time, seeds {seeds}"
    console.print(Padding(f"[dim]{cost}; {escape(str(outcome.folder / 'figure.png'))}[/]", (0, 0, 1, 2)))


def _control(check: dict[str, Any]) -> str:
    """The control's numbers and its name, of a check as result.json has it."""
    return f"{spread(check['control'])} {check['control_name']}".strip()


def _line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """The Markdown table of results as result.json has them: the first check of each."""
    lines = [
        "| | shows | number | ours | control | paper | threshold | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        check = row["checks"][0]
        failed = sum(each["passes"] is False for each in row["checks"])
        verdict = "pass" if row["passes"] else f"**fail** ({failed} of {len(row['checks'])} checks)"
        cells = [
            f"[{row['name']}](#{row['name']})",
            row["title"],
            check["what"],
            spread(check["ours"]),
            _control(check),
            check["paper"],
            check["threshold"],
            verdict,
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


def brief(rows: Sequence[dict[str, Any]]) -> str:
    """The summary table for those who have not seen the figures yet."""
    lines = ["| | shows | ours | control | |", "|---|---|---|---|---|"]
    for row in rows:
        check = row["checks"][0]
        cells = [
            f"`{row['name']}`",
            row["title"],
            f"{check['what']}: {spread(check['ours'])}",
            _control(check),
            "pass" if row["passes"] else "**fail**",
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


def section(row: dict[str, Any], picture: str) -> str:
    """One figure of the page, with the path of its picture."""
    lines = [f"### {row['name']}", "", f"{row['title']}. {row['claim']} ({row['source'].rstrip('.')}.)", ""]
    lines += [f"![{row['title']}]({picture})", ""]
    lines += ["| number | ours | control | paper | threshold | |", "|---|---|---|---|---|---|"]
    for check in row["checks"]:
        verdict = {True: "pass", False: "**fail**", None: ""}[check["passes"]]
        cells = [check["what"], spread(check["ours"]), _control(check), check["paper"], check["threshold"], verdict]
        lines.append(_line(cells))
    lines += ["", f"Expected: {row['expected']}", "", f"Here: {row['here']}", "", f"Thresholds: {row['thresholds']}"]
    if "caveat" in row:
        lines += ["", f"Caveat: {row['caveat']}"]
    seeds = ", ".join(map(str, row["seeds"]))
    cost = f"`wgan reproduce {row['name']}`: seeds {seeds}, {row['cpu_seconds']:.0f} s of CPU time, {row['machine']}."
    return "\n".join([*lines, "", cost])


def page(rows: Sequence[dict[str, Any]], pictures: dict[str, str], unrun: Iterable[Figure] = ()) -> str:
    """The summary table and a section for each result; `unrun` are told to be left out at this scale."""
    parts = [summary(rows)]
    left = [f"- {figure.name}: {figure.title}. {figure.parts['Expected']}" for figure in unrun]
    if left:
        parts.append("Only at `--full`, which was not run here:\n\n" + "\n".join(left))
    last = ""
    for row in rows:
        if (paper := heading(row["source"])) != last:
            parts.append(f"## {paper}")
            last = paper
        parts.append(section(row, pictures[row["name"]]))
    return "\n\n".join(parts) + "\n"


def read_rows(figures: Iterable[Figure], out: Path, full: bool = False) -> list[dict[str, Any]]:
    """result.json of those figures that have one in `out`, in their order."""
    rows = []
    for figure in figures:
        file = out / (figure.name + ("-full" if full else "")) / "result.json"
        if file.exists():
            rows.append(json.loads(file.read_text(encoding="utf-8")))
    return rows


def write_page(figures: Iterable[Figure], out: Path, full: bool = False) -> Path:
    """Write `out`/README.md, the page of all results that lie there; returns its path."""
    figures, end = list(figures), "-full" if full else ""
    rows = read_rows(figures, out, full)
    pictures = {row["name"]: f"{row['name']}{end}/figure.png" for row in rows}
    target = out / f"README{end}.md"
    with whole(target) as aside:
        aside.write_text(f"# Reproduction of the papers\n\n{page(rows, pictures)}", encoding="utf-8")
    return target
