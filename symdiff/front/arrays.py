"""Reductions and changes of shape under NumPy's names.

`sum`, `max`, `min`, `abs` shadow the builtins here on purpose: the public names are NumPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.front.functions import astype
from symdiff.ir.dims import as_extent, as_shape, product
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import elementwise, index, reduce
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


def var(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Return the variance: squared deviations from the mean, summed and divided by their number less `ddof`.

    >>> from symdiff.front.symbols import vector
    >>> var(vector("v", "n"), ddof=1).shape
    ()
    """
    node = _floating(x)
    axes = axes_of(node, axis)
    count = elementwise.cast(as_node(product(tuple(node.shape[a] for a in axes))), node.dtype)
    return sum((node - mean(node, axis, keepdims=True)) ** 2, axis, keepdims) / (count - ddof)


def std(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Return the standard deviation, the root of `var`; its derivative is infinite or NaN where the variance is 0."""
    return elementwise.sqrt(var(x, axis, ddof, keepdims))


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


def moveaxis(x: Any, source: int, destination: int) -> Node:
    """Move one axis to another place; the others keep their order."""
    node = as_node(x)
    perm = list(range(node.ndim))
    perm.insert(axis_of(destination, node.ndim, node), perm.pop(axis_of(source, node.ndim, node)))
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


def scatter_add(x: Any, indices: Any, extent: Any, axis: int = 0) -> Node:
    """Return zeros of `extent` entries along an axis with the entries of x added at integer indices: np.add.at.

    The transpose of `take`. Entries with one index add up in their order. `extent` is an int or a run-time size.

    >>> from symdiff.front.symbols import vector
    >>> sums = scatter_add(vector("v", 4), [0, 2, 2, 0], extent=3)
    >>> sums.shape
    (3,)
    """
    from symdiff.front.indexing import as_index

    node = as_node(x)
    place, size = axis_of(axis, node.ndim, node), as_extent(extent)
    target = index.broadcast_to(const(0.0, node.dtype), shape=(*node.shape[:place], size, *node.shape[place + 1 :]))
    return index.scatter_add(node, as_index(indices, target, place), axis=place, extent=size)
