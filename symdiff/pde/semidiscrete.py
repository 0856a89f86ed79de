"""The equations on a grid of any size: the time derivatives of the unknowns as one array expression.

Unknowns are the values at the points that no Dirichlet condition fixes; `Fields` extends them by the points beyond,
and `formulas` makes every derivative a sum of shifted slices.

Sizes are named ("nx", …): one compiled program serves every grid.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.dims import Extent
from symdiff.ir.graph import depends_on, substitute
from symdiff.ir.node import Node
from symdiff.ops import leaves
from symdiff.ops.index import broadcast_to, concatenate, reshape, slice_
from symdiff.pde.fields import Blocks, Fields, Side
from symdiff.pde.jets import TIME, jets
from symdiff.pde.layout import Layout, Region, grid_size, layouts, outside
from symdiff.pde.problem import Problem

if TYPE_CHECKING:
    from symdiff.pde.elliptic import Elliptic


@dataclass(frozen=True, eq=False)
class Semidiscrete:
    """A problem whose space is discretised to `order`, its fields reaching as far as the numbers `also` need them.

    Its symbols: `blocks`, the unknowns of each field; `points`, the coordinates along each axis; `spacings`; and
    `parameters`, the problem's parameters and the values of its `known` fields.

    `elliptic` finds the fields of elliptic equations, from the unknowns `guess`; `begun` are those, with the points
    beyond them, that belong to the unknowns at the start of a step.
    """

    problem: Problem
    order: int
    also: tuple[Node, ...] = ()
    elliptic: Elliptic | None = None
    guess: Blocks = field(default_factory=dict)
    begun: Blocks = field(default_factory=dict)

    @cached_property
    def layout(self) -> dict[Node, Layout]:
        """Where the unknowns of each field are."""
        return layouts(self.problem, self.order, self.also)

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes."""
        return self.problem.domain.axes

    @cached_property
    def blocks(self) -> dict[Node, Node]:
        """The symbol of the unknowns of each field."""
        return {u: _array(f"{u.params['name']}_block", self.layout[u].extents) for u in self.problem.fields}

    @cached_property
    def known(self) -> dict[Node, Node]:
        """The symbol of the values of each known field."""
        return {u: _array(f"{u.params['name']}_known", self.layout[u].extents) for u in self.problem.known}

    @property
    def parameters(self) -> tuple[Node, ...]:
        """What every run is given values for."""
        return (*self.problem.parameters, *self.known.values())

    @cached_property
    def extensions(self) -> dict[Node, Node]:
        """The symbol of the unknowns of each field with the points beyond them."""
        out = {}
        for u in self.problem.states:
            layout = self.layout[u]
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

    def coordinate(self, axis: int, start: Extent, extent: Extent, half: bool = False) -> Node:
        """Return the coordinates of points along an axis, or of the middles behind them, to broadcast against a block.

        Points beyond an end of a periodic axis are those at its other end; beyond a side they continue the grid.
        """
        points, h, n = self.points[axis], self.spacings[axis], grid_size(self.axes[axis])
        below, above = outside(start, extent, n)
        line = _points(points, start + below, extent - (below + above))
        if below or above:
            if self.problem.is_periodic(self.axes[axis]):
                before = [_points(points, n - below, below)] if below else []
                behind = [_points(points, 0, above)] if above else []
            else:
                before = [_points(points, 0, 1) - float(j) * h for j in range(below, 0, -1)]
                behind = [_points(points, n - 1, 1) + float(j) * h for j in range(1, above + 1)]
            line = concatenate(*before, line, *behind, axis=0)
        line = line + 0.5 * h if half else line
        return reshape(line, shape=tuple(line.shape[0] if k == axis else 1 for k in range(len(self.axes))))

    def on_region(self, expressions: Sequence[Node], region: Region, t: Node, values: Blocks) -> list[Node]:
        """Return expressions on a region; one that is the same everywhere stays a scalar."""
        table = {symbols(TIME): t, **values}
        for k, name in enumerate(self.axes):
            table[symbols(name)] = self.coordinate(k, region.starts[k], region.extents[k], half=k == region.half)
        return substitute(expressions, table)

    # -- given values ---------------------------------------------------------------------------------------------

    def side_region(self, side: Side) -> Region:
        """Return the points of a side, which reaches over the axes that are extended before."""
        u, axis, end = side
        layout = self.layout[u]
        starts, extents = list(layout.starts), list(layout.extents)
        for k, (lower, upper) in enumerate(layout.beyond[:axis]):
            starts[k], extents[k] = starts[k] - lower, extents[k] + (lower + upper)
        region = Region(tuple(starts), tuple(extents))
        return region.along(axis, 0 if end == 0 else grid_size(self.axes[axis]) - 1, 1)

    def on_side(self, expression: Node, side: Side, t: Node, values: Blocks) -> Node:
        """Return an expression on the points of a side."""
        return self.on_region([expression], self.side_region(side), t, values)[0]

    @cached_property
    def _given(self) -> dict[Side, Node]:
        """The Dirichlet values that contain no field."""
        found: dict[Side, Node] = {}
        for u in self.problem.all_fields:
            for axis, name in enumerate(self.axes):
                for end, condition in enumerate(self.problem.boundary[u, name]):
                    if condition.kind == "value" and not jets(condition.data(u)[:1]):
                        found[u, axis, end] = condition.data(u)[0]
        return found

    def given(self, t: Node) -> dict[Side, Node]:
        """Return the values on all Dirichlet sides whose values contain no field, at a time."""
        return {side: self.on_side(value, side, t, {}) for side, value in self._given.items()}

    def given_rates(self, t: Node) -> dict[Side, Node]:
        """Return the time derivatives of those of them that change in time."""
        time = symbols(TIME)
        moving = {s: v for s, v in self._given.items() if v in depends_on([v], [time])}
        return {side: self.on_side(diff(value, time), side, t, {}) for side, value in moving.items()}

    # -- states and rates -----------------------------------------------------------------------------------------

    @cached_property
    def solved(self) -> dict[Node, Node]:
        """The symbol of the unknowns of each field of an elliptic equation."""
        return {u: _array(f"{u.params['name']}_block", self.layout[u].extents) for u in self.problem.constraints}

    def extended(self, blocks: Blocks, t: Node) -> list[Node]:
        """Return the unknowns of all fields with the points beyond them, at a time."""
        fields = Fields(self, blocks, t)
        return [fields.extension(u) for u in self.problem.states]

    def starting(self, extended: Blocks) -> Semidiscrete:
        """Return the equations for a step from these extensions, in which searches for elliptic fields begin."""
        begun = {u: extended[u] for u in self.problem.constraints}
        if not begun:
            return self
        out = replace(self, guess={u: self.inner(u, x) for u, x in begun.items()}, begun=begun)
        out.__dict__["layout"] = self.layout
        return out

    def inner(self, u: Node, ext: Node) -> Node:
        """Return the unknowns of a field in its extension."""
        layout = self.layout[u]
        starts = tuple(lower for lower, _ in layout.beyond)
        return slice_(ext, starts=starts, extents=layout.extents, steps=(1,) * len(starts))

    def rates(
        self, blocks: Blocks, t: Node, given: Mapping[Side, Node] | None = None, extended: Blocks | None = None
    ) -> dict[Node, Node]:
        """Return the time derivatives of the unknowns (of a steady problem: what is zero).

        `given` are the Dirichlet values if not those at `t`, `extended` the extensions where they are known already: at
        the start of a step.
        """
        fields = Fields(self, blocks, t, given, {**self.begun, **extended} if extended else None)
        out = {}
        for u, rhs in self.problem.rhs.items():
            (rate,) = fields.evaluate([rhs], self.layout[u].region)
            out[u] = broadcast_to(rate, shape=self.layout[u].extents)
        return out

    def with_rhs(self, rhs: Mapping[Node, Node]) -> Semidiscrete:
        """Return the same unknowns with other right-hand sides, made of terms that the equations have."""
        problem = copy.copy(self.problem)
        problem.rhs = dict(rhs)
        out = replace(self, problem=problem)
        # The points beyond are those of all terms, so extensions fit every part.
        out.__dict__["layout"] = self.layout
        return out


def _array(name: str, shape: Any) -> Node:
    # A leading NUL cannot occur in a user's name, so no parameter is the same symbol.
    return leaves.symbol(name=f"\0{name}", shape=shape, dtype="float64")


def _points(points: Node, start: Extent, extent: Extent) -> Node:
    return slice_(points, starts=(start,), extents=(extent,), steps=(1,))
