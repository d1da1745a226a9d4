"""Pairs of distributions whose Wasserstein-1 distance is known exactly, in any dimension (Korotin et al. 2022).

"Kantorovich Strikes Back! Wasserstein GANs are not Optimal Transport?", NeurIPS 2022, Section 4: the lower envelope of
cones u(x) = min_k (|x - a_k| + b_k) is 1-Lipschitz. A point y, uniform on the box [-side/2, side/2]^d, lies in the
funnel k that attains the minimum. The ray from a_k through y ends where it leaves the box or where another funnel takes
over, L away from a_k. With t = |y - a_k| / L in [0, 1] and v = (y - a_k) / |y - a_k| the partner of y is
x = a_k + v L t^p: y slides down its ray, along which u falls at slope 1. So u(y) - u(x) = |y - x|, and by duality

    W1 = E |x - y| = E u(y) - E u(x),

u being an optimal critic, with gradient v wherever mass is moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wgan.data.base import Request, Toy
from wgan.errors import UserError, at_least


@dataclass(frozen=True)
class Funnels:
    """A pair of distributions in `dim` dimensions made by `funnels` funnels, all of it decided by `seed`.

    side: of the box. power: p >= 1, how far mass slides (1: not at all). scale: multiplies all coordinates, and W1 with
    them. The centres a_k are uniform on the box.
    """

    dim: int
    funnels: int = 4
    seed: int = 0
    side: float = 5.0
    power: float = 8.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        at_least(1, "dim", self.dim)
        at_least(1, "funnels", self.funnels)

    @cached_property
    def centres(self) -> np.ndarray:
        """a_k, float64 [funnels, dim]."""
        rng = self._rng(1)
        return rng.uniform(-self.side / 2, self.side / 2, (self.funnels, self.dim))

    @cached_property
    def heights(self) -> np.ndarray:
        """b_k, float64 [funnels], from N(0, 0.1^2) as in the published benchmark."""
        return 0.1 * self._rng(2).standard_normal(self.funnels)

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.dim, self.funnels, *purpose))

    def potential(self, x: np.ndarray) -> np.ndarray:
        """u(x) float64 [n] for x [n, dim] in the coordinates of the samples."""
        return np.asarray(self.scale * self._cones(np.asarray(x, np.float64) / self.scale).min(1))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """grad u(x), unit vectors float64 [n, dim]."""
        x = np.asarray(x, np.float64) / self.scale
        away = x - self.centres[self._cones(x).argmin(1)]
        return np.asarray(away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), np.finfo(np.float64).tiny))

    def _cones(self, x: np.ndarray) -> np.ndarray:
        distances = np.stack([np.linalg.norm(x - a, axis=1) for a in self.centres], 1)
        return np.asarray(distances + self.heights)

    def pairs(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(y, x), float64 [n, dim] each: y uniform on the box, x its partner, |y - x| apart; W1 = E |y - x|."""
        y = rng.uniform(-self.side / 2, self.side / 2, (n, self.dim))
        mine = self._cones(y).argmin(1)
        away = y - self.centres[mine]
        distance = np.linalg.norm(away, axis=1, keepdims=True)
        v = away / np.maximum(distance, np.finfo(np.float64).tiny)
        length = np.minimum(self._to_box(mine, v), self._to_other_funnel(mine, v))[:, None]
        x = self.centres[mine] + v * length * np.clip(distance / length, 0, 1) ** self.power
        return self.scale * y, self.scale * x

    def _to_box(self, mine: np.ndarray, v: np.ndarray) -> np.ndarray:
        """How far from its centre each ray leaves the box."""
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(v > 0, self.side / 2 - self.centres[mine], -self.side / 2 - self.centres[mine]) / v
        return np.asarray(np.where(v == 0, np.inf, reach).min(1))

    def _to_other_funnel(self, mine: np.ndarray, v: np.ndarray) -> np.ndarray:
        """How far from its centre each ray stays in its own funnel.

        Funnel j takes over at r with |a_k + r v - a_j| + b_j = r + b_k. With w = a_k - a_j and b = b_k - b_j:
        |w|^2 + 2 r v.w = 2 r b + b^2, hence r = (|w|^2 - b^2) / (2 (b - v.w)) where that is positive.
        """
        along = v @ self.centres.T
        v_w = np.take_along_axis(along, mine[:, None], 1) - along
        w_w = ((self.centres[:, None] - self.centres[None]) ** 2).sum(2)[mine]
        b = (self.heights[:, None] - self.heights[None])[mine]
        below = 2 * (b - v_w)
        with np.errstate(divide="ignore", invalid="ignore"):
            r = (w_w - b**2) / below
        r[(below <= 0) | (np.arange(self.funnels)[None] == mine[:, None])] = np.inf
        return np.asarray(r.min(1))

    def distance(self, n: int = 1 << 20, block: int = 1 << 14) -> float:
        """W1 = E |y - x| over `n` pairs; its relative standard error is about 0.5 / sqrt(n)."""
        total, done = 0.0, 0
        for k in range(-(-n // block)):
            y, x = self.pairs(min(block, n - done), self._rng(3, k))
            total += float(np.linalg.norm(y - x, axis=1).sum())
            done += len(y)
        return total / n

    @property
    def real(self) -> Toy:
        """The distribution of y, on which an optimal critic is larger."""
        return Toy(f"{self._name}:real", self.dim, lambda n, rng: self.pairs(n, rng)[0])

    @property
    def fake(self) -> Toy:
        """The distribution of x. Its stream is independent of that of `real`, also with the same seed."""
        return Toy(f"{self._name}:fake", self.dim, lambda n, rng: self.pairs(n, rng.spawn(1)[0])[1])

    @property
    def _name(self) -> str:
        return f"funnels:{self.dim}:{self.funnels}:{self.seed}" + (f"x{self.scale:g}" if self.scale != 1 else "")


def open_funnels(request: Request) -> Toy:
    """`funnels:DIM:COUNT:SEED:real` or `...:fake`: one of a pair; the distance of the two is `Funnels.distance()`."""
    request.check(("train", "test"), takes_argument=True)
    *numbers, which = request.argument.split(":")
    if len(numbers) != 3 or not all(n.isascii() and n.isdecimal() for n in numbers) or which not in ("real", "fake"):
        raise UserError(f"data '{request.name}': needs DIM:COUNT:SEED:real or fake, as in 'funnels:16:4:0:real'")
    dim, count, seed = map(int, numbers)
    if not (1 <= dim <= 4096 and 1 <= count <= 4096):
        raise UserError(f"data '{request.name}': dimension and number of funnels must be 1 to 4096")
    pair = Funnels(dim, count, seed)
    return pair.real if which == "real" else pair.fake
