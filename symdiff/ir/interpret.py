"""The interpreter: what a graph means, with NumPy or mpmath numbers. The oracle for every target.

Three kinds of numbers: "numpy" (the graph's own dtypes), "complex" (for complex-step differences) and
"mpmath" (object arrays of mpf at the working precision of the caller).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from symdiff.ir.dims import Dim, Shape, evaluate, shape_text
from symdiff.ir.errors import DTypeError, ShapeError, UnknownSymbolError
from symdiff.ir.graph import made_order, topological
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.ir.subgraph import Subgraph

NUMBERS = ("numpy", "complex", "mpmath")


# Called for every node that is computed, with the values of its arguments and the function from these to its own.
Around = Callable[[Node, list[Any], Callable[[list[Any]], Any]], Any]


def interpret(
    roots: Sequence[Node], values: Mapping[Node, Any], numbers: str = "numpy", around: Around | None = None
) -> list[Any]:
    """Return the values of `roots` for the given values of the symbols.

    `around(node, args, evaluate)` stands in for `evaluate(args)` at every node, inside loops too: to watch or
    to disturb a computation.

    Raises UnknownSymbolError for a symbol without a value, ShapeError for a value of another shape.
    """
    given = {node: _as_array(node, value, numbers) for node, value in values.items()}
    sizes = bind_sizes(given)
    with np.errstate(all="ignore"):
        return _run(roots, dict(given), sizes, numbers, around)


def bind_sizes(values: Mapping[Node, np.ndarray]) -> dict[str, int]:
    """Return the run-time sizes that the shapes of the values fix. Raises ShapeError where they disagree."""
    sizes: dict[str, int] = {}
    for node, value in values.items():
        ok = value.ndim == len(node.shape)
        for extent, got in zip(node.shape, value.shape, strict=False):
            if isinstance(extent, Dim) and extent.terms[0][0][:1] and str(extent).isidentifier():
                ok = ok and sizes.setdefault(str(extent), got) == got
        for extent, got in zip(node.shape, value.shape, strict=False):
            if isinstance(extent, int):
                ok = ok and extent == got
        if not ok:
            known = ", ".join(f"{k}={v}" for k, v in sizes.items())
            raise ShapeError(
                f"{node.params.get('name', node.op.name)!r} has shape {shape_text(node.shape)}"
                f"{f' with {known}' if known else ''}, got a value of shape {value.shape}."
            )
    return sizes


def _as_array(node: Node, value: Any, numbers: str) -> np.ndarray:
    if numbers == "mpmath":
        return mp_array(value) if node.dtype.startswith("float") else np.asarray(value, dtype=node.dtype)
    if numbers == "complex" and node.dtype.startswith("float"):
        return np.asarray(value, dtype=complex)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and node.dtype in ("int64", "bool") and array.size):
        raise DTypeError(
            f"{node.params.get('name', node.op.name)!r} has dtype {node.dtype}, got values of dtype {array.dtype}."
        )
    return array.astype(node.dtype, copy=False)


def mp_array(value: Any) -> np.ndarray:
    """Convert numbers exactly to an object array of mpf."""
    import mpmath

    out = np.empty(np.shape(value), dtype=object)
    flat = np.asarray(value, dtype=object).ravel()
    out.ravel()[...] = [
        mpmath.mpf(float(v)) if isinstance(v, (np.floating, np.integer)) else mpmath.mpf(v) for v in flat
    ]
    return out


def _run(
    roots: Sequence[Node],
    memo: dict[Node, Any],
    sizes: Mapping[str, int],
    numbers: str,
    around: Around | None,
    order: Sequence[Node] | None = None,
) -> list[Any]:
    for node in _ordered(roots, around) if order is None else order:
        if node not in memo:
            args = [memo[a] for a in node.args]
            if around is None:
                memo[node] = _value(node, args, sizes, numbers, None)
            else:

                def evaluate(values: list[Any], node: Node = node) -> Any:
                    return _value(node, values, sizes, numbers, around)

                memo[node] = around(node, args, evaluate)
    return [memo[r] for r in roots]


def _ordered(roots: Sequence[Node], around: Around | None) -> list[Node]:
    """Arguments before users; for who watches in the same order in every process."""
    return made_order(roots) if around is None else topological(roots)


def _value(node: Node, args: list[Any], sizes: Mapping[str, int], numbers: str, around: Around | None) -> Any:
    op = node.op
    if isinstance(op, Elementwise):
        params = _params(node, sizes) if node.params else node.params
        if numbers == "mpmath":
            return _by_entry(node, params, args)
        if numbers == "complex":
            return _complex_value(node, op, params, args)
        return np.asarray(op.evaluate(params, *args)).astype(node.dtype, copy=False)
    match op.name:
        case "symbol":
            raise UnknownSymbolError(
                f"No value was given for {node.params['name']!r} of shape {shape_text(node.shape)} ({node.line})."
            )
        case "const":
            return _leaf(np.asarray(node.params["value"], dtype=node.dtype), node, numbers)
        case "data":
            return _leaf(node.params["array"].array, node, numbers)
        case "while_loop":
            return _loop(node, args, sizes, numbers, around)
    return op.evaluate(_params(node, sizes), *args)


def _params(node: Node, sizes: Mapping[str, int]) -> Mapping[str, Any]:
    return {k: _concrete(v, sizes) for k, v in node.params.items()}


def _complex_value(node: Node, op: Elementwise, params: Mapping[str, Any], args: list[Any]) -> Any:
    """Extend a real function to x + ih; the real part stays the real function's, NaN outside its domain included.

    So the branches taken are those of the real numbers, and log(-1) is no complex number by accident.
    """
    real = np.asarray(op.evaluate(params, *(np.real(a) for a in args)))
    if not node.dtype.startswith("float"):
        return real.astype(node.dtype, copy=False)
    extended = np.asarray(op.complex_step(*args, **params) if op.complex_step else op.evaluate(params, *args))
    out = np.empty(real.shape, dtype=complex)
    out.real = real
    out.imag = np.where(np.isnan(real), np.nan, np.imag(extended))
    return out


def _leaf(array: np.ndarray, node: Node, numbers: str) -> np.ndarray:
    if node.dtype.startswith("float"):
        if numbers == "mpmath":
            return mp_array(array)
        if numbers == "complex":
            return array.astype(complex)
    return array


def _by_entry(node: Node, params: Mapping[str, Any], args: list[Any]) -> np.ndarray:
    """Apply the mpmath definition to each entry; comparisons give NumPy bools."""
    reference = node.op.reference  # type: ignore[attr-defined]
    arrays = np.broadcast_arrays(*args)
    numeric = node.dtype in ("bool", "int64")
    out = np.empty(arrays[0].shape, dtype=node.dtype if numeric else object)
    for index in np.ndindex(out.shape):
        value = reference(*(a[index] for a in arrays), **params)
        # mpmath leaves the reals where NumPy gives NaN, for instance at sqrt(-1).
        out[index] = value if numeric or not hasattr(value, "_mpc_") else math.nan
    return out


def _loop(
    node: Node, args: list[Any], sizes: Mapping[str, int], numbers: str, around: Around | None
) -> tuple[Any, ...]:
    cond, body = node.params["cond"], node.params["body"]
    n = len(body.outputs)
    state, outer = args[:n], args[n:]
    slots = body.input_nodes()
    orders = [_ordered(graph.outputs, around) for graph in (cond, body)]
    # What is the same in every turn is evaluated once, unless somebody watches.
    leaves = [x for x in chain(*orders) if x.op.name in ("const", "data")] if around is None else []
    same = {x: _value(x, [], sizes, numbers, None) for x in leaves}

    def run(graph: Any, order: Sequence[Node]) -> list[Any]:
        memo = same | dict(zip(slots, [*state, *outer], strict=True))
        return _run(graph.outputs, memo, sizes, numbers, around, order)

    while bool(run(cond, orders[0])[0]):
        state = run(body, orders[1])
    return tuple(state)


def _concrete(value: Any, sizes: Mapping[str, int]) -> Any:
    """Replace run-time sizes in a parameter by their numbers."""
    if isinstance(value, Dim):
        return evaluate(value, sizes)
    if isinstance(value, tuple) and any(isinstance(v, (Dim, tuple)) for v in value):
        return tuple(_concrete(v, sizes) for v in value)
    return value


def concrete_shape(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return a shape with its run-time sizes filled in."""
    return tuple(evaluate(extent, sizes) for extent in shape)


__all__ = ["NUMBERS", "Subgraph", "bind_sizes", "concrete_shape", "interpret", "mp_array"]
