"""The form of a function's result: an expression, or lists, tuples and dicts of them, as the outputs were given.

A form is "single", "list" or "tuple", the tuple of a dict's keys, or `Nested` where the items have forms themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node


class Nested:
    """`outer` is "list", "tuple" or a dict's keys; `items` are the forms inside."""

    # No dataclass: making one takes a millisecond of every import, and this module is among the first.
    __slots__ = ("items", "outer")

    def __init__(self, outer: Any, items: tuple[Any, ...]):
        self.outer, self.items = outer, items


def flatten(outputs: Any, inside: bool = False) -> tuple[Any, list[Any]]:
    """Return the form of `outputs` and the expressions in order. Recursion goes to the depth of nesting.

    `inside` another container, a form says how many expressions it has.
    """
    outer: Any
    if isinstance(outputs, Mapping):
        outer, given = tuple(outputs), list(outputs.values())
    elif isinstance(outputs, (list, tuple)):
        outer, given = ("list" if isinstance(outputs, list) else "tuple"), list(outputs)
    else:
        return "single", [outputs]
    if not inside and not any(map(_has_expressions, given)):
        return outer, given
    parts = [flatten(g, inside=True) if _has_expressions(g) else ("single", [g]) for g in given]
    return Nested(outer, tuple(form for form, _ in parts)), [x for _, inner in parts for x in inner]


def _has_expressions(value: Any) -> bool:
    """Whether a value is a container of expressions; one of numbers only is an array."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(
        isinstance(v, Node) or is_sparse(v) or _has_expressions(v) for v in value
    )


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix of expressions. Its module is not loaded for the question."""
    module = sys.modules.get("symdiff.diff.sparse")
    return module is not None and isinstance(value, module.SparseExpr)


def pack(form: Any, values: list[Any]) -> Any:
    """Return the values in the form of the outputs."""
    if isinstance(form, Nested):
        items, start = [], 0
        for inner in form.items:
            n = count(inner)
            items.append(pack(inner, values[start : start + n]))
            start += n
        return pack(form.outer, items)
    match form:
        case "single":
            return values[0]
        case "list":
            return values
        case "tuple":
            return tuple(values)
    return dict(zip(form, values, strict=True))


def count(form: Any) -> int:
    """The number of expressions in an item's form: containers inside others are always `Nested`."""
    return sum(map(count, form.items)) if isinstance(form, Nested) else 1


def unpack(form: Any, given: Any) -> list[Any]:
    """Return the items of a container of the form, such as `out=` arrays, in order. Raises ShapeError."""
    if isinstance(form, Nested):
        outer = unpack(form.outer, given)
        return [x for inner, part in zip(form.items, outer, strict=True) for x in unpack(inner, part)]
    keyed = not isinstance(form, str)
    if isinstance(given, Mapping):
        if not keyed or set(given) != set(form):
            keys = ", ".join(map(repr, form)) if keyed else "none"
            raise ShapeError(f"out= has the keys {', '.join(map(repr, given))}, the result has {keys}.")
        return [given[key] for key in form]
    return [given] if form == "single" else list(given)


def result_names(form: Any, n: int) -> list[str]:
    """What the n results of a function are called in messages."""
    match form:
        case "single":
            return ["the result"]
        case tuple():
            return [repr(key) for key in form]
    return [f"result {k}" for k in range(n)]
