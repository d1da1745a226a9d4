"""Samples from a trained generator: `load` it, then `sample`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wgan import checkpoint, seeds
from wgan.data.grid import as_bytes, grid
from wgan.devices import find_device
from wgan.errors import UserError, at_least
from wgan.log import Reporter
from wgan.networks import Network
from wgan.pictures import draw, fakes, save_png
from wgan.results import read_toml, saying, whole
from wgan.run import Run
from wgan.state import below
from wgan.userfile import is_own, run_of_toml


@dataclass(frozen=True)
class Sampler:
    """A generator to sample from.

    shape: of one sample, (c, h, w) in [-1, 1] or (d,). classes: names of the labels of a conditional run, else ().
    step: generator updates it was trained for.
    """

    generator: nn.Module
    shape: tuple[int, ...]
    z_dim: int
    classes: tuple[str, ...]
    step: int
    device: torch.device

    def noise(self, n: int, seed: int = 0, truncation: float | None = None) -> Tensor:
        """z float32 [n, z_dim] from N(0, 1); numbers beyond +-truncation are drawn again (Brock et al. 2019).

        Truncation trades variety for quality: none, or a bound of at least 0.05.
        """
        at_least(1, "n", n)
        at_least(0, "seed", seed)
        source = seeds.generator(seed, "sample")
        z = torch.randn(n, self.z_dim, generator=source)
        if truncation is not None:
            if not truncation >= 0.05:
                raise UserError(f"truncation is {truncation}: must be at least 0.05")
            while (outside := z.abs() > truncation).any():
                z = torch.where(outside, torch.randn(z.shape, generator=source), z)
        return z

    def sample(
        self, n: int, *, seed: int = 0, label: int | str | None = None, truncation: float | None = None
    ) -> Tensor:
        """Samples float32 [n, *shape] on the CPU; images in [-1, 1].

        label: a class by number or name, for conditional runs; None goes through the classes in turn.
        """
        return self.decode(self.noise(n, seed, truncation), label)

    def interpolate(
        self,
        rows: int,
        columns: int = 8,
        *,
        seed: int = 0,
        label: int | str | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Samples [rows * columns, *shape]: along each row z goes from one end to another.

        The path is the great circle (Shoemake 1985): straight lines leave the shell where N(0, I) lives.
        """
        at_least(1, "columns", columns)
        ends = self.noise(2 * rows, seed, truncation)
        a, b = ends[:rows, None], ends[rows:, None]
        t = torch.linspace(0, 1, columns)[None, :, None]
        cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1 + 1e-6, 1 - 1e-6)[..., None]
        angle = torch.acos(cosine)
        z = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
        labels = None
        if self.classes and label is None:
            labels = torch.arange(rows).repeat_interleave(columns) % len(self.classes)
        return self.decode(z.reshape(rows * columns, -1), label, labels)

    def decode(self, z: Tensor, label: int | str | None = None, labels: Tensor | None = None) -> Tensor:
        """The samples [n, *shape] of given z [n, z_dim] and one label, or labels int64 [n]."""
        if label is not None:
            labels = torch.full((len(z),), self._index(label))
        elif self.classes and labels is None:
            labels = torch.arange(len(z)) % len(self.classes)
        return fakes(self.generator, z.to(self.device), None if labels is None else labels.to(self.device))

    def _index(self, label: int | str) -> int:
        if not self.classes:
            raise UserError("this run is not conditional: it has no labels to choose from; leave --label out")
        if str(label) in self.classes:
            return self.classes.index(str(label))
        if str(label).isdecimal() and int(label) < len(self.classes):
            return int(label)
        names = ", ".join(f"{i} {name}" for i, name in enumerate(self.classes))
        raise UserError(f"unknown label '{label}'; labels are {names}")


