"""Whose samples are measured: a run's, or anyone's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wgan.data import Data
from wgan.errors import UserError, at_least
from wgan.evaluation.streams import Samples, Stream, chosen, generated_stream, open_samples
from wgan.results import read_toml
from wgan.sample import load
from wgan.userfile import run_of_toml


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured. count: how many samples there are, None when they are made as wanted.

    draw(n, seed, labels): n of them; labels int64 [n] are for conditional runs. classes: of a conditional run, else ().
    told: what the report says of them. folder, stem: where a run's reports are kept and how they begin, None and ""
    for samples of no run. data, size, fingerprint: of a run, what it was trained on; data is "" for samples of no run.
    """

    name: str
    shape: tuple[int, ...]
    count: int | None
    draw: Callable[[int, int, np.ndarray | None], Stream]
    told: dict[str, str | int]
    classes: tuple[str, ...] = ()
    folder: Path | None = None
    stem: str = ""
    data: str | Data = ""
    size: int | None = None
    fingerprint: str = ""


def subject_of_run(path: str | Path, device: str = "auto") -> Subject:
    """The generator of a run's newest checkpoint, or of a checkpoint file. Errors: UserError as `wgan.sample.load`."""
    path = Path(path)
    sampler = load(path, device)
    folder = path.parent.parent if path.is_file() else path
    told = read_toml(folder / "run.toml")
    run = run_of_toml(told, folder / "run.toml")
    name = f"{path} at step {sampler.step}"

    def draw(n: int, seed: int, labels: np.ndarray | None) -> Stream:
        return generated_stream(sampler, n, seed, labels, name)

    return Subject(
        name=name,
        shape=sampler.shape,
        count=None,
        draw=draw,
        told={"run": str(path), "step": sampler.step},
        classes=sampler.classes,
        folder=folder,
        # a checkpoint kept for what it is, such as best.safetensors, may be of any step
        stem=f"step-{sampler.step:06d}",
        data=run.data,
        size=run.size,
        fingerprint=str(told.get("data", {}).get("fingerprint", "")),
    )


def subject_of_samples(
    samples: Samples, *, size: int | None, root: Path | None, allow_bad: bool, quiet: bool
) -> Subject:
    """Samples that are there already. Errors: UserError as `open_samples`."""
    stream = open_samples(samples, size=size, root=root, allow_bad=allow_bad, quiet=quiet)
    told: dict[str, str | int] = {"samples": stream.name, "available": stream.count}
    if stream.fingerprint:
        told["fingerprint"] = stream.fingerprint
    if stream.note:
        told["read_as"] = stream.note

    def draw(n: int, seed: int, labels: np.ndarray | None) -> Stream:
        return chosen(stream, n, seed)

    return Subject(stream.name, stream.shape, stream.count, draw, told)


def check_n(n: int, subject: Subject) -> None:
    """Errors: UserError for a number of samples that there can't be."""
    at_least(2, "n", n)
    if subject.count is not None and n > subject.count:
        raise UserError(f"n is {n:,}, but {subject.name} has {subject.count:,} samples: give a lower --n")
