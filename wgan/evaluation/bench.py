"""Real samples and their features, ready to measure generated ones against, as often as wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wgan.data.cache import progress
from wgan.errors import UserError
from wgan.evaluation.choice import Choice, Known, centres_of, facts_of
from wgan.evaluation.measures import Case, Measure, Value
from wgan.evaluation.plan import Facts, key_of, planned
from wgan.evaluation.reference import Reference, real_streams
from wgan.evaluation.report import Row
from wgan.evaluation.sides import Side, checked, take, take_real
from wgan.evaluation.streams import Stream
from wgan.features import Features


def check_shapes(name: str, shape: tuple[int, ...], reference: Reference) -> None:
    """Errors: UserError for samples that aren't of the shape of the reference."""
    wanted = tuple(reference.data.shape)
    if shape != wanted:
        raise UserError(
            f"{name}: samples are {spelled(shape)}, the reference '{reference.data.name}' is {spelled(wanted)}: "
            "choose another --against, or --size where pixels differ"
        )


def spelled(shape: tuple[int, ...]) -> str:
    """`images of 3 channels, 32x32 px` or `points of 2 numbers`."""
    if len(shape) != 3:
        return f"points of {shape[0]} number{'' if shape[0] == 1 else 's'}"
    c, h, w = shape
    return f"images of {c} channel{'' if c == 1 else 's'}, {w}x{h} px"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a bench measures. n: samples of a draw; draws: how many of them. cache: where features of real samples are
    kept. floors: other real samples are measured too.
    """

    n: int
    draws: int = 1
    seed: int = 0
    cache: Path
    batch_size: int = 128
    floors: bool = True
    quiet: bool = True


@dataclass(frozen=True, eq=False)
class Bench:
    """plan: the measures and the rows wanted of each. real: the reference. spare: other real samples, which stand in
    for generated ones to give the floor; None where there are none to spare.
    """

    reference: Reference
    features: Features
    judge: Features | None
    plan: list[tuple[Measure, list[str]]]
    facts: Facts
    real: Side
    spare: Side | None
    setting: Setting

    def take(self, stream: Stream) -> Side:
        """The features of generated samples. Errors: UserError for another shape, and for features that are NaN."""
        check_shapes(stream.name, stream.shape, self.reference)
        keep = 0 if self.real.images is None else self.facts.swd_images
        how = self.setting
        return take(stream, self.features, self.judge, batch_size=how.batch_size, keep=keep, quiet=how.quiet)

    def rows(self, fake: Side, *, floors: bool = True) -> list[Row]:
        """Every wanted figure, and with `floors` what real samples in place of the fakes get."""
        rows = []
        with progress("measuring", len(self.plan), self.setting.quiet) as advance:
            for measure, names in self.plan:
                values = measure.compute(self._case(fake))
                floor = self._floor(measure) if floors else {}
                rows += [self._row(measure, name, values[name], floor.get(name)) for name in names if name in values]
                advance(1)
        return rows

    def _row(self, measure: Measure, name: str, value: Value, floor: Value | None) -> Row:
        few = f"of {self.facts.n:,} samples, where {measure.usual:,} are usual: {measure.below}"
        return Row(
            key=key_of(name, self.facts),
            value=value.value,
            better=measure.rows[name],
            spread=value.spread,
            floor=None if floor is None else floor.value,
            floor_spread=None if floor is None else floor.spread,
            parts=value.parts,
            # a few numbers, as of points in the plane, are known well enough from fewer
            note=few if self.facts.n < measure.usual and not self.facts.points else "",
        )

    def _case(self, fake: Side) -> Case:
        train, heldout = self.seen_and_unseen()
        centres, std = centres_of(self.reference.data)
        classes = self.reference.train.classes
        return Case(self.real, fake, self.setting.n, self.setting.seed, train, heldout, centres, std, classes)

    def seen_and_unseen(self) -> tuple[Side, Side] | tuple[None, None]:
        """As many samples of the training split as of another one; (None, None) where either isn't there."""
        if self.spare is None or not self.reference.seen_and_unseen:
            return None, None
        n = min(self.real.n, self.spare.n)
        real, spare = self.real.part(0, n), self.spare.part(0, n)
        return (real, spare) if self.reference.split == "train" else (spare, real)

    def _floor(self, measure: Measure) -> dict[str, Value]:
        """The measure of real samples in place of generated ones; empty where there are too few."""
        case = self._floor_case(measure)
        return measure.compute(case) if min(case.n, case.real.n, case.fake.n) >= measure.fewest else {}

    def _floor_case(self, measure: Measure) -> Case:
        train, heldout = self.seen_and_unseen()
        if measure.needs == "train and held-out data" and train is not None and heldout is not None:
            # three sets are needed: half of the held-out ones stand in for the generated ones
            half = train.n // 2
            case = self._case(heldout.part(half, 2 * half))
            return replace(case, n=half, train=train.part(0, half), heldout=heldout.part(0, half))
        if self.spare is not None:
            return replace(self._case(self.spare), n=min(self.setting.n, self.spare.n))
        half = self.real.n // 2
        real, other = self.real.part(0, half), self.real.part(half, 2 * half)
        if measure.needs == "images":
            real, other = (side.with_images(self.facts.swd_images) for side in (real, other))
        return replace(self._case(other), real=real, n=min(self.setting.n, half))


def open_bench(
    reference: Reference, choice: Choice, names: Sequence[str] | None, setting: Setting
) -> tuple[Bench, list[str]]:
    """The bench for these metrics, and notes on those left out.

    Errors: UserError for a metric asked for by name that can't be measured here, and as `take_real`.
    """
    features, streams = choice.features, real_streams(reference, setting.n * setting.draws)
    # one sample tells what the features give, and whether a user's own work at all
    probabilities = checked(features, features(streams[0].read(0, 1)), 1).probabilities is not None
    known = Known(features.name, choice.official, features.dim, probabilities, choice.judge is not None)
    facts = facts_of(known, reference, names, setting.n)
    plan, notes = planned(names, facts)
    keep = facts.swd_images if any(measure.needs == "images" for measure, _ in plan) else 0
    judge = choice.judge if any(measure.needs in ("judge", "known modes") for measure, _ in plan) else None
    real, spare = (
        None
        if stream is None
        else take_real(
            stream,
            choice.features,
            judge,
            cache=setting.cache,
            batch_size=setting.batch_size,
            keep=keep,
            quiet=setting.quiet,
        )
        for stream in (streams if setting.floors else (streams[0], None))
    )
    assert real is not None
    return Bench(reference, choice.features, judge, plan, facts, real, spare, setting), notes
