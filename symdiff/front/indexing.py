"""x[key] with NumPy's meaning: ints, slices, None, Ellipsis and integer arrays.

Slices become one `slice` node and integer arrays one `take` node. A slice of a run-time size keeps its length
as a formula (x[1:-1] of n entries has n - 2), so it cannot be clipped at the ends as NumPy does: bounds beyond
the size are an error when the function runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.dims import Dim, Extent, broadcast_shapes, ceil_div, product
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import elementwise, index


@dataclass(frozen=True, slots=True)
class _Cut:
    """A slice of one axis: start, extent, step."""

    start: Extent
    extent: Extent
    step: int


def getitem(x: Node, key: Any) -> Node:
    """Return x[key]. Raises ShapeError for too many or out-of-range indices, DTypeError for other keys."""
    items = _expand(x, key if isinstance(key, tuple) else (key,))
    cuts: list[_Cut] = []
    picks: dict[int, Node | None] = {}
    axis = 0
    # The layout of the result: None is a new axis, an int an axis of x.
    layout: list[int | None] = []
    for item in items:
        if item is None:
            layout.append(None)
            continue
        if isinstance(item, slice):
            cuts.append(_cut(x, axis, item))
        elif _is_int(item):
            cuts.append(_Cut(_position(x, axis, item.__index__()), 1, 1))
            picks[axis] = None
        else:
            cuts.append(_Cut(0, x.shape[axis], 1))
            picks[axis] = as_index(item, x, axis)
        layout.append(axis)
        axis += 1
    sliced = index.slice_(
        x, starts=tuple(c.start for c in cuts), extents=tuple(c.extent for c in cuts), steps=tuple(c.step for c in cuts)
    )
    if all(p is None for p in picks.values()):
        kept = [a for a in layout if a not in picks or a is None]
        return index.reshape(sliced, shape=tuple(1 if a is None else sliced.shape[a] for a in kept))
    return _take_all(sliced, picks, layout)


def iterate(x: Node) -> Iterator[Node]:
    """Yield x[0], x[1], …; the first extent must be a known int."""
    if not x.shape:
        raise DTypeError(f"{brief(x)} ({x.line}) is a scalar and cannot be iterated.")
    if isinstance(x.shape[0], Dim):
        raise ShapeError(
            f"{brief(x)} ({x.line}) has the run-time size {x.shape[0]} and cannot be iterated; "
            "write it as an array formula."
        )
    return (getitem(x, k) for k in range(x.shape[0]))


def as_index(value: Any, x: Node, axis: int) -> Node:
    """Read an integer array that indexes an axis of x; literal entries are checked against a known extent."""
    if isinstance(value, (list, tuple)) and len(value) == 0:
        value = np.zeros(0, dtype=np.int64)
    if _is_int(value):
        value = np.asarray(value.__index__(), dtype=np.int64)
    node = as_node(value)
    if node.dtype == "bool":
        raise DTypeError(
            f"A boolean mask on {brief(x)} ({x.line}) would give a shape that depends on the data; "
            "use where(mask, x, 0) or integer indices."
        )
    if node.dtype != "int64":
        raise DTypeError(
            f"An index of {brief(x)} ({x.line}) holds integers, got dtype {node.dtype}; use .astype('int64')."
        )
    extent = x.shape[axis]
    if isinstance(extent, int) and node.op.name in ("data", "const"):
        entries = np.asarray(node.params["array"].array if node.op.name == "data" else node.params["value"])
        wrong = entries[(entries < -extent) | (entries >= extent)]
        if wrong.size:
            raise ShapeError(
                f"Index {int(wrong.flat[0])} is out of range for axis {axis} of {brief(x)} ({x.line}), extent {extent}."
            )
    return node


def _is_int(item: Any) -> bool:
    if isinstance(item, (bool, np.bool_, Node)) or not hasattr(item, "__index__") or isinstance(item, Dim):
        return False
    return not isinstance(item, np.ndarray) or (item.ndim == 0 and item.dtype.kind in "iu")


def _expand(x: Node, key: tuple[Any, ...]) -> list[Any]:
    """Replace Ellipsis by full slices and fill up the axes that are not named."""
    for item in key:
        if isinstance(item, (str, bytes, bool, np.bool_)):
            raise DTypeError(f"An index of {brief(x)} is an int, a slice, None, ... or integers, got {item!r}.")
    n_named = sum(1 for k in key if k is not None and k is not Ellipsis)
    if sum(1 for k in key if k is Ellipsis) > 1:
        raise ShapeError(f"An index of {brief(x)} has at most one Ellipsis.")
    if n_named > x.ndim:
        raise ShapeError(f"{n_named} indices for {brief(x)} ({x.line}), which has {x.ndim} axes.")
    if not any(k is Ellipsis for k in key):
        key = (*key, Ellipsis)
    items: list[Any] = []
    for k in key:
        items.extend([slice(None)] * (x.ndim - n_named) if k is Ellipsis else [k])
    return items


def _position(x: Node, axis: int, k: int) -> Extent:
    extent = x.shape[axis]
    if isinstance(extent, int) and not -extent <= k < extent:
        raise ShapeError(f"Index {k} is out of range for axis {axis} of {brief(x)} ({x.line}), extent {extent}.")
    return extent + k if k < 0 else k


def _cut(x: Node, axis: int, item: slice) -> _Cut:
    extent = x.shape[axis]
    for bound in (item.start, item.stop, item.step):
        if isinstance(bound, Node):
            raise DTypeError(
                f"A slice of {brief(x)} ({x.line}) has the expression {bound} as a bound; "
                "use take with integer indices."
            )
        if bound is not None and not isinstance(bound, Dim) and not _is_int(bound):
            raise DTypeError(f"A slice of {brief(x)} ({x.line}) has int bounds, got {bound!r}.")
    step = 1 if item.step is None else item.step.__index__()
    if step == 0:
        raise ShapeError(f"A slice of {brief(x)} ({x.line}) has step 0.")
    if isinstance(extent, int) and not any(isinstance(b, Dim) for b in (item.start, item.stop)):
        start, stop, step = item.indices(extent)
        count = len(range(start, stop, step))
        return _Cut(start if count else 0, count, step)
    return _cut_dim(extent, item, step)


def _cut_dim(extent: Extent, item: slice, step: int) -> _Cut:
    """Slice an axis whose extent or bounds are formulas in run-time sizes."""

    def bound(value: Any, default: Extent) -> Extent:
        if value is None:
            return default
        if isinstance(value, Dim):
            return value
        k = value.__index__()
        return extent + k if k < 0 else k

    start = bound(item.start, 0 if step > 0 else extent - 1)
    stop = bound(item.stop, extent if step > 0 else -1)
    count = ceil_div(stop - start, step) if step > 0 else ceil_div(start - stop, -step)
    if isinstance(count, int) and count <= 0:
        return _Cut(0, 0, step)
    return _Cut(start, count, step)


def _take_all(x: Node, picks: dict[int, Node | None], layout: list[int | None]) -> Node:
    """Index several axes of the sliced x at once; ints (None in `picks`) have become extents of 1.

    The picked axes are merged into one and taken with the linear index. Their result stands where they stood
    when they are adjacent in the key, in front otherwise: NumPy's rule.
    """
    places = [k for k, a in enumerate(layout) if a in picks and a is not None]
    adjacent = places == list(range(places[0], places[-1] + 1))
    axes = sorted(picks)
    others = [a for a in range(x.ndim) if a not in picks]
    front = [a for a in others if a < axes[0]] if adjacent else []
    back = [a for a in others if a not in front]
    moved = index.transpose(x, perm=(*front, *axes, *back))
    total = product(tuple(x.shape[a] for a in axes))
    merged = index.reshape(moved, shape=(*(x.shape[a] for a in front), total, *(x.shape[a] for a in back)))
    linear = _linear_index(x, [(a, p) for a, p in sorted(picks.items()) if p is not None], total)
    taken = index.take(merged, linear, axis=len(front))
    before: list[Extent] = []
    after: list[Extent] = []
    for k, a in enumerate(layout):
        if a is None or a not in picks:
            (before if adjacent and k < places[0] else after).append(1 if a is None else x.shape[a])
    return index.reshape(taken, shape=(*before, *linear.shape, *after))


def _linear_index(x: Node, picks: list[tuple[int, Node]], total: Extent) -> Node:
    """Return the index into the merged axes; an index out of range of its own axis stays out of range."""
    if len(picks) == 1:
        return picks[0][1]
    broadcast_shapes(*(p.shape for _, p in picks))
    linear: Any = 0
    outside: Node | None = None
    for axis, pick in picks:
        extent = x.shape[axis]
        if pick.op.name not in ("data", "const") or isinstance(extent, Dim):
            beyond = (pick < -extent) | (pick >= extent)
            outside = beyond if outside is None else outside | beyond
        wrapped = elementwise.where(pick < 0, pick + extent, pick)
        linear = wrapped if isinstance(linear, int) else linear * extent + wrapped
    if outside is not None:
        size = const(total, "int64") if isinstance(total, int) else as_node(total)
        linear = elementwise.where(outside, size, linear)
    return linear


__all__ = ["as_index", "getitem", "iterate"]
