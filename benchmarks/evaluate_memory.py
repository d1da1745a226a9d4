"""The most memory that an evaluation takes: N generated against N real images, which are never held at once.

    python benchmarks/evaluate_memory.py [--n 50000] [--dim 2048] [--metrics frechet,kernel] [--json]

Samples and reference are files of random bytes; the features are a random projection to --dim numbers, as many as
Inception has. Prints what had to be held (the features of the samples), what the images would have been, and the peak
above what the process took before: of its own memory (sampled every 20 ms), and of all that was resident, which counts
the pages of mapped files too, as long as the system has room for them.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import numpy as np

import wgan

FEATURES = """
import torch

weights = torch.randn({pixels}, {dim}, generator=torch.Generator().manual_seed(0)) / {pixels} ** 0.5

def project(images):
    return torch.relu(images.flatten(1).float().sub(127.5) @ weights)
"""


def random_images(path: Path, n: int, side: int, seed: int) -> Path:
    """uint8 [n, 3, side, side] as .npy, written block by block: smooth noise, as far from any real image as need be."""
    rng = np.random.default_rng(seed)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 3, side, side))
    for start in range(0, n, 500):
        array[start : start + 500] = rng.integers(0, 256, array[start : start + 500].shape, np.uint8)
    array.flush()
    return path


def resident_mib() -> float:
    """The most that was ever resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch:
    """Samples the memory of the process that is no file's: a context; `peak` is the most, in MiB, above the start."""

    def __enter__(self) -> Self:
        self.start, self.peak, self.done = self.now(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def look(self) -> None:
        while not self.done.wait(0.02):
            self.peak = max(self.peak, self.now() - self.start)

    @staticmethod
    def now() -> float:
        """Linux tells; elsewhere all that is resident stands in for it."""
        try:
            status = Path("/proc/self/status").read_text()
        except OSError:
            return resident_mib()
        return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=64, help="pixels each way")
    parser.add_argument("--dim", type=int, default=2048, help="numbers of a feature")
    parser.add_argument("--metrics", default="frechet,kernel")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real, made = (random_images(folder / f"{i}.npy", told.n, told.size, i) for i in range(2))
        (folder / "mine.py").write_text(FEATURES.format(pixels=3 * told.size**2, dim=told.dim))
        asked = {"features": f"{folder}/mine.py:project", "data_root": folder, "quiet": True, "device": "cpu"}
        wgan.evaluate(samples=made, against=real, n=64, metrics=["frechet"], **asked)  # imports and warms up
        before, begin = resident_mib(), time.perf_counter()
        with Watch() as watch:
            report = wgan.evaluate(samples=made, against=real, n=told.n, metrics=told.metrics.split(","), **asked)
        seconds = time.perf_counter() - begin
    found = {
        "n": told.n,
        "images_mib": 2 * told.n * 3 * told.size**2 / 2**20,
        "features_mib": told.n * told.dim * 4 / 2**20,
        "peak_mib": watch.peak,
        "peak_resident_mib": resident_mib() - before,
        "seconds": seconds,
        "rows": {row.key: row.value for row in report.rows},
    }
    if told.json:
        print(json.dumps(found))
        return
    print(f"{told.n:,} against {told.n:,} images of {told.size} x {told.size}: {told.metrics} in {seconds:.0f} s")
    print(f"images   {found['images_mib']:8,.0f} MiB on both sides, on disk")
    print(f"features {found['features_mib']:8,.0f} MiB of the samples, in memory; as much of the reference, mapped")
    print(
        f"peak     {found['peak_mib']:8,.0f} MiB of own memory, {found['peak_resident_mib']:,.0f} MiB with mapped files"
    )


if __name__ == "__main__":
    main()