def load(path: str | Path, device: str = "auto", networks: Network | None = None) -> Sampler:
    """The generator of a run: `path` is its folder (the newest whole checkpoint) or one of its checkpoint files.

    Where the run kept a running average of the generator, that is what is loaded. networks: the run's own, when they
    are an object of yours that run.toml can't hold. No code from the files is run, but for the Python file that the run
    came from, when it has networks of its own.

    Errors: UserError when there is no run or no checkpoint, or it is damaged.
    """
    path = Path(path)
    folder = path.parent.parent if path.is_file() else path
    if not (folder / "run.toml").exists():
        raise UserError(f"no run at {path}: needs a folder with run.toml, such as wgan train makes")
    file: Path | None = path
    if path.is_file():
        tensors, header = checkpoint.load(path)
    else:
        file, tensors, header, complaints = checkpoint.newest(folder / "checkpoints")
        for complaint in complaints:
            Reporter().warn(f"{complaint}; taking step {header['step']}")
    if file is None:
        raise UserError(f"{path} has no checkpoint yet")
    told = read_toml(folder / "run.toml")
    run = _sampled_run(told, folder / "run.toml", networks)
    shape, classes = _sampled_data(told, folder / "run.toml")
    if not run.conditional:
        classes = ()
    assert run.networks is not None
    with seeds.scope(run.seed, "weights"):
        generator, _ = run.networks(shape, run.z_dim, len(classes))
    part = "average" if run.ema else "generator"
    try:
        generator.load_state_dict(below(part, tensors))
    except RuntimeError as error:
        raise UserError(f"{file} does not fit the networks in run.toml: {str(error).splitlines()[0]}") from None
    where = find_device(device)
    generator.to(where).eval().requires_grad_(False)
    return Sampler(generator, shape, run.z_dim, classes, int(header["step"]), where)


def _sampled_run(told: dict[str, Any], file: Path, networks: Network | None) -> Run:
    """As much of the run as sampling needs; the user's own file is executed only for networks of its own."""
    try:
        needed = {name: told["run"][name] for name in ("networks", "z_dim", "conditional", "ema")}
    except (KeyError, TypeError):
        raise UserError(f"{file} tells no whole run: it is damaged, or made by something else") from None
    if networks is not None:
        del needed["networks"]
        return replace(run_of_toml({"run": needed}, file), networks=networks)
    source = told.get("source", {}) if is_own("networks", needed["networks"]) else {}
    return run_of_toml({"run": needed, "source": source}, file)


def _sampled_data(told: dict[str, Any], file: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(shape, classes) of the data that the run was trained on."""
    try:
        return tuple(told["data"]["shape"]), tuple(told["data"]["classes"])
    except (KeyError, TypeError):
        raise UserError(f"{file} does not tell its data's shape: it is damaged, or made by something else") from None


def check_targets(shape: tuple[int, ...], folder: Path | None, npy: Path | None) -> None:
    """Before anything is drawn: UserError when a target is there already, or points are to go into a folder of PNGs."""
    for path in (folder, npy):
        if path is not None and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise UserError(f"{path} is there already: choose another name, nothing was overwritten")
    if folder is not None and len(shape) != 3:
        raise UserError("--folder is for images; points go into --npy or the picture")


def write_png(x: Tensor, path: Path, columns: int | None = None) -> None:
    """One picture of all samples [n, *shape]."""
    save_png(draw(x, columns=columns), path)


def write_folder(x: Tensor, path: Path) -> None:
    """One PNG for each image of [n, c, h, w], at its own size: 00000.png, 00001.png, ..."""
    with saying(path):
        path.mkdir(parents=True, exist_ok=True)
        for i in range(len(x)):
            grid(x[i : i + 1], pad=0, scale=1).save(path / f"{i:05d}.png")


def write_npy(x: Tensor, path: Path) -> None:
    """Images as uint8 [n, c, h, w] in [0, 255], points as float32 [n, d]."""
    with whole(path) as aside, open(aside, "wb") as file:
        np.save(file, as_bytes(x) if x.ndim == 4 else x.numpy())
