"""What a run leaves behind: results/<name>/ with run.toml, metrics.jsonl, samples/, curve.png, checkpoints/."""

from __future__ import annotations

import json
import os
import platform
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

import wgan
from wgan import checkpoint
from wgan.data import Data
from wgan.errors import UserError
from wgan.run import Run, to_fields
from wgan.state import State

# all that a kill may leave in a folder before its run.toml
LOCK, ASIDE = ".lock", ".run.toml.part"
# the checkpoint with the best value of the metric that was watched; its header tells which
BEST = "best.safetensors"


@dataclass
class Results:
    """The folder of one run. Make one with `open_results`. warnings: for the user, about going on in it."""

    path: Path
    warnings: list[str]
    _lock: IO[str] | None = field(default=None, repr=False)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def sample_path(self, step: int) -> Path:
        """samples/step-000123.png"""
        return self.path / "samples" / f"step-{step:06d}.png"

    def restore(self, state: State) -> tuple[float, list[str]]:
        """Bring `state` to the newest whole checkpoint, and the log with it.

        Returns the seconds trained so far, and what was wrong with newer checkpoints.
        """
        path, tensors, header, complaints = checkpoint.newest(self.checkpoints)
        if path is not None:
            state.load(tensors, header)
        self._rewind_log(state.step)
        return float(header.get("seconds", 0.0)), complaints

    def save(self, state: State, seconds: float, keep: int, keep_every: int) -> Path:
        """Write a checkpoint; of all, the newest `keep` stay and those at multiples of `keep_every` (0: none)."""
        path = checkpoint.path_of(self.checkpoints, state.step)
        header = {"step": state.step, "images": state.images, "seconds": seconds, "wgan": wgan.__version__}
        checkpoint.save(path, state.tensors(), header)
        checkpoint.prune(self.checkpoints, state.step, keep, keep_every)
        return path

    def save_best(self, state: State, seconds: float, metric: str, value: float) -> Path:
        """Write checkpoints/best.safetensors, which is never gone on from and never pruned."""
        header = {"step": state.step, "images": state.images, "seconds": seconds, "wgan": wgan.__version__}
        checkpoint.save(self.checkpoints / BEST, state.tensors(), header | {"metric": metric, "value": value})
        return self.checkpoints / BEST

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with saying(self.metrics), open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that was cut short by a kill is left out."""
        return read_metrics(self.metrics)

    def _rewind_log(self, step: int) -> None:
        """Drop the lines after `step`: they will be written again."""
        if self.metrics.exists():
            kept = [row for row in self.rows() if row["step"] <= step]
            with whole(self.metrics) as aside:
                aside.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def close(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def samples_by_step(folder: Path) -> dict[int, Path]:
    """The pictures samples/step-NNNNNN.png in a run's folder, earliest first; other files are left out."""
    found = {}
    for path in (folder / "samples").glob("step-*.png"):
        step = path.stem.removeprefix("step-")
        if step.isdecimal():
            found[int(step)] = path
    return dict(sorted(found.items()))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The objects in a metrics.jsonl, as far as its lines are whole."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Turns an OSError in its body into one line that names the path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"can't write {path}: {reason}; choose another place with --out") from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the body is done: whole, or as it was before."""
    aside = path.with_name(f".{path.name}.part")
    with saying(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def open_results(path: Path, run: Run, data: Data, source: str = "") -> Results:
    """The folder for a resolved run: made when new, taken up again when it holds the same run.

    Errors: UserError when it holds another run (names the fields that differ), is in use, or can't be written.
    """
    described = _describe(run, data, source)
    file = path / "run.toml"
    with saying(path):
        warnings: list[str] = []
        if file.exists():
            warnings = _compare(file, described)
        elif path.exists() and (not path.is_dir() or {child.name for child in path.iterdir()} - {LOCK, ASIDE}):
            raise UserError(f"{path} is not empty and holds no run: choose another place with --out")
        path.mkdir(parents=True, exist_ok=True)
        results = Results(path, warnings, locked(path, "training"))
        # asked for fewer steps than are done, the file still tells what made them
        if not any(step > run.steps for step, _ in checkpoint.list_all(results.checkpoints)):
            _write_toml(file, described)
        # after run.toml, so that a folder with one is a run, wherever a kill came
        for folder in (path / "samples", path / "checkpoints"):
            folder.mkdir(exist_ok=True)
    return results


def locked(path: Path, what: str) -> IO[str] | None:
    """Hold the folder against a second process, until this one ends however it ends or closes what is returned.

    Errors: UserError when another `what` holds it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        return None
    handle = open(path / LOCK, "w")  # noqa: SIM115  open for as long as the run
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise UserError(f"{path} is in use by another {what}; wait for it or choose another place with --out") from None
    return handle


def _describe(run: Run, data: Data, source: str) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = {
        "run": to_fields(run),
        "data": {"shape": list(data.shape), "fingerprint": data.fingerprint, "classes": list(data.classes)},
        "versions": {
            "wgan": wgan.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
        },
    }
    if data.count is not None:
        described["data"]["count"] = data.count
    if source:
        described["source"] = {"file": source}
    return described


def _compare(file: Path, mine: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What may move the last bits of a run that goes on. Errors: UserError when the folder holds another run."""
    theirs = read_toml(file)
    old, new = theirs.get("run", {}), dict(mine["run"])
    fields = [name for name in [*new, *(name for name in old if name not in new)] if old.get(name) != new.get(name)]
    # without a schedule, more steps are the same run gone further
    if fields == ["steps"] and new["lr_decay"] == "none":
        fields = []
    if fields:
        told = "; ".join(f"{name} is {old.get(name)!r} there, {new.get(name)!r} here" for name in fields)
        raise UserError(f"{file.parent} holds another run: {told}. Choose another place with --out")
    if theirs.get("data", {}).get("fingerprint") != mine["data"]["fingerprint"]:
        raise UserError(
            f"{file.parent} was trained on other data than '{new['data']}' holds now; choose another place with --out"
        )
    then, now = theirs.get("versions", {}), mine["versions"]
    changed = [f"{name} {then[name]}, now {now[name]}" for name in now if name in then and then[name] != now[name]]
    if not changed:
        return []
    return [
        f"{file.parent} began with {'; '.join(changed)}: the last bits of its weights may differ from a run in one go"
    ]


def read_toml(file: Path) -> dict[str, Any]:
    """A run.toml. Errors: UserError when it isn't there or isn't TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"can't read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is no TOML file: {error}") from None


def _write_toml(file: Path, described: Mapping[str, Any]) -> None:
    import tomli_w

    head = "# Everything that decides this run. To run it again: wgan train --config THIS_FILE --out ANOTHER_FOLDER\n\n"
    with whole(file) as aside:
        aside.write_text(head + tomli_w.dumps(described), encoding="utf-8")
