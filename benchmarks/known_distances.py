"""W1 where it is known: pairs made by funnels (`wgan.data.Funnels`), by `wgan distance` and by penalised networks.

    python benchmarks/known_distances.py --first-seed 100
    python benchmarks/known_distances.py --first-seed 100 --critic 'points(width=128, depth=2)' --dims 2,8,16

Relative errors of the raw, the corrected and the held-out estimate, the cosine of the critic's gradient with the true
one in L2 of the moved distribution, and the best cosine that Korotin et al. 2022 publish for a pair of that size (their
repository's metrics; their centres are other draws of the same law). Settings were chosen on seed 0.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics

import torch

from wgan.data import Funnels
from wgan.run import parse_objective
from wgan.transport import distance

# (dimension, funnels) -> the largest cosine of any solver there
PUBLISHED = {
    (2, 4): 0.86, (8, 4): 0.97, (16, 4): 0.97, (64, 4): 0.959, (128, 4): 0.931,
    (2, 16): 0.843, (8, 16): 0.925, (16, 16): 0.921, (64, 16): 0.947, (128, 16): 0.916,
}  # fmt: skip


def gradient_cosine(critic: torch.nn.Module, pair: Funnels, n: int = 8192) -> float:
    """<grad f, grad u> / (|grad f| |grad u|) in L2 of the distribution that was moved, on fresh samples."""
    x = pair.fake.batch(seed=pair.seed + 1_000_003, start=0, n=n).x.requires_grad_()
    (found,) = torch.autograd.grad(critic(x).sum(), x)
    true = torch.from_numpy(pair.gradient(x.detach().double().numpy())).float()
    return float((found * true).sum() / (found.norm() * true.norm()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--critic", default="cones")
    parser.add_argument("--objective")
    parser.add_argument("--dims", default="2,8,16,64,128")
    parser.add_argument("--funnels", default="4,16")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    objective = None if options.objective is None else parse_objective(options.objective)
    cells = [(d, k) for k in map(int, options.funnels.split(",")) for d in map(int, options.dims.split(","))]
    if not options.json:
        print(
            "| funnels | dimension | W1 | raw | corrected | held out, mean (worst) | cosine (worst) | published | s |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
    for dim, funnels in cells:
        rows = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            pair = Funnels(dim, funnels, seed, scale=options.scale)
            true = pair.distance(1 << 18)
            found = distance(
                pair.real, pair.fake, critic=options.critic, objective=objective, n=options.n, steps=options.steps,
                batch_size=options.batch_size, exact_n=100, seed=seed, device="cpu",
            )  # fmt: skip
            rows.append(
                {
                    "dimension": dim,
                    "funnels": funnels,
                    "seed": seed,
                    "true": true,
                    **{name: getattr(found, name) / true - 1 for name in ("raw", "corrected", "heldout")},
                    "cosine": gradient_cosine(found.f, pair),
                    "published": PUBLISHED.get((dim, funnels), math.nan),
                    "converged": found.converged,
                    "slope": found.slope,
                    "seconds": found.seconds,
                }
            )
            if options.json:
                print(json.dumps(rows[-1]), flush=True)
        if not options.json:
            mean = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
            worst, least = max((row["heldout"] for row in rows), key=abs), min(row["cosine"] for row in rows)
            print(
                f"| {funnels} | {dim} | {mean['true']:.2f} | {mean['raw']:+.1%} | {mean['corrected']:+.1%} "
                f"| {mean['heldout']:+.1%} ({worst:+.1%}) | {mean['cosine']:.3f} ({least:.3f}) "
                f"| {mean['published']:.3f} | {mean['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
