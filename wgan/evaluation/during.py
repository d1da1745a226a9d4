"""One metric while a run trains: the same figure as `wgan evaluate` gives, from the same noise at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wgan import seeds
from wgan.data import Data
from wgan.errors import UserError
from wgan.evaluation.bench import Bench, Setting, open_bench
from wgan.evaluation.choice import choose_features, root_of
from wgan.evaluation.plan import check_names
from wgan.evaluation.reference import Reference
from wgan.evaluation.streams import Stream, as_read
from wgan.pictures import fakes
from wgan.run import Run
from wgan.state import State
from wgan.watch import Options


class Score(NamedTuple):
    """A figure of one step: its key in the log, its value, and which way is better ("lower" or "higher")."""

    key: str
    value: float
    better: str

    def beats(self, earlier: Sequence[float]) -> bool:
        """Whether it is better than all earlier values; of equal ones the first stays. What is no number beats none."""
        if not math.isfinite(self.value):
            return False
        sign = 1 if self.better == "higher" else -1
        return all(sign * self.value > sign * value for value in earlier if math.isfinite(value))


@dataclass(frozen=True, eq=False)
class Scores:
    """Measures a run's generator against its training data, without touching its state or its random numbers."""

    run: Run
    bench: Bench
    device: torch.device

    def measure(self, state: State) -> Score:
        """The score of the generator as it is sampled: its running average where there is one."""
        n = self.bench.setting.n
        z = seeds.draw(self.device, self.run.seed, "evaluation z").normal(n, self.run.z_dim)
        labels = self._labels(n)

        def made(first: int, m: int) -> Tensor:
            part = slice(first, first + m)
            given = None if labels is None else labels[part]
            return as_read(fakes(state.sampler, z[part], given), "the generator", first)

        stream = Stream("the generator", tuple(self.bench.reference.data.shape), n, made)
        row, *_ = self.bench.rows(self.bench.take(stream), floors=False)
        return Score(row.key, row.value, row.better)

    def _labels(self, n: int) -> Tensor | None:
        """Of conditional runs those of the reference; classes in turn where these can't be told."""
        if not self.run.conditional:
            return None
        known = self.bench.real.stream.labels
        labels = np.arange(n) % len(self.bench.reference.data.classes) if known is None else np.resize(known, n)
        return torch.from_numpy(labels.astype(np.int64)).to(self.device)


def open_scores(run: Run, data: Data, device: torch.device, options: Options) -> Scores | None:
    """What measures the resolved run every `evaluate_every` steps, None when that is 0.

    Takes the features of the training data, which may train a classifier first. Errors: UserError for a metric that is
    unknown or can't be measured on this data.
    """
    if not options.evaluate_every:
        return None
    metric = options.evaluate_metric or ("frechet" if len(data.shape) == 3 else "sliced")
    check_names([metric])
    features = options.evaluate_features or None
    if features is None and len(data.shape) == 3 and metric not in ("fid", "kid", "is"):
        # Inception would take longer than the training between two evaluations
        features = "classifier" if data.classes else "pixels"
    reference = Reference(data, "train", missing="a score in training has no floor")
    n = options.evaluate_n if data.count is None else min(options.evaluate_n, data.count)
    choice = choose_features(
        features, reference, [metric], n, weights=None, root=options.data_root, device=device, quiet=options.quiet
    )
    setting = Setting(n=n, cache=root_of(options.data_root) / "cache", quiet=True, floors=False)
    bench, _ = open_bench(reference, choice, [metric], setting)
    if not bench.plan:
        raise UserError(f"{metric} can't be measured in training")
    return Scores(run, bench, device)
