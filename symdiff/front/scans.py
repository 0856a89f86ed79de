"""Running sums and products, and the first-order recurrence they are cases of."""

from __future__ import annotations

from typing import Any

from symdiff.front.arrays import axis_of, ravel
from symdiff.ir.dims import Extent
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops import elementwise, index, leaves
from symdiff.ops.recurrence import recurrence as _recurrence


def cumsum(x: Any, axis: int | None = None) -> Node:
    """Return the running sums along an axis, of the raveled array without one.

    >>> from symdiff.front.symbols import matrix
    >>> cumsum(matrix("A", "n", 3), axis=0).shape
    (n, 3)
    """
    node, place = _numbers(x, axis)
    one = const(1, node.dtype)
    return _recurrence(index.broadcast_to(one, shape=node.shape), node, axis=place, reverse=False)


def cumprod(x: Any, axis: int | None = None) -> Node:
    """Return the running products along an axis, of the raveled array without one.

    No division is made, so the derivative is right with any number of zeros.
    """
    node, place = _numbers(x, axis)
    # -0.0 is what can be added to any number without changing it, a negative zero included.
    nothing = const(-0.0 if node.dtype.startswith("float") else 0, node.dtype)
    first = elementwise.eq(_positions(node, place), 0)
    return _recurrence(node, elementwise.where(first, node, nothing), axis=place, reverse=False)


def recurrence(a: Any, b: Any, axis: int = -1, reverse: bool = False) -> Node:
    """Return y with y_0 = b_0 and y_k = a_k y_(k-1) + b_k along an axis; a and b are broadcast.

    With `reverse` the recurrence runs from the end: y_k = a_(k+1) y_(k+1) + b_k, the transpose of the other.

    >>> from symdiff.front.symbols import vector
    >>> recurrence(0.5, vector("b", "n")).shape
    (n,)
    """
    factors, terms = as_node(a), as_node(b)
    longer = factors if factors.ndim > terms.ndim else terms
    if not longer.shape:
        raise ShapeError(f"recurrence runs along an axis; {brief(longer)} ({longer.line}) is a scalar.")
    return _recurrence(factors, terms, axis=axis_of(axis, longer.ndim, longer), reverse=bool(reverse))


def _numbers(x: Any, axis: int | None) -> tuple[Node, int]:
    node = as_node(x)
    if node.dtype == "bool":
        node = cast(node, "int64")
    if axis is None:
        return ravel(node), 0
    return node, axis_of(axis, node.ndim, node)


def _positions(x: Node, axis: int) -> Node:
    """0, 1, … along one axis of the shape of `x`, 1 along the others."""
    shape: tuple[Extent, ...] = tuple(d if k == axis else 1 for k, d in enumerate(x.shape))
    return index.reshape(leaves.iota(n=x.shape[axis]), shape=shape)
