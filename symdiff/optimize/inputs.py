"""What `minimize` was asked: the function, the unknowns and the data, checked before anything is compiled."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.wrt import as_scalar_function, as_symbol
from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DomainError, DTypeError, SymdiffError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import bind_sizes
from symdiff.ir.node import Node, as_node, brief
from symdiff.optimize.objective import Objective

Values = dict[Node, np.ndarray]


@dataclass(frozen=True, slots=True)
class Problem:
    """A checked call of `minimize`: `start` and `data` hold arrays of the symbols' dtypes.

    An unknown without entries has nothing to vary and counts as data. `keys` maps symbols back to the user's keys.
    """

    objective: Objective
    start: Values
    data: Values
    keys: dict[Node, Hashable]

    def named(self, x: Values) -> dict[Any, Any]:
        """Return the unknowns under the user's keys, empty ones included; scalars as NumPy scalars."""
        return {key: (x[node] if node in x else self.data[node])[()] for node, key in self.keys.items()}


def read_problem(f: Any, start: Mapping[Any, Any], data: Mapping[Any, Any] | None) -> Problem:
    """Check a function, its start and its data.

    Raises ShapeError, DTypeError, DerivativeError, UnknownSymbolError, each naming the symbol.
    """
    node = as_scalar_function(f, "minimize")
    keys = {_read_unknown(key): key for key in _as_mapping(start, "start")}
    fixed = {_read_symbol(key): value for key, value in _as_mapping(data or {}, "data").items()}
    both = [brief(s) for s in keys if s in fixed]
    if both:
        raise SymdiffError(f"{', '.join(both)} appears in start and in data; an unknown is in start only.")
    needed = free_symbols([node])
    _check_symbols(node, needed, list(keys), list(fixed))
    given = {s: _as_array(s, start[key], "start") for s, key in keys.items()}
    given |= {s: _as_array(s, fixed[s], "data") for s in needed if s in fixed}
    bind_sizes(given)
    varied = [s for s in keys if given[s].size]
    values = {s: given.pop(s) for s in varied}
    return Problem(Objective(node, tuple(varied)), values, given, dict(keys))


def check_limits(tol: float, max_steps: int) -> None:
    """Raise DomainError unless tol >= 0 and max_steps is an int >= 0."""
    if not isinstance(tol, (int, float, np.floating)) or not 0 <= tol < math.inf:
        raise DomainError(f"minimize: tol is a number >= 0, got {tol!r}.")
    if isinstance(max_steps, bool) or not isinstance(max_steps, (int, np.integer)) or not 0 <= max_steps < 2**62:
        raise DomainError(f"minimize: max_steps is an int >= 0, got {max_steps!r}.")


def not_finite(values: Values) -> str | None:
    """Name the first symbol with an entry that is NaN or infinite, the entry and its value."""
    for symbol, value in values.items():
        bad = ~np.isfinite(value)
        if bad.any():
            index = tuple(int(k) for k in np.argwhere(bad)[0])
            where = f"{symbol.params['name']}[{', '.join(map(str, index))}]" if index else symbol.params["name"]
            return f"{where} is {value[index]}"
    return None


def _as_mapping(value: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise DTypeError(f"minimize: {what} is a dict {{symbol: array}}, got {type(value).__name__}.")
    return value


def _read_unknown(key: Any) -> Node:
    return as_symbol(_read_symbol(key))


def _read_symbol(key: Any) -> Node:
    if isinstance(key, str):
        raise DTypeError(f"minimize: {key!r} is a string; the keys of start and data are the symbols themselves.")
    node = as_node(key)
    if node.op.name != "symbol":
        raise DTypeError(f"minimize: the keys of start and data are symbols, got {brief(node)} ({node.line}).")
    return node


def _check_symbols(f: Node, needed: list[Node], unknowns: list[Node], fixed: list[Node]) -> None:
    known = ", ".join(_described(s) for s in needed) or "no symbol"
    strange = [_described(s) for s in unknowns if s not in needed]
    if strange:
        raise UnknownSymbolError(
            f"start gives {', '.join(strange)}, which the function ({f.line}) does not contain; it contains {known}."
        )
    missing = [_described(s) for s in needed if s not in unknowns and s not in fixed]
    if missing:
        raise UnknownSymbolError(
            f"The function ({f.line}) needs {', '.join(missing)}; give a start value in start if it is to be found, "
            "or its value in data."
        )
    if not unknowns:
        raise UnknownSymbolError(f"start names no unknown; choose some of {known}.")


def _described(symbol: Node) -> str:
    return f"{brief(symbol)} of shape {shape_text(symbol.shape)}" if symbol.shape else brief(symbol)


def _as_array(symbol: Node, value: Any, what: str) -> np.ndarray:
    """Return a fresh C-contiguous array of the symbol's dtype. Raises DTypeError where that would lose the meaning."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DTypeError(f"{what}: the value of {brief(symbol)} is no array of numbers: {error}.") from None
    if array.dtype.kind not in "biuf" or (
        array.dtype.kind == "f" and not symbol.dtype.startswith("float") and array.size
    ):
        raise DTypeError(f"{what}: {brief(symbol)} has dtype {symbol.dtype}, got values of dtype {array.dtype}.")
    return np.array(array, dtype=symbol.dtype, order="C")
