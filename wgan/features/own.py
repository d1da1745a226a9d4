"""`module:function` and `path/file.py:function`: features by a function of the user's own.

The function takes images uint8 [n, c, h, w] in [0, 255] on the CPU and returns one vector of floats for each, [n, d];
it moves them to the device of its network by itself. It is tried on a few images first: a network left in training
mode gives another vector each time, or one that depends on the other images of the batch, and is refused.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from wgan.errors import UserError
from wgan.features.base import Extracted, check_images

_PROBES = 4
# relative to the largest feature; what GPUs add up in another order stays far below
_SAME = 1e-3


class OwnFeatures:
    """Features by `function`; `name` is how the user wrote it, `source` the bytes of the file it is defined in."""

    def __init__(self, name: str, function: Callable[[Tensor], object], source: bytes, shape: tuple[int, ...]) -> None:
        self.name, self._function, self._source = name, function, source
        self.dim = 0
        # noise: every function of images gives it a finite vector, and the same in each run
        generator = torch.Generator().manual_seed(0)
        probes = torch.randint(0, 256, (_PROBES, *shape), generator=generator, dtype=torch.uint8)
        features = self._checked(probes)
        self.dim = features.shape[1]
        self._check_alone(probes, features)
        self.fingerprint = self._fingerprint(features)

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {
            "features": self.name,
            "source_sha256": hashlib.sha256(self._source).hexdigest(),
            "resizer": "the function's own",
            "scaling": "the function's own",
            "torch": str(torch.__version__),
            "dim": self.dim,
        }

    def __call__(self, images: Tensor) -> Extracted:
        """Features float32 [n, dim] of images uint8 [n, c, h, w].

        UserError: the function fails, or returns anything but n finite vectors of `dim` floats.
        """
        check_images(images)
        if not len(images):
            return Extracted(torch.empty(0, self.dim), None)
        return Extracted(self._checked(images), None)

    @torch.no_grad()
    def _checked(self, images: Tensor) -> Tensor:
        # a copy: functions that work in place must not change the caller's images
        try:
            result = self._function(images.cpu().clone())
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(f"features '{self.name}' fail{_told(error)}") from error
        features = _as_tensor(self.name, result)
        if features.ndim != 2 or len(features) != len(images) or features.shape[1] == 0:
            raise UserError(
                f"features '{self.name}' must return [n, d], a vector for each image; for {len(images)} images they "
                f"returned {list(features.shape)}"
            )
        if self.dim and features.shape[1] != self.dim:
            raise UserError(f"features '{self.name}' returned {features.shape[1]} numbers an image, before {self.dim}")
        bad = int((~features.isfinite()).any(1).sum())
        if bad:
            raise UserError(f"features '{self.name}' are NaN or infinite for {bad} of {len(images)} images")
        return features

    def _check_alone(self, probes: Tensor, features: Tensor) -> None:
        """UserError unless the function gives an image the same features again, and among other images."""
        # two, as batch norm in training mode refuses one image for reasons of its own
        again, alone = self._checked(probes), self._checked(probes[:2])
        allowed = _SAME * float(features.abs().max())
        if float((again - features).abs().max()) > allowed:
            why = "are different each time for the same images"
        elif float((alone - features[:2]).abs().max()) > allowed:
            why = "of an image depend on the other images of the batch"
        else:
            return
        raise UserError(f"features '{self.name}' {why}: if it is a network, call its eval() first")

    def _fingerprint(self, features: Tensor) -> str:
        """Of the source file and of what comes out for the probes: the weights of a network are in neither file."""
        some = torch.randn(self.dim, generator=torch.Generator().manual_seed(1))
        # four digits: the same on another device or number of threads, not after another epoch of training
        told = [f"{float(value):.3e}" for x in features for value in (x.mean(), x.std(correction=0), x @ some)]
        return "own-" + hashlib.sha256(self._source + " ".join(told).encode()).hexdigest()


def own_features(name: str, shape: tuple[int, int, int]) -> OwnFeatures:
    """The features of 'module:function' or 'path/file.py:function', tried on images of `shape` (c, h, w).

    UserError: no such module, file or function, one that is not callable, or that does not give features.
    """
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise UserError(f"features '{name}' must be 'module:function' or 'path/file.py:function'")
    module = _of_file(Path(place).expanduser(), name) if place.endswith(".py") else _of_module(place, name)
    if attribute not in vars(module):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(f"features '{name}': '{place}' has no '{attribute}'; it has {', '.join(known[:8]) or 'none'}")
    function = vars(module)[attribute]
    if not callable(function):
        raise UserError(f"features '{name}': '{attribute}' is {type(function).__name__}, not a function of images")
    file = vars(module).get("__file__")
    source = Path(file).read_bytes() if isinstance(file, str) and os.path.isfile(file) else place.encode()
    return OwnFeatures(name, function, source, shape)


def _of_module(place: str, name: str) -> ModuleType:
    # the command's own search path lacks the folder it is called in, unlike that of `python -m`
    here = os.getcwd()
    sys.path.append(here)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise UserError(f"features '{name}': there is no module '{place}' here or installed") from error
        raise UserError(f"features '{name}': importing '{place}' fails: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"features '{name}': importing '{place}' fails{_told(error)}") from error
    finally:
        sys.path.remove(here)


def _of_file(path: Path, name: str) -> ModuleType:
    """The module that a file becomes when executed; under a name that hides no other module."""
    try:
        code = path.read_bytes()
    except OSError as error:
        raise UserError(f"features '{name}': cannot read '{path}': {error.strerror or error}") from error
    module = ModuleType(f"wgan_features_{path.stem}")
    module.__file__ = str(path.resolve())
    folder = str(path.parent.resolve())
    # its own imports of files beside it, and dataclasses in it, must find their module
    sys.path.insert(0, folder)
    sys.modules[module.__name__] = module
    try:
        # not by the loader: it leaves __pycache__ behind, and takes an edit within one second for the old file
        exec(compile(code, module.__file__, "exec"), module.__dict__)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"features '{name}': {path} fails{_told(error)}") from error
    finally:
        sys.path.remove(folder)
    return module


def _as_tensor(name: str, result: object) -> Tensor:
    """The function's result as float32 on the CPU; NumPy arrays count as tensors. UserError: anything else."""
    try:
        tensor = torch.as_tensor(result)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"features '{name}' must return a tensor [n, d], not {type(result).__name__}") from error
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UserError(f"features '{name}' must return floats [n, d], not {kind} {list(tensor.shape)}")
    return tensor.detach().float().cpu()


def _told(error: BaseException) -> str:
    """` at file.py, line 12: ValueError: ...`, in one line; the place is the last one in a file of the user's."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if _of_user(frame.filename)]
    where = f" at {Path(theirs[-1].filename).name}, line {theirs[-1].lineno}" if theirs else ""
    return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"


def _of_user(file: str) -> bool:
    """Whether a file belongs to no package that is installed, to none of ours and not to Python itself."""
    path = Path(file)
    if not path.is_file() or Path(__file__).parent.parent in path.parents or "site-packages" in path.parts:
        return False
    return not any(Path(base) in path.parents for base in (sys.base_prefix, sys.prefix))
