"""Slices of blocks along an axis, and the layers beyond a side made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from symdiff.ir.dims import Extent
from symdiff.ir.node import Node, const
from symdiff.ops.index import broadcast_to, slice_
from symdiff.pde.jets import added


def cut(x: Node, axis: int, start: Extent, extent: Extent, step: int = 1) -> Node:
    """Return x[..., start : start + extent, ...] along an axis, or every `step`-th place from `start` on."""
    starts = tuple(start if k == axis else 0 for k in range(x.ndim))
    extents = tuple(extent if k == axis else d for k, d in enumerate(x.shape))
    return slice_(x, starts=starts, extents=extents, steps=tuple(step if k == axis else 1 for k in range(x.ndim)))


def layer(x: Node, axis: int, end: int, k: int) -> Node:
    """Return the k-th layer from a side inwards, keeping the axis."""
    return cut(x, axis, k if end == 0 else x.shape[axis] - 1 - k, 1)


def ghost(weights: Mapping[int, Fraction], data: Iterable[tuple[Fraction, Node]], x: Node, axis: int, end: int) -> Node:
    """Return one layer beyond a side, from the layers of x inwards and what is given on the side, with its weights."""
    summands = [scaled(w, layer(x, axis, end, k)) for k, w in weights.items()]
    summands += [scaled(w, y) for w, y in data if w]
    return broadcast_to(added(summands or [const(0.0)]), shape=layer(x, axis, end, 0).shape)


def scaled(weight: Any, x: Node) -> Node:
    """Return weight * x, without a product for the weights 1 and -1."""
    return x if weight == 1 else -x if weight == -1 else float(weight) * x
