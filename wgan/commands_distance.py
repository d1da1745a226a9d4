"""The command `wgan distance`: parse, call, print. torch is imported when it is called."""

from __future__ import annotations

from pathlib import Path

from wgan.flags import Whole


def distance(
    a: str,
    b: str,
    /,
    *,
    critic: str = "cones",
    objective: str | None = None,
    n: Whole = 50_000,
    steps: Whole = 1500,
    batch_size: Whole = 512,
    lr: float | None = None,
    size: Whole | None = None,
    split: str = "train",
    split_b: str | None = None,
    exact_n: Whole = 1000,
    seed: Whole = 0,
    device: str = "auto",
    data_root: Path | None = None,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Estimate the Wasserstein-1 distance of two data sets, with what is known about the error of the estimate.

    Parameters
    ----------
    a
        data as for wgan train, an array or folder of samples, or the folder of a run, which is sampled
    b
        likewise, of the same shape
    critic
        cones (needs no penalty), or a network such as 'points(width=256)' or 'dcgan(critic_norm="none")'
    objective
        what holds a network's slope: 'wasserstein + lp(weight=10)' unless given
    n
        samples of each, at most what there is (50000): 70 % to train on, 10 % to validate, 20 % held out
    steps
        of the critic (1500)
    batch_size
        samples of each in a step (512)
    lr
        step size of Adam at the start: 0.05 for cones, 0.001 for a network
    size
        bring images to SIZE x SIZE pixels
    split
        of data that have splits (train)
    split_b
        of B, where it is not the same
    exact_n
        samples in a batch of exact transport (1000)
    seed
        of batches and weights (0)
    device
        auto, cpu, cuda, cuda:1, mps
    data_root
        folder of data sets, instead of WGAN_DATASETS or datasets/
    json
        print the result as JSON
    quiet
        no progress bar
    """
    from json import dumps

    from wgan.run import parse_objective
    from wgan.transport import distance as measure

    found = measure(
        a,
        b,
        critic=critic,
        objective=None if objective is None else parse_objective(objective),
        n=n,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        size=size,
        split=split,
        split_b=split_b,
        exact_n=exact_n,
        seed=seed,
        device=device,
        root=data_root,
        quiet=quiet or json,
    )
    print(dumps(found.row()) if json else "\n".join(found.lines()))
