"""Runs that come from files: a run.toml, or a Python file of the user's own that defines `run`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from wgan.errors import UserError
from wgan.results import read_toml
from wgan.run import PART_FIELDS, Run, from_fields, to_fields


class UserFile(ModuleType):
    """The module that a file of the user's own becomes."""


def run_of_file(path: Path) -> Run:
    """The `run` that a Python file defines; the file is executed. Errors: UserError when it fails or defines none."""
    if not path.is_file():
        raise UserError(f"no file {path}")
    name = path.stem
    if _taken(name, path):
        raise UserError(f"{path} would hide the Python module '{name}': rename the file")
    module = UserFile(name)
    module.__file__ = str(path.resolve())
    # its own imports of files beside it, and dataclasses in it, must find their module
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[name] = module
    try:
        # not by the loader: it leaves __pycache__ behind, and takes an edit within one second for the old file
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{path}{_line(error, path)} fails: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    run = getattr(module, "run", None)
    if not isinstance(run, Run):
        raise UserError(f"{path} defines no run: it needs a line such as run = wgan.Run(data='cifar10')")
    return run


def _taken(name: str, path: Path) -> bool:
    """Whether there is another module of this name, which the file would hide from all that import it."""
    if isinstance(sys.modules.get(name), UserFile):
        return False
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return name in sys.modules
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() != path.resolve()


def _line(error: BaseException, path: Path) -> str:
    """The place in the file that the error came through, as `, line 12,`; "" without one."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}," if lines else ""


def run_of_toml(told: Mapping[str, Any], path: Path) -> Run:
    """The run that a run.toml tells; parts of a user's own come from the Python file that it names as its source."""
    fields = told.get("run")
    if not isinstance(fields, Mapping):
        raise UserError(f"{path} has no [run] table")
    source = source_of(told, path)
    if not source:
        for name, value in fields.items():
            if is_own(name, value):
                raise UserError(
                    f"{path}: {name} '{value}' is an object of your own, which the file can't hold: "
                    "load it by wgan.load(path, networks=...), or train from a Python file: wgan train my_run.py"
                )
        return from_fields(fields)
    base = run_of_file(Path(source))
    mine = to_fields(base)
    # what the file decides by objects stays as it is there; plain fields may have been changed on the command line
    changed = {name: value for name, value in fields.items() if mine.get(name) != value}
    for name, value in changed.items():
        if is_own(name, value):
            raise UserError(f"{path}: {name} is '{value}', but {source} has '{mine.get(name)}' now: change it back")
    return from_fields(changed, base)


def is_own(name: str, value: object) -> bool:
    """Whether a field of run.toml tells a part that is not built in, as `module:name(...)`."""
    return name in PART_FIELDS and ":" in str(value)


def run_of_config(path: Path) -> tuple[Run, str]:
    """The run in a run.toml, and the user's own file that it came from, if any."""
    told = read_toml(path)
    return run_of_toml(told, path), source_of(told, path)


def source_of(told: Mapping[str, Any], path: Path) -> str:
    """The user's own file that a run.toml names, "" without."""
    source = told.get("source", {})
    file = source.get("file", "") if isinstance(source, Mapping) else None
    if not isinstance(file, str):
        raise UserError(f"{path}: source must be a table with the text 'file'")
    return file
