"""Order: sort, argsort, argmax, argmin, take_along_axis, median, quantile, as NumPy's.

Ties keep their order (stable) and NaN comes last. The derivative of a sorted array permutes as its values do;
indices have no derivative.
"""

from __future__ import annotations

import math
from typing import Any

from symdiff.front.arrays import axis_of, max, min, moveaxis, ravel
from symdiff.ir.dims import Extent, broadcast_shapes, product
from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops import elementwise, index, leaves
from symdiff.ops.reduce import keep_axes
from symdiff.ops.sorting import argsort as _argsort


def argsort(x: Any, axis: int | None = -1) -> Node:
    """Return the indices that sort along an axis (None: of the raveled array); stable, NaN last.

    >>> from symdiff.front.symbols import vector
    >>> argsort(vector("x", "n")).dtype
    'int64'
    """
    node, place = _along(x, axis)
    return _argsort(node, axis=place)


def sort(x: Any, axis: int | None = -1) -> Node:
    """Return the entries in ascending order along an axis (None: of the raveled array); NaN last.

    The derivative of an entry is that of the entry it was: equal entries keep their order and are not averaged.
    """
    node, place = _along(x, axis)
    return _gather(node, _argsort(node, axis=place), place)


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Node:
    """Return x[…, indices[…, j, …], …]: the entries that an index array of the same rank names along an axis.

    The other axes broadcast; negative indices count from the end.

    >>> from symdiff.front.symbols import matrix, array
    >>> take_along_axis(matrix("A", "n", 3), array("i", ("n", 2), dtype="int64"), axis=1).shape
    (n, 2)
    """
    node, place = _along(x, axis)
    where = as_node(indices)
    if where.dtype != "int64":
        raise DTypeError(f"The indices into {brief(node)} ({node.line}) are int64, got dtype {where.dtype}.")
    if axis is None:
        where = ravel(where)
    if where.ndim != node.ndim:
        raise ShapeError(
            f"take_along_axis takes indices of the rank of {brief(node)}, {node.ndim}, got {brief(where)} "
            f"({where.line}) of rank {where.ndim}."
        )
    others = [tuple(d for k, d in enumerate(s.shape) if k != place) for s in (node, where)]
    rest = broadcast_shapes(*others)
    node, where = (index.broadcast_to(s, shape=(*rest[:place], s.shape[place], *rest[place:])) for s in (node, where))
    return _gather(node, _wrapped(where, node, place), place)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Node:
    """Return the index of the largest entry along an axis (None: of the raveled array); the first of equal ones.

    A NaN counts as the largest, as in NumPy.
    """
    return _arg_extreme(max, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Node:
    """Return the index of the smallest entry along an axis (None: of the raveled array); the first of equal ones.

    A NaN counts as the smallest, as in NumPy. This is the method `x.argmin()`; the public function `argmin` returns
    the minimiser of an expression.
    """
    return _arg_extreme(min, x, axis, keepdims)


def quantile(x: Any, q: Any, axis: int | None = None, keepdims: bool = False) -> Node:
    """Return the value below which a part q in [0, 1] of the entries lies, between two entries by interpolation.

    The number q is a literal. NaN if one entry is NaN, as in NumPy.

    >>> from symdiff.front.symbols import matrix
    >>> quantile(matrix("A", "n", 3), 0.25, axis=0).shape
    (3,)
    """
    part = as_node(q)
    if part.op.name != "const":
        raise DTypeError(f"quantile takes a number q between 0 and 1, got {q!r}.")
    level = float(part.params["value"])
    if not 0 <= level <= 1:
        raise DomainError(f"quantile takes a number q between 0 and 1, got {level!r}.")
    given = as_node(x)
    node, place = _along(given if given.dtype.startswith("float") else cast(given, "float64"), axis)
    extent = node.shape[place]
    if extent == 0:
        raise ShapeError(f"A quantile of {brief(given)} ({given.line}) over an empty axis has no value.")
    ordered = moveaxis(sort(node, place), place, -1)
    # The last entry is NaN if any is.
    out = _between(ordered, level) + 0 * ordered[..., -1]
    if not keepdims:
        return out
    return index.reshape(out, shape=(1,) * given.ndim) if axis is None else keep_axes(out, given.shape, (place,))


def median(x: Any, axis: int | None = None, keepdims: bool = False) -> Node:
    """Return the middle entry in sorted order, the mean of the two middle ones of an even number."""
    return quantile(x, 0.5, axis, keepdims)


def _between(ordered: Node, level: float) -> Node:
    """Interpolate the last axis of a sorted array at the part `level` of its length."""
    extent = ordered.shape[-1]
    if isinstance(extent, int):
        place = level * (extent - 1)
        first = math.floor(place)
        here = ordered[..., first]
        return here if place == first else here + (place - first) * (ordered[..., first + 1] - here)
    position = level * (as_node(extent) - 1)
    low = elementwise.floor(position)
    ends = [cast(k, "int64") for k in (low, elementwise.ceil(position))]
    here, there = (index.take(ordered, k, axis=ordered.ndim - 1) for k in ends)
    return here + cast(position - low, ordered.dtype) * (there - here)


def _arg_extreme(extreme: Any, x: Any, axis: int | None, keepdims: bool) -> Node:
    given = as_node(x)
    node, place = _along(cast(given, "int64") if given.dtype == "bool" else given, axis)
    n = node.shape[place]
    hit = elementwise.eq(node, extreme(node, place, keepdims=True))
    if node.dtype.startswith("float"):
        # Where one entry is NaN the extreme is, and equals nothing: the NaN entries are the ones it stands for.
        hit = hit | elementwise.isnan(node)
    last = const(n, "int64") if isinstance(n, int) else as_node(n)
    places = index.reshape(leaves.iota(n=n), shape=tuple(n if k == place else 1 for k in range(node.ndim)))
    out = min(elementwise.where(hit, places, last), place)
    if not keepdims:
        return out
    return index.reshape(out, shape=(1,) * given.ndim) if axis is None else keep_axes(out, given.shape, (place,))


def _along(x: Any, axis: int | None) -> tuple[Node, int]:
    node = as_node(x)
    if axis is None:
        return ravel(node), 0
    return node, axis_of(axis, node.ndim, node)


def _wrapped(where: Node, x: Node, axis: int) -> Node:
    """Count negative indices from the start; what is out of range of its axis becomes so for the whole array."""
    extent = x.shape[axis]
    total = product(x.shape)
    inside = (where >= -extent) & (where < extent)
    beyond = const(total, "int64") if isinstance(total, int) else as_node(total)
    return elementwise.where(inside, elementwise.where(where < 0, where + extent, where), beyond)


def _gather(x: Node, where: Node, axis: int) -> Node:
    """Take entries along an axis by non-negative indices, row by row: one gather from the raveled array."""
    if x.ndim == 1:
        return index.take(x, where, axis=0)
    rows, places = moveaxis(x, axis, -1), moveaxis(where, axis, -1)
    lead, n = rows.shape[:-1], x.shape[axis]
    count: Extent = product(lead)
    starts = index.reshape(leaves.iota(n=count), shape=(*lead, 1)) * n
    flat = index.take(ravel(rows), places + starts, axis=0)
    return moveaxis(flat, -1, axis)


__all__ = ["argmax", "argmin", "argsort", "median", "quantile", "sort", "take_along_axis"]
