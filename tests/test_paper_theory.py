"""Theorems 1 and 3 of "Wasserstein GAN" and its Example 1, on samples, with exact optimal transport, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from wgan.metrics import transport_distance, transport_plan

N = 40
seeds = st.integers(0, 2**31)
dims = st.integers(1, 3)
few = settings(max_examples=25, deadline=None)


def random_generator(seed: int, z_dim: int, dim: int, activation: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Linear(z_dim, 8), activation(), nn.Linear(8, 8), activation(), nn.Linear(8, dim)]
    return nn.Sequential(*layers).double()


def moved(generator: nn.Module, seed: int, size: float) -> nn.Module:
    """A copy whose weights are `size` times a random unit vector away."""
    torch.manual_seed(seed)
    steps = [torch.randn_like(w) for w in generator.parameters()]
    norm = torch.sqrt(sum((s.square().sum() for s in steps), torch.zeros(())))
    other = copy.deepcopy(generator)
    with torch.no_grad():
        for w, step in zip(other.parameters(), steps, strict=True):
            w += size * step / norm
    return other


def pulled_home(fake: Tensor, real: Tensor) -> Tensor:
    """-grad f of an optimal critic f at each of `fake`: away from its partner, at slope 1 (WGAN-GP, proposition 1)."""
    away = fake - real[transport_plan(fake, real)]
    return away / away.norm(dim=1, keepdim=True)


def dual_potential(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """A 1-Lipschitz f that attains W1 between samples, on real and on fake, from the exact plan's own inequalities.

    f(x_i) - f(y_j) <= |x_i - y_j| with equality along the plan are differences of shortest paths (Bellman-Ford).
    """
    points = torch.cat([real, fake])
    cost = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    n = len(real)
    _, partner = linear_sum_assignment(cost[:n, n:])
    bound = cost.copy()
    bound[n + partner, np.arange(n)] = -cost[np.arange(n), n + partner]  # f(fake) <= f(real) - |real - fake|
    f = np.zeros(2 * n)
    for _ in range(2 * n):
        closer = np.minimum(f, (f[None, :] + bound).min(axis=1))
        if np.allclose(closer, f, rtol=0, atol=1e-13):
            break
        f = closer
    found = torch.from_numpy(f)
    return found[:n], found[n:]


# --- Theorem 1: W is continuous in theta ------------------------------------------------------------------------------


@few
@given(seeds, dims, st.floats(1e-6, 3.0), st.sampled_from([nn.Tanh, nn.ReLU]))
def test_w_moves_no_further_than_the_samples(seed: int, dim: int, size: float, activation: type[nn.Module]) -> None:
    """|W(P_r, P_theta) - W(P_r, P_theta')| <= W(P_theta, P_theta') <= E |g_theta(z) - g_theta'(z)|."""
    here = random_generator(seed, 2, dim, activation)
    there = moved(here, seed + 1, size)
    torch.manual_seed(seed + 2)
    z, real = torch.randn(N, 2, dtype=torch.float64), 2 * torch.randn(N, dim, dtype=torch.float64)
    with torch.no_grad():
        a, b = here(z), there(z)
    between = transport_distance(a, b)
    samples_move = float((a - b).norm(dim=1).mean())
    assert abs(transport_distance(a, real) - transport_distance(b, real)) <= between + 1e-9
    assert between <= samples_move + 1e-9


@few
@given(seeds, st.sampled_from([nn.Tanh, nn.ReLU]))
def test_w_is_continuous_in_the_weights(seed: int, activation: type[nn.Module]) -> None:
    here = random_generator(seed, 2, 2, activation)
    torch.manual_seed(seed + 2)
    z, real = torch.randn(N, 2, dtype=torch.float64), torch.randn(N, 2, dtype=torch.float64)
    with torch.no_grad():
        at = transport_distance(here(z), real)
        changes = [abs(transport_distance(moved(here, seed + 1, size)(z), real) - at) for size in (1e-2, 1e-4, 1e-6)]
    assert changes[1] <= 1e-2
    assert changes[2] <= 1e-4


# --- Theorem 3: grad_theta W = -E grad_theta f(g_theta(z)) -----------------------------------------------------------


@few
@given(seeds, dims)
def test_the_gradient_of_w_is_that_of_the_critic(seed: int, dim: int) -> None:
    """Against differences of exact W1 along a random direction of all weights; the plan stays the same that near."""
    here = random_generator(seed, 2, dim, nn.Tanh)
    torch.manual_seed(seed + 2)
    z, real = torch.randn(N, 2, dtype=torch.float64), 2 * torch.randn(N, dim, dtype=torch.float64) + 1
    fake = here(z)
    # f enters by its gradient at the fakes alone: -grad f = pulled_home
    surrogate = (fake * pulled_home(fake.detach(), real)).sum(1).mean()
    surrogate.backward()
    size = 1e-6
    ahead, behind = moved(here, seed + 1, size), moved(here, seed + 1, -size)
    pairs = zip(here.parameters(), ahead.parameters(), behind.parameters(), strict=True)
    with torch.no_grad():
        along = sum(float((w.grad * (a - b)).sum()) / (2 * size) for w, a, b in pairs)
        slope = (transport_distance(ahead(z), real) - transport_distance(behind(z), real)) / (2 * size)
        bend = transport_distance(ahead(z), real) + transport_distance(behind(z), real)
        bend -= 2 * transport_distance(fake, real)
    # else the plan changes in between: W has no derivative there, which Theorem 3 allows on a null set
    assume(abs(bend) < 1e-9)
    assert along == pytest.approx(slope, rel=1e-4, abs=1e-6)


