"""Equations from text, in py-pde's spelling or in ours, through the parser that executes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from symdiff.front import parser
from symdiff.front.symbols import symbols
from symdiff.front.vocabulary import CONSTANTS
from symdiff.ir.errors import ParseError
from symdiff.ir.node import Node
from symdiff.pde.equations import Eq, velocity
from symdiff.pde.jets import d, dn, dt, field
from symdiff.pde.terms import (
    div,
    dot,
    grad,
    gradient_squared,
    integral,
    laplacian,
    largest,
    mean,
    smallest,
    upwind,
    vector,
)

_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")
_NAME = re.compile(r"[^\W0-9]\w*")
_DERIVATIVE = re.compile(r"(?:d|d_d|d([2-8])_d)([^\W0-9_]\w*?)(?(1)\1)")


def parse(text: str, fields: str | Iterable[Any], known: Mapping[str, Node] | None = None) -> Any:
    """Read an expression, or an equation where the text contains "=", in fields, coordinates and parameters.

    Besides the functions of `symdiff.parse` there are laplace(u) or laplacian(u), grad, div, dot, gradient_squared,
    integral, mean, largest, smallest, upwind, vector, dt(u), dt(u, 2), dn(u), and dx(u), d_dx(u), dx(u, 2),
    d2_dx2(u), … for each axis.
    Names that are no fields are coordinates or parameters; with `known` only those are allowed.

    Raises ParseError, naming the place. Nothing in the text is ever executed.

    >>> print(parse("dt(c) = laplace(c**3 - c - k*laplace(c))", "c"))
    c_t = div(grad(c**3 - c - k*c_laplacian))
    """
    names = fields.split() if isinstance(fields, str) else [getattr(u, "params", {"name": u})["name"] for u in fields]
    table = {n: field(n) for n in names}
    found = [n for n in _NAME.findall(text) if n not in CONSTANTS and not n.startswith("__")]
    if known is None:
        others = {n: symbols(n) for n in found if n not in table and not _is_called(n, text)}
    else:
        others = {n: s for n, s in known.items() if n not in table}
    functions = _functions(found)
    sides = _EQUALS.split(text)
    if len(sides) > 2:
        raise ParseError(f"An equation has one '=', got {len(sides) - 1} in {text!r}.")
    parsed = [parser.parse(side, {**others, **table}, functions) for side in sides]
    return Eq(*parsed) if len(parsed) == 2 else parsed[0]


def _is_called(name: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\s*\(", text) is not None


def _functions(names: Iterable[str]) -> dict[str, Callable[..., Any]]:
    """Return the functions on fields by name, those that differentiate by an axis for the names in a text."""
    table: dict[str, Callable[..., Any]] = {
        "laplace": laplacian, "laplacian": laplacian, "grad": grad, "gradient": grad, "div": div, "divergence": div,
        "dot": dot, "inner": dot, "gradient_squared": gradient_squared, "integral": integral, "mean": mean,
        "average": mean, "largest": largest, "smallest": smallest, "upwind": upwind, "vector": vector,
        "dn": dn, "dt": dt,
    }  # fmt: skip
    for name in names:
        match = _DERIVATIVE.fullmatch(name)
        if match and name not in table:
            table[name] = _by(match[2], int(match[1] or 1))
    return table


def _by(axis: str, order: int) -> Callable[..., Node]:
    def derivative(f: Any, n: Any = 1) -> Node:
        return d(f, symbols(axis), order * n)

    return derivative


def rate(name: str, text: Any, fields: Iterable[str], known: Mapping[str, Node]) -> Eq:
    """Return the equation of a field: the text itself where it is one, else dt(field) = text."""
    parsed = parse(str(text), fields, known)
    return parsed if isinstance(parsed, Eq) else Eq(dt(field(name)), parsed)


def parse_equation(text: str, together: Iterable[str]) -> Eq:
    """Read an equation; the fields are the names in dt(…), and those alone before "=", in any of the texts `together`.

    >>> print(parse_equation("dt(u) = laplace(u) - w", ["dt(u) = laplace(u) - w", "w = u**2"]))
    u_t = u_laplacian - w
    """
    fields = [n for t in together for n in (*re.findall(r"\bdt\(\s*(\w+)", t), *re.findall(r"^\s*(\w+)\s*=", t))]
    if not fields or len(_EQUALS.split(text)) != 2:
        raise ParseError(
            f'The text {text!r} is no equation that names its field; write "dt(u) = …", or use '
            'pde.parse("laplace(u) = 1", fields="u").'
        )
    equation: Eq = parse(text, fields)
    return equation


def field_of(name: str) -> Node:
    """Return the field of a name: for "dt(u)" the velocity of u."""
    match = re.fullmatch(r"\s*dt\(\s*(\w+)\s*\)\s*", name)
    return velocity(match[1]) if match else field(name)
