"""How good are these samples? One call from a run, or a folder of images, to a report that carries its protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import wgan
from wgan.data import Data
from wgan.devices import find_device
from wgan.errors import UserError, at_least
from wgan.evaluation.bench import Bench, Setting, check_shapes, open_bench
from wgan.evaluation.choice import choose_features, root_of
from wgan.evaluation.neighbours import neighbours
from wgan.evaluation.plan import check_names, short
from wgan.evaluation.reference import DRAWS, Reference, default_n, open_reference
from wgan.evaluation.report import Report, check_new, merged, read_report, write_report
from wgan.evaluation.sides import Side
from wgan.evaluation.streams import Samples
from wgan.evaluation.subject import Subject, check_n, subject_of_run, subject_of_samples
from wgan.log import Reporter
from wgan.pictures import save_png


def evaluate(
    run: str | Path | None = None,
    *,
    samples: Samples | None = None,
    against: str | Path | Data | None = None,
    split: str = "train",
    held_out: str | Path | Data | None = None,
    n: int | None = None,
    metrics: Sequence[str] | None = None,
    features: str | None = None,
    weights: Path | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "auto",
    data_root: Path | None = None,
    batch_size: int = 128,
    allow_bad: bool = False,
    out: Path | None = None,
    quiet: bool = True,
) -> Report:
    """Measure the samples of a run, or `samples` that anyone made, against real ones.

    run: its folder (the newest checkpoint) or a checkpoint file. samples: a folder of images, a .npy or .npz file, an
    array or tensor, uint8 in [0, 255] or float in [-1, 1] or [0, 255], or points. against: "train" or "test" of the
    run's data (train), or other data, of which `split` is taken. held_out: real samples beside the reference, where
    the data has no test split. n: samples to measure, 10,000 (points: 2,500, in ten draws) or as many as there are.
    metrics: names in `wgan.evaluation.NAMES`, None for all that apply. features: "inception", "classifier", "pixels",
    "module:function"; None takes the best that is there. weights: the file of Inception weights. size: samples and
    reference are brought to size x size pixels. seed: of noise, subsets and directions. out: a file for the report.
    quiet: no progress on stderr.

    A run's report is kept in its folder too, as evaluation/step-N-FEATURES-REFERENCE-n.json, beside a picture of the
    nearest neighbours. Errors: UserError for what can't be measured, before anything expensive where that can be known.
    """
    check_names(metrics)
    check_new(out)
    at_least(0, "seed", seed)
    at_least(1, "batch_size", batch_size)
    where = find_device(device)
    subject = _subject(run, samples, size, device, data_root, allow_bad, quiet)
    name, split = _wanted(subject, against, split)
    with _hinting(subject, against):
        reference = open_reference(
            name, split, held_out=held_out, size=subject.size or size, root=data_root, allow_bad=allow_bad, quiet=quiet
        )
    check_shapes(subject.name, subject.shape, reference)
    setting = _setting(subject, reference, n, seed, root_of(data_root) / "cache", batch_size, quiet)
    choice = choose_features(
        features, reference, metrics, setting.n, weights=weights, root=data_root, device=where, quiet=quiet
    )
    if choice.why:
        Reporter(quiet=quiet).say(f"features {choice.features.name}: {choice.why}")
    bench, notes = open_bench(reference, choice, metrics, setting)
    labels = _labels(subject, bench)
    fake = bench.take(subject.draw(setting.n * setting.draws, seed, labels))
    notes += _notes(subject, reference, bench)
    report = Report(_protocol(subject, bench), tuple(bench.rows(fake)), tuple(notes))
    return _kept(report, subject, bench, fake, out)


def _subject(
    run: str | Path | None,
    samples: Samples | None,
    size: int | None,
    device: str,
    root: Path | None,
    allow_bad: bool,
    quiet: bool,
) -> Subject:
    if (run is None) == (samples is None):
        raise UserError("evaluate what? Give the folder of a run, or --samples with a folder of images or a .npy file")
    if samples is not None:
        return subject_of_samples(samples, size=size, root=root, allow_bad=allow_bad, quiet=quiet)
    assert run is not None
    subject = subject_of_run(run, device)
    if size is not None and subject.shape[1:] != (size, size):
        raise UserError(f"--size {size}: the samples of {run} are as large as it makes them: leave --size out")
    return subject


def _wanted(subject: Subject, against: str | Path | Data | None, split: str) -> tuple[str | Path | Data, str]:
    """(data, split) of the reference."""
    if subject.folder is None and (against is None or against in ("train", "test")):
        raise UserError("against what? Samples of no run need --against DATA: cifar10, mnist, a folder of images, ...")
    if against is None or (isinstance(against, str) and against in ("train", "test")):
        return subject.data, split if against is None else str(against)
    return against, split


@contextmanager
def _hinting(subject: Subject, against: object) -> Iterator[None]:
    """Where the data that a run was trained on can't be opened, the line says what else can be done."""
    try:
        yield
    except UserError as error:
        if subject.folder is None or against is not None:
            raise
        raise UserError(f"{error}; {subject.folder} was trained on it: give other data by --against") from None


