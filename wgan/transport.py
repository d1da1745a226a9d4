"""The Wasserstein-1 distance of two data sets by a trained critic, with what is known about its error.

    W1(P, Q) = max over 1-Lipschitz f of E_P f - E_Q f

A critic's score is below W1 as far as it isn't optimal, above it where its slope exceeds 1 (a penalty lets it: see
docs/estimates.md) and on the samples that it was trained on. So the figure to quote is `heldout`: slope corrected, on
samples that the critic has never seen. Exact transport between two batches errs to the other side.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.data import Data, load
from wgan.data.cache import progress
from wgan.devices import find_device
from wgan.errors import UserError, at_least
from wgan.evaluation.streams import Samples, Stream, chosen, generated_stream, open_samples, real_stream
from wgan.metrics import transport_distance
from wgan.networks import NETWORKS
from wgan.networks.cones import Cones
from wgan.objectives import LipschitzPenalty, Objective, slope, wasserstein
from wgan.parts import parse_one
from wgan.sample import load as load_run

CONES = 128
# softness of the minimum while training, in units of the data's deviation: coarse structure first
WARM, COLD = 0.3, 0.005
# of each source: trained on, and chosen and judged by; the rest is held out
TRAIN, VALIDATE = 0.7, 0.1
# samples of each source, and of each batch of exact transport
SAMPLES, EXACT, REPEATS, LEAST = 50_000, 1000, 3, 50
# steps after training that tell whether more would help, at a tenth of the step size
MORE, SMALLER = 50, 0.1
DEFAULT = Objective(wasserstein, LipschitzPenalty(10.0))


@dataclass(frozen=True)
class Distance:
    """W1 between `a` and `b`, in the unit of the data; of images Euclidean over pixels, which are in [-1, 1].

    raw: E f(a) - E f(b) on the training samples. corrected: raw without what the constraint does to the slope. heldout:
    corrected, on held-out samples, and its standard error. exact: transport between batches of exact_n held-out
    samples, mean over disjoint batches; exact_bias: the same between two batches of one source, 0 but for the bias.
    slope: mean gradient norm between a and b, held out. gain: what 50 more steps add to the estimate on validation
    samples. converged: gain is below 1 % of the estimate, or within twice its noise. n: samples of each source. f: the
    critic, [n, *shape] -> [n].
    """

    a: str
    b: str
    raw: float
    corrected: float
    heldout: float
    heldout_error: float
    exact: float
    exact_bias: float
    exact_n: int
    slope: float
    gain: float
    converged: bool
    critic: str
    steps: int
    n: int
    seed: int
    seconds: float
    f: nn.Module = field(repr=False, compare=False)

    def row(self) -> dict[str, Any]:
        """What `wgan distance --json` prints."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "f"}

    def lines(self) -> list[str]:
        """What `wgan distance` prints."""
        critic = "converged" if self.converged else "NOT converged: W1 is larger than heldout; give more --steps"
        told = [
            (
                "heldout",
                f"{self.heldout:.4g} ± {self.heldout_error:.1g}",
                "to quote: on samples that the critic never saw",
            ),
            ("corrected", f"{self.corrected:.4g}", "on its training samples, without what its slope adds"),
            ("raw", f"{self.raw:.4g}", "as the critic scores its training samples"),
            ("exact", f"{self.exact:.4g}", f"transport of {self.exact_n} to {self.exact_n} samples, biased up:"),
            ("", f"{self.exact_bias:.4g}", "the same between two batches of one source"),
            ("slope", f"{self.slope:.3f}", "of the critic between the two; 1 when optimal"),
            ("critic", f"{self.gain:+.2g}", f"by {MORE} more steps: {critic}"),
        ]
        if self.corrected - self.heldout > max(4 * self.heldout_error, 0.03 * abs(self.corrected)):
            told.append(("samples", f"{self.n}", "of each are few here: W1 lies between heldout and corrected"))
        protocol = f"critic {self.critic}, {self.steps} steps, {self.n} samples of each, seed {self.seed}"
        return [
            f"W1({self.a}, {self.b})",
            *(f"  {name:<10} {value:<17} {meaning}" for name, value, meaning in told),
            f"  protocol   {protocol}; {self.seconds:.0f} s",
        ]


