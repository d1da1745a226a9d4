"""A figure whose jobs take no time, with the form of those in wgan/paper; `quick(...)` makes its entry."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from wgan.errors import UserError
from wgan.reproduction import Check, Job, Results, Scale, drawing
from wgan.reproduction.catalogue import PARTS, Figure


@dataclass(frozen=True)
class Quick(Figure):
    """A Figure that is this file."""

    def load(self) -> ModuleType:  # type: ignore[override]
        return sys.modules[__name__]


def quick(**fields: Any) -> Quick:
    return Quick("quick-figure", "A quick figure", {word: f"{word} of it." for word in PARTS}, **fields)


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return {name: partial(measure, name, seed, scale) for name in ("ours", "control")}


def measure(name: str, seed: int, scale: Scale, here: Path) -> dict[str, Any]:
    """Leaves a line in a file beside the figure's folder, so that a test can count the calls; wish.txt is obeyed."""
    out = here.parent.parent.parent
    with open(out / "calls.txt", "a") as calls:
        calls.write(f"{name} {seed}\n")
    wish = (out / "wish.txt").read_text() if (out / "wish.txt").exists() else ""
    if wish == f"refuse {seed}":
        raise UserError("this seed is refused")
    if wish == f"die {seed}":
        os.kill(os.getpid(), signal.SIGKILL)
    if wish == f"wait {seed}":
        (here / "waiting").touch()
        time.sleep(60)
    if wish == "object":
        return {"value": {"a": 1}}
    return {"value": seed + (10 if name == "ours" else 0), "curve": [seed, 1.0, 2.0]}


def draw(results: Results) -> drawing.Figure:
    figure, (axes,) = drawing.panels(1, 1)
    drawing.band(axes, [0, 1, 2], [each["curve"] for each in results["ours"]], drawing.BLUE, "ours")
    return figure


def passes(results: Results) -> list[Check]:
    ours, control = results.numbers("ours", "value"), results.numbers("control", "value")
    return [
        Check(what="value", ours=ours, control=control, control_name="the other", at_least=10.5),
        Check(what="told", ours=ours),
    ]


def run_here(out: str) -> None:
    """What a test starts in a process of its own."""
    from wgan.errors import Stopped
    from wgan.reproduction.running import reproduce

    try:
        list(reproduce([quick()], out=Path(out), jobs=1))
    except Stopped as stopped:
        sys.exit(128 + stopped.signal)


if __name__ == "__main__":
    import quick_figure

    quick_figure.run_here(sys.argv[1])
