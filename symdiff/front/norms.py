"""Norms of vectors and matrices, with NumPy's meaning of `ord`."""

from __future__ import annotations

import math
from typing import Any

from symdiff.front import arrays
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops import elementwise, linalg


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Node:
    """Return the norm of vectors along one axis, or of matrices over two, as numpy.linalg.norm does.

    ord of a vector: None or 2, inf, -inf, any p >= 1. Of a matrix: None or "fro" (root of the sum of squares), 1 and
    inf (largest column and row sum), 2 (largest singular value). Without `axis` the array is one vector or matrix, or,
    with ord=None, a vector of all its entries.

    The derivative at 0 is taken as 0, a member of the subdifferential, as in PyTorch.

    >>> from symdiff.front.symbols import matrix
    >>> print(norm(matrix("A", 2, 3), ord=1))
    max(sum(abs(A), axis=0))
    """
    node = as_node(x)
    if not node.dtype.startswith("float"):
        node = cast(node, "float64")
    axes = _axes(node, ord, axis)
    if len(axes) == 2 and ord is not None:
        out = _matrix_norm(node, ord, axes)
    else:
        out = _vector_norm(node, 2 if ord is None else ord, axes)
    if not keepdims:
        return out
    return arrays.reshape(out, tuple(1 if k in axes else d for k, d in enumerate(node.shape)))


def _axes(node: Node, ord: Any, axis: Any) -> tuple[int, ...]:
    if axis is None:
        if ord is not None and node.ndim not in (1, 2):
            raise ShapeError(f"norm(ord={ord!r}) of {brief(node)} with {node.ndim} axes needs axis=.")
        return tuple(range(node.ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(arrays.axis_of(k, node.ndim, node) for k in given)
    if len(set(axes)) != len(axes) or len(axes) > 2:
        raise ShapeError(f"norm takes one axis for vectors or two for matrices, got {axis!r}.")
    return axes


def _root(squares: Node) -> Node:
    """The square root, whose derivative at 0 is taken as 0."""
    at_zero = elementwise.eq(squares, 0)
    one, zero = const(1.0, squares.dtype), const(0.0, squares.dtype)
    return elementwise.where(at_zero, zero, elementwise.sqrt(elementwise.where(at_zero, one, squares)))


def _vector_norm(x: Node, p: Any, axes: tuple[int, ...]) -> Node:
    size = arrays.abs(x)
    if p == math.inf:
        return arrays.max(size, axes)
    if p == -math.inf:
        return arrays.min(size, axes)
    if p == 1:
        return arrays.sum(size, axes)
    if p == 2:
        return _root(arrays.sum(x * x, axes))
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not p > 1:
        raise ShapeError(f"The norm of a vector has ord None, 2, inf, -inf or a number p >= 1, got {p!r}.")
    total = arrays.sum(size ** float(p), axes)
    at_zero = elementwise.eq(total, 0)
    safe = elementwise.where(at_zero, const(1.0, x.dtype), total)
    return elementwise.where(at_zero, const(0.0, x.dtype), safe ** (1 / p))


def _matrix_norm(x: Node, ord: Any, axes: tuple[int, ...]) -> Node:
    row, col = axes
    if ord == "fro":
        return _root(arrays.sum(x * x, axes))
    if ord in (1, math.inf):
        inner, outer = (row, col) if ord == 1 else (col, row)
        sums = arrays.sum(arrays.abs(x), inner)
        return arrays.max(sums, outer - (inner < outer))
    if ord == 2:
        rest = tuple(k for k in range(x.ndim) if k not in axes)
        a = arrays.transpose(x, (*rest, row, col))
        gram = linalg.matmul(linalg.matrix_transpose(a), a)
        # The largest singular value is the root of the largest eigenvalue of A'A, to full relative precision.
        return _root(arrays.max(linalg.eigvalsh(gram), -1))
    raise ShapeError(f"The norm of a matrix has ord None, 'fro', 1, 2 or inf, got {ord!r}.")