class Parts(NamedTuple):
    """One source, float32 [n, ...]: to train on, to choose and judge by, and never seen."""

    train: Tensor
    validate: Tensor
    held: Tensor


class Scaled(nn.Module):
    """scale * inner((x - centre) / scale): networks see numbers around 1, and the slope stays what it is."""

    def __init__(self, inner: nn.Module, centre: Tensor, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale
        self.register_buffer("centre", centre)
        self.centre: Tensor

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.inner((x - self.centre) / self.scale)
        return self.scale * scores


def distance(
    a: Samples | Data,
    b: Samples | Data,
    *,
    critic: str = "cones",
    objective: Objective | None = None,
    n: int = SAMPLES,
    steps: int = 1500,
    batch_size: int = 512,
    lr: float | None = None,
    size: int | None = None,
    split: str = "train",
    split_b: str | None = None,
    exact_n: int = EXACT,
    seed: int = 0,
    device: str = "auto",
    root: Path | None = None,
    quiet: bool = True,
) -> Distance:
    """The Wasserstein-1 distance between two sources: data names, folders, arrays, files, runs, `Data` objects.

    critic: "cones" (see `wgan.networks.cones`; a lower and an upper envelope are trained, the better on validation
    samples is kept), or a network as for training, such as 'points(width=256)' or 'dcgan(critic_norm="none")', which
    then is held by `objective` (a wasserstein pairing; lp(weight=10) unless given). n: samples of each, at most what
    there is: 70 % to train on, 10 % to validate, 20 % held out. lr: of Adam, falling to 0 along a cosine.
    Errors: UserError for sources that can't be opened, differ in shape or have fewer than 50 samples.
    """
    for name, value, low in (("n", n, LEAST), ("steps", steps, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        at_least(low, name, value)
    at_least(2, "exact_n", exact_n)
    begin, where = time.monotonic(), find_device(device)
    streams = open_pair(a, b, n=n, size=size, split=split, split_b=split_b, seed=seed, root=root, quiet=quiet)
    first, second = (_parts(stream, where) for stream in streams)
    fits = _fits(critic, objective, first, second, lr, seed)
    best: tuple[float, Fit] | None = None
    for number, fit in enumerate(fits):
        fit.train(first.train, second.train, steps, batch_size, seed, f"critic {number + 1} of {len(fits)}", quiet)
        scored = fit.score(first.validate, second.validate)
        if best is None or scored > best[0]:
            best = scored, fit
    assert best is not None
    return _report(streams, first, second, best[1], critic, steps, batch_size, exact_n, seed, begin)


class Fit:
    """One critic and what trains it."""

    def __init__(self, critic: nn.Module, objective: Objective, lr: float, betas: tuple[float, float]) -> None:
        self.critic, self.objective, self.lr = critic, objective, lr
        self.optimizer = torch.optim.Adam(critic.parameters(), lr=lr, betas=betas)

    def train(self, a: Tensor, b: Tensor, steps: int, batch_size: int, seed: int, label: str, quiet: bool) -> None:
        """`steps` updates on batches of the rows of `a` and `b`, the step size falling to 0."""
        with progress(label, steps, quiet) as advance:
            for step in range(steps):
                self.soften(step / steps)
                self.update(a, b, batch_size, 0.5 * self.lr * (1 + math.cos(math.pi * step / steps)), seed, step)
                advance(1)

    def soften(self, done: float) -> None:
        """Cones: a softer minimum at first."""
        for part in self.critic.modules():
            if isinstance(part, Cones):
                part.temperature = WARM * (COLD / WARM) ** done

    def update(self, a: Tensor, b: Tensor, batch_size: int, lr: float, seed: int, step: int) -> None:
        """One update at step size `lr` on a batch that (seed, step) decides."""
        source = seeds.generator(seed, "distance batch", step)
        real, fake = (
            x[torch.randint(len(x), (min(batch_size, len(x)),), generator=source).to(x.device)] for x in (a, b)
        )
        size = min(len(real), len(fake))
        draw = seeds.draw(a.device, seed, "distance penalty", step)
        loss = self.objective.critic_loss(self.critic, real[:size], fake[:size], draw).loss
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.objective.constrain(self.critic)

    @torch.no_grad()
    def scores(self, x: Tensor, block: int = 1024) -> Tensor:
        """f, float64 [n], on the CPU."""
        self.critic.eval()
        found = torch.cat([self.critic(x[i : i + block]).cpu().double() for i in range(0, len(x), block)])
        self.critic.train()
        return found

    def score(self, a: Tensor, b: Tensor) -> float:
        """E f(a) - E f(b), float64."""
        return float(self.scores(a).mean() - self.scores(b).mean())

    def slope(self, a: Tensor, b: Tensor, seed: int) -> float:
        """Mean gradient norm between `a` and `b`."""
        size = min(len(a), len(b), 2048)
        self.critic.eval()
        found = float(slope(self.critic, a[:size], b[:size], seeds.draw(a.device, seed, "distance slope")))
        self.critic.train()
        return found

    def corrected(self, raw: float, slope: float) -> float:
        """W1 as `raw` tells it; cones need no correction."""
        if isinstance(self.critic, Scaled) and isinstance(self.critic.inner, Cones):
            return raw
        found = self.objective.corrected(raw, slope)
        return math.nan if found is None else found


def _fits(critic: str, objective: Objective | None, a: Parts, b: Parts, lr: float | None, seed: int) -> list[Fit]:
    """The candidates, untrained."""
    both = torch.cat([a.train[:4096], b.train[:4096]])
    centre = both.mean(0)
    scale = float((both - centre).square().mean().sqrt()) or 1.0
    if critic == "cones":
        if objective is not None:
            raise UserError("cones need no objective: leave --objective out, or give a network as --critic")
        source = seeds.generator(seed, "distance cones")
        # centres anywhere between the middle and the samples
        picked = both[torch.randperm(len(both), generator=source)[:CONES].to(both.device)]
        centres = ((picked - centre) / scale).flatten(1) * torch.rand(len(picked), 1, generator=source).to(both.device)
        return [
            Fit(Scaled(Cones(centres, sign), centre, scale), Objective(wasserstein), lr or 0.05, (0.9, 0.99))
            for sign in (1.0, -1.0)
        ]
    objective = objective or DEFAULT
    if objective.pairing.name != "wasserstein" or objective.corrected(1.0, 1.0) is None:
        raise UserError(
            "the distance needs a wasserstein objective whose slope is known, such as wasserstein + lp(weight=10), gp, "
            "one_sided, div, clip, spectral_norm or orthonormal"
        )
    with seeds.scope(seed, "distance weights"):
        _, network = parse_one("critic", critic, NETWORKS)(tuple(centre.shape), 1)
        objective.prepare(network)
    return [Fit(Scaled(network, centre, scale).to(both.device), objective, lr or 1e-3, (0.0, 0.9))]


def _report(
    streams: tuple[Stream, Stream],
    a: Parts,
    b: Parts,
    fit: Fit,
    critic: str,
    steps: int,
    batch_size: int,
    exact_n: int,
    seed: int,
    begin: float,
) -> Distance:
    raw, slope_held = fit.score(a.train, b.train), fit.slope(a.held, b.held, seed)
    held_a, held_b = fit.scores(a.held), fit.scores(b.held)
    held = float(held_a.mean() - held_b.mean())
    noise = math.sqrt(float(held_a.var()) / len(held_a) + float(held_b.var()) / len(held_b))
    heldout = fit.corrected(held, slope_held)
    gain, gain_noise = _gain(fit, a, b, steps, batch_size, seed)
    exact, bias, used = _exact(a.held, b.held, exact_n)
    return Distance(
        a=streams[0].name,
        b=streams[1].name,
        raw=raw,
        corrected=fit.corrected(raw, slope_held),
        heldout=heldout,
        heldout_error=noise * (heldout / held if held else 1.0),
        exact=exact,
        exact_bias=bias,
        exact_n=used,
        slope=slope_held,
        gain=gain,
        converged=gain < max(0.01 * abs(held), 2 * gain_noise),
        critic=critic,
        steps=steps,
        n=len(a.train) + len(a.validate) + len(a.held),
        seed=seed,
        seconds=round(time.monotonic() - begin, 2),
        f=fit.critic.eval(),
    )


def _gain(fit: Fit, a: Parts, b: Parts, steps: int, batch_size: int, seed: int) -> tuple[float, float]:
    """What MORE steps add to the estimate on validation samples, and the standard error of that difference."""
    more = copy.deepcopy(fit)
    # the copy's optimiser must move the copy
    more.optimizer = type(fit.optimizer)(more.critic.parameters(), **fit.optimizer.defaults)
    more.optimizer.load_state_dict(fit.optimizer.state_dict())
    before = fit.scores(a.validate), fit.scores(b.validate)
    for k in range(MORE):
        more.update(a.train, b.train, batch_size, SMALLER * fit.lr, seed, steps + k)
    changes = [more.scores(x) - old for x, old in zip((a.validate, b.validate), before, strict=True)]
    noise = math.sqrt(sum(float(change.var()) / len(change) for change in changes))
    return float(changes[0].mean() - changes[1].mean()), noise


def _exact(a: Tensor, b: Tensor, exact_n: int) -> tuple[float, float, int]:
    """(W1 between batches of a and b, between two batches of one source, the size of a batch)."""
    size = min(exact_n, len(a) // 2, len(b) // 2)
    batches = [[x.flatten(1)[i : i + size] for i in range(0, len(x) - size + 1, size)] for x in (a, b)]
    repeats = min(REPEATS, *(len(found) for found in batches))
    across = [transport_distance(batches[0][i], batches[1][i]) for i in range(repeats)]
    within = [transport_distance(found[0], found[1]) for found in batches]
    return sum(across) / repeats, sum(within) / 2, size


# --- sources ---------------------------------------------------------------------------------------------------------


def open_pair(
    a: Samples | Data,
    b: Samples | Data,
    *,
    n: int,
    size: int | None,
    split: str,
    split_b: str | None,
    seed: int,
    root: Path | None,
    quiet: bool,
) -> tuple[Stream, Stream]:
    """Equally many samples of both, in an order that doesn't follow their files. Errors: UserError, see `distance`."""
    # an infinite distribution is read from another place for b: two equal ones then share no sample
    opened = [
        _open(source, n, size=size, split=its, start=start, seed=seed, root=root, quiet=quiet)
        for source, its, start in ((a, split, 0), (b, split_b or split, 1 << 40))
    ]
    first, second = opened
    if first.shape != second.shape:
        raise UserError(
            f"'{first.name}' has shape {list(first.shape)}, '{second.name}' {list(second.shape)}: no distance between "
            "them; --size brings images to one size"
        )
    for stream in opened:
        if stream.count < LEAST:
            raise UserError(f"'{stream.name}' has {stream.count} samples: a distance needs at least {LEAST} of each")
    return first, second


def _open(
    source: Samples | Data,
    n: int,
    *,
    size: int | None,
    split: str,
    start: int,
    seed: int,
    root: Path | None,
    quiet: bool,
) -> Stream:
    if isinstance(source, str | Path) and (Path(source) / "run.toml").exists():
        return generated_stream(load_run(source), n, seed, None, str(source))
    if isinstance(source, Data) or (isinstance(source, str | Path) and not str(source).endswith(".npy")):
        data = load(source, size=size, split=split, root=root, quiet=quiet)
        return real_stream(data, min(n, data.count or n), start if data.count is None else 0)
    found = open_samples(source, size=size, root=root, quiet=quiet)
    return chosen(found, min(n, found.count), seed)


def _parts(stream: Stream, device: torch.device, block: int = 4096) -> Parts:
    """All samples, in memory. UserError: NaN or infinity."""
    x = torch.cat([stream.read(i, min(block, stream.count - i)) for i in range(0, stream.count, block)])
    x = x.float().div_(127.5).sub_(1.0) if x.dtype == torch.uint8 else x
    if not bool(x.isfinite().all()):
        raise UserError(f"'{stream.name}' holds NaN or infinity: look at its samples")
    x = x.to(device)
    train, validate = round(TRAIN * len(x)), round(VALIDATE * len(x))
    return Parts(x[:train], x[train : train + validate], x[train + validate :])
