"""The equations on a grid of any size: the time derivatives of the unknowns as one array expression.

Unknowns are the values at the points that no Dirichlet condition fixes. To differentiate them, a block of
unknowns is extended along one axis after the other by the points beyond it (given values, ghosts, or the other
end of a periodic axis); a difference formula is then a sum of shifted slices. The later axes' given values and
ghosts reach over the points that the earlier axes added, so corners exist for mixed derivatives.

Sizes are named ("nx", …): one compiled program serves every grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.dims import Extent
from symdiff.ir.graph import depends_on, substitute
from symdiff.ir.node import Node
from symdiff.ops import leaves
from symdiff.ops.index import broadcast_to, concatenate, reshape, slice_
from symdiff.pde import stencils
from symdiff.pde.conditions import Dirichlet, Neumann, Robin
from symdiff.pde.jets import TIME, jets, orders
from symdiff.pde.layout import Layout, grid_size, layouts
from symdiff.pde.problem import Problem

Blocks = Mapping[Node, Node]
Side = tuple[Node, int, int]
"""A field, an axis, and 0 for the lower or 1 for the upper side."""


@dataclass(frozen=True, eq=False)
class Semidiscrete:
    """A problem whose space is discretised to `order`.

    Its symbols: `blocks`, the unknowns of each field; `points`, the coordinates along each axis; `spacings`; and
    the problem's parameters.
    """

    problem: Problem
    order: int

    @cached_property
    def layout(self) -> dict[Node, Layout]:
        """Where the unknowns of each field are."""
        return layouts(self.problem, self.order)

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes."""
        return self.problem.domain.axes

    @cached_property
    def blocks(self) -> dict[Node, Node]:
        """The symbol of the unknowns of each field."""
        return {u: _array(f"{u.params['name']}_block", layout.extents) for u, layout in self.layout.items()}

    @cached_property
    def extensions(self) -> dict[Node, Node]:
        """The symbol of the unknowns of each field with the points beyond them."""
        out = {}
        for u, layout in self.layout.items():
            shape = tuple(d + (lower + upper) for d, (lower, upper) in zip(layout.extents, layout.beyond, strict=True))
            out[u] = _array(f"{u.params['name']}_extension", shape)
        return out

    @cached_property
    def points(self) -> tuple[Node, ...]:
        """The symbols of the coordinates along the axes."""
        return tuple(_array(f"{axis}_points", (grid_size(axis),)) for axis in self.axes)

    @cached_property
    def spacings(self) -> tuple[Node, ...]:
        """The symbols of the distances of points."""
        return tuple(_array(f"{axis}_spacing", ()) for axis in self.axes)

    # -- coordinates ----------------------------------------------------------------------------------------------

    def _along(self, axis: int, start: Extent, extent: Extent) -> Node:
        """The coordinates of grid points along an axis, shaped to broadcast against a block."""
        line = slice_(self.points[axis], starts=(start,), extents=(extent,), steps=(1,))
        return self._across(axis, line)

    def _reaching(self, axis: int, layout: Layout) -> Node:
        """The coordinates along an axis of the unknowns and the points beyond them, which may leave the grid."""
        start, (lower, upper) = layout.starts[axis], layout.beyond[axis]
        count = layout.extents[axis] + (lower + upper)
        first = max(start - lower, 0)
        below = first - (start - lower)
        # Sizes cancel: how far the last point lies behind the grid is a number.
        last = (start - lower) + count - grid_size(self.axes[axis])
        above = max(last, 0) if isinstance(last, int) else 0
        inside = slice_(self.points[axis], starts=(first,), extents=(count - (below + above),), steps=(1,))
        h = self.spacings[axis]
        before = [_layer(self.points[axis], 0, 0, 0) - float(j) * h for j in range(below, 0, -1)]
        behind = [_layer(self.points[axis], 0, 1, 0) + float(j) * h for j in range(1, above + 1)]
        return self._across(axis, concatenate(*before, inside, *behind, axis=0))

    def _across(self, axis: int, line: Node) -> Node:
        extent = line.shape[0]
        return reshape(line, shape=tuple(extent if k == axis else 1 for k in range(len(self.axes))))

    def _on_side(self, expression: Node, side: Side, t: Node, values: Blocks) -> Node:
        """Return an expression on the points of a side, which reaches over the axes that are extended before."""
        u, axis, end = side
        layout = self.layout[u]
        table: dict[Node, Node] = {symbols(TIME): t, **values}
        for k, name in enumerate(self.axes):
            if k < axis:
                table[symbols(name)] = self._reaching(k, layout)
            elif k == axis:
                table[symbols(name)] = self._along(k, 0 if end == 0 else grid_size(name) - 1, 1)
            else:
                table[symbols(name)] = self._along(k, layout.starts[k], layout.extents[k])
        return substitute([expression], table)[0]

    def on_unknowns(self, expressions: Sequence[Node], u: Node, t: Node, values: Blocks) -> list[Node]:
        """Return expressions on the unknowns of a field; one that is the same everywhere stays a scalar."""
        layout = self.layout[u]
        table = {symbols(TIME): t, **values}
        for k, name in enumerate(self.axes):
            table[symbols(name)] = self._along(k, layout.starts[k], layout.extents[k])
        return substitute(expressions, table)

    # -- given values ---------------------------------------------------------------------------------------------

    @cached_property
    def _given(self) -> dict[Side, Node]:
        found: dict[Side, Node] = {}
        for u in self.problem.fields:
            for axis, name in enumerate(self.axes):
                for end, condition in enumerate(self.problem.boundary[u, name]):
                    if isinstance(condition, Dirichlet):
                        found[u, axis, end] = condition.value
        return found

    def given(self, t: Node) -> dict[Side, Node]:
        """Return the values on all Dirichlet sides at a time."""
        return {side: self._on_side(value, side, t, {}) for side, value in self._given.items()}

    def given_rates(self, t: Node) -> dict[Side, Node]:
        """Return the time derivatives of those Dirichlet values that change in time."""
        time = symbols(TIME)
        moving = {s: v for s, v in self._given.items() if v in depends_on([v], [time])}
        return {side: self._on_side(diff(value, time), side, t, {}) for side, value in moving.items()}

    # -- extension ------------------------------------------------------------------------------------------------

    def extend(self, u: Node, block: Node, t: Node, given: Mapping[Side, Node]) -> Node:
        """Return the unknowns of a field with the points beyond them on all sides."""
        ext = block
        for axis, (lower, upper) in enumerate(self.layout[u].beyond):
            if self.problem.boundary[u, self.axes[axis]][0].kind == "periodic":
                before = [_cut(ext, axis, ext.shape[axis] - lower, lower)] if lower else []
                behind = [_cut(ext, axis, 0, upper)] if upper else []
            else:
                before = self._beyond(ext, (u, axis, 0), lower, t, given)[::-1]
                behind = self._beyond(ext, (u, axis, 1), upper, t, given)
            ext = concatenate(*before, ext, *behind, axis=axis)
        return ext

    def _beyond(self, ext: Node, side: Side, count: int, t: Node, given: Mapping[Side, Node]) -> list[Node]:
        """Return `count` points beyond a side, outwards."""
        u, axis, end = side
        if not count:
            return []
        condition = self.problem.boundary[u, self.axes[axis]][end]
        here = _layer(ext, axis, end, 0)
        if isinstance(condition, Dirichlet):
            data, ghosts = given[side], stencils.dirichlet_ghosts(self.order, count)
        else:
            assert isinstance(condition, (Neumann, Robin))
            slope = self._on_side(condition.slope_of(u), side, t, {u: here})
            data, ghosts = slope * self.spacings[axis], stencils.slope_ghosts(self.order, count)
        out = []
        for ghost in ghosts:
            terms = [_scaled(w, _layer(ext, axis, end, k)) for k, w in ghost.weights.items()]
            out.append(broadcast_to(total([*terms, _scaled(ghost.data, data)]), shape=here.shape))
        return out

    # -- derivatives ----------------------------------------------------------------------------------------------

    def derivative(self, w: Node, ext: Node, u: Node, f: Node) -> Node:
        """Return the central formula of the jet symbol `w` of field `u`, from its extension, on the unknowns of `f`."""
        counts = orders(w)
        lines: list[list[tuple[int, Any]]] = []
        scale: Node | None = None
        for axis, name in enumerate(self.axes):
            n = counts.get(name, 0)
            lines.append(list(stencils.central(n, self.order).items()) if n else [(0, 1)])
            for _ in range(n):
                scale = self.spacings[axis] if scale is None else scale * self.spacings[axis]
        weights: dict[tuple[int, ...], Any] = {}
        for combination in itertools.product(*lines):
            weight = combination[0][1]
            for _, factor in combination[1:]:
                weight = weight * factor
            weights[tuple(k for k, _ in combination)] = weight
        formula = total(self._pairs(weights, ext, u, f))
        return formula if scale is None else formula * (1.0 / scale)

    def _pairs(self, weights: Mapping[tuple[int, ...], Any], ext: Node, u: Node, f: Node) -> list[Node]:
        """Return the terms of a formula, mirrored offsets joined.

        Offsets k and -k have equal or opposite weights. Joining them halves the products, and a mirrored state
        keeps its symmetry to the last bit.
        """
        terms = []
        for k, w in sorted(weights.items(), key=lambda item: -max(map(abs, item[0]))):
            mirror = tuple(-i for i in k)
            if k < mirror:
                continue
            pair = self._shifted(k, ext, u, f)
            if k != mirror:
                other = self._shifted(mirror, ext, u, f)
                pair = pair + other if weights[mirror] == w else pair - other
            terms.append(_scaled(w, pair))
        return terms

    def _shifted(self, offset: Sequence[int], ext: Node, u: Node, f: Node) -> Node:
        own, other = self.layout[u], self.layout[f]
        lowers = [lower for lower, _ in own.beyond]
        starts = tuple(
            s - s0 + lower + k for s, s0, lower, k in zip(other.starts, own.starts, lowers, offset, strict=True)
        )
        return slice_(ext, starts=starts, extents=other.extents, steps=(1,) * len(starts))

    def inner(self, u: Node, ext: Node) -> Node:
        """Return the unknowns of a field in its extension."""
        return self._shifted((0,) * len(self.axes), ext, u, u)

    def values(
        self, blocks: Blocks, t: Node, given: Mapping[Side, Node], extended: Blocks | None = None
    ) -> dict[Node, dict[Node, Node]]:
        """Return, for the equation of every field, the values of the jet symbols in it on the field's unknowns."""
        exts: dict[Node, Node] = dict(extended or {})
        out: dict[Node, dict[Node, Node]] = {}
        for f, rhs in self.problem.rhs.items():
            out[f] = {}
            for w in jets([rhs]):
                u = next(v for v in self.problem.fields if v.params["name"] == w.params["field"])
                same = (self.layout[u].starts, self.layout[u].extents) == (
                    self.layout[f].starts,
                    self.layout[f].extents,
                )
                if w is u and same:
                    out[f][w] = blocks[u]
                    continue
                if u not in exts:
                    exts[u] = self.extend(u, blocks[u], t, given)
                out[f][w] = self.derivative(w, exts[u], u, f)
        return out

    def rates(
        self, blocks: Blocks, t: Node, given: Mapping[Side, Node] | None = None, extended: Blocks | None = None
    ) -> dict[Node, Node]:
        """Return the time derivatives of the unknowns.

        `given` are the Dirichlet values if not those at `t`, `extended` the extensions where they are known already.
        """
        given = self.given(t) if given is None else given
        values = self.values(blocks, t, given, extended)
        out = {}
        for u, rhs in self.problem.rhs.items():
            (rate,) = self.on_unknowns([rhs], u, t, values[u])
            out[u] = broadcast_to(rate, shape=self.layout[u].extents)
        return out


def _array(name: str, shape: Any) -> Node:
    # A leading NUL cannot occur in a user's name, so no parameter is the same symbol.
    return leaves.symbol(name=f"\0{name}", shape=shape, dtype="float64")


def _cut(x: Node, axis: int, start: Extent, extent: Extent) -> Node:
    """Return x[..., start : start + extent, ...] along an axis."""
    starts = tuple(start if k == axis else 0 for k in range(x.ndim))
    extents = tuple(extent if k == axis else d for k, d in enumerate(x.shape))
    return slice_(x, starts=starts, extents=extents, steps=(1,) * x.ndim)


def _layer(x: Node, axis: int, end: int, k: int) -> Node:
    """Return the k-th layer from a side inwards, keeping the axis."""
    return _cut(x, axis, k if end == 0 else x.shape[axis] - 1 - k, 1)


def _scaled(weight: Any, x: Node) -> Node:
    return x if weight == 1 else -x if weight == -1 else float(weight) * x


def total(terms: Sequence[Node]) -> Node:
    """Return the sum of at least one node, from left to right."""
    out = terms[0]
    for term in terms[1:]:
        out = out + term
    return out
