"""First look at a run's samples beside real images: colour, smoothness, variety. No quality score, but collapse shows.

    python benchmarks/sample_statistics.py results/cifar10-wgan results/cifar10-wgan-gp [--data cifar10] [--n 2000]

Prints a table in Markdown, from three draws of n samples of each run and of n real images, as mean and half the range:
mean and standard deviation of each channel in [0, 1]; the correlation of horizontally neighbouring pixels, which noise
and checkerboards lower; the mean distance (RMS over pixels) of two samples, which collapse lowers; and the median
distance to the nearest other sample, which duplicates lower.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

import wgan


def statistics(x: Tensor) -> list[float]:
    """[channel means and deviations, neighbours, mean distance, nearest other] of images [n, c, h, w] in [-1, 1]."""
    x = (x.double() + 1) / 2
    left, right = (part - part.mean() for part in (x[..., :-1], x[..., 1:]))
    neighbours = (left * right).mean() / (left.square().mean() * right.square().mean()).sqrt()
    flat = x.flatten(1)
    distance = torch.cdist(flat, flat) / flat.shape[1] ** 0.5
    pairs = distance.sum() / (len(x) * (len(x) - 1))
    nearest = (distance + torch.eye(len(x)) * 9).amin(1).median()
    channels = torch.cat([x.mean((0, 2, 3)), x.transpose(0, 1).flatten(1).std(1)])
    return [*channels.tolist(), neighbours.item(), pairs.item(), nearest.item()]


def row(name: str, draws: list[Tensor]) -> str:
    """One line of the table: the mean over the draws, and half their range."""
    values = torch.tensor([statistics(x) for x in draws])
    mean, spread = values.mean(0), (values.amax(0) - values.amin(0)) / 2
    told = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean.tolist(), spread.tolist(), strict=True)]
    channels = (len(told) - 3) // 2
    cells = ["<br>".join(told[:channels]), "<br>".join(told[channels : 2 * channels]), *told[-3:]]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--split", default="test", help="of the data that the samples are laid beside")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=3)
    told = parser.parse_args()
    print("| samples | channel means | channel deviations | neighbours' correlation | mean distance | nearest other |")
    print("|---|---|---|---|---|---|")
    data = wgan.data.load(told.data, split=told.split)
    real = [data.batch(0, k * told.n, told.n).x for k in range(told.draws)]
    print(row(f"real, {told.data} {told.split}", real))
    for path in told.runs:
        sampler = wgan.load(path)
        print(row(f"{path}, step {sampler.step}", [sampler.sample(told.n, seed=k) for k in range(told.draws)]))


if __name__ == "__main__":
    main()
