"""Entries in other places: roll, flip, tile, repeat, split, hstack, vstack, under NumPy's names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.front.arrays import axes_of, axis_of, concatenate, expand_dims, ravel
from symdiff.ir.dims import Extent, product
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ops import index


def cut(x: Node, axis: int, start: Extent, extent: Extent, step: int = 1) -> Node:
    """Return every step-th entry of one axis from start on."""
    rank = x.ndim
    return index.slice_(
        x,
        starts=tuple(start if k == axis else 0 for k in range(rank)),
        extents=tuple(extent if k == axis else d for k, d in enumerate(x.shape)),
        steps=tuple(step if k == axis else 1 for k in range(rank)),
    )


def whole_number(value: Any, what: str, x: Node) -> int:
    """Return a literal int. Raises DTypeError, naming what it is for and `x`."""
    if isinstance(value, (bool, np.bool_, Node)) or not hasattr(value, "__index__"):
        raise DTypeError(f"{what} of {brief(x)} ({x.line}) is an int, got {value!r}.")
    return int(value.__index__())


def flip(x: Any, axis: Any = None) -> Node:
    """Reverse the order of the entries along all axes or the given ones."""
    node = as_node(x)
    for k in axes_of(node, axis):
        node = cut(node, k, node.shape[k] - 1, node.shape[k], -1)
    return node


def roll(x: Any, shift: Any, axis: Any = None) -> Node:
    """Move the entries by `shift` places along an axis; what leaves at one end comes in at the other.

    Without an axis the raveled array is rolled. Several shifts go with several axes. Along an axis of run-time
    size |shift| is at most that size; a call with a smaller array raises DomainError.

    >>> from symdiff.front.symbols import vector
    >>> roll(vector("u", "n"), 1).shape
    (n,)
    """
    node = as_node(x)
    if axis is None:
        return index.reshape(roll(ravel(node), shift, 0), shape=node.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    if len(shifts) == 1:
        shifts = [*shifts] * len(axes)
    if len(axes) == 1:
        axes = [*axes] * len(shifts)
    if len(axes) != len(shifts):
        raise ShapeError(f"roll of {brief(node)} ({node.line}) got {len(shifts)} shifts for {len(axes)} axes.")
    for by, k in zip(shifts, axes, strict=True):
        node = _roll(node, whole_number(by, "The shift", node), axis_of(k, node.ndim, node))
    return node


def _roll(x: Node, by: int, axis: int) -> Node:
    n = x.shape[axis]
    if isinstance(n, int):
        by = by % n if n else 0
    if by == 0:
        return x
    head: Extent = n - by if by > 0 else -by
    return index.concatenate(cut(x, axis, head, n - head), cut(x, axis, 0, head), axis=axis)


def tile(x: Any, reps: Any) -> Node:
    """Repeat the whole array along its axes, reps[k] times along axis k; missing axes are put in front.

    >>> from symdiff.front.symbols import matrix
    >>> tile(matrix("A", "n", 3), (2, 1)).shape
    (2*n, 3)
    """
    node = as_node(x)
    times = [whole_number(r, "A number of copies", node) for r in (reps if isinstance(reps, (tuple, list)) else [reps])]
    if any(t < 0 for t in times):
        raise ShapeError(f"tile of {brief(node)} ({node.line}) takes numbers of copies >= 0, got {times}.")
    rank = max(node.ndim, len(times))
    shape = (*(1,) * (rank - node.ndim), *node.shape)
    times = [1] * (rank - len(times)) + times
    apart = [d for extent in shape for d in (1, extent)]
    copies = [d for t, extent in zip(times, shape, strict=True) for d in (t, extent)]
    wide = index.broadcast_to(index.reshape(node, shape=tuple(apart)), shape=tuple(copies))
    return index.reshape(wide, shape=tuple(product(pair) for pair in zip(times, shape, strict=True)))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Node:
    """Repeat every entry `repeats` times (one int, or an int for each entry) along an axis or of the raveled array."""
    node = ravel(x) if axis is None else as_node(x)
    place = 0 if axis is None else axis_of(axis, node.ndim, node)
    n = node.shape[place]
    if isinstance(repeats, (list, tuple, np.ndarray)) and np.size(repeats) != 1:
        counts = np.asarray(repeats)
        if counts.ndim != 1 or counts.dtype.kind not in "iu" or len(counts) != n or (counts < 0).any():
            raise ShapeError(
                f"repeat of {brief(node)} ({node.line}) takes one int >= 0, or {n} of them, got {repeats!r}."
            )
        return index.take(node, as_node(np.repeat(np.arange(len(counts)), counts)), axis=place)
    times = whole_number(np.ravel(repeats)[0] if np.ndim(repeats) else repeats, "The number of repeats", node)
    if times < 0:
        raise ShapeError(f"repeat of {brief(node)} ({node.line}) takes a number >= 0, got {times}.")
    shape = node.shape
    wide = index.broadcast_to(expand_dims(node, place + 1), shape=(*shape[: place + 1], times, *shape[place + 1 :]))
    return index.reshape(wide, shape=(*shape[:place], product((n, times)), *shape[place + 1 :]))


def split(x: Any, parts: Any, axis: int = 0) -> list[Node]:
    """Return an array cut along an axis: into equal parts (an int), or before the given places (ints).

    >>> from symdiff.front.symbols import vector
    >>> [part.shape for part in split(vector("x", 7), [2, 5])]
    [(2,), (3,), (2,)]
    """
    node = as_node(x)
    place = axis_of(axis, node.ndim, node)
    n = node.shape[place]
    if not isinstance(n, int):
        raise ShapeError(
            f"Axis {place} of {brief(node)} ({node.line}) has run-time size {n}; cut it with x[start:stop]."
        )
    if isinstance(parts, (list, tuple, np.ndarray)):
        ends = [slice(None, whole_number(p, "A place to cut", node)).indices(n)[1] for p in parts]
        bounds = [0, *ends, n]
    else:
        count = whole_number(parts, "The number of parts", node)
        if count < 1 or n % count:
            raise ShapeError(
                f"{brief(node)} ({node.line}) of extent {n} has no {count} equal parts along axis {place}."
            )
        bounds = [k * (n // count) for k in range(count + 1)]
    return [
        cut(node, place, start if stop > start else 0, max(stop - start, 0))
        for start, stop in itertools.pairwise(bounds)
    ]


def hstack(arrays: Sequence[Any]) -> Node:
    """Join arrays along axis 1, vectors and scalars along axis 0."""
    nodes = [_at_least(as_node(a), 1) for a in arrays]
    return concatenate(nodes, 0 if nodes and nodes[0].ndim == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Node:
    """Join arrays along axis 0; a vector is one row."""
    return concatenate([_at_least(as_node(a), 2) for a in arrays], 0)


def _at_least(x: Node, rank: int) -> Node:
    return index.reshape(x, shape=(*(1,) * (rank - x.ndim), *x.shape)) if x.ndim < rank else x


__all__ = ["flip", "hstack", "repeat", "roll", "split", "tile", "vstack"]
