"""What an evaluation found: numbers that carry their protocol, as a table, as JSON, as a file."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wgan.errors import UserError
from wgan.results import whole

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Row:
    """One figure. key: the metric with its features, so that two protocols never share one.

    spread: standard deviation over subsets, splits or draws, where there are some. better: "lower" or "higher".
    floor, floor_spread: the same metric of real images in place of the samples, None where there are none to spare.
    parts: what the value is the mean of, or made of, by name. note: what makes it lie here, "" for nothing known.
    """

    key: str
    value: float
    better: str
    spread: float | None = None
    floor: float | None = None
    floor_spread: float | None = None
    parts: dict[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Report:
    """protocol: everything that decides the numbers. rows: the numbers. notes: on all of them.

    picture: path of the nearest neighbours, "" without; file: where the report is kept, "" when it isn't.
    """

    protocol: dict[str, Any]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    picture: str = ""
    file: str = ""

    def __getitem__(self, key: str) -> float:
        """The value of a row by its key, such as report["fid"]."""
        for row in self.rows:
            if row.key == key:
                return row.value
        raise KeyError(f"{key}; this report has {', '.join(row.key for row in self.rows)}")

    def to_json(self) -> str:
        """The report as JSON text; what is no number is null."""
        told = {**asdict(self), "rows": [_plain(asdict(row)) for row in self.rows]}
        return json.dumps(told, indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_report(path: Path) -> Report | None:
    """The report in a file; None when there is none, or it can't be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Row(**row) for row in told["rows"])
        return Report(told["protocol"], rows, tuple(told["notes"]), told["picture"], told["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_report(report: Report, path: Path) -> None:
    """Write the report's JSON: whole, or what was there before. Errors: UserError when it can't be written."""
    with whole(path) as aside:
        aside.write_text(report.to_json() + "\n", encoding="utf-8")


def merged(report: Report, earlier: Report | None) -> Report:
    """`report` with what it lacks of an earlier one of the same protocol: asked for in two goes, kept in one."""
    if earlier is None or earlier.protocol != report.protocol:
        return report
    mine = {row.key for row in report.rows}
    rows = (*report.rows, *(row for row in earlier.rows if row.key not in mine))
    notes = (*report.notes, *(note for note in earlier.notes if note not in report.notes))
    return Report(report.protocol, rows, notes, report.picture or earlier.picture, report.file)


def check_new(path: Path | None) -> None:
    """Before anything is measured. Errors: UserError when the file is there already, or can't be made there."""
    if path is None:
        return
    if path.exists():
        raise UserError(f"{path} is there already: choose another --out, nothing was overwritten")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"can't write {path}: {above} is no folder that may be written to; choose another --out")


# --- for the terminal ------------------------------------------------------------------------------------------------


def shown(value: float, spread: float | None = None) -> str:
    """A figure as people read it: four digits, or as many as its spread tells. 12.35, 0.0204 ± 0.0004, 25."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else str(value)
    if value == round(value) and not spread and abs(value) < 1e6:
        return f"{value:.0f}" + ("" if spread is None else " ± 0")
    if max(abs(value), spread or 0) < 1e-4:
        return f"{value:.3g}" + ("" if spread is None else f" ± {spread:.2g}")
    size, digits = (spread, 2) if spread else (abs(value), 4)
    decimals = min(8, max(0, digits - 1 - math.floor(math.log10(size))))
    if spread:  # no more than the value itself would show
        decimals = min(decimals, max(0, 4 - math.floor(math.log10(max(abs(value), spread)))))
    return f"{value:.{decimals}f}" + ("" if spread is None else f" ± {spread:.{decimals}f}")


def print_report(report: Report, console: Console) -> None:
    """Protocol first, then a row for each figure with what real data score, then notes. Nothing is cut short."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    for line in protocol_lines(report.protocol):
        _hanging(console, line[:11], line[11:])
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    for name in ("metric", "", "samples", "real data"):
        table.add_column(name, overflow="fold")
    for row in report.rows:
        floor = "" if row.floor is None else shown(row.floor, row.floor_spread)
        arrow = "↓" if row.better == "lower" else "↑"
        table.add_row(Text(row.key, style="cyan"), arrow, Text(shown(row.value, row.spread), style="bold"), floor)
    console.print(Padding(table, (1, 0)))
    _hanging(console, "note       ", "↓ lower is better, ↑ higher is better")
    for note in (*report.notes, *(f"{row.key} {row.note}" for row in report.rows if row.note)):
        _hanging(console, "note       ", note)
    for name, path in (("picture    ", report.picture), ("report     ", report.file)):
        if path:
            console.print(name + path, soft_wrap=True, markup=False, highlight=False)


def _hanging(console: Console, name: str, text: str) -> None:
    """A line that goes on under its text, not under its name."""
    from rich.table import Table
    from rich.text import Text

    line = Table.grid()
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(name, style="dim"), Text(text))
    console.print(line)


def protocol_lines(protocol: Mapping[str, Any]) -> list[str]:
    """What was measured, against what, through which features: what belongs to every figure."""
    samples, reference, features = protocol["samples"], protocol["reference"], protocol["features"]
    made = f"{samples['run']} at step {samples['step']}" if "run" in samples else samples["samples"]
    draws = f" in each of {samples['draws']} draws" if samples["draws"] > 1 else ""
    of = "" if reference["available"] is None else f" of {reference['available']:,}"
    told = ", ".join(f"{key} {_brief(value)}" for key, value in features.items() if key != "name")
    versions = ", ".join(f"{name} {version}" for name, version in protocol["versions"].items())
    read_as = f", read as {samples['read_as']}" if "read_as" in samples else ""
    return [
        f"samples    {made}: {samples['n']:,}{draws}, seed {samples['seed']}{read_as}",
        f"against    {reference['data']} {reference['split']}: {reference['n']:,}{of}, "
        f"data {_brief(reference['fingerprint'])}",
        f"features   {features['name']}: {told}; {versions}",
    ]


def _brief(value: object) -> str:
    """Long hashes by their first digits: the JSON has them whole."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return re.sub(r"([0-9a-f]{12})[0-9a-f]{20,}", r"\1", text)
