"""Parts as text: what is written can be read back, and nothing but parts can be read."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wgan
from wgan.errors import UserError
from wgan.networks import NETWORKS
from wgan.objectives import CONSTRAINTS, PAIRINGS
from wgan.optimizers import OPTIMIZERS
from wgan.parts import parse, parse_one, spell
from wgan.run import OBJECTIVE_PARTS, parse_objective, spell_objective

ALL = {**CONSTRAINTS, **NETWORKS, **OPTIMIZERS}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("brief", [False, True])
def test_every_part_reads_back(name: str, brief: bool) -> None:
    part = ALL[name]()
    assert parse_one("part", spell(part, ALL, brief=brief), ALL) == part


VALUES: dict[type | str, st.SearchStrategy[object]] = {
    bool: st.booleans(),
    int: st.integers(2, 10**6),
    float: st.floats(1e-12, 0.999999),
    "p": st.floats(1, 50),  # the exponent of div
}


@given(data=st.data())
@settings(max_examples=200)
def test_every_value_reads_back(data: st.DataObject) -> None:
    kind = ALL[data.draw(st.sampled_from(sorted(ALL)))]
    fields = [field for field in dataclasses.fields(kind) if type(field.default) in VALUES]
    part = kind(**{f.name: data.draw(VALUES.get(f.name, VALUES[type(f.default)])) for f in fields})
    for brief in (False, True):
        assert parse_one("part", spell(part, ALL, brief=brief), ALL) == part


def test_every_field_is_plain_with_a_default() -> None:
    for name, kind in ALL.items():
        for field in dataclasses.fields(kind):
            assert type(field.default) in (bool, int, float, str), f"{name}.{field.name}"


@given(
    weight=st.floats(0, 1e6),
    target=st.floats(1e-3, 1e3),
    c=st.floats(1e-9, 1e3),
    pairing=st.sampled_from(sorted(PAIRINGS)),
)
def test_objectives_read_back(weight: float, target: float, c: float, pairing: str) -> None:
    objective = wgan.Objective(PAIRINGS[pairing], wgan.GradientPenalty(weight, target), wgan.Clip(c))
    assert parse_objective(spell_objective(objective)) == objective


def test_positions_and_whole_numbers() -> None:
    assert parse_objective("gp(5) + wasserstein") == wgan.Objective(wgan.wasserstein, wgan.GradientPenalty(5.0))
    part = parse_one("optimizer", "adam(1e-3, beta1=0)", OPTIMIZERS)
    assert part == wgan.Adam(1e-3, 0.0)
    assert type(part.beta1) is float


def test_own_parts_are_told_without_addresses() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine:
        weight: float = 2.0
        function: object = max

    assert spell(Mine(), ALL).endswith("Mine(weight=2.0, function=builtins:max)")
    assert spell(Mine(function=object()), ALL).endswith("function=builtins:object)")
    assert " at 0x" not in spell(wgan.Pairing("mine", lambda r, f: r, lambda r, f: f), ALL)
    assert spell(test_positions_and_whole_numbers, ALL) == f"{__name__}:test_positions_and_whole_numbers"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "wasserstein +",
        "gp(weight=__import__('os').getpid())",
        "gp(weight=(lambda: 1)())",
        "(1).__class__",
        "wasserstein - gp",
        "gp()()",
        "gp[0]",
        "[gp]",
        "gp(*[1])",
        "gp(**{'weight': 1})",
        "wasserstein; gp",
        "(" * 500,
        "\0",
        "gp(weight=1e999999)" + " + gp" * 3000 + " +",
        "gp(weight=" + "9" * 400 + ")",
        "gp(weight=" + "9" * 5000 + ")",
        "gp(weight=" + "-" * 50_000 + "1)",
        "gp(weight=" + "-" * 900 + "1)",
        "gp(weight=" + "[" * 900 + ")",
        "+" * 900 + "gp",
        "gp(weight=" + "[" * 5000 + ")",
        "gp" * 100_000,
        "gp(weight='" + "x" * 100_000 + "')",
        "gp(__class__=1)",
        "__builtins__",
        "gp.__init__(1)",
    ],
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse("objective", text, OBJECTIVE_PARTS)
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize("text", ["gp(weight=1if 1else 2)", "gp(weight='\\d')"])
def test_nothing_is_said_beside_the_error(text: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(UserError):
            parse("objective", text, OBJECTIVE_PARTS)
    assert said == []


@given(st.text(max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_part_or_a_user_error(text: str) -> None:
    with contextlib.suppress(UserError):
        parse("objective", text, OBJECTIVE_PARTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gq(weight=1)", "did you mean 'gp'"),
        ("GP1", "did you mean 'gp'"),
        ("gp(wieght=1)", "did you mean 'weight'"),
        ("gp(weight=" + "9" * 400 + ")", "too large"),
        ("gp(weight='a')", "needs float"),
        ("gp(1, 2, 3)", "at most 2"),
        ("gp(weight=-1)", "weight"),
        ("gp(weight=nan)", "can't be read"),
        ("wasserstein(1)", "takes no arguments"),
        ("spectral_norm(maxmin=1)", "needs bool"),
        ("spectral_norm(power_iterations=1.5)", "needs int"),
        ("spectral_norm(power_iterations=True)", "needs int"),
    ],
)
def test_mistakes_are_named(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        parse("objective", text, OBJECTIVE_PARTS)


@pytest.mark.parametrize("text", ["gp", "wasserstein + hinge", "clip(0.1) + gp"])
def test_an_objective_has_one_pairing(text: str) -> None:
    with pytest.raises(UserError, match="exactly one pairing"):
        parse_objective(text)
