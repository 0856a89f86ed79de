"""Index maps of patterns: which flat entry of an array each point of an index space stands for.

A map is `Affine` (offset + sum of strides * i: slices, shifts, transposes, broadcasts) or, after a gather, an int64
node of the space's shape. View operations act on both in the same way as on the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.dims import Dim, Extent, Shape, evaluate, multiply
from symdiff.ir.node import Node, as_node, const
from symdiff.ops.index import broadcast_to, reshape, slice_, take, transpose
from symdiff.ops.leaves import iota


@dataclass(frozen=True, slots=True)
class Affine:
    """Point i stands for entry offset + sum(strides * i); an axis of extent 1 has stride 0."""

    offset: Extent
    strides: tuple[Extent, ...]


Index = Affine | Node


def c_strides(shape: Shape) -> tuple[Extent, ...]:
    """The strides of C order, 0 for axes of extent 1."""
    strides: list[Extent] = []
    step: Extent = 1
    for extent in reversed(shape):
        strides.append(0 if extent == 1 else step)
        step = multiply(step, extent)
    return tuple(reversed(strides))


def identity(shape: Shape) -> Affine:
    """Every entry stands for itself."""
    return Affine(0, c_strides(shape))


def weighted(offset: Extent, starts: Sequence[Extent], strides: Sequence[Extent]) -> Extent:
    """Return offset + sum(starts * strides)."""
    for start, stride in zip(starts, strides, strict=True):
        offset = multiply(start, stride) + offset
    return offset


def to_node(index: Index, shape: Shape) -> Node:
    """Return the map as an int64 node of the shape of its space."""
    if isinstance(index, Node):
        return index
    out = _number(index.offset)
    for k, stride in enumerate(index.strides):
        if stride != 0:
            along = reshape(iota(n=shape[k]), shape=tuple(d if j == k else 1 for j, d in enumerate(shape)))
            out = out + along * _number(stride)
    return broadcast_to(out, shape=shape)


def _number(extent: Extent) -> Node:
    return as_node(extent) if isinstance(extent, Dim) else const(extent, "int64")


def to_array(index: Affine, shape: Sequence[int], sizes: dict[str, int]) -> np.ndarray:
    """Return an affine map as flat integers, at known sizes."""
    out = np.asarray(evaluate(index.offset, sizes), dtype=np.int64)
    for k, stride in enumerate(index.strides):
        along = np.arange(shape[k], dtype=np.int64) * evaluate(stride, sizes)
        out = out + along.reshape((1,) * k + (-1,) + (1,) * (len(shape) - k - 1))
    return np.broadcast_to(out, tuple(shape)).ravel()


@dataclass(frozen=True, slots=True)
class View:
    """A view of an index space: how nodes of its shape and affine maps over it change. Makes spaces of `shape`."""

    shape: Shape
    on_node: Callable[[Node], Node]
    on_affine: Callable[[Affine], Affine | None]

    def map(self, index: Index, shape: Shape) -> Index:
        """Return an index map over the space of `shape` as seen through the view."""
        if isinstance(index, Affine):
            moved = self.on_affine(index)
            if moved is not None:
                return moved
        return self.on_node(to_node(index, shape))


def _units(strides: Sequence[Extent], shape: Shape) -> tuple[Extent, ...]:
    return tuple(0 if d == 1 else s for s, d in zip(strides, shape, strict=True))


def slicing(shape: Shape, starts: Sequence[Extent], extents: Shape, steps: Sequence[int]) -> View:
    """Every step-th entry from start on along the leading axes, the others as they are."""
    rest = len(shape) - len(starts)
    starts, steps = (*starts, *(0,) * rest), (*steps, *(1,) * rest)
    out = (*extents, *shape[len(shape) - rest :])

    def on_affine(m: Affine) -> Affine:
        strides = tuple(multiply(s, step) for s, step in zip(m.strides, steps, strict=True))
        return Affine(weighted(m.offset, starts, m.strides), _units(strides, out))

    return View(out, lambda v: slice_(v, starts=starts, extents=out, steps=steps), on_affine)


def permuting(shape: Shape, perm: Sequence[int]) -> View:
    """Axis k of the new space is axis perm[k] of the old one; axes beyond `perm` stay."""
    full = (*perm, *range(len(perm), len(shape)))
    return View(
        tuple(shape[p] for p in full),
        lambda v: transpose(v, perm=full),
        lambda m: Affine(m.offset, tuple(m.strides[p] for p in full)),
    )


def broadcasting(shape: Shape, target: Shape, rank: int) -> View:
    """Repeat the leading `rank` axes to the shape `target`; the other axes stay behind them."""
    lead = len(target) - rank
    out = (*target, *shape[rank:])
    return View(
        out,
        # Axes behind the broadcast ones line up with themselves.
        lambda v: broadcast_to(v, shape=out),
        lambda m: Affine(m.offset, (*(0,) * lead, *m.strides)),
    )


def reshaping(shape: Shape, target: Shape) -> View:
    """The same entries in C order. Affine maps survive where axes are only split, or were contiguous before."""

    def on_affine(m: Affine) -> Affine | None:
        strides = _reshaped(m.strides, shape, target)
        return None if strides is None else Affine(m.offset, strides)

    return View(target, lambda v: reshape(v, shape=target), on_affine)


def _reshaped(strides: Sequence[Extent], shape: Shape, target: Shape) -> tuple[Extent, ...] | None:
    """Return the strides after a reshape; None where the entries are no longer evenly apart."""
    old = [(d, s) for d, s in zip(shape, strides, strict=True) if d != 1]
    new = [d for d in target if d != 1]
    if 0 in target or 0 in shape:
        return (0,) * len(target)
    out: list[Extent] = []
    while old and new:
        # A group: axes of both sides with the same number of entries, innermost first.
        d, stride = old.pop()
        group = [new.pop()]
        e = group[0]
        run = multiply(stride, d)
        while d != e:
            if _order(d) < _order(e):
                if not old or old[-1][1] != run:
                    return None
                outer, _ = old.pop()
                d, run = multiply(outer, d), multiply(run, outer)
            elif new:
                group.append(new.pop())
                e = multiply(group[-1], e)
            else:
                return None
        for extent in group:
            out.append(stride)
            stride = multiply(stride, extent)
    if old or new:
        return None
    found = iter(reversed(out))
    return tuple(0 if d == 1 else next(found) for d in target)


def _order(extent: Extent) -> tuple[int, int]:
    """Order extents by degree, then by leading coefficient: which of two products needs another factor."""
    if isinstance(extent, int):
        return 0, extent
    monomial, c = extent.terms[0]
    return len(monomial), c


def taking(shape: Shape, index: Node, axis: int) -> View:
    """Take entries along an axis."""
    out = (*shape[:axis], *index.shape, *shape[axis + 1 :])
    return View(out, lambda v: take(v, index, axis=axis), lambda m: None)


def numbers(index: Index, shape: Sequence[int], sizes: dict[str, int], found: dict[Node, Any]) -> np.ndarray:
    """Return a map as flat integers, given the values of its node if it is one."""
    if isinstance(index, Node):
        return np.asarray(found[index], dtype=np.int64).ravel()
    return to_array(index, shape, sizes)
