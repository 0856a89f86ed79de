"""pad: an array with a border, as np.pad's, for the modes that only move or repeat entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.front.rearrange import cut
from symdiff.ir.dims import Extent, shape_text
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops import index

# How many entries a border may have at most, as a difference to the extent of the axis.
_REACH = {"reflect": -1, "symmetric": 0, "wrap": 0}
MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Node:
    """Return x with entries added before and after each axis, as np.pad.

    `pad_width` is an int, a pair (before, after) or one pair for each axis. `mode` is "constant" (the values may
    be expressions), "edge", "reflect", "symmetric" or "wrap". Along an axis of run-time size a border of the last
    three must not be longer than the axis; a call with a smaller array raises DomainError.

    >>> from symdiff.front.symbols import matrix
    >>> pad(matrix("A", "n", 3), ((1, 1), (0, 2)), "edge").shape
    (n + 2, 5)
    """
    node = as_node(x)
    if mode not in MODES:
        raise ShapeError(f"pad of {brief(node)} ({node.line}) knows the modes {', '.join(MODES)}, got {mode!r}.")
    widths = _widths(pad_width, node)
    if mode == "constant":
        values = _values(constant_values, node)
        if all(v is const(0, node.dtype) for pair in values for v in pair):
            return with_zeros(node, widths)
        for axis, (width, pair) in enumerate(zip(widths, values, strict=True)):
            node = _with_constants(node, axis, width, pair)
        return node
    for axis, width in enumerate(widths):
        if width != (0, 0):
            node = _extended(node, axis, *width, mode)
    return node


def with_zeros(x: Node, widths: list[tuple[int, int]]) -> Node:
    """Return x with a border of zeros: no entry moves, a program reads it through a guard."""
    if all(w == (0, 0) for w in widths):
        return x
    shape = tuple(d + before + after for d, (before, after) in zip(x.shape, widths, strict=True))
    return index.embed(x, shape=shape, starts=tuple(before for before, _ in widths), steps=(1,) * x.ndim)


def _widths(pad_width: Any, x: Node) -> list[tuple[int, int]]:
    try:
        array = np.asarray(pad_width)
        full = np.broadcast_to(array, (x.ndim, 2))
    except ValueError:
        raise ShapeError(
            f"pad of {brief(x)} ({x.line}) takes an int, a pair (before, after) or {x.ndim} pairs, got {pad_width!r}."
        ) from None
    if array.dtype.kind not in "iu" or (array < 0).any():
        raise DTypeError(f"pad of {brief(x)} ({x.line}) takes widths that are ints >= 0, got {pad_width!r}.")
    return [(int(before), int(after)) for before, after in full]


def _values(given: Any, x: Node) -> list[tuple[Node, Node]]:
    """Read the constants: one for all, a pair (before, after), or one pair for each axis."""
    pairs = given if isinstance(given, (tuple, list)) else (given, given)
    if len(pairs) == 1:
        pairs = pairs[0] if isinstance(pairs[0], (tuple, list)) else (pairs[0], pairs[0])
    if not any(isinstance(p, (tuple, list)) for p in pairs):
        pairs = [tuple(pairs)] * x.ndim
    if len(pairs) != x.ndim or any(not isinstance(p, (tuple, list)) or len(p) != 2 for p in pairs):
        raise ShapeError(
            f"pad of {brief(x)} ({x.line}) takes one constant, a pair (before, after) or {x.ndim} pairs, got {given!r}."
        )
    out = []
    for pair in pairs:
        before, after = (cast(as_node(v, like=x.dtype), x.dtype) for v in pair)
        for v in (before, after):
            if v.shape:
                raise ShapeError(
                    f"pad of {brief(x)} ({x.line}) takes scalar constants, got shape {shape_text(v.shape)}."
                )
        out.append((before, after))
    return out


def _with_constants(x: Node, axis: int, width: tuple[int, int], values: tuple[Node, Node]) -> Node:
    sides = [
        [index.broadcast_to(v, shape=_resized(x, axis, w))] if w else [] for w, v in zip(width, values, strict=True)
    ]
    return index.concatenate(*sides[0], x, *sides[1], axis=axis)


def _resized(x: Node, axis: int, extent: Extent) -> tuple[Extent, ...]:
    return tuple(extent if k == axis else d for k, d in enumerate(x.shape))


def _extended(x: Node, axis: int, before: int, after: int, mode: str) -> Node:
    """Add a border made of entries of x along one axis."""
    n = x.shape[axis]
    if n == 0:
        raise ShapeError(f"{brief(x)} ({x.line}) has no entries along axis {axis} to pad with mode {mode!r}.")
    if isinstance(n, int) and mode != "edge" and max(before, after) > n + _REACH[mode]:
        # The border runs over the axis more than once; NumPy says which entries it has.
        order = np.pad(np.arange(n), (before, after), mode)  # type: ignore[call-overload]  # one of the modes
        return index.take(x, as_node(order), axis=axis)
    match mode:
        case "edge":
            first, last = (
                index.broadcast_to(cut(x, axis, at, 1), shape=_resized(x, axis, width))
                for at, width in ((0, before), (n - 1, after))
            )
        case "reflect":
            first, last = cut(x, axis, before, before, -1), cut(x, axis, n - 2, after, -1)
        case "symmetric":
            first, last = cut(x, axis, before - 1, before, -1), cut(x, axis, n - 1, after, -1)
        case _:
            first, last = cut(x, axis, n - before, before), cut(x, axis, 0, after)
    sides = ([first] if before else []), ([last] if after else [])
    return index.concatenate(*sides[0], x, *sides[1], axis=axis)


def lowest(dtype: str) -> Node:
    """The number that no other of a type is below."""
    return const(-np.inf if dtype.startswith("float") else -(2**63), dtype)


__all__ = ["pad"]
