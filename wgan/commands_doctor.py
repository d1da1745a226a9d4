"""The command `wgan doctor`: parse, call, print. Like all of the command line it imports torch when it is called."""

from __future__ import annotations

import sys
from pathlib import Path


def doctor(
    run: Path,
    /,
    *,
    held_out: str = "auto",
    out: Path | None = None,
    json: bool = False,
    device: str = "auto",
    data_root: Path | None = None,
    quiet: bool = False,
) -> None:
    """Say what is wrong with a run and what to do about it. Exit code 0: healthy, 1: something was found.

    Parameters
    ----------
    run
        folder of a run (its newest checkpoint) or a checkpoint file; neither is changed or locked
    held_out
        data that the critic was not trained on: a name, none, or auto for the test split where there is one (auto)
    out
        folder for the plots: RUN/doctor unless given
    json
        print the diagnosis as JSON
    device
        auto, cpu, cuda, cuda:1, mps
    data_root
        folder of data sets, instead of WGAN_DATASETS or datasets/
    quiet
        no progress
    """
    from rich.console import Console

    from wgan.doctor import examine
    from wgan.doctor.report import as_json, print_diagnosis

    diagnosis = examine(run, held_out=held_out, data_root=data_root, device=device, out=out, quiet=quiet)
    if json:
        print(as_json(diagnosis))
    else:
        print_diagnosis(diagnosis, Console(highlight=False))
    if not diagnosis.healthy:
        sys.exit(1)
