"""The folder of one figure: runs/ with the result of each job, figure.png, result.json.

A job's result is kept when it is whole, together with what made it: a killed command goes on where it was, and results
of another version or setting are never taken for this one's.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import wgan
from wgan.errors import UserError
from wgan.reproduction.results import Job, Result, Results
from wgan.results import whole

# kept beside a job's own numbers, which have other names
MADE_BY, SECONDS, CPU_SECONDS = "_made_by", "_seconds", "_cpu_seconds"


@dataclass(frozen=True)
class Task:
    """One job: of a figure (its folder), its name, its seed."""

    folder: Path
    name: str
    seed: int
    job: Job

    @property
    def file(self) -> Path:
        """Where the result is kept."""
        return self.folder / "runs" / f"seed-{self.seed}-{self.name}.npz"

    @property
    def home(self) -> Path:
        """The folder for what the job itself leaves behind."""
        return self.file.with_suffix("")

    @property
    def made_by(self) -> str:
        """What decides the result: the job with its arguments, and the version."""
        job = self.job
        if isinstance(job, partial):
            arguments = [*map(repr, job.args), *(f"{key}={value!r}" for key, value in sorted(job.keywords.items()))]
            return f"wgan {wgan.__version__}: {job.func.__module__}.{job.func.__qualname__}({', '.join(arguments)})"
        return f"wgan {wgan.__version__}: {getattr(job, '__module__', '')}.{getattr(job, '__qualname__', repr(job))}"

    def done(self) -> bool:
        """Whether the result is there. Errors: UserError for one that something else made."""
        found = read(self.file)
        if found is None:
            return False
        if str(found[MADE_BY]) != self.made_by:
            raise UserError(
                f"{self.file} is of another setting or version ({found[MADE_BY]}): choose another place with --out, "
                "or start over with --fresh, which removes it"
            )
        return True

    def write(self, numbers: Mapping[str, Any], seconds: float, cpu_seconds: float) -> None:
        """Keep the result, whole or not at all."""
        kept = {key: np.asarray(value) for key, value in numbers.items()}
        kept |= {MADE_BY: np.asarray(self.made_by), SECONDS: np.asarray(seconds), CPU_SECONDS: np.asarray(cpu_seconds)}
        bad = [key for key, value in kept.items() if value.dtype == object]
        if bad:
            raise TypeError(f"job {self.name} returned {bad[0]}, which is no number and no array")
        with whole(self.file) as aside, open(aside, "wb") as handle:
            np.savez_compressed(handle, **kept)  # type: ignore[arg-type]


def read(file: Path) -> Result | None:
    """A job's result; None when there is none, or a damaged one."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            found = {key: stored[key] for key in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
    return found if MADE_BY in found else None


def collect(tasks: list[Task]) -> Results:
    """The results of finished tasks, in the order of their seeds."""
    results = Results()
    for task in tasks:
        found = read(task.file)
        assert found is not None, f"{task.file} is gone"
        results.setdefault(task.name, []).append(found)
    return results


def remove(folder: Path) -> None:
    """Remove what a figure left in `folder`; other files in it stay."""
    shutil.rmtree(folder / "runs", ignore_errors=True)
    for name in ("figure.png", "result.json"):
        (folder / name).unlink(missing_ok=True)
