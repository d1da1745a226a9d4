"""The critic on data that it was not trained on: the honest estimate, and how far the critic has overfitted.

WGAN-GP (Gulrajani et al. 2017), Figure 5b, shows both on 1,000 images: the estimate rises on the training set while it
falls on held-out images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from wgan import seeds
from wgan.data import SOURCES, Data, load
from wgan.errors import UserError
from wgan.run import Run
from wgan.state import State, generate, given

# scores of 512 samples: the noise of a mean is 4 % of the scores' deviation, the cost about half of a step's
SAMPLES = 512


class Held(NamedTuple):
    """raw: E f(held-out) - E f(fake). gap: (E f(train) - E f(held-out)) / (E f(train) - E f(fake)), about 0 when the
    critic judges unseen data as it does its own; 1 when it separates nothing but what it has seen.
    """

    raw: float
    gap: float


@dataclass(frozen=True)
class HeldOut:
    """Held-out data beside the training data, with which they share shape and labels."""

    train: Data
    data: Data

    @torch.no_grad()
    def measure(self, run: Run, state: State, device: torch.device) -> Held:
        """Both figures at this step, from samples that the step decides; changes no state."""
        n = min(SAMPLES, *(data.count or SAMPLES for data in (self.train, self.data)))
        sums = torch.zeros(3, dtype=torch.float64)
        training = state.critic.training, state.generator.training
        state.critic.eval()
        state.generator.eval()
        for begin in range(0, n, run.batch_size):
            size = min(run.batch_size, n - begin)
            place = state.step * n + begin
            for i, (data, purpose) in enumerate(((self.train, "held-out train"), (self.data, "held-out"))):
                batch = data.batch(seeds.derive(run.seed, purpose), place, size)
                labels = batch.labels.to(device) if run.conditional and batch.labels is not None else None
                sums[i] += given(state.critic, labels)(batch.x.to(device)).cpu().double().sum()
            # the fakes get the labels of the held-out batch
            z = seeds.draw(device, run.seed, "held-out z", state.step, begin).normal(size, run.z_dim)
            sums[2] += given(state.critic, labels)(generate(state.generator, z, labels)).cpu().double().sum()
        state.critic.train(training[0])
        state.generator.train(training[1])
        train, held, fake = (sums / n).tolist()
        return Held(held - fake, (train - held) / (abs(train - fake) or 1.0))


def open_held_out(
    name: str, run: Run, data: Data, *, root: Path | None = None, allow_bad: bool = False, quiet: bool = False
) -> HeldOut | None:
    """Held-out data for a resolved run: `name` is data, "none", or "auto": the test split where there is one.

    Of an infinite distribution another stream is held out. None where there is nothing to hold out.
    Errors: UserError when `name` can't be opened or doesn't fit the training data.
    """
    if name == "none":
        return None
    if name != "auto":
        return _fitting(HeldOut(data, load(name, size=run.size, root=root, allow_bad=allow_bad, quiet=quiet)), run)
    if data.count is None:
        return HeldOut(data, data)
    if not isinstance(run.data, str) or run.data.startswith("hf:"):
        return None
    # a folder may have its test images in test/ or val/; of the built-in sources those without a test split say so
    for split in ("test",) if run.data.partition(":")[0] in SOURCES else ("test", "val", "valid"):
        try:
            held = load(run.data, size=run.size, root=root, split=split, allow_bad=allow_bad, quiet=quiet)
            return _fitting(HeldOut(data, held), run)
        except UserError:
            continue
    return None


def _fitting(held: HeldOut, run: Run) -> HeldOut:
    mine, theirs = held.train, held.data
    if mine.shape != theirs.shape:
        raise UserError(
            f"held-out data '{theirs.name}' has shape {list(theirs.shape)}, the training data {list(mine.shape)}: "
            "give --size, or other data"
        )
    if run.conditional and mine.classes != theirs.classes:
        raise UserError(f"held-out data '{theirs.name}' has other labels than the training data of a conditional run")
    return held
