"""Operators of reach 1 as arrays of their coefficients, and coarser operators made of them.

    (A e)[i] = sum over o of a[o, i] e[i + o],    o in {-1, 0, 1}**d, stored as 0, 1, 2 along the first d axes

A grid is coarsened along one axis at a time: even places stay, and between two of them e is what the operator makes
of its neighbours, e[i] = wl e[i - 1] + wr e[i + 1], with coefficients summed across the other axes: continuous fluxes
stay so where factors jump. The coarse operator is P' A P (Galerkin), again of reach 1.
Method: Dendy 1982, Black box multigrid; along one axis after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from symdiff.ir.dims import Extent, ceil_div
from symdiff.ir.node import Node, const
from symdiff.ops.banded import moved
from symdiff.ops.elementwise import maximum, mod, where
from symdiff.ops.index import concatenate, embed, reshape
from symdiff.ops.leaves import iota, size
from symdiff.ops.reduce import sum_
from symdiff.pde.layers import cut
from symdiff.pde.linear import ratio


@dataclass(frozen=True)
class Axes:
    """Which axes of a grid are periodic; arrays may have axes in front of those of the grid."""

    periodic: tuple[bool, ...]

    @property
    def count(self) -> int:
        """The number of axes."""
        return len(self.periodic)

    def shifted(self, x: Node, axis: int, by: int) -> Node:
        """Return x[i + by] at i along an axis of the grid, 0 beyond a side."""
        if not by:
            return x
        at = x.ndim - self.count + axis
        if not self.periodic[axis]:
            return moved(x, at, by)
        n = x.shape[at]
        first, behind = (1, n - 1) if by == 1 else (n - 1, 1)
        return concatenate(cut(x, at, first, behind), cut(x, at, 0, n - behind), axis=at)

    def stacked(self, x: Node, axes: Sequence[int]) -> Node:
        """Return x[i + o] for all offsets o, which get axes in front; along other axes than `axes` for o = 0 alone."""
        for axis in reversed(range(self.count)):
            shifts = (-1, 0, 1) if axis in axes else (0,)
            parts = [self.shifted(x, axis, by) for by in shifts]
            x = concatenate(*(reshape(p, shape=(1, *p.shape)) for p in parts), axis=0)
        return x

    def product(self, a: Node, e: Node) -> Node:
        """Return A e."""
        d = self.count
        terms = []
        for offset in itertools.product((0, 1, 2), repeat=d):
            entry = reshape(reduce(lambda x, k: cut(x, k, offset[k], 1), range(d), a), shape=e.shape)
            terms.append(entry * reduce(lambda x, k: self.shifted(x, k, offset[k] - 1), range(d), e))
        return reduce(lambda x, y: x + y, terms)


@dataclass(frozen=True)
class Coarsening:
    """One axis with half of its places: what is between the even ones comes from them by the factors `wl`, `wr`.

    The factors have an entry for every even place, for the odd one behind it; where there is none, 0 and 1.
    """

    axes: Axes
    axis: int
    n: Extent
    wl: Node
    wr: Node

    @property
    def n_coarse(self) -> Extent:
        """The number of even places."""
        return ceil_div(self.n, 2)

    def halves(self, x: Node) -> tuple[Node, Node]:
        """Return x at the even places and at the odd ones behind them, 0 where there is none."""
        return _halves(self.axes, self.axis, x)

    def restricted(self, r: Node) -> Node:
        """Return P' r."""
        even, odd = self.halves(r)
        return even + self.wl * odd + self.axes.shifted(self.wr * odd, self.axis, -1)

    def prolonged(self, e: Node) -> Node:
        """Return P e."""
        at = e.ndim - self.axes.count + self.axis
        between = self.wl * e + self.wr * self.axes.shifted(e, self.axis, 1)
        odd = cut(between, at, 0, self.n - self.n_coarse)
        shape = tuple(self.n if k == at else d for k, d in enumerate(e.shape))
        steps = tuple(2 if k == at else 1 for k in range(e.ndim))
        first, second = (tuple(start if k == at else 0 for k in range(e.ndim)) for start in (0, 1))
        return embed(e, shape=shape, starts=first, steps=steps) + embed(odd, shape=shape, starts=second, steps=steps)


def _halves(axes: Axes, axis: int, x: Node) -> tuple[Node, Node]:
    at = x.ndim - axes.count + axis
    n = x.shape[at]
    n_even = ceil_div(n, 2)
    even, odd = cut(x, at, 0, n_even, 2), cut(x, at, 1, n - n_even, 2)
    return even, embed(odd, shape=even.shape, starts=(0,) * x.ndim, steps=(1,) * x.ndim)


def coarsened(axes: Axes, a: Node, axis: int) -> tuple[Coarsening, Node]:
    """Return a coarsening along an axis, and the coefficients of P' A P."""
    d = axes.count
    others = [k for k in range(d) if k != axis]
    n = a.shape[d + axis]
    # Along the axis, summed over the offsets along the others.
    (lower, middle, upper) = (_halves(axes, axis, sum_(p, axes=tuple(range(d))))[1] for p in _parts(a, axis))
    largest = maximum(abs(middle), abs(lower) + abs(upper)) * where(middle < 0, -1.0, 1.0)
    n_even = ceil_div(n, 2)
    place = reshape(iota(n=n_even), shape=tuple(n_even if k == axis else 1 for k in range(d)))
    has_odd = place < size(dim=n - n_even)
    wl, wr = ratio(-lower, largest), where(has_odd, ratio(-upper, largest), 1.0)
    stage = Coarsening(axes, axis, n, wl, wr)
    # P(i + o) for the offsets o across the axis, which the rows of A meet.
    across_l, across_r = axes.stacked(wl, others), axes.stacked(wr, others)
    # On a circle of an odd number of places two even ones are neighbours: seen from the right, 1 and 0.
    before_l, before_r = (
        axes.shifted(axes.stacked(where(has_odd, w, other), others), axis, -1) for w, other in ((wl, 1.0), (wr, 0.0))
    )
    halves = [_halves(axes, axis, p) for p in _parts(a, axis)]
    (e0, o0), (e1, o1), (e2, o2) = halves

    def before(x: Node) -> Node:
        return axes.shifted(x, axis, -1)

    # (A P)[i, J]: an even row i = 2 I has J = I - 1, I, I + 1, an odd one behind it J = I and I + 1.
    even = [e0 * before_l, e1 + e2 * across_l + e0 * before_r, e2 * across_r]
    left, right = o0 + o1 * across_l, o2 + o1 * across_r
    rows = [
        even[0] + before(wr * left),
        even[1] + before(wr * right) + wl * left,
        even[2] + wl * right,
    ]
    return stage, concatenate(*rows, axis=axis)


def _parts(a: Node, axis: int) -> list[Node]:
    """Return the coefficients of the offsets -1, 0 and 1 along an axis."""
    return [cut(a, axis, k, 1) for k in range(3)]


def colour(is_periodic: bool, place: Node, n: Node) -> Node:
    """Return which sum of columns a place belongs to; places may lie beyond the ends by less than 3."""
    three = const(3, "int64")
    if not is_periodic:
        return mod(place + 3, three)
    inside = mod(place + n, n)
    whole = n - mod(n, three)
    return where(inside < whole, mod(inside, three), 3 + inside - whole)
