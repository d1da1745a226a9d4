"""Image runs for the figures: trained in a folder of their own and measured at even steps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wgan import checkpoint
from wgan.curve import curve_of
from wgan.data import load as load_data
from wgan.data.grid import as_bytes
from wgan.devices import find_device
from wgan.errors import UserError
from wgan.evaluation.bench import Bench, Setting, open_bench
from wgan.evaluation.choice import Choice, choose_features, root_of
from wgan.evaluation.reference import Reference
from wgan.evaluation.streams import generated_stream
from wgan.features import find_features
from wgan.networks import Network
from wgan.objectives import Clip, Objective, logistic, wasserstein
from wgan.optimizers import Adam, RMSProp
from wgan.reproduction.results import Scale
from wgan.results import read_metrics, whole
from wgan.run import Run
from wgan.sample import load
from wgan.training import steps
from wgan.watch import Options


def setting(scale: Scale, seed: int, steps: int) -> Run:
    """CIFAR-10 in batches of 32; at full scale photographs of 64x64 in batches of 64 for 100,000 steps."""
    if scale.full:
        return Run(data=scale.data("photographs"), size=64, steps=100_000, precision="fp32", seed=seed)
    return Run(data="cifar10", batch_size=32, steps=steps, precision="fp32", seed=seed)


def wgan(run: Run, networks: Network, lr: float) -> Run:
    """Algorithm 1 with that step size, and a critic brought near its optimum first, as in the authors' code.

    They take 100 critic updates in each of the first 25 steps; here it is 50 in each of the first 10.
    """
    return replace(
        run,
        networks=networks,
        objective=Objective(wasserstein, Clip(0.01)),
        critic_optimizer=RMSProp(lr),
        generator_optimizer=RMSProp(lr),
        warmup_n_critic=50,
        warmup_steps=10,
    )


def gan(run: Run, networks: Network, lr: float) -> Run:
    """The standard GAN with -log D and DCGAN's optimiser: one discriminator update a step."""
    adam = Adam(lr, 0.5, 0.999)
    return replace(
        run,
        networks=networks,
        objective=Objective(logistic),
        critic_optimizer=adam,
        generator_optimizer=adam,
        n_critic=1,
    )


def trained(
    run: Run,
    scale: Scale,
    here: Path,
    *,
    points: int = 8,
    metrics: Sequence[str] = ("frechet", "coverage"),
    features: str = "",
    n: int = 0,
    shown: int = 16,
) -> dict[str, Any]:
    """Train `run` in the folder `here`, from where it was left, and measure its generator at `points` even steps.

    features: "" for the classifier of the data, at full scale Inception; "cifar10" for the classifier of CIFAR-10,
    which sees any images of 32x32. n: samples measured, 0 for 1,000 (at full scale 10,000): enough to rank by, and
    biased upwards. shown: samples kept as they are.
    Returns step, estimate, generator_loss [logged], where estimate is of W1 or, for a standard GAN, of the
    Jensen-Shannon divergence; at [points], the steps measured, with each of `metrics` (names of `wgan.evaluation`) at
    them, and classes: how many classes the features see among the samples, exp of the entropy of their shares; samples
    uint8 [points, shown, h, w, c] of the same z; pace: seconds of a step, of the processor or at full scale of the
    clock. What comes after losses that are no longer finite is NaN.
    """
    folder, every = here / "run", max(1, run.steps // points)
    # a killed run has to repeat at most so many steps
    seldom = 1000 if scale.full else 250
    options = Options(
        device=scale.device if scale.full else "cpu",
        data_root=scale.data_root,
        log_every=max(1, run.steps // 300),
        sample_every=0,
        save_every=max(part for part in range(1, min(every, seldom) + 1) if every % part == 0),
        keep_every=every,
        held_out="none",
        heldout_every=0,
        quiet=True,
    )
    pace = _train(run, folder, options, time.monotonic if scale.full else time.process_time)
    rows = read_metrics(folder / "metrics.jsonl")
    _, step, estimate = curve_of(run, rows)
    losses = np.array([row["generator_loss"] for row in rows])
    at = every * np.arange(1, points + 1)
    features = features or ("inception" if scale.full else "classifier")
    bench = _bench(run, scale, options.device, features, metrics, n)
    measured = [_measure(run, bench, folder, options.device, shown, int(each)) for each in at]
    found = {key: np.stack([each[key] for each in measured]) for key in measured[0]}
    return {"step": step, "estimate": estimate, "generator_loss": losses, "at": at, "pace": pace} | found


def _train(run: Run, folder: Path, options: Options, clock: Callable[[], float]) -> float:
    """Seconds of a step: the median of those of this sitting, or as kept from the last one."""
    kept, spent, before = folder.parent / "pace.json", [], clock()
    try:
        for state, _ in steps(run, folder, options):
            spent.append(clock() - before)
            if state.step % options.save_every == 0 or state.step == run.steps:
                with whole(kept) as aside:
                    aside.write_text(json.dumps(float(np.median(spent))), encoding="utf-8")
            before = clock()
    except UserError as error:
        if "no longer finite" not in str(error):
            raise
    return float(json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else float(np.median(spent or [0.0]))


def _bench(run: Run, scale: Scale, device: str, features: str, metrics: Sequence[str], n: int) -> Bench:
    data = load_data(run.data, size=run.size, root=scale.data_root, quiet=True)
    reference = Reference(data, "train", missing="figures measure no floor")
    n = min(n or (10_000 if scale.full else 1000), data.count or 10_000)
    where = find_device(device)
    if features == "cifar10":
        data = load_data("cifar10", root=scale.data_root, quiet=True)
        choice = Choice(find_features("classifier", data, root=scale.data_root, device=where), None, False, "")
    else:
        choice = choose_features(
            features, reference, metrics, n, weights=None, root=scale.data_root, device=where, quiet=True
        )
    setting = Setting(n=n, cache=root_of(scale.data_root) / "cache", floors=False)
    return open_bench(reference, choice, metrics, setting)[0]


def _measure(run: Run, bench: Bench, folder: Path, device: str, shown: int, step: int) -> dict[str, Any]:
    """What `trained` tells of one step; NaN and gray images where the run did not come so far."""
    names = [name for _, rows in bench.plan for name in rows]
    c, h, w = bench.reference.data.shape
    path = checkpoint.path_of(folder / "checkpoints", step)
    if not path.exists():
        gray = np.full((shown, h, w, c), 127, np.uint8)
        return dict.fromkeys([*names, "classes"], np.nan) | {"samples": gray}
    sampler = load(path, device, networks=run.networks)
    fake = bench.take(generated_stream(sampler, bench.setting.n, run.seed + 1, None, str(path)))
    values = [row.value for row in bench.rows(fake, floors=False)]
    shares = None if fake.probabilities is None else fake.probabilities.double().mean(0)
    return dict(zip(names, values, strict=True)) | {
        "classes": np.nan if shares is None else float(shares.xlogy(shares).sum().neg().exp()),
        "samples": as_bytes(sampler.sample(shown, seed=run.seed)).transpose(0, 2, 3, 1),
    }
