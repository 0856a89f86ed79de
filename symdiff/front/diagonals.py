"""Diagonals and triangles of matrices under NumPy's names."""

from __future__ import annotations

from typing import Any

from symdiff.front.arrays import axis_of, moveaxis
from symdiff.front.padding import with_zeros
from symdiff.front.rearrange import cut, whole_number
from symdiff.ir.dims import Extent, product
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import elementwise, index, leaves
from symdiff.ops.reduce import sum_


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """Return the entries x[i, i + offset] over two axes, as the last axis of the result.

    >>> from symdiff.front.symbols import matrix
    >>> diagonal(matrix("A", 3, 5), offset=1).shape
    (3,)
    """
    node = as_node(x)
    if node.ndim < 2:
        raise ShapeError(f"{brief(node)} ({node.line}) has {node.ndim} axes; a diagonal needs two.")
    first, second = (axis_of(a, node.ndim, node) for a in (axis1, axis2))
    if first == second:
        raise ShapeError(f"The diagonal of {brief(node)} ({node.line}) is taken over two axes, got {axis1} twice.")
    k = whole_number(offset, "The offset of the diagonal", node)
    moved = moveaxis(node, first, -1)
    moved = moveaxis(moved, second - (second > first), -1)
    rank = moved.ndim
    *lead, rows, columns = moved.shape
    count = _length(rows, columns, k, node)
    flat = index.reshape(moved, shape=(*lead, product((rows, columns))))
    start: Extent = k if k >= 0 else columns * -k
    if count == 0:
        start = 0
    if isinstance(columns, int):
        # Every (columns + 1)-th entry of the rows one after another.
        return cut(flat, rank - 2, start, count, columns + 1)
    places = leaves.iota(n=count) * (as_node(columns) + 1) + start
    return index.take(flat, places, axis=rank - 2)


def _length(rows: Extent, columns: Extent, offset: int, x: Node) -> Extent:
    """The number of entries of a diagonal; of run-time sizes only where one of them decides."""
    if rows == columns:
        count = rows - abs(offset)
    elif isinstance(rows, int) and isinstance(columns, int):
        count = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
    else:
        raise ShapeError(
            f"The length of a diagonal of {brief(x)} ({x.line}) depends on which of the run-time sizes {rows} and "
            f"{columns} is smaller; cut it to a square first."
        )
    return max(count, 0) if isinstance(count, int) else count


def diag(x: Any, k: int = 0) -> Node:
    """Return the k-th diagonal of a matrix, or the matrix with a vector on its k-th diagonal, as np.diag."""
    node = as_node(x)
    if node.ndim == 2:
        return diagonal(node, k)
    if node.ndim != 1:
        raise ShapeError(f"diag takes a vector or a matrix, got {brief(node)} ({node.line}) with {node.ndim} axes.")
    by = whole_number(k, "The number of the diagonal", node)
    longer = with_zeros(node, [(0, abs(by))])
    n = longer.shape[0]
    # Above the main diagonal entry (i, i + k) is that of its row, below it that of its column.
    values = index.reshape(longer, shape=(n, 1) if by >= 0 else (1, n))
    return elementwise.where(elementwise.eq(_off(n, n), by), values, const(0, node.dtype))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """Return the sum of the entries x[i, i + offset] over two axes."""
    entries = diagonal(x, offset, axis1, axis2)
    return sum_(entries, axes=(entries.ndim - 1,))


def tril(x: Any, k: int = 0) -> Node:
    """Return the last two axes' entries on and below the k-th diagonal, zeros above it."""
    return _triangle(x, k, elementwise.le)


def triu(x: Any, k: int = 0) -> Node:
    """Return the last two axes' entries on and above the k-th diagonal, zeros below it."""
    return _triangle(x, k, elementwise.ge)


def _triangle(x: Any, k: int, compare: Any) -> Node:
    node = as_node(x)
    if node.ndim < 2:
        raise ShapeError(f"{brief(node)} ({node.line}) has {node.ndim} axes; a triangle needs two.")
    by = whole_number(k, "The number of the diagonal", node)
    keep = compare(_off(*node.shape[-2:]), by)
    return elementwise.where(keep, node, const(0, node.dtype))


def _off(rows: Extent, columns: Extent) -> Node:
    """The matrix j - i."""
    i = index.reshape(leaves.iota(n=rows), shape=(rows, 1))
    return index.reshape(leaves.iota(n=columns), shape=(1, columns)) - i


__all__ = ["diag", "diagonal", "trace", "tril", "triu"]