def _setting(
    subject: Subject, reference: Reference, n: int | None, seed: int, cache: Path, batch_size: int, quiet: bool
) -> Setting:
    """How many samples in how many draws: ten draws of points, where both sides are infinite."""
    chosen = default_n(reference, subject.count) if n is None else n
    check_n(chosen, subject)
    draws = 1
    if reference.data.count is None and len(subject.shape) == 1:
        draws = DRAWS if subject.count is None else min(DRAWS, subject.count // chosen)
    return Setting(n=chosen, draws=draws, seed=seed, cache=cache, batch_size=batch_size, quiet=quiet)


def _labels(subject: Subject, bench: Bench) -> np.ndarray | None:
    """For a conditional run the labels of the reference: classes as frequent as they are there."""
    labels = bench.real.stream.labels
    if not subject.classes or labels is None or subject.classes != bench.reference.data.classes:
        return None
    return np.resize(labels, bench.setting.n * bench.setting.draws).astype(np.int64)


def _notes(subject: Subject, reference: Reference, bench: Bench) -> list[str]:
    notes = []
    if bench.spare is None:
        told = f"real data: two halves of the reference, {bench.real.n // 2:,} each ({reference.missing})"
        notes.append(told)
    else:
        notes.append(f"real data: {bench.spare.n:,} of {bench.spare.stream.name} in place of the samples")
    own = subject.data == reference.data.name and reference.split == "train"
    if own and subject.fingerprint != reference.data.fingerprint:
        notes.append(f"data '{reference.data.name}' have changed since {subject.folder} was trained")
    return notes


def _protocol(subject: Subject, bench: Bench) -> dict[str, Any]:
    """Everything that decides the numbers."""
    reference, how = bench.reference, bench.setting
    floor: dict[str, Any] = {"data": f"halves of {bench.real.stream.name}", "n": bench.real.n // 2}
    if bench.spare is not None:
        floor = {"data": bench.spare.stream.name, "n": bench.spare.n // how.draws}
    return {
        "samples": {**subject.told, "n": how.n, "draws": how.draws, "seed": how.seed},
        "reference": {
            "data": reference.data.name,
            "split": reference.split,
            "n": bench.real.n // how.draws,
            "available": reference.data.count,
            "shape": list(reference.data.shape),
            "fingerprint": reference.data.fingerprint,
        },
        "floor": floor,
        "features": {
            "name": bench.features.name,
            **bench.features.protocol,
            "fingerprint": bench.features.fingerprint,
        },
        "versions": {"wgan": wgan.__version__, "torch": torch.__version__},
    }


def _kept(report: Report, subject: Subject, bench: Bench, fake: Side, out: Path | None) -> Report:
    """The report in the run's folder and in `out`, with a picture of neighbours where there are images.

    Errors: UserError when `out` can't be written. A run's folder that can't be is noted: the figures are not lost.
    """
    data = Path(bench.reference.data.name).name
    name = f"{subject.stem}-{short(bench.features.name)}-{data}-{bench.reference.split}-{bench.setting.n}"
    name += f"-seed{bench.setting.seed}" if bench.setting.seed else ""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    if subject.folder is not None:
        folder = subject.folder / "evaluation"
        try:
            report = _pictured(report, subject, bench, fake, folder / f"neighbours-{name}.png")
            report = replace(report, file=str(folder / f"{name}.json"))
            write_report(merged(report, read_report(Path(report.file))), Path(report.file))
        except UserError as error:
            report = replace(report, notes=(*report.notes, f"not kept: {error}"), file="")
    elif out is not None:
        report = _pictured(report, subject, bench, fake, out.with_name(f"{out.stem}-neighbours.png"))
    if out is not None:
        report = replace(report, file=str(out))
        write_report(report, out)
    return report


def _pictured(report: Report, subject: Subject, bench: Bench, fake: Side, path: Path) -> Report:
    """The report with its picture; points have none."""
    if len(subject.shape) != 3:
        return report
    train, heldout = bench.seen_and_unseen()
    told = f"Euclidean distances of {short(bench.features.name)} features"
    save_png(neighbours(fake, bench.real if train is None else train, heldout, told), path)
    return replace(report, picture=str(path))
