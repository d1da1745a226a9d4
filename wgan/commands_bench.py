"""The command `wgan bench`: parse, call, print. torch is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from wgan.flags import Whole


def bench(
    data: str = "cifar10",
    /,
    *,
    preset: str = "wgan",
    size: Whole | None = None,
    networks: str | None = None,
    batch_size: Whole | None = None,
    n_critic: Whole | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
    repeats: Whole = 5,
    no_textbook: bool = False,
    device: str = "auto",
    data_root: Path | None = None,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Measure how fast a run is on this machine: against a textbook loop, and against what the machine can do.

    Parameters
    ----------
    data
        as for wgan train (cifar10)
    preset
        the run, as for wgan train (wgan)
    size
        bring images to SIZE x SIZE pixels
    networks
        such as 'dcgan(filters=32)', 'resnet', 'points(width=128)'
    batch_size
        real samples in each critic update
    n_critic
        critic updates before each generator update
    precision
        of the networks' arithmetic, as for wgan train (auto)
    repeats
        timed turns of each, of a third of a second and a step at least (5)
    no_textbook
        leave the comparison out
    device
        auto, cpu, cuda, cuda:1, mps
    data_root
        folder of data sets, instead of WGAN_DATASETS or datasets/
    json
        print the figures as JSON
    quiet
        no progress
    """
    import json as text

    from wgan.bench import bench as measure
    from wgan.presets import preset as find_preset

    given = {
        "size": size,
        "networks": networks,
        "batch_size": batch_size,
        "n_critic": n_critic,
        "precision": precision,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    run = find_preset(preset, data=data, steps=1000, **fields)
    found = measure(run, repeats=repeats, textbook=not no_textbook, device=device, data_root=data_root, quiet=quiet)
    print(text.dumps(found.row(), indent=2) if json else "\n".join(found.lines()))
