"""Writes what `wgan reproduce --all` found into the documents: tables, and small copies of the figures.

    wgan reproduce --all --photographs FOLDER
    python benchmarks/reproduction.py [results/reproduce]

What stands between <!-- reproduction --> and <!-- end --> in docs/reproduction.md and README.md is replaced, and with
it docs/images/reproduction/. Every figure that has a default scale must have a result.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from PIL import Image

from wgan.reproduction import catalogue
from wgan.reproduction.report import brief, page, read_rows

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"
MARKED = re.compile(r"(?<=<!-- reproduction -->\n).*?(?=<!-- end -->)", re.DOTALL)
WIDTH, COLOURS = 900, 128


def small(source: Path, target: Path) -> None:
    """A copy of at most WIDTH pixels and COLOURS colours."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        found = picture.convert("RGB")
        if found.width > WIDTH:
            found = found.resize((WIDTH, round(found.height * WIDTH / found.width)), Image.Resampling.LANCZOS)
        found.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def replace_marked(document: Path, text: str) -> None:
    """Put `text` between the marks of `document`."""
    before = document.read_text(encoding="utf-8")
    assert len(MARKED.findall(before)) == 1, f"{document} needs one pair of marks"
    document.write_text(MARKED.sub(lambda _: f"\n{text.strip()}\n\n", before), encoding="utf-8")


def costs(rows: list[dict[str, Any]]) -> str:
    """What all of it took."""
    cpu, passed = sum(row["cpu_seconds"] for row in rows) / 60, sum(row["passes"] for row in rows)
    machines, versions = ({row[key] for row in rows} for key in ("machine", "torch"))
    seeds = sorted({tuple(row["seeds"]) for row in rows})
    return (
        f"{passed} of {len(rows)} pass. Seeds {'; '.join(', '.join(map(str, each)) for each in seeds)}; "
        f"{cpu:.0f} minutes of CPU time on {', '.join(sorted(machines))}, torch {', '.join(sorted(versions))}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/reproduce"))
    results = parser.parse_args().results
    figures = list(catalogue().values())
    rows = read_rows(figures, results)
    missing = {figure.name for figure in figures if not figure.full_only} - {row["name"] for row in rows}
    if missing:
        raise SystemExit(f"no result of {', '.join(sorted(missing))} in {results}: wgan reproduce --all")
    for row in rows:
        small(results / row["name"] / "figure.png", DOCS / "images" / "reproduction" / f"{row['name']}.png")
    pictures = {row["name"]: f"images/reproduction/{row['name']}.png" for row in rows}
    unrun = [figure for figure in figures if figure.full_only]
    replace_marked(DOCS / "reproduction.md", costs(rows) + "\n\n" + page(rows, pictures, unrun))
    replace_marked(README, brief(rows) + "\n\n" + costs(rows))


if __name__ == "__main__":
    main()
