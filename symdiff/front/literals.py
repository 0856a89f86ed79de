"""Arrays made of numbers: full, zeros, ones, eye, arange, under NumPy's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.front.functions import astype
from symdiff.ir.dims import Dim, as_extent, as_shape
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, const
from symdiff.ops import elementwise, index, leaves


def full(shape: Any, value: Any, dtype: str | None = None) -> Node:
    """Return an array filled with one value, a number or a scalar expression."""
    node = as_node(value)
    return index.broadcast_to(node if dtype is None else astype(node, dtype), shape=as_shape(shape))


def zeros(shape: Any, dtype: str = "float64") -> Node:
    """Return an array of zeros."""
    return full(shape, const(0, dtype))


def ones(shape: Any, dtype: str = "float64") -> Node:
    """Return an array of ones."""
    return full(shape, const(1, dtype))


def zeros_like(x: Any) -> Node:
    """Return zeros of the shape and dtype of x."""
    node = as_node(x)
    return zeros(node.shape, node.dtype)


def ones_like(x: Any) -> Node:
    """Return ones of the shape and dtype of x."""
    node = as_node(x)
    return ones(node.shape, node.dtype)


def eye(n: Any, m: Any = None, dtype: str = "float64") -> Node:
    """Return the n by m matrix (square without m) with ones on the diagonal."""
    rows = as_extent(n)
    cols = rows if m is None else as_extent(m)
    i = index.reshape(leaves.iota(n=rows), shape=(rows, 1))
    j = index.reshape(leaves.iota(n=cols), shape=(1, cols))
    return elementwise.where(elementwise.eq(i, j), const(1, dtype), const(0, dtype))


def arange(start: Any, stop: Any = None, step: Any = 1) -> Node:
    """Return start, start + step, … below stop, as NumPy's; ints give int64. `arange("n")` has a run-time size."""
    if stop is None:
        start, stop = 0, start
    if isinstance(stop, (str, Dim)):
        if not isinstance(start, int) or start != 0 or step != 1:
            raise ShapeError("arange over a run-time size counts 0, 1, …, n - 1; add and multiply afterwards.")
        return leaves.iota(n=as_extent(stop))
    if any(isinstance(v, Node) for v in (start, stop, step)):
        raise ShapeError("arange takes numbers or a run-time size: its length must be known when it is built.")
    if all(isinstance(v, int) for v in (start, stop, step)) and (start, step) == (0, 1):
        return leaves.iota(n=max(stop, 0))
    return as_node(np.arange(start, stop, step))
