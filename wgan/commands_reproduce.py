"""The command `wgan reproduce`: parse, call, print. torch is imported when something is run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from wgan.errors import UserError
from wgan.flags import Whole

OUT = Path("results") / "reproduce"


def reproduce(
    *names: str,
    all: bool = False,
    full: bool = False,
    seeds: Whole = 3,
    first_seed: Whole = 0,
    jobs: Whole = 0,
    out: Path = OUT,
    photographs: str = "",
    data_root: Path | None = None,
    device: str = "auto",
    fresh: bool = False,
    quiet: bool = False,
) -> None:
    """Reproduce figures, tables and claims of the papers. Without a name: list them. Exit code 1: a claim failed.

    The same command goes on where it was; finished jobs are not run again.

    Parameters
    ----------
    names
        such as figure-2 or gp-figure-1a
    all
        every one of them
    full
        the paper's own setting, for a GPU; else what two CPU cores do in minutes
    seeds
        how many seeds (3)
    first_seed
        the first of them (0)
    jobs
        processes at once: one a core on the CPU, one on a GPU, unless given
    out
        folder for the results, one folder a figure (results/reproduce)
    photographs
        a folder of images for the figures that are of photographs (the paper: LSUN bedrooms)
    data_root
        folder of data sets, instead of WGAN_DATASETS or datasets/
    device
        auto, cpu, cuda, cuda:1, mps
    fresh
        remove earlier results of these figures, and start over
    quiet
        no progress
    """
    from wgan.reproduction.catalogue import catalogue, find, listing

    figures = list(catalogue().values()) if all else [find(name) for name in dict.fromkeys(names)]
    if all and names:
        raise UserError("give either names or --all, not both")
    if not figures:
        print("\n".join(listing(catalogue().values(), shutil.get_terminal_size().columns)))
        return
    if not full:
        alone = [figure.name for figure in figures if figure.full_only]
        if alone and not all:
            raise UserError(f"{alone[0]} has no small version: give --full, and a GPU")
        figures = [figure for figure in figures if not figure.full_only]
    from rich.console import Console

    from wgan.reproduction.report import print_outcome, write_page
    from wgan.reproduction.results import Scale
    from wgan.reproduction.running import reproduce as run

    scale = Scale(full=full, device=device, data_root=data_root, photographs=photographs)
    console, passed = Console(highlight=False), 0
    outcomes = run(
        figures,
        out=out,
        scale=scale,
        seeds=range(first_seed, first_seed + seeds),
        jobs=jobs,
        fresh=fresh,
        quiet=quiet,
    )
    for outcome in outcomes:
        print_outcome(outcome, console)
        passed += outcome.passes
    if len(figures) > 1:
        print(f"{passed} of {len(figures)} pass; all on one page: {write_page(catalogue().values(), out, full)}")
    if passed < len(figures):
        sys.exit(1)
