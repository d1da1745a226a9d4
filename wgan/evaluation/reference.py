"""What samples are measured against: real samples, and others of the same kind that give the floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wgan.data import SOURCES, Data, load
from wgan.data.stacked_mnist import CLASSES as STACKED
from wgan.errors import UserError
from wgan.evaluation.streams import Stream, real_stream

# a run's samples are compared with as many real ones as the first papers took at least (TTUR, Heusel et al. 2017)
IMAGES, POINTS, DRAWS = 10_000, 2_500, 10
# modes of Stacked-MNIST are counted among so many (PacGAN, Lin et al. 2018)
STACKED_SAMPLES = 26_000


@dataclass(frozen=True, eq=False)
class Reference:
    """data: what samples are measured against, `split` of it. other, other_split: real samples beside them, which must
    score like the best of samples; None where there is no second split. missing: why there is none.
    """

    data: Data
    split: str
    other: Data | None = None
    other_split: str = ""
    missing: str = ""

    @property
    def train(self) -> Data:
        """The training split, which a classifier for this data is trained on."""
        return self.other if self.other is not None and self.other_split == "train" else self.data

    @property
    def seen_and_unseen(self) -> bool:
        """Whether there are images that a generator was trained on, and others."""
        return self.other is not None and "train" in (self.split, self.other_split)


def open_reference(
    name: str | Path | Data,
    split: str,
    *,
    held_out: str | Path | Data | None = None,
    size: int | None = None,
    root: Path | None = None,
    allow_bad: bool = False,
    quiet: bool = True,
) -> Reference:
    """`split` of a data set and, where it has both, test beside train or train beside another.

    held_out: other real samples of the same kind, where the data has no such split itself.
    Errors: UserError when the data or the split can't be opened, or held_out is of another shape.
    """

    def opened(wanted: str) -> Data:
        return load(name, size=size, root=root, split=wanted, allow_bad=allow_bad, quiet=quiet)

    data = opened(split)
    if held_out is not None:
        other = load(held_out, size=size, root=root, allow_bad=allow_bad, quiet=quiet)
        if other.shape != data.shape:
            raise UserError(f"held-out data '{other.name}' has other shapes than '{data.name}'; --size may mend that")
        return Reference(data, split, other, "held out")
    if data.count is None:
        return Reference(data, split)
    if not isinstance(name, str | Path):
        return Reference(data, split, missing=f"data '{data.name}' is an object without other splits")
    if str(name).startswith("hf:"):
        return Reference(data, split, missing="of the hub only the named split is read")
    known = isinstance(name, str) and name.partition(":")[0] in SOURCES
    # a folder may have its test images in val/
    others = ("train",) if split != "train" else ("test",) if known else ("test", "val", "valid")
    return _with_other(data, split, others, opened)


def _with_other(data: Data, split: str, others: tuple[str, ...], opened: Callable[[str], Data]) -> Reference:
    reasons = []
    for other in others:
        try:
            found = opened(other)
        except UserError as error:
            reasons.append(str(error))
            continue
        if found.shape == data.shape and found.fingerprint != data.fingerprint:
            return Reference(data, split, found, other)
        reasons.append(f"its split '{other}' has other shapes or the same samples")
    return Reference(data, split, missing=reasons[0])


def default_n(reference: Reference, available: int | None) -> int:
    """Samples to measure when nobody says: IMAGES or POINTS, or as many as there are on both sides.

    Where there is no second split, half of the reference is left for the floor, so that it stands at the same n.
    """
    data = reference.data
    n = STACKED_SAMPLES if data.classes == STACKED else IMAGES if len(data.shape) == 3 else POINTS
    if data.count is not None:
        n = min(n, data.count if reference.other is not None else max(1, data.count // 2))
    return n if available is None else min(n, available)


def real_streams(reference: Reference, n: int) -> tuple[Stream, Stream | None]:
    """(reference, other real samples for the floor), each of n samples or as many as there are.

    The second is None where there are none to spare: the floor is then measured between halves of the reference.
    """
    data, other = reference.data, reference.other
    name = f"{data.name} {reference.split}"
    if other is not None and other.count is not None:
        real = real_stream(data, min(n, data.count or n), name=name)
        return real, real_stream(other, min(n, other.count), name=f"{other.name} {reference.other_split}")
    if data.count is None or 2 * n <= data.count:
        return real_stream(data, n, name=name), real_stream(data, n, start=n, name=f"{name}, others")
    return real_stream(data, min(n, data.count), name=name), None
