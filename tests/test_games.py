"""Games of two numbers: gradient steps against closed forms, and the Dirac-GAN against its equations by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan.objectives import R1, Clip, GradientPenalty, Objective, logistic, minimax, wasserstein
from wgan.reproduction import games

METHODS = [games.simultaneous, games.alternating, games.extragradient, games.optimistic]
# no number whose square underflows
NUMBER = st.integers(-2000, 2000).map(lambda n: n / 1000)
POINT = st.tuples(NUMBER, NUMBER).filter(lambda at: math.hypot(*at) > 0.01).map(np.array)
QUICK = settings(max_examples=40, deadline=None)


def bilinear(at: np.ndarray) -> np.ndarray:
    """min_x max_y xy."""
    return np.array([at[1], -at[0]])


@pytest.mark.parametrize("method", METHODS)
@given(lr=st.floats(0.01, 0.45), start=POINT, steps=st.integers(1, 60))
@QUICK
def test_steps_on_the_bilinear_game_follow_the_closed_form(method, lr, start, steps):
    path = games.play(bilinear, method, start, lr, steps)
    exact = games.bilinear_path(method, start, lr, steps)
    assert path.shape == exact.shape == (steps + 1, 2)
    np.testing.assert_allclose(path, exact, rtol=0, atol=1e-9 * np.abs(exact).max())


@given(lr=st.floats(0.01, 0.45), start=POINT)
@QUICK
def test_who_diverges_who_circles_who_converges(lr, start):
    steps = 50
    first, *last = (
        np.linalg.norm(at) for at in (start, *(games.bilinear_path(method, start, lr, steps)[-1] for method in METHODS))
    )
    simultaneous, alternating, extragradient, optimistic = last
    assert simultaneous == pytest.approx(first * (1 + lr**2) ** (steps / 2))
    assert extragradient == pytest.approx(first * (1 - lr**2 + lr**4) ** (steps / 2))
    # on the ellipse x^2 + y^2 - lr xy for ever
    assert math.sqrt((2 - lr) / (2 + lr)) - 1e-9 <= alternating / first <= math.sqrt((2 + lr) / (2 - lr)) + 1e-9
    larger_root = abs((1 + 2j * lr + math.sqrt(1 - 4 * lr**2)) / 2)
    assert larger_root < 1
    assert optimistic <= 2 * first * larger_root ** (steps - 5)


@given(lr=st.floats(0.01, 0.9), start=POINT, steps=st.integers(1, 50))
@QUICK
def test_alternating_steps_keep_their_ellipse(lr, start, steps):
    x, y = games.play(bilinear, games.alternating, start, lr, steps).T
    kept = x**2 + y**2 - lr * x * y
    np.testing.assert_allclose(kept, kept[0], rtol=1e-9)


def test_each_player_has_its_own_step_size_and_noise_is_added_to_the_gradients():
    path = games.play(
        bilinear, games.simultaneous, np.array([1.0, 2.0]), np.array([0.5, 0.1]), 1, np.array([[1.0, 3.0]])
    )
    np.testing.assert_allclose(path[1], [1 - 0.5 * (2 + 1), 2 - 0.1 * (-1 + 3)])


@given(at=POINT)
@QUICK
def test_the_wasserstein_dirac_gan_is_the_bilinear_game(at):
    np.testing.assert_allclose(games.Dirac(Objective(wasserstein)).field(at), bilinear(at) * [1, 1], atol=1e-12)


@given(at=POINT, size=st.floats(0.1, 2))
@QUICK
def test_the_dirac_gans_gradients_are_those_by_hand(at, size):
    psi, theta = at
    sigmoid = 1 / (1 + math.exp(-psi * theta))
    by_hand = {
        Objective(minimax): (theta * sigmoid, -psi * sigmoid),
        Objective(logistic): (theta * sigmoid, -psi * (1 - sigmoid)),
        Objective(minimax, R1(size)): (theta * sigmoid + size * psi, -psi * sigmoid),
        Objective(wasserstein, R1(size)): (theta + size * psi, -psi),
        Objective(wasserstein, GradientPenalty(size, 0.5)): (
            theta + 8 * size * (abs(psi) - 0.5) * np.sign(psi),
            -psi,
        ),
    }
    for objective, expected in by_hand.items():
        np.testing.assert_allclose(games.Dirac(objective).field(at), expected, atol=1e-9, err_msg=repr(objective))


@given(gamma=st.floats(0.01, 1.9))
@QUICK
def test_r1_moves_the_eigenvalues_to_minus_half_gamma(gamma):
    at = np.zeros(2)
    assert games.attraction(games.Dirac(Objective(wasserstein, R1(gamma))).field, at) == pytest.approx(
        -gamma / 2, abs=1e-6
    )
    for pairing in (minimax, logistic, wasserstein):
        assert abs(games.attraction(games.Dirac(Objective(pairing)).field, at)) < 1e-6


def test_attraction_of_a_linear_field():
    matrix = np.array([[2.0, 1.0], [0.0, 0.5]])
    assert games.attraction(lambda at: matrix @ at, np.array([0.3, -2.0])) == pytest.approx(-0.5)


@pytest.mark.parametrize("n_critic", [1, 3])
def test_algorithm_1_on_the_dirac_gan_by_hand(n_critic):
    start, lr, c = np.array([0.1, 1.0]), 0.1, 0.15
    psi, theta = start
    expected = [(psi, theta)]
    for _ in range(8):
        for _ in range(n_critic):
            psi = max(-c, min(c, psi - lr * theta))
        theta += lr * psi
        expected.append((psi, theta))
    path = games.Dirac(Objective(wasserstein, Clip(c))).train(start, lr, 8, n_critic)
    np.testing.assert_allclose(path, expected, atol=1e-12)


def test_arrows_point_where_both_players_go():
    theta, psi, right, up = games.Dirac(Objective(wasserstein)).arrows(1.0, 3)
    np.testing.assert_allclose(right, psi, atol=1e-12)
    np.testing.assert_allclose(up, -theta, atol=1e-12)
    assert theta[0].tolist() == [-1, 0, 1]


def test_saddle_against_finite_differences():
    def f(x, y):
        return (1 + x**2) * (100 - y**2)

    x, y, h = 0.4, -0.7, 1e-6
    slopes = (f(x + h, y) - f(x - h, y)) / (2 * h), -(f(x, y + h) - f(x, y - h)) / (2 * h)
    np.testing.assert_allclose(games.saddle(np.array([x, y])), slopes, rtol=1e-6)


def test_a_seed_decides_the_start_and_nothing_else_does():
    assert np.array_equal(games.start(5), games.start(5))
    assert not np.array_equal(games.start(5), games.start(6))
    assert np.linalg.norm(games.start(5, radius=3.0)) == pytest.approx(3)
