"""The pictures of a run: what is real, and what the generator makes of the same z at every step."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from wgan import seeds
from wgan.data import Data
from wgan.data.grid import grid, scatter
from wgan.results import whole
from wgan.run import Run
from wgan.state import generate

IMAGES, POINTS, MOST_COLUMNS = 64, 2000, 16


@torch.no_grad()
def fakes(generator: nn.Module, z: Tensor, labels: Tensor | None = None, batch: int = 256) -> Tensor:
    """Samples float32 [n, *shape] on the CPU, with batch norm's running statistics; the generator's mode is kept."""
    training = generator.training
    generator.eval()
    try:
        parts = [
            generate(generator, z[i : i + batch], None if labels is None else labels[i : i + batch]).float().cpu()
            for i in range(0, len(z), batch)
        ]
    finally:
        generator.train(training)
    return torch.cat(parts)


def draw(x: Tensor, real: Tensor | None = None, columns: int | None = None) -> Image.Image:
    """A grid of fake images [n, c, h, w] in [-1, 1], or a scatter of fake points [n, d] over `real` ones."""
    return grid(x, columns) if x.ndim == 4 else scatter(real, x)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG: whole, or what was there before. Errors: UserError when it can't be written."""
    with whole(path) as aside:
        image.save(aside, format="PNG")


def columns_for(classes: int) -> int | None:
    """Columns of a grid in which labels come in turn: one for each class, while that many fit."""
    return classes if 1 < classes <= MOST_COLUMNS else None


def save_real(data: Data, path: Path, seed: int = 0) -> None:
    """The first samples of the stream of `seed`: what the critic sees first."""
    n = IMAGES if len(data.shape) == 3 else POINTS
    x = data.batch(seed, 0, min(n, data.count or n)).x
    save_png(grid(x) if x.ndim == 4 else scatter(x), path)


def save_fakes(run: Run, generator: nn.Module, data: Data, device: torch.device, path: Path) -> None:
    """A grid of images (labels in columns when conditional) or a scatter, from z that depend on the seed alone."""
    classes = len(data.classes) if run.conditional else 0
    columns = columns_for(classes)
    n = POINTS if len(data.shape) == 1 else 8 * columns if columns else IMAGES
    z = seeds.draw(device, run.seed, "samples").normal(n, run.z_dim)
    labels = torch.arange(n, device=device) % classes if classes else None
    real = data.batch(run.seed, 0, n).x if len(data.shape) == 1 else None
    save_png(draw(fakes(generator, z, labels), real, columns), path)
