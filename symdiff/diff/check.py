"""check: the comparison of derivatives as one line of a user's test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.diff.compare import LIMIT, compare
from symdiff.diff.finite import Values
from symdiff.diff.sampling import sample_points
from symdiff.diff.study import DIFFERENCES, Compiler
from symdiff.diff.wrt import as_function, as_list
from symdiff.ir.errors import CheckError, DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import interpret
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief

_SHOWN = 12


def check(
    f: Any,
    point: Mapping[Any, Any] | Sequence[Any] | None = None,
    wrt: Any = None,
    points: int = 3,
    seed: int = 11,
    compiler: Compiler | None = None,
    limit: float = LIMIT,
) -> None:
    """Assert that the derivatives of `f` are right by every method, as `compare` judges them.

    `f` is an expression, a list of them, or a Python function of expressions that returns these. `point` maps symbols
    or names to numbers or arrays; a function's may be a sequence, one value per parameter, and its symbols take the
    shapes of the values. Without a point, `points` of them are drawn where `f` is finite, the same in every run; the
    parameters of a function are then scalars. `wrt`, `compiler` and `limit` are those of `compare`.

    Raises: CheckError (an AssertionError) with the printed comparison when a method fails, or when there is none;
    DomainError where `f` is not finite; UnknownSymbolError, DerivativeError, ShapeError.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> sd.check(sd.exp(-x**2) * sd.sin(y))
    >>> sd.check(lambda A, v: sd.tanh(A @ v), {"A": [[1.0, 2, 3], [0, 1, 0.5]], "v": [0.1, 0.2, 0.3]})
    """
    if points < 1:
        raise DomainError(f"check looks at one point or more, got points={points!r}.")
    if isinstance(f, Node) or not callable(f):
        nodes = _flat(f)
        symbols: list[Node] = []
        given = _by_symbol(point, free_symbols(nodes))
    else:
        symbols, given = _parameters(f, point)
        nodes = _flat(f(*symbols))
    for node in nodes:
        as_function(node)  # raises for integers and booleans
    chosen = None if wrt is None else [_named(x, [*symbols, *free_symbols(nodes)]) for x in as_list(wrt)[0]]
    drawn = given is None
    here: Iterable[Values] = [given] if given is not None else sample_points(nodes, symbols, points, seed)
    for values in here:
        for k, node in enumerate(nodes):
            _check_one(node, values, chosen, compiler, limit, _label(node, k, len(nodes)), drawn)


def _check_one(
    node: Node,
    values: Values,
    wrt: list[Node] | None,
    compiler: Compiler | None,
    limit: float,
    label: str,
    drawn: bool,
) -> None:
    at = ", ".join(f"{x.params['name']} = {_shown(v)}" for x, v in values.items())
    if not np.isfinite(interpret([node], values)[0]).all():
        raise DomainError(f"check: {label} is not finite at {at}, so it has no derivative there; give another point.")
    result = compare(node, values, wrt, compiler, limit)
    # Forward and reverse mode may agree on the same wrong rule: their dot product alone proves nothing.
    ruled = [r for r in result.rows if r.method not in {*DIFFERENCES.values(), "dot product"}]
    if result.wrt and not ruled:
        raise CheckError(f"check: nothing compares the rules of {label} with its values.\n{result}")
    if not result.passed:
        failed = ", ".join(r.method for r in result.rows if not r.passed)
        where = f"at {'the drawn point ' if drawn else ''}{at}"
        why = f" The methods part at {result.parting}." if result.parting else ""
        raise CheckError(f"check: {failed} of {label} wrong {where}.{why}\n{result}")


def _label(node: Node, k: int, count: int) -> str:
    return f"{brief(node)} ({node.line})" + (f", result {k}," if count > 1 else "")


def _shown(value: np.ndarray) -> str:
    array = np.asarray(value)
    return repr(array.tolist()) if array.size <= _SHOWN else f"an array of shape {array.shape}"


def _flat(result: Any) -> list[Node]:
    """Return the expressions in nested lists, tuples and dicts."""
    if isinstance(result, Mapping):
        return [n for item in result.values() for n in _flat(item)]
    if isinstance(result, (list, tuple)):
        return [n for item in result for n in _flat(item)]
    return [as_node(result)]


def _by_symbol(point: Any, known: Sequence[Node]) -> Values | None:
    if point is None:
        return None
    if not isinstance(point, Mapping):
        raise DTypeError(f"check takes the point of an expression as a mapping from symbols to values, got {point!r}.")
    return {_named(key, known): value for key, value in point.items()}


def _named(key: Any, known: Sequence[Node]) -> Node:
    if not isinstance(key, str):
        return as_node(key)
    found = [s for s in dict.fromkeys(known) if s.params["name"] == key]
    if len(found) != 1:
        have = ", ".join(repr(s.params["name"]) for s in known) or "no symbols"
        raise UnknownSymbolError(f"{key!r} is not the name of one symbol; there are {have}.")
    return found[0]


def _parameters(f: Callable[..., Any], point: Any) -> tuple[list[Node], Values | None]:
    """Return a symbol for each parameter of a Python function, and the point by these symbols."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(f).parameters.values()
    names = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    if not names or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise DTypeError(
            f"check makes a symbol for each parameter of {f!r}, which has {inspect.signature(f)}; "
            "name the parameters, such as lambda x, y: ..., or pass the expression and its point."
        )
    if point is None:
        return [_parameter(name, 0.0) for name in names], None
    if not isinstance(point, Mapping):
        given = list(point) if isinstance(point, (list, tuple)) else [point]
        if len(given) != len(names):
            raise UnknownSymbolError(f"check: {f!r} has the parameters {', '.join(names)}, got {len(given)} values.")
        point = dict(zip(names, given, strict=True))
    if set(point) != set(names):
        raise UnknownSymbolError(
            f"check: {f!r} has the parameters {', '.join(names)}, the point gives {', '.join(map(str, point))}."
        )
    symbols = [_parameter(name, point[name]) for name in names]
    return symbols, {s: point[name] for s, name in zip(symbols, names, strict=True)}


def _parameter(name: str, value: Any) -> Node:
    """A symbol of the shape of a value: real for Python numbers, of its own dtype for a NumPy array."""
    array = np.asarray(value)
    kind = array.dtype.kind if isinstance(value, (np.ndarray, np.generic)) else "f"
    dtype = {"b": "bool", "i": "int64", "u": "int64"}.get(kind, "float32" if array.dtype == np.float32 else "float64")
    return PRIMITIVES["symbol"](name=name, shape=array.shape, dtype=dtype)