@few
@given(seeds, dims, st.floats(3.0, 9.0), st.booleans())
def test_a_translation_has_the_slope_of_its_closed_form(seed: int, dim: int, shift: float, flip: bool) -> None:
    """g_theta(z) = z + theta e against z: W = |theta|, f(x) = -sign(theta) <e, x>, dW/dtheta = sign(theta)."""
    torch.manual_seed(seed)
    real = torch.rand(N, dim, dtype=torch.float64)
    e = torch.nn.functional.normalize(torch.randn(dim, dtype=torch.float64), dim=0)
    theta = torch.tensor(-shift if flip else shift, dtype=torch.float64, requires_grad=True)

    def w(at: float) -> float:
        return transport_distance(real + at * e, real)

    def critic(x: Tensor) -> Tensor:
        return -torch.sign(theta.detach()) * (x @ e)

    at = float(theta.detach())
    fake = real + theta * e
    assert w(at) == pytest.approx(shift)
    assert float((critic(real).mean() - critic(fake).mean()).detach()) == pytest.approx(shift)
    (-critic(fake).mean()).backward()
    assert float(theta.grad) == pytest.approx(math.copysign(1, at))
    assert float(theta.grad) == pytest.approx((w(at + 1e-3) - w(at - 1e-3)) / 2e-3)


@few
@given(seeds, dims)
def test_an_optimal_potential_attains_w(seed: int, dim: int) -> None:
    """Kantorovich-Rubinstein: E f(real) - E f(fake) = W1 for a 1-Lipschitz f, whose slope along the plan is 1."""
    torch.manual_seed(seed)
    real, fake = torch.randn(N, dim, dtype=torch.float64), torch.randn(N, dim, dtype=torch.float64) + 0.5
    f_real, f_fake = dual_potential(real, fake)
    assert float(f_real.mean() - f_fake.mean()) == pytest.approx(transport_distance(real, fake), abs=1e-9)
    points, f = torch.cat([real, fake]), torch.cat([f_real, f_fake])
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    assert bool(((f[:, None] - f[None, :]).abs() <= apart + 1e-9).all())


# --- Example 1: where the others jump --------------------------------------------------------------------------------


def divergences(p: np.ndarray, q: np.ndarray) -> dict[str, float]:
    """KL(p|q), JS and TV of two discrete distributions on the same places, in nats."""

    def kl(a: np.ndarray, b: np.ndarray) -> float:
        there = a > 0
        return math.inf if (b[there] == 0).any() else float((a[there] * np.log(a[there] / b[there])).sum())

    middle = (p + q) / 2
    return {"kl": kl(p, q), "js": (kl(p, middle) + kl(q, middle)) / 2, "tv": float(np.abs(p - q).sum() / 2)}


@given(st.floats(-1, 1), seeds)
def test_parallel_lines(theta: float, seed: int) -> None:
    """W = |theta|; however small theta is, JS = log 2, KL = inf, TV = 1: they are not continuous at 0."""
    height = np.random.default_rng(seed).random(N)
    lines = [[(x, h) for h in height] for x in (0.0, theta)]
    places = sorted({*lines[0], *lines[1]})
    p, q = (np.array([line.count(place) / N for place in places]) for line in lines)
    found = divergences(p, q)
    expected = {"kl": 0.0, "js": 0.0, "tv": 0.0} if theta == 0 else {"kl": math.inf, "js": math.log(2), "tv": 1.0}
    assert found == pytest.approx(expected)
    real, fake = (torch.tensor(line, dtype=torch.float64) for line in lines)
    assert transport_distance(real, fake) == pytest.approx(abs(theta), abs=1e-12)


def test_only_w_is_continuous_at_no_distance() -> None:
    sizes = (1.0, 1e-3, 1e-6, 1e-9)
    height = np.linspace(0, 1, N)
    for theta in sizes:
        real, fake = (torch.from_numpy(np.stack([np.full(N, x), height], 1)) for x in (0.0, theta))
        assert transport_distance(real, fake) == pytest.approx(theta)
        apart = divergences(np.r_[np.full(N, 1 / N), np.zeros(N)], np.r_[np.zeros(N), np.full(N, 1 / N)])
        assert apart == pytest.approx({"kl": math.inf, "js": math.log(2), "tv": 1.0})
