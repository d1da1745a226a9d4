"""How varied the fakes are beside the real samples: what collapses when a generator does."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wgan import seeds
from wgan.data.base import Toy
from wgan.doctor.evidence import Variety
from wgan.doctor.patient import Patient
from wgan.metrics import density_coverage, modes, precision_recall
from wgan.pictures import fakes

SAMPLES = 1000
# groups of real samples: on average 40 in each, so that a fair share is told from a fifth of it
CELLS, LEAST_IN_CELL = 25, 20
# a group counts as covered with this part of its fair share (as in WGAN comparisons on toy mixtures)
FAIR = 0.2
ROUNDS = 20


def probe_variety(patient: Patient, n: int = SAMPLES) -> Variety | None:
    """Of the generator that is sampled (the running average where there is one), beside the training data.

    None for fakes that are no numbers.
    """
    run, data, state = patient.run, patient.data, patient.state()
    n = min(n, data.count or n)
    batch = data.batch(seeds.derive(run.seed, "doctor variety"), 0, n)
    z = seeds.draw(patient.device, run.seed, "doctor variety z").normal(max(n, SAMPLES), run.z_dim)
    labels = None
    if run.conditional and batch.labels is not None:
        labels = batch.labels.repeat(-(-len(z) // n))[: len(z)].to(patient.device)
    made = fakes(state.sampler, z, labels)
    return measure_variety(batch.x, made, data) if made.isfinite().all() else None


def measure_variety(real: Tensor, fake: Tensor, data: object) -> Variety:
    """`real` [n, ...] and `fake` [m, ...] of one shape."""
    a, b = real.flatten(1).float(), fake.flatten(1).float()
    spread = float(torch.pdist(b[:SAMPLES]).mean() / torch.pdist(a[:SAMPLES]).mean().clamp_min(1e-12))
    known = isinstance(data, Toy) and data.centres is not None and data.std is not None
    centres = torch.as_tensor(data.centres, dtype=a.dtype) if known else group(a)  # type: ignore[attr-defined]
    fair, got = (torch.cdist(x, centres).argmin(1).bincount(minlength=len(centres)) / len(x) for x in (a, b))
    covered = int((got >= FAIR * fair).sum())
    captured = modes(b, centres, data.std).captured if known else None  # type: ignore[attr-defined]
    enough = min(len(a), len(b)) > 10
    recall = precision_recall(a, b).recall if enough else None
    coverage = density_coverage(a, b).coverage if enough else None
    shares = tuple(fair.tolist()), tuple(got.tolist())
    count = len(centres) if known else None
    return Variety(spread, covered, len(centres), recall, coverage, captured, count, len(b), shares)


def group(x: Tensor, cells: int = CELLS) -> Tensor:
    """Centres [k, d] of k <= `cells` groups of x [n, d]: k-means (Lloyd 1982) from far-apart starts."""
    k = max(1, min(cells, len(x) // LEAST_IN_CELL))
    rng = np.random.default_rng(0)
    chosen = [int(rng.integers(len(x)))]
    squared = torch.cdist(x, x[chosen]).square()[:, 0]
    for _ in range(k - 1):  # k-means++: the next with probability by squared distance
        weights = squared.double().numpy()
        total = weights.sum()
        chosen.append(int(rng.choice(len(x), p=weights / total if total > 0 else None)))
        squared = torch.minimum(squared, torch.cdist(x, x[chosen[-1:]]).square()[:, 0])
    centres = x[chosen].clone()
    for _ in range(ROUNDS):
        owner = torch.cdist(x, centres).argmin(1)
        for i in range(k):
            mine = x[owner == i]
            if len(mine):
                centres[i] = mine.mean(0)
    return centres
