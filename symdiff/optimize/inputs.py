"""What `minimize` was asked: the function, the unknowns and the data, checked before anything is compiled."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.wrt import as_scalar_function, as_symbol
from symdiff.ir.dims import shape_text, size_names
from symdiff.ir.errors import DomainError, DTypeError, SymdiffError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import bind_sizes
from symdiff.ir.node import Node, as_node, brief
from symdiff.optimize.objective import Objective

Values = dict[Node, np.ndarray]
_DTYPES = {name: np.dtype(name) for name in ("float64", "float32", "int64", "bool")}


@dataclass(frozen=True, slots=True)
class Problem:
    """A checked call of `minimize`: `start` and `data` hold arrays of the symbols' dtypes.

    An unknown without entries has nothing to vary and counts as data. `keys` maps symbols back to the user's keys.
    """

    objective: Objective
    start: Values
    data: Values
    keys: dict[Node, Hashable]

    def named(self, x: Mapping[Node, Any]) -> dict[Any, Any]:
        """Return the unknowns under the user's keys, empty ones included; scalars as NumPy scalars."""
        return {key: _named(node, x[node] if node in x else self.data[node]) for node, key in self.keys.items()}


class Question:
    """What is asked, without values: the function, the unknowns, the data. Checked once, then bound to values often.

    `keys` maps the unknowns to the user's keys, `data` the symbols of the data; what the function does not need, and no
    size, is not looked at.
    """

    def __init__(self, f: Any, unknowns: Iterable[Any], data: Iterable[Any] | None):
        """Check the symbols. Without `data` these are all symbols of the function that are no unknowns.

        Raises ShapeError, DTypeError, DerivativeError, UnknownSymbolError, each naming the symbol.
        """
        node = as_scalar_function(f, "minimize")
        self.keys: dict[Node, Any] = {_read_unknown(key): key for key in unknowns}
        needed = free_symbols([node])
        rest: Iterable[Any] = [s for s in needed if s not in self.keys] if data is None else data
        given = {_read_symbol(key): key for key in rest}
        both = [brief(s) for s in self.keys if s in given]
        if both:
            raise SymdiffError(f"{', '.join(both)} appears in start and in data; an unknown is in start only.")
        _check_symbols(node, needed, list(self.keys), list(given))
        # An array may be there for a run-time size alone.
        known = frozenset().union(*(size_names(s.shape) for s in needed))
        sized = [s for s in given if s not in needed and size_names(s.shape) - known]
        self.data = {s: given[s] for s in [*needed, *sized] if s in given}
        self.objective = Objective(node, tuple(self.keys))

    def problem(self, start: Any, data: Any) -> Problem:
        """Return the problem for some values. Raises DTypeError, ShapeError, UnknownSymbolError, naming the symbol."""
        try:
            values = {s: _as_array(s, start[key], "start") for s, key in self.keys.items()}
            fixed = {s: _as_array(s, data[key], "data") for s, key in self.data.items()} if self.data else {}
        except KeyError as error:
            raise UnknownSymbolError(f"The value of {brief(as_node(error.args[0]))} is missing.") from None
        if not (_has_shapes(values) and _has_shapes(fixed)):  # so it is with run-time sizes, or by mistake
            bind_sizes({**values, **fixed})
        if 0 not in [v.size for v in values.values()]:
            return Problem(self.objective, values, fixed, self.keys)
        varied = {s: v for s, v in values.items() if v.size}
        fixed |= {s: v for s, v in values.items() if not v.size}
        return Problem(Objective(self.objective.f, tuple(varied)), varied, fixed, self.keys)


def _has_shapes(values: Values) -> bool:
    """Whether every array has the very shape of its symbol."""
    return [v.shape for v in values.values()] == [s.shape for s in values]


def read_problem(f: Any, start: Mapping[Any, Any], data: Mapping[Any, Any] | None) -> Problem:
    """Check a function, its start and its data; what was checked before is found again.

    Raises ShapeError, DTypeError, DerivativeError, UnknownSymbolError, each naming the symbol.
    """
    unknowns, others = tuple(as_mapping(start, "start")), tuple(as_mapping(data or {}, "data"))
    try:
        question = _remembered(f, unknowns, others)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        question = Question(f, unknowns, others)
    return question.problem(start, data)


@functools.lru_cache(maxsize=32)
def _remembered(f: Any, unknowns: tuple[Any, ...], data: tuple[Any, ...]) -> Question:
    return Question(f, unknowns, data)


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


def as_mapping(value: Any, what: str) -> Mapping[Any, Any]:
    """Return a value that is a dict. Raises DTypeError otherwise."""
    if not isinstance(value, Mapping):
        raise DTypeError(f"minimize: {what} is a dict {{symbol: array}}, got {type(value).__name__}.")
    return value


def _named(symbol: Node, value: Any) -> Any:
    return value if symbol.shape else np.asarray(value, symbol.dtype)[()]


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
    """Return a C-contiguous array of the symbol's dtype. Raises DTypeError where that would lose the meaning."""
    if type(value) is np.ndarray and value.dtype is _DTYPES[symbol.dtype] and value.flags.c_contiguous:
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DTypeError(f"{what}: the value of {brief(symbol)} is no array of numbers: {error}.") from None
    if array.dtype == object and hasattr(value, "toarray"):
        raise DTypeError(f"{what}: the value of {brief(symbol)} is a sparse matrix; pass its toarray().")
    if array.dtype.kind not in "biuf" or (
        array.dtype.kind == "f" and not symbol.dtype.startswith("float") and array.size
    ):
        raise DTypeError(f"{what}: {brief(symbol)} has dtype {symbol.dtype}, got values of dtype {array.dtype}.")
    return np.array(array, dtype=symbol.dtype, order="C")
