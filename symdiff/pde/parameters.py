"""The values that a run is given: numbers for parameters, arrays on the grid for known fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, ShapeError, UnknownSymbolError
from symdiff.ir.node import Node, as_node
from symdiff.pde.domain import Grid
from symdiff.pde.evaluate import on_points
from symdiff.pde.jets import all_jets, is_field
from symdiff.pde.semidiscrete import Semidiscrete

Values = dict[Node, Any]
"""A float for every parameter, then an array for the symbol `semi.known[u]` of every known field."""


def values_of(semi: Semidiscrete, grid: Grid, given: Mapping[Any, Any] | None) -> Values:
    """Return the values of all parameters and known fields, given by themselves or by name.

    Raises: UnknownSymbolError for one that is missing or that the problem does not have, DomainError for values that
    are not finite numbers, ShapeError for an array that does not fit the grid.
    """
    known = {s.params["name"]: s for s in (*semi.problem.parameters, *semi.problem.known)}
    found: dict[Node, Any] = {}
    for key, value in (given or {}).items():
        name = key if isinstance(key, str) else as_node(key).params.get("name")
        if not isinstance(name, str) or name not in known:
            every = ", ".join(known) or "none"
            raise UnknownSymbolError(f"{key!s} is no parameter of the problem; its parameters are: {every}.")
        symbol = known[name]
        found[symbol] = _on_grid(name, value, grid) if is_field(symbol) else _number(name, value)
    missing = [name for name, s in known.items() if s not in found]
    if missing:
        text = ", ".join(f"{name}: …" for name in missing)
        raise UnknownSymbolError(
            f"The problem has parameters without a value ({', '.join(missing)}); pass parameters={{{text}}}."
        )
    return {s: found[s] for s in semi.problem.parameters} | {array: found[u] for u, array in semi.known.items()}


def _number(name: str, value: Any) -> float:
    number = np.asarray(value)
    if number.shape != () or number.dtype.kind not in "iuf" or not np.isfinite(number):
        raise DomainError(f"The parameter {name!r} is a finite number, got {value!r}.")
    return float(number)


def _on_grid(name: str, value: Any, grid: Grid) -> np.ndarray:
    """Return the values of a known field: an array, a number for all points, or an expression in the coordinates."""
    if isinstance(value, Node):
        if value.shape != () or all_jets([value]):
            raise ShapeError(f"The known field {name!r} is an array, a number or an expression in coordinates.")
        value = on_points(value, dict(zip(grid.axes, grid.mesh(), strict=True)), 0.0, {})
    array = np.asarray(value)
    if array.shape not in ((), grid.shape):
        raise ShapeError(f"The values of {name!r} have shape {array.shape}, the grid has {grid.shape}.")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise DomainError(f"The values of {name!r} are finite numbers, got an array of {array.dtype} with others.")
    return np.array(np.broadcast_to(array, grid.shape), dtype=float)


def values_key(values: Values) -> tuple[Any, ...]:
    """Return what tells sets of values apart, to be looked up by."""
    return tuple(x.tobytes() if isinstance(x, np.ndarray) else x for x in values.values())
