"""Products of arrays under NumPy's names: dot, tensordot, outer, cross; einsum has its own file."""

from __future__ import annotations

from typing import Any

from symdiff.front import arrays
from symdiff.ir.dims import product
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ops import linalg


def matmul(a: Any, b: Any) -> Node:
    """Return a @ b."""
    return linalg.matmul(a, b)


def dot(a: Any, b: Any) -> Node:
    """Return NumPy's dot: a product with scalars, else the sum over the last axis of a and the last but one of b."""
    left, right = as_node(a), as_node(b)
    if not left.shape or not right.shape:
        return left * right
    if left.ndim <= 2 and right.ndim <= 2:
        return linalg.matmul(left, right)
    return tensordot(left, right, axes=([-1], [max(right.ndim - 2, 0)]))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Node:
    """Sum products over pairs of axes: the last n of a with the first n of b, or ([axes of a], [axes of b]).

    >>> from symdiff.front.symbols import array
    >>> tensordot(array("a", (2, 3, 4)), array("b", (4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    left, right = as_node(a), as_node(b)
    if isinstance(axes, int):
        if not 0 <= axes <= min(left.ndim, right.ndim):
            raise ShapeError(f"tensordot over {axes} axes does not fit {brief(left)} and {brief(right)}.")
        axes = (range(left.ndim - axes, left.ndim), range(axes))
    pair = [list(k) if hasattr(k, "__iter__") else [k] for k in axes]
    if len(pair) != 2 or len(pair[0]) != len(pair[1]):
        raise ShapeError(f"tensordot takes as many axes of each array, got {axes!r}.")
    ours = [arrays.axis_of(k, left.ndim, left) for k in pair[0]]
    theirs = [arrays.axis_of(k, right.ndim, right) for k in pair[1]]
    for i, j in zip(ours, theirs, strict=True):
        if left.shape[i] != right.shape[j]:
            raise ShapeError(
                f"tensordot: axis {i} of {brief(left)} has extent {left.shape[i]}, "
                f"axis {j} of {brief(right)} {right.shape[j]}."
            )
    rows = [k for k in range(left.ndim) if k not in ours]
    cols = [k for k in range(right.ndim) if k not in theirs]
    inner = product(tuple(left.shape[k] for k in ours))
    row_shape, col_shape = tuple(left.shape[k] for k in rows), tuple(right.shape[k] for k in cols)
    wide = arrays.reshape(arrays.transpose(left, (*rows, *ours)), (product(row_shape), inner))
    tall = arrays.reshape(arrays.transpose(right, (*theirs, *cols)), (inner, product(col_shape)))
    return arrays.reshape(linalg.matmul(wide, tall), (*row_shape, *col_shape))


def outer(a: Any, b: Any) -> Node:
    """Return the matrix of products a_i b_j of two raveled arrays."""
    left, right = arrays.ravel(a), arrays.ravel(b)
    return arrays.expand_dims(left, 1) * right


def cross(a: Any, b: Any) -> Node:
    """Return the vector product along the last axis, of extent 3; the other axes broadcast.

    Raises: ShapeError for vectors that have not three entries.

    >>> from symdiff.front.symbols import vector
    >>> cross(vector("a", 3), [0.0, 0.0, 1.0]).shape
    (3,)
    """
    left, right = as_node(a), as_node(b)
    for side in (left, right):
        if not side.shape or side.shape[-1] != 3:
            raise ShapeError(f"cross takes vectors of three entries along the last axis, got {brief(side)}.")
    (a0, a1, a2), (b0, b1, b2) = ([side[..., k] for k in range(3)] for side in (left, right))
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return arrays.stack(parts, axis=-1)
