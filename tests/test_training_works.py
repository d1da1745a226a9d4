"""Training makes what it was shown: a third of `make train` gives digits that a classifier of real ones can read."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from wgan.cli import main
from wgan.sample import load

ROOT = Path(__file__).parent.parent


def make_train() -> list[str]:
    """The arguments that the Makefile trains the digits with."""
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "wgan train digits" in line)
    return line.split("bin/wgan ")[1].split()


@pytest.mark.slow
def test_digits_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "readable_digits.py"))
    classifier, share = benchmark["reader"]()
    assert share > 0.97
    arguments = make_train()
    arguments[arguments.index("--steps") + 1] = "500"
    main([*arguments, "--out", str(tmp_path / "run"), "--quiet"])
    # measured on three seeds: 0.55 to 0.63 at step 500; noise gets 0.1
    assert benchmark["readable"](classifier, load(tmp_path / "run")) > 0.4
