"""What jobs are run at, and what they gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wgan.errors import UserError

# a job is called with the folder for what it leaves behind, and returns numbers and arrays
Job = Callable[[Path], Mapping[str, Any]]
Result = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """full: the paper's own setting, for a GPU; else what two CPU cores do in minutes.

    photographs: a folder of images. Its repr, by which results are told apart, is without the places where things are.
    """

    full: bool = False
    device: str = field(default="auto", repr=False)
    data_root: Path | None = field(default=None, repr=False)
    photographs: str = field(default="", repr=False)

    def data(self, name: str) -> str:
        """The name for `wgan.data.load` of what a figure NEEDS. Errors: UserError for photographs without a folder."""
        if name != "photographs":
            return name
        if not self.photographs:
            raise UserError(
                "this figure is of photographs: give a folder of them by --photographs (the paper: LSUN bedrooms), or "
                "name other figures"
            )
        return self.photographs


class Results(dict[str, list[Result]]):
    """The results of each job by its name, one a seed: `results["wgan"][0]["gradient"]` is an array."""

    def numbers(self, name: str, key: str) -> list[float]:
        """One number a seed."""
        return [float(each[key]) for each in self[name]]
