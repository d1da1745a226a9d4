"""What is real. `load(name)` gives an object with `batch(seed, start, n)`; see `wgan.data.base.Data`.

A source of your own is any object with the attributes of `Data`, handed over in place of a name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from wgan.data.arrays import from_array, open_array_file
from wgan.data.base import Batch, Data, Images, Points, Request, Toy, order
from wgan.data.cifar10 import open_cifar10
from wgan.data.digits import open_digits
from wgan.data.funnels import Funnels, open_funnels
from wgan.data.hub import open_hub
from wgan.data.mnist import open_fashion_mnist, open_mnist
from wgan.data.stacked_mnist import open_stacked_mnist
from wgan.data.toy import eight_gaussians, gaussian, line, swiss_roll, twenty_five_gaussians
from wgan.errors import UserError, did_you_mean

__all__ = ["SOURCES", "Batch", "Data", "Funnels", "Images", "Points", "Request", "Toy", "load", "order"]

# the part of a name before the first colon -> what opens it
SOURCES: dict[str, Callable[[Request], Data]] = {
    "digits": open_digits,
    "cifar10": open_cifar10,
    "mnist": open_mnist,
    "fashion-mnist": open_fashion_mnist,
    "stacked-mnist": open_stacked_mnist,
    "8gaussians": eight_gaussians,
    "25gaussians": twenty_five_gaussians,
    "swissroll": swiss_roll,
    "line": line,
    "gaussian": gaussian,
    "funnels": open_funnels,
    "hf": open_hub,
}


def load(
    name: str | Path | np.ndarray | Data,
    *,
    size: int | None = None,
    root: Path | None = None,
    split: str = "train",
    allow_bad: bool = False,
    quiet: bool = False,
) -> Data:
    """Opens a data set by its name, a path, an array; a Data object is passed through.

    name: `digits`, `cifar10`, `mnist`, `fashion-mnist`, `stacked-mnist`, `8gaussians`, `25gaussians`, `swissroll`,
    `line:THETA`, `gaussian[:D]`, `funnels:DIM:COUNT:SEED:real` and `:fake` (see `Funnels`),
    `hf:owner/name[:split[:column]]`, a folder of images, a .npy or .npz file, an array (uint8
    [n, c, h, w], [n, h, w, c] or [n, h, w]; float [n, d]), or an object with the attributes of `Data`.
    size: height and width in pixels that images are brought to. root: the folder of data sets, by default
    WGAN_DATASETS or `datasets/`; decoded arrays are kept in `root`/cache. split: 'train', 'test' or what there is.
    allow_bad: go on although more than 5 % of the images cannot be read. quiet: no progress on stderr.
    UserError: unknown name, nothing there, damaged or wrong content, no network for a download.
    """
    root = Path(root or os.environ.get("WGAN_DATASETS") or "datasets").expanduser()
    request = Request(str(name), "", root, split, size, allow_bad, quiet)
    if isinstance(name, np.ndarray):
        return _sized(from_array("array", name), request)
    if not isinstance(name, str | Path):
        if not isinstance(name, Data):
            raise UserError(
                f"data must be a name, a path, an array or an object with batch(), not {type(name).__name__}"
            )
        return _sized(name, request)
    key, _, argument = str(name).partition(":")
    if isinstance(name, str) and key in SOURCES:
        return _sized(SOURCES[key](replace(request, argument=argument)), request)
    return _sized(_from_path(request), request)


def _from_path(request: Request) -> Data:
    # os.path: unlike Path's, these calls never raise, whatever the name
    path = Path(os.path.expanduser(request.name))
    exists = bool(request.name) and os.path.exists(path)
    if exists and os.path.isdir(path):
        return _from_folder(path, request)
    if exists and path.suffix in (".npy", ".npz"):
        return open_array_file(path, request)
    if exists:
        raise UserError(
            f"'{path}' is a file of no known kind: give a folder of images, a .npy or .npz file, or for "
            f"parquet 'hf:{path}'"
        )
    known = [*(name for name in SOURCES if name not in ("line", "funnels", "hf")), "line:THETA", "hf:OWNER/NAME"]
    if path.suffix in (".npy", ".npz"):
        raise UserError(f"no such file: '{path}'")
    if request.name and path.name != request.name:
        relative = request.name.count("/") == 1 and request.name[0] not in "./~"
        hint = f"; a data set of the hub is named 'hf:{request.name}'" if relative else ""
        raise UserError(f"no such folder or file: '{request.name}'{hint}")
    nor = f"; and there is no folder './{request.name}'" if request.name else ""
    raise UserError(did_you_mean("data", request.name, known) + nor)


def _from_folder(path: Path, request: Request) -> Images:
    """The folder itself, or its subfolder `split` where it is laid out as train/ and test/ (or val/)."""
    from wgan.data.folder import open_folder

    splits = [split for split in ("train", "test", "val", "valid") if os.path.isdir(path / split)]
    if request.split != "train" and not os.path.isdir(path / request.split):
        raise UserError(f"'{path}' has no split '{request.split}': no such subfolder")
    if request.split != "train" or ("train" in splits and len(splits) > 1):
        path = path / request.split
    return open_folder(
        path, size=request.size, cache_root=request.cache, allow_bad=request.allow_bad, quiet=request.quiet
    )


def _sized(data: Data, request: Request) -> Data:
    """`data` at `size` x `size` pixels."""
    if request.size is None:
        return data
    if isinstance(data, Images):
        from wgan.data.cache import resized

        return resized(data, request.size, request.cache, quiet=request.quiet)
    if len(data.shape) == 3 and data.shape[1:] == (request.size, request.size):
        return data
    if len(data.shape) == 3:
        raise UserError(f"data '{data.name}' gives {data.shape[2]}x{data.shape[1]} pixels and cannot be resized")
    raise UserError(f"data '{data.name}' is points, not images: leave --size out")
