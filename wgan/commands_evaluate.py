"""The command `wgan evaluate`: parse, call, print. Like all of the command line it imports torch when it is called."""

from __future__ import annotations

from pathlib import Path

from wgan.flags import Whole


def evaluate(
    run: Path | None = None,
    /,
    *,
    samples: str | None = None,
    against: str | None = None,
    split: str = "train",
    held_out: str | None = None,
    n: Whole | None = None,
    metrics: str | None = None,
    features: str | None = None,
    weights: Path | None = None,
    size: Whole | None = None,
    seed: Whole = 0,
    batch_size: Whole = 128,
    device: str = "auto",
    data_root: Path | None = None,
    allow_bad: bool = False,
    out: Path | None = None,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Measure how good samples are: each figure with its protocol, and with what real data score beside it.

    Parameters
    ----------
    run
        folder of a run (its newest checkpoint) or a checkpoint file; or give --samples
    samples
        a folder of images or a .npy or .npz file that any GAN made: uint8 in 0..255, or float in [-1, 1] or [0, 255]
    against
        train or test: that split of the run's data (train); or other data, as for wgan train
    split
        of --against DATA (train)
    held_out
        more real data of the same kind, where there is no test split: for the floor and for memorisation
    n
        samples to measure: 10000 (points: ten draws of 2500), or as many as there are; published FID is of 50000
    metrics
        names with commas between, such as fid,precision,recall; all that apply unless given
    features
        inception, classifier, pixels, module:function or file.py:function; the best that is there unless given
    weights
        file of the Inception weights, where they are not under datasets/weights
    size
        bring samples and reference to SIZE x SIZE pixels
    seed
        of noise, subsets and directions (0)
    batch_size
        images that go through the networks at once (128)
    device
        auto, cpu, cuda, cuda:1, mps
    data_root
        folder of data sets, instead of WGAN_DATASETS or datasets/
    allow_bad
        go on even when more than 5 % of a folder's images can't be read
    out
        a new file for the report, as JSON; that of a run is kept in RUN/evaluation too
    json
        print the report as JSON
    quiet
        no progress
    """
    from rich.console import Console

    from wgan.evaluation import evaluate as measure
    from wgan.evaluation.report import print_report

    report = measure(
        run,
        samples=samples,
        against=against,
        split=split,
        held_out=held_out,
        n=n,
        metrics=None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()],
        features=features,
        weights=weights,
        size=size,
        seed=seed,
        device=device,
        data_root=data_root,
        batch_size=batch_size,
        allow_bad=allow_bad,
        out=out,
        quiet=quiet,
    )
    if json:
        print(report.to_json())
    else:
        print_report(report, Console())
