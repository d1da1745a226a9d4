"""The weights of the network that FID is defined by: found, or downloaded and checked, and read without running code.

The file is the conversion of Google's inception-2015-12-05 graph that pytorch-fid and torch-fidelity share: the same
bytes under two names. Weights of another content may be given by their path; what they measure is not FID.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from wgan.data.download import fetch
from wgan.errors import UserError

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URLS = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
FOLDER = "weights"
# the official file has 96 MB; what has this much more is another network and is not read into memory
LARGEST = 512 << 20


class Weights(NamedTuple):
    """Tensors by name, as the file at `path` holds them; `sha256` (hex) of the whole file tells it from others."""

    tensors: dict[str, Tensor]
    sha256: str
    path: Path

    @property
    def official(self) -> bool:
        """Whether this is the network that FID is defined by."""
        return self.sha256 == SHA256


def find_weights(given: Path | None, root: Path, quiet: bool = False) -> Weights:
    """The weights at `given`, else in `root`/weights, else in torch's own cache, else downloaded to `root`/weights.

    UserError: no such file, a damaged or hostile one, weights that are not official though not `given`, no network.
    """
    if given is not None:
        return read_weights(given.expanduser())
    names = [url.rpartition("/")[2] for url in URLS]
    for path in [root / FOLDER / name for name in names]:
        if path.exists():
            return _official(path)
    for path in [Path(torch.hub.get_dir()) / "checkpoints" / name for name in names]:
        # pytorch-fid and torch-fidelity keep it there; it is no folder of ours, so another content is passed over
        if path.is_file() and _sha256(path) == SHA256:
            return read_weights(path)
    return _official(_download(root / FOLDER, quiet))


def _official(path: Path) -> Weights:
    """Weights from a folder of ours, where nothing but the official file may have this name."""
    # the checksum first: of a truncated file it says more than whatever reading it would run into
    if path.is_file() and (found := _sha256(path)) != SHA256:
        raise UserError(
            f"'{path}' is truncated, damaged or another network (sha256 {found[:12]}..., not {SHA256[:12]}...): remove "
            "it to have it downloaded again, or give a network of your own by its path"
        )
    return read_weights(path)


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror or error}") from error


def _download(folder: Path, quiet: bool) -> Path:
    """The official file, from the first server that has it."""
    for url in URLS:
        try:
            return fetch(url, folder / url.rpartition("/")[2], f"sha256:{SHA256}", quiet=quiet)
        except UserError as error:
            trouble = error
            if "no connection" in str(error):  # the other address is on the same host
                break
    raise UserError(
        f"FID's Inception network needs its weights (96 MB): {trouble}; or choose the features 'classifier', which "
        "need no download"
    ) from trouble


def read_weights(path: Path) -> Weights:
    """Tensors from a file that torch.save wrote, in its present or its old format; code in the file is not run.

    UserError: no such file, not readable, damaged, or holding anything but tensors by name.
    """
    try:
        if not path.is_file():
            raise UserError(f"no file of weights at '{path}'; the official one is at {URLS[0]}")
        if path.stat().st_size > LARGEST:
            raise UserError(f"'{path}' is larger than any weights of the Inception network: get them from {URLS[0]}")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror or error}") from error
    tensors = _unpickle(content, path)
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) and _plain(value) for name, value in tensors.items()
    ):
        raise UserError(f"'{path}' holds something other than tensors by name: get the weights from {URLS[0]}")
    tensors = {name: value.detach() for name, value in tensors.items()}  # some save parameters
    return Weights(tensors, hashlib.sha256(content).hexdigest(), path)


def _plain(value: Tensor) -> bool:
    """Whether a tensor is a table of numbers that are there: not sparse, complex, quantized or a mere shape."""
    numbers = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
    return value.layout == torch.strided and value.device.type == "cpu" and value.dtype in numbers


def _unpickle(content: bytes, path: Path) -> object:
    """What torch.load makes of the file, with nothing but tensors and containers allowed."""
    try:
        if content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                # the format never compresses: a file that claims to unpack to more is made to fill the memory
                if sum(entry.file_size for entry in archive.infolist()) > len(content):
                    raise UserError(f"'{path}' unpacks to more than it holds: get the weights from {URLS[0]}")
        with warnings.catch_warnings():  # on odd versions of the format, which either load or do not
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        # torch's text goes on for many lines and advises to switch the protection off
        if "GLOBAL" in str(error):  # pickle's word for a class or function that the file wants
            raise UserError(
                f"'{path}' was not read: it asks for more than tensors, which could run code; get the weights from "
                f"{URLS[0]}"
            ) from error
        raise UserError(_damaged(path, error)) from error
    except Exception as error:  # a damaged file raises anything: RuntimeError, EOFError, KeyError, MemoryError ...
        raise UserError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"'{path}' is truncated, damaged or no file of weights ({type(error).__name__}): get them from {URLS[0]}"
