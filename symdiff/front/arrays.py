"""Reductions and changes of shape under NumPy's names.

`sum`, `max`, `min`, `abs` shadow the builtins here on purpose: the public names are NumPy's.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.front.functions import astype
from symdiff.ir.dims import Dim, as_extent, as_shape, product
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import elementwise, index, leaves, reduce
from symdiff.ops.reduce import keep_axes

abs = elementwise.abs_


def axes_of(x: Node, axis: Any) -> tuple[int, ...]:
    """Return the sorted non-negative axes that `axis` (None, an int or several) names. Raises ShapeError."""
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = tuple(sorted(axis_of(a, x.ndim, x) for a in given))
    if len(set(found)) != len(found):
        raise ShapeError(f"An axis of {brief(x)} is named twice in {axis!r}.")
    return found


def axis_of(axis: Any, rank: int, x: Node) -> int:
    """Return the non-negative axis among `rank` axes. Raises ShapeError, naming `x`."""
    if isinstance(axis, (bool, Node)) or not hasattr(axis, "__index__"):
        raise DTypeError(f"An axis of {brief(x)} is an int, got {axis!r}.")
    k = axis.__index__()
    if not -rank <= k < rank:
        raise ShapeError(f"Axis {k} is out of range for {brief(x)} ({x.line}), which has {rank} axes.")
    return int(k % rank)


def _reduce(primitive: Any, x: Any, axis: Any, keepdims: bool) -> Node:
    node = as_node(x)
    axes = axes_of(node, axis)
    out: Node = primitive(node, axes=axes)
    return keep_axes(out, node.shape, axes) if keepdims else out


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Add up the entries over all axes or the given ones.

    >>> from symdiff.front.symbols import matrix
    >>> sum(matrix("A", "n", 3), axis=0).shape
    (3,)
    """
    return _reduce(reduce.sum_, x, axis, keepdims)


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Multiply the entries over all axes or the given ones."""
    return _reduce(reduce.prod, x, axis, keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Return the largest entry over all axes or the given ones; NaN if one is NaN."""
    return _reduce(reduce.max_, x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Return the smallest entry over all axes or the given ones; NaN if one is NaN."""
    return _reduce(reduce.min_, x, axis, keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Return the mean over all axes or the given ones."""
    node = as_node(x)
    count = product(tuple(node.shape[a] for a in axes_of(node, axis)))
    total = sum(node, axis, keepdims)
    # The count takes the dtype of the data, so that the mean of float32 stays float32.
    divisor = as_node(count)
    return total / (elementwise.cast(divisor, node.dtype) if node.dtype.startswith("float") else divisor)


def _shift(x: Node, axes: Sequence[int]) -> Node:
    """An integer just above the maximum, or 0 where that is not finite.

    The result of logsumexp and softmax does not depend on the shift, so its derivative must not enter;
    ceil has derivative 0, which a plain maximum has not.
    """
    top = elementwise.ceil(keep_axes(reduce.max_(x, axes=tuple(axes)), x.shape, axes))
    return elementwise.where(elementwise.isfinite(top), top, 0.0)


def _floating(x: Any) -> Node:
    node = as_node(x)
    return node if node.dtype.startswith("float") else astype(node, "float64")


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Return log(sum(exp(x))) without overflow; -inf entries count as zeros.

    >>> from symdiff.front.symbols import matrix
    >>> logsumexp(matrix("A", "n", 3), axis=1).shape
    (n,)
    """
    node = _floating(x)
    axes = axes_of(node, axis)
    shift = _shift(node, axes)
    out = elementwise.log(reduce.sum_(elementwise.exp(node - shift), axes=axes)) + index.reshape(
        shift, shape=tuple(d for k, d in enumerate(node.shape) if k not in axes)
    )
    return keep_axes(out, node.shape, axes) if keepdims else out


def softmax(x: Any, axis: Any = -1) -> Node:
    """Return exp(x) / sum(exp(x)) along an axis, without overflow."""
    node = _floating(x)
    axes = axes_of(node, axis)
    powers = elementwise.exp(node - _shift(node, axes))
    return powers / keep_axes(reduce.sum_(powers, axes=axes), node.shape, axes)


# --- shape ------------------------------------------------------------------


def reshape(x: Any, shape: Any) -> Node:
    """Return the entries in C order under another shape; one extent may be -1."""
    if isinstance(shape, (tuple, list)):
        return index.reshape(x, shape=tuple(shape))
    return index.reshape(x, shape=shape)


def ravel(x: Any) -> Node:
    """Return the entries in C order as a vector."""
    node = as_node(x)
    return index.reshape(node, shape=(product(node.shape),))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Node:
    """Reverse the axes, or permute them: axis k of the result is axis axes[k] of x."""
    node = as_node(x)
    if axes is None:
        return index.transpose(node, perm=tuple(range(node.ndim))[::-1])
    if len(axes) != node.ndim:
        raise ShapeError(f"transpose of {brief(node)} ({node.line}) names all {node.ndim} axes, got {tuple(axes)}.")
    return index.transpose(node, perm=tuple(axis_of(a, node.ndim, node) for a in axes))


def swapaxes(x: Any, a: int, b: int) -> Node:
    """Exchange two axes."""
    node = as_node(x)
    perm = list(range(node.ndim))
    a, b = axis_of(a, node.ndim, node), axis_of(b, node.ndim, node)
    perm[a], perm[b] = perm[b], perm[a]
    return index.transpose(node, perm=tuple(perm))


def expand_dims(x: Any, axis: Any) -> Node:
    """Insert axes of extent 1 at the given places of the result."""
    node = as_node(x)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = node.ndim + len(given)
    new = {axis_of(a, rank, node) for a in given}
    if len(new) != len(given):
        raise ShapeError(f"expand_dims of {brief(node)} names an axis twice: {axis!r}.")
    rest = iter(node.shape)
    return index.reshape(node, shape=tuple(1 if k in new else next(rest) for k in range(rank)))


def squeeze(x: Any, axis: Any = None) -> Node:
    """Remove axes of extent 1: all of them, or the given ones."""
    node = as_node(x)
    if axis is None:
        axes = tuple(k for k, d in enumerate(node.shape) if d == 1)
    else:
        axes = axes_of(node, axis)
        for a in axes:
            if node.shape[a] != 1:
                raise ShapeError(f"Axis {a} of {brief(node)} ({node.line}) has extent {node.shape[a]}, not 1.")
    return index.reshape(node, shape=tuple(d for k, d in enumerate(node.shape) if k not in axes))


def broadcast_to(x: Any, shape: Any) -> Node:
    """Repeat along new leading axes and axes of extent 1."""
    return index.broadcast_to(x, shape=as_shape(shape))


def concatenate(arrays: Sequence[Any], axis: int = 0) -> Node:
    """Join arrays along an existing axis."""
    nodes = [as_node(a) for a in arrays]
    if not nodes:
        raise ShapeError("concatenate needs at least one array.")
    return index.concatenate(*nodes, axis=axis_of(axis, nodes[0].ndim, nodes[0]))


def stack(arrays: Sequence[Any], axis: int = 0) -> Node:
    """Join arrays of one shape along a new axis.

    >>> from symdiff.front.symbols import symbols
    >>> stack(symbols("x y z")).shape
    (3,)
    """
    nodes = [as_node(a) for a in arrays]
    if not nodes:
        raise ShapeError("stack needs at least one array.")
    for n in nodes:
        if n.shape != nodes[0].shape:
            raise ShapeError(f"stack needs equal shapes: {brief(nodes[0])} and {brief(n)} ({n.line}) differ.")
    place = axis_of(axis, nodes[0].ndim + 1, nodes[0])
    return index.concatenate(*(expand_dims(n, place) for n in nodes), axis=place)


def take(x: Any, indices: Any, axis: int | None = None) -> Node:
    """Return the entries at integer indices along an axis, of the raveled array without one."""
    from symdiff.front.indexing import as_index

    node = ravel(x) if axis is None else as_node(x)
    place = axis_of(0 if axis is None else axis, node.ndim, node)
    return index.take(node, as_index(indices, node, place), axis=place)


# --- literal arrays ---------------------------------------------------------


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
    if builtins.all(isinstance(v, int) for v in (start, stop, step)) and (start, step) == (0, 1):
        return leaves.iota(n=builtins.max(stop, 0))
    return as_node(np.arange(start, stop, step))
