"""Cost of precision, recall, density and coverage: `python benchmarks/prdc_cost.py [--n 10000] [--dim 2048]`.

Memory is what the process takes beyond the features, which are there already.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

from wgan.metrics import prdc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=2048)
    options = parser.parse_args()
    source = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(options.n, options.dim, generator=source) for _ in range(2))
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    prdc(real, fake + 0.1)
    seconds = time.monotonic() - begin
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sizes = f"{options.n} x {options.n} of {options.dim}"
    print(f"{sizes}: {seconds:.1f} s, {more:.0f} MiB, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
