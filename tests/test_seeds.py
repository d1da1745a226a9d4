"""Every random number follows from (seed, purpose, position), and nothing global moves."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan import seeds

CPU = torch.device("cpu")
PURPOSES = ["weights", "critic z", "generator z", "critic layers", "generator layers", "penalty", "dequantize"]
places = st.tuples(
    st.integers(0, 2**63), st.sampled_from(PURPOSES), st.lists(st.integers(0, 10**7), max_size=2).map(tuple)
)


@given(places, places)
def test_other_places_have_other_seeds(
    a: tuple[int, str, tuple[int, ...]], b: tuple[int, str, tuple[int, ...]]
) -> None:
    one, other = seeds.derive(a[0], a[1], *a[2]), seeds.derive(b[0], b[1], *b[2])
    assert (one == other) == (a == b)
    assert 0 <= one < 2**63


def test_no_two_of_a_long_run_coincide() -> None:
    found = {
        seeds.derive(seed, purpose, step, t)
        for seed in (0, 1)
        for purpose in PURPOSES
        for step in range(500)
        for t in range(5)
    }
    assert len(found) == 2 * len(PURPOSES) * 500 * 5
    # 1, 12 is not 11, 2; and no position is not position 0
    assert len({seeds.derive(0, "z", 1, 12), seeds.derive(0, "z", 11, 2), seeds.derive(0, "z", 112)}) == 3
    assert len({seeds.derive(0, "z"), seeds.derive(0, "z", 0), seeds.derive(0, "z", 0, 0)}) == 3


def test_a_seed_is_the_same_in_every_process() -> None:
    code = "from wgan import seeds; print(seeds.derive(3, 'critic z', 7, 1))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(other) == seeds.derive(3, "critic z", 7, 1)


def test_draws_do_not_depend_on_what_was_drawn_before() -> None:
    first = seeds.draw(CPU, 0, "critic z", 3).normal(4, 5)
    torch.rand(7)
    seeds.draw(CPU, 0, "critic z", 2).normal(9)
    assert torch.equal(seeds.draw(CPU, 0, "critic z", 3).normal(4, 5), first)
    assert not torch.equal(seeds.draw(CPU, 0, "generator z", 3).normal(4, 5), first)


def test_one_draw_goes_on() -> None:
    draw = seeds.draw(CPU, 0, "penalty")
    a, b = draw.uniform(3, 1), draw.uniform(3, 1)
    assert not torch.equal(a, b)
    whole = torch.rand(6, generator=seeds.generator(0, "penalty"))
    assert torch.equal(torch.cat([a, b]).flatten(), whole)


def test_distributions() -> None:
    n = 100_000
    uniform, normal = seeds.draw(CPU, 0, "u").uniform(n), seeds.draw(CPU, 0, "n").normal(n)
    assert uniform.dtype == normal.dtype == torch.float32
    assert uniform.min() >= 0
    assert uniform.max() < 1
    # five standard errors of each moment
    error = 5 / n**0.5
    assert abs(uniform.mean() - 0.5) < error * 12**-0.5
    assert abs(uniform.var() - 1 / 12) < error * 180**-0.5
    assert abs(normal.mean()) < error
    assert abs(normal.var() - 1) < error * 2**0.5
    # each generator starts anew: its first numbers must not be alike either
    firsts = torch.stack([seeds.draw(CPU, 0, "z", step).normal(2) for step in range(2000)])
    assert firsts.mean(0).abs().max() < 5 / 2000**0.5
    assert abs(torch.corrcoef(firsts.T)[0, 1]) < 5 / 2000**0.5


def test_shapes() -> None:
    draw = seeds.draw(CPU, 0, "z")
    assert draw.uniform(3, 1, 1).shape == (3, 1, 1)
    assert draw.normal(2).shape == (2,)
    assert draw.uniform(0).shape == (0,)


def test_scope_seeds_the_global_generator_and_puts_it_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(6)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), expected[:2])
    with seeds.scope(0, "weights"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(2), expected[2:4])
    with seeds.scope(0, "weights"), seeds.scope(0, "weights", 1):
        assert not torch.equal(torch.rand(3), inside)
    with pytest.raises(ZeroDivisionError), seeds.scope(0, "weights"):
        torch.rand(3 // 0)
    assert torch.equal(torch.rand(2), expected[4:])
    with seeds.scope(0, "weights"):
        assert torch.equal(torch.rand(3), inside)


def test_nested_scopes_go_on_where_they_were() -> None:
    with seeds.scope(0, "outer"):
        expected = torch.rand(4)
    with seeds.scope(0, "outer"):
        first = torch.rand(2)
        with seeds.scope(0, "inner"):
            torch.rand(9)
        assert torch.equal(torch.cat([first, torch.rand(2)]), expected)


@settings(max_examples=20)
@given(st.integers(0, 2**62))
def test_python_and_others_are_left_alone(seed: int) -> None:
    before, after = random.getstate(), torch.get_rng_state()
    seeds.generator(seed, "weights")
    with seeds.scope(seed, "weights"):
        pass
    assert random.getstate() == before
    assert torch.equal(torch.get_rng_state(), after)
