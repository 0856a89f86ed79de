"""The fields at one time: their unknowns, and the points beyond the sides.

A block of unknowns is extended along one axis after the other by the points beyond it (given values, ghosts, or the
other end of a periodic axis). The later axes' given values and ghosts reach over the points that the earlier axes
added, so corners exist for mixed derivatives. Fields that others define, and values on sides that depend on other
fields, are made when something needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symdiff.ir.errors import SymdiffError
from symdiff.ir.node import Node
from symdiff.ops.index import broadcast_to, concatenate, slice_
from symdiff.pde import formulas
from symdiff.pde.ghosts import ghosts
from symdiff.pde.jets import is_field, jets
from symdiff.pde.layers import cut, ghost, layer
from symdiff.pde.layout import Region, grid_size

if TYPE_CHECKING:
    from symdiff.pde.semidiscrete import Semidiscrete

Blocks = Mapping[Node, Node]
Side = tuple[Node, int, int]
"""A field, an axis, and 0 for the lower or 1 for the upper side."""


class Fields:
    """Fields at the time `t` from the `blocks` of those that evolve; every array is made once.

    `given` are the values on Dirichlet sides where they are not to be those at `t`, `extended` the unknowns with the
    points beyond them where they are known already.
    """

    def __init__(
        self,
        semi: Semidiscrete,
        blocks: Blocks,
        t: Node,
        given: Mapping[Side, Node] | None = None,
        extended: Blocks | None = None,
    ):
        self.semi, self.t = semi, t
        self._blocks = dict(blocks)
        self.fixed = dict(semi.given(t) if given is None else given)
        self._given = dict(self.fixed)
        self._stages: dict[tuple[Node, int], Node] = {(u, self.dim): x for u, x in (extended or {}).items()}
        self._making: set[Any] = set()

    @property
    def dim(self) -> int:
        """The number of axes."""
        return len(self.semi.axes)

    def block(self, u: Node) -> Node:
        """Return the unknowns of a field, or what they are for one that is known, solved for or defined by others."""
        if u in self.semi.known:
            return self.semi.known[u]
        if u not in self._blocks and (u, self.dim) in self._stages:
            self._blocks[u] = self.semi.inner(u, self._stages[u, self.dim])
        if u not in self._blocks and u in self.semi.problem.constraints:
            assert self.semi.elliptic is not None
            self._blocks |= self.semi.elliptic.solve(self)
        if u not in self._blocks:
            layout = self.semi.layout[u]
            (value,) = self.evaluate([self.semi.problem.definitions[u]], layout.region)
            self._blocks[u] = broadcast_to(value, shape=layout.extents)
        return self._blocks[u]

    def evaluate(self, expressions: Sequence[Node], region: Region) -> list[Node]:
        """Return expressions in jets, terms, coordinates and t on a region; they broadcast against it."""
        return formulas.evaluate(self, expressions, region)

    # -- extension ------------------------------------------------------------------------------------------------

    def extension(self, u: Node) -> Node:
        """Return the unknowns of a field with the points beyond them on all sides."""
        return self._stage(u, self.dim)

    def _stage(self, u: Node, n: int) -> Node:
        """Return the unknowns of a field with the points beyond them along the first `n` axes."""
        if (u, n) not in self._stages:
            if (u, n) in self._making:
                raise SymdiffError(
                    f"The conditions of {u.params['name']!r} depend on themselves through those of other fields; solve "
                    "them for what each field is given, and at corners give these fields conditions of the same kind."
                )
            self._making.add((u, n))
            self._stages[u, n] = self._extended(u, n - 1, self._stage(u, n - 1)) if n else self.block(u)
            self._making.discard((u, n))
        return self._stages[u, n]

    def _extended(self, u: Node, axis: int, x: Node) -> Node:
        lower, upper = self.semi.layout[u].beyond[axis]
        if self.semi.problem.boundary[u, self.semi.axes[axis]][0].kind == "periodic":
            before = [cut(x, axis, x.shape[axis] - lower, lower)] if lower else []
            behind = [cut(x, axis, 0, upper)] if upper else []
        else:
            before = self._beyond(x, (u, axis, 0), lower)[::-1]
            behind = self._beyond(x, (u, axis, 1), upper)
        return concatenate(*before, x, *behind, axis=axis)

    def _beyond(self, x: Node, side: Side, count: int) -> list[Node]:
        """Return `count` points beyond a side, outwards."""
        u, axis, end = side
        if not count:
            return []
        condition, h = self.semi.problem.boundary[u, self.semi.axes[axis]][end], self.semi.spacings[axis]
        data = []
        for n, expression in zip(condition.orders, condition.data(u), strict=True):
            value = self.on_side(expression, side) if n else self.given(side)
            for _ in range(n):
                value = value * h
            data.append(value)
        found = ghosts(condition, self.semi.order, count)
        return [ghost(g.weights, zip(g.data, data, strict=True), x, axis, end) for g in found]

    # -- values on sides ------------------------------------------------------------------------------------------

    def given(self, side: Side) -> Node:
        """Return the values on a side on which they are given."""
        if side not in self._given:
            u, axis, end = side
            condition = self.semi.problem.boundary[u, self.semi.axes[axis]][end]
            self._given[side] = self._on_side(condition.data(u)[0], side, {})
        return self._given[side]

    def on_side(self, expression: Node, side: Side) -> Node:
        """Return an expression on the points of a side of a field whose values there are unknowns."""
        u, axis, end = side
        return self._on_side(expression, side, {u: layer(self._stage(u, axis), axis, end, 0)})

    def _on_side(self, expression: Node, side: Side, values: Blocks) -> Node:
        """Return an expression on the points of a side, which reaches over the axes that are extended before."""
        others = [w for w in jets([expression]) if w is not side[0]]
        found = {w: self._other(w, side) if is_field(w) else self._derivative(w, side) for w in others}
        return self.semi.on_side(expression, side, self.t, {**values, **found})

    def _derivative(self, w: Node, side: Side) -> Node:
        """Return a derivative of another field on the points of a side of a field."""
        (value,) = self.evaluate([w], self.semi.side_region(side))
        return value

    def _other(self, v: Node, side: Side) -> Node:
        """Return another field on the points of a side of a field."""
        u, axis, end = side
        mine, other, name = self.semi.layout[v], self.semi.layout[u], self.semi.axes[axis]
        region = self.semi.side_region(side)
        later = range(axis + 1, self.dim)
        if all((mine.starts[k], mine.extents[k]) == (other.starts[k], other.extents[k]) for k in later):
            x = self._stage(v, axis)
            starts = [s - (mine.beyond[k][0] if k < axis else 0) for k, s in enumerate(mine.starts)]
            if self.semi.problem.boundary[v, name][end].kind == "value":
                shape = tuple(1 if k == axis else d for k, d in enumerate(x.shape))
                x, offset = broadcast_to(self.given((v, axis, end)), shape=shape), 0
            else:
                offset = 0 if end == 0 else x.shape[axis] - 1
        else:
            # Its points along a later axis are given there: only the whole extension has them.
            x, starts = self.extension(v), [s - mine.beyond[k][0] for k, s in enumerate(mine.starts)]
            offset = -starts[axis] if end == 0 else grid_size(name) - 1 - starts[axis]
        begin = tuple(
            offset if k == axis else r - s for k, (r, s) in enumerate(zip(region.starts, starts, strict=True))
        )
        return slice_(x, starts=begin, extents=region.extents, steps=(1,) * self.dim)
