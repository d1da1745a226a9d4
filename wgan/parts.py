"""Parts as text: `gp(weight=10.0)`, `dcgan(filters=64)`, `wasserstein + clip(c=0.01)`.

A part is a frozen dataclass of plain fields. Its text is the call that makes it, in flags, in run.toml and in tables.
Text is parsed, never evaluated: names from a known dict, numbers, strings, True and False.
"""

from __future__ import annotations

import ast
import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from wgan.errors import UserError, did_you_mean

LONGEST = 1000  # characters of a sum of parts; the longest that anyone means has about 300


def spell(part: object, known: Mapping[str, object], *, brief: bool = False) -> str:
    """The text of a part: a known one as `name(field=value, ...)`, anyone's own as `module:name(...)`.

    brief: leaves out fields that have their defaults.
    """
    names = {id(value): name for name, value in known.items()}
    if id(part) in names:  # a ready object, such as a pairing
        return names[id(part)]
    if isinstance(part, type) or not dataclasses.is_dataclass(part):
        return _own(part)
    kind = type(part)
    name = names.get(id(kind), _own(kind))
    fields = [f for f in dataclasses.fields(part) if f.init and not (brief and getattr(part, f.name) == f.default)]
    values = ", ".join(f"{f.name}={_value(getattr(part, f.name))}" for f in fields)
    return name if brief and not values else f"{name}({values})"


def _own(part: object) -> str:
    """module:name of a function, a class, or the class of anything else: no addresses, which differ from run to run."""
    named = part if hasattr(part, "__qualname__") else type(part)
    return f"{named.__module__}:{named.__qualname__}"


def _value(value: object) -> str:
    plain = value is None or isinstance(value, (bool, int, float, str, tuple))
    return repr(value) if plain else _own(value)


def parse(what: str, text: str, known: Mapping[str, Any]) -> list[Any]:
    """The parts in `a + b(x=1) + ...`; each name is looked up in `known`.

    Errors: UserError naming `what` when the text is no such sum, a name or field is unknown, or a value is refused.
    """
    if len(text) > LONGEST:
        raise UserError(f"{what}: a text of {len(text):,} characters is no part: at most {LONGEST:,}")
    try:
        with warnings.catch_warnings():  # the parser's own remarks are no lines for the user
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
        raise _not_a_part(what, text) from None
    return [_part(what, text, term, known) for term in _terms(tree)]


def parse_one(what: str, text: str, known: Mapping[str, Any]) -> Any:
    """As `parse`, for a text that must hold one part."""
    parts = parse(what, text, known)
    if len(parts) != 1:
        raise UserError(f"{what} '{text}': needs one part, found {len(parts)}")
    return parts[0]


def _not_a_part(what: str, text: str) -> UserError:
    return UserError(f"{what} '{text}' can't be read; write name(field=value, ...), several joined by +")


def _terms(node: ast.expr) -> list[ast.expr]:
    """a + b + c is ((a + b) + c): unrolled by a loop, so that a hostile length can't exhaust the stack."""
    terms: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        terms.append(node.right)
        node = node.left
    return [node, *reversed(terms)]


def _part(what: str, text: str, node: ast.expr, known: Mapping[str, Any]) -> Any:
    call = node if isinstance(node, ast.Call) else None
    target = call.func if call else node
    # names such as `25gaussians` are no identifiers, but no part is called so
    if not isinstance(target, ast.Name):
        raise _not_a_part(what, text)
    name = target.id.replace("_", "-") if target.id not in known else target.id
    if name not in known:
        raise UserError(f"{what}: " + did_you_mean("part", target.id, known))
    made = known[name]
    if not isinstance(made, type):
        if call:
            raise UserError(f"{what}: '{name}' takes no arguments")
        return made
    fields = [f for f in dataclasses.fields(made) if f.init]
    values: dict[str, Any] = {}
    for i, argument in enumerate(call.args if call else []):
        if i >= len(fields):
            raise UserError(f"{what}: '{name}' takes at most {len(fields)} values: {_names(fields)}")
        values[fields[i].name] = _constant(what, text, argument)
    for keyword in call.keywords if call else []:
        if keyword.arg not in {f.name for f in fields}:
            raise UserError(
                f"{what}: '{name}' has " + (did_you_mean("field", str(keyword.arg), [f.name for f in fields]))
            )
        if keyword.arg in values:
            raise UserError(f"{what}: '{name}' has field '{keyword.arg}' twice")
        values[keyword.arg] = _constant(what, text, keyword.value)
    return made(**{f.name: _typed(what, name, f, values[f.name]) for f in fields if f.name in values})


def _names(fields: list[dataclasses.Field[Any]]) -> str:
    return ", ".join(f.name for f in fields) or "none"


def _constant(what: str, text: str, node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _not_a_part(what, text) from None


def _typed(what: str, name: str, field: dataclasses.Field[Any], value: object) -> object:
    """The value, as the type of the field's default; whole numbers become floats where floats are meant."""
    wanted = type(field.default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise UserError(f"{what}: {name}({field.name}=...): the number is too large") from None
    if wanted in (bool, int, float, str) and type(value) is not wanted:
        raise UserError(f"{what}: {name}({field.name}={value!r}): needs {wanted.__name__}, such as {field.default!r}")
    return value
