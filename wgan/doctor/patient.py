"""A run's folder, opened for examination: run, data, log, newest checkpoint. Nothing is changed or locked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wgan import checkpoint
from wgan.data import Data, load
from wgan.devices import find_device
from wgan.errors import UserError
from wgan.heldout import open_held_out
from wgan.results import read_metrics, read_toml
from wgan.run import Run
from wgan.state import State, start
from wgan.userfile import run_of_toml


@dataclass(frozen=True)
class Patient:
    """run: resolved. held_out: data that the critic was not trained on, None without. rows: the log up to the step.

    notes: what was wrong on the way, for the reader.
    """

    folder: Path
    run: Run
    data: Data
    held_out: Data | None
    device: torch.device
    tensors: dict[str, Tensor]
    header: dict[str, Any]
    rows: list[dict[str, Any]]
    notes: tuple[str, ...]

    def state(self) -> State:
        """The checkpoint's state, a new copy each time: probes train on theirs."""
        state = start(self.run, self.data, self.device)
        state.load(self.tensors, self.header)
        return state


def open_patient(
    path: Path,
    *,
    held_out: str = "auto",
    data_root: Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Patient:
    """Open the run at `path`: its folder (the newest whole checkpoint) or one of its checkpoint files.

    held_out: as in `wgan.heldout.open_held_out`.
    Errors: UserError when there is no run or no checkpoint, it is damaged, or its data or networks are not to be had.
    """
    folder = path.parent.parent if path.is_file() else path
    file = folder / "run.toml"
    if not file.is_file():
        raise UserError(f"no run at {path}: needs a folder with run.toml, such as wgan train makes")
    notes: list[str] = []
    if path.is_file():
        tensors, header = checkpoint.load(path)
    else:
        newest, tensors, header, notes = checkpoint.newest(folder / "checkpoints")
        if newest is None:
            raise UserError(f"{path} has no checkpoint yet: a doctor needs one; --save-every makes them earlier")
    told = read_toml(file)
    run = run_of_toml(told, file)
    where = find_device(device)
    data = load(run.data, size=run.size, root=data_root, allow_bad=True, quiet=quiet)
    described = told.get("data", {})
    if isinstance(described, dict) and described.get("fingerprint", data.fingerprint) != data.fingerprint:
        raise UserError(f"{folder} was trained on other data than '{data.name}' holds now: bring those back")
    run = run.resolved(data)
    held = open_held_out(held_out, run, data, root=data_root, allow_bad=True, quiet=quiet)
    rows = read_rows(folder / "metrics.jsonl", int(header["step"]))
    return Patient(folder, run, data, held.data if held else None, where, tensors, header, rows, tuple(notes))


def read_rows(file: Path, last: int) -> list[dict[str, Any]]:
    """The rows of a log up to step `last`. Errors: UserError for a log that is none."""
    try:
        rows = read_metrics(file)
        return [row for row in rows if row["step"] <= last]
    except (OSError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{file} is no log of a run ({type(error).__name__}): move it away to go without") from None
