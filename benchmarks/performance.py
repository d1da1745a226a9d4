"""The table of docs/performance.md: `wgan bench` on the runs that people start with, on this machine.

    python benchmarks/performance.py "2 AMD EPYC cores" [--data-root datasets] [--repeats 7]

Writes the table between the marks of that machine, or at the end of the file when it has none yet. Each row is a
process of its own, so that one leaves no memory to the next. Let the machine do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "docs" / "performance.md"
# name of a row: what `wgan bench` is told
ROWS = {
    "DCGAN, 32 px, `wgan`": ["cifar10", "--preset", "wgan"],
    "DCGAN, 32 px, `wgan`, fp32": ["cifar10", "--preset", "wgan", "--precision", "fp32"],
    "DCGAN, 32 px, `wgan-gp`": ["cifar10", "--preset", "wgan-gp"],
    "DCGAN, 64 px, `wgan`": ["cifar10", "--preset", "wgan", "--size", "64"],
    "ResNet, 32 px, `wgan-gp-resnet`": ["cifar10", "--preset", "wgan-gp-resnet", "--repeats", "3"],
    "points, `wgan-gp`": ["8gaussians", "--preset", "wgan-gp", "--repeats", "15"],
    "points, `wgan-gp`, fp32": ["8gaussians", "--preset", "wgan-gp", "--precision", "fp32", "--repeats", "15"],
}
HEAD = (
    "| run | precision | textbook | ours | ratio | images/s | arithmetic | of the ceiling | memory |",
    "|---|---|---|---|---|---|---|---|---|",
)


def measure(told: list[str], common: list[str]) -> dict[str, Any]:
    """What `wgan bench --json` says."""
    command = [sys.executable, "-m", "wgan", "bench", *common, *told, "--json", "--quiet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def seconds(value: float) -> str:
    """12.3 ms, 1.23 s"""
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def line(name: str, row: dict[str, Any]) -> str:
    """One row of the table: medians, with least and largest."""
    ours, textbook = (
        f"{seconds(row[key])} ({seconds(row[span][0])} to {seconds(row[span][1])})"
        for key, span in (("seconds_per_step", "seconds_range"), ("textbook_seconds", "textbook_range"))
    )
    cells = (
        name,
        row["precision"],
        textbook,
        ours,
        f"**{row['ratio_to_textbook']:.2f}x**",
        f"{row['images_per_second']:,.0f}",
        f"{row['operations'] / 1e9:.3g} GFLOP",
        f"{100 * row['ceiling_share']:.0f} %",
        f"{row['peak_memory_bytes'] / 2**20:,.0f} MiB",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("machine", help="its name in the table")
    parser.add_argument("--data-root", default="datasets")
    parser.add_argument("--repeats", default="7")
    told = parser.parse_args()
    lines, row = [*HEAD], {}
    for name, arguments in ROWS.items():
        common = ["--data-root", told.data_root] + ([] if "--repeats" in arguments else ["--repeats", told.repeats])
        row = measure(arguments, common)
        lines.append(line(name, row))
        print(lines[-1], flush=True)
    machine = (
        f"{told.machine}, {row['threads']} threads: products at {row['matmul_fp32'] / 1e9:.0f} (fp32) and "
        f"{row['matmul_bf16'] / 1e9:.0f} GFLOP/s (bf16), copies at {row['copy'] / 1e9:.0f} GB/s."
    )
    begin, end = f"<!-- performance: {told.machine} -->", "<!-- end -->"
    block = "\n".join([begin, machine, "", *lines, end])
    text = FILE.read_text(encoding="utf-8")
    before, mark, rest = text.partition(begin)
    after = rest.partition(end)[2] if mark else "\n"
    FILE.write_text(before + block + after, encoding="utf-8")


if __name__ == "__main__":
    main()
