"""Where the unknowns of a field are on a grid of named sizes.

Grid points along an axis have the indices 0 … n-1. A Dirichlet condition takes the point on its side out of the
unknowns. To differentiate, the block of unknowns is extended by `beyond` points on each side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symdiff.ir.dims import Extent, Shape, as_extent
from symdiff.ir.node import Node
from symdiff.pde import stencils
from symdiff.pde.jets import jets, orders
from symdiff.pde.problem import Problem


def grid_size(axis: str) -> Extent:
    """The number of points along an axis, by name."""
    return as_extent(f"n{axis}")


@dataclass(frozen=True, slots=True)
class Layout:
    """First index and number of the unknowns along each axis, and the points beyond them, (lower, upper)."""

    starts: tuple[int, ...]
    extents: Shape
    beyond: tuple[tuple[int, int], ...]


def layouts(problem: Problem, order: int) -> dict[Node, Layout]:
    """Return the layout of every field.

    A field reaches as far as its widest formula does from its own unknowns, and one point more where another
    field has unknowns on a side on which this one is given.
    """
    axes = problem.domain.axes
    out = {}
    for u in problem.fields:
        starts, extents, beyond = [], [], []
        for axis in axes:
            ends = [int(side.kind == "value") for side in problem.boundary[u, axis]]
            widest = [[int(side.kind == "value") for side in problem.boundary[v, axis]] for v in problem.fields]
            more = [ends[e] - min(w[e] for w in widest) for e in (0, 1)]
            r = _radius(problem, u, axis, order)
            starts.append(ends[0])
            extents.append(grid_size(axis) - ends[0] - ends[1])
            beyond.append((r + more[0], r + more[1]))
        out[u] = Layout(tuple(starts), tuple(extents), tuple(beyond))
    return out


def _radius(problem: Problem, u: Node, axis: str, order: int) -> int:
    found = [w for w in jets(problem.rhs.values()) if w.params["field"] == u.params["name"]]
    return max((stencils.radius(orders(w)[axis], order) for w in found), default=0)


def fewest_points(problem: Problem, layout: Mapping[Node, Layout], axis: int, order: int) -> int:
    """Return the smallest number of grid points along an axis that the formulas fit on."""
    name = problem.domain.axes[axis]
    need = 2
    for u in problem.fields:
        lower, upper = problem.boundary[u, name]
        reach = layout[u].beyond[axis]
        given = int(lower.kind == "value") + int(upper.kind == "value")
        if lower.kind == "periodic":
            need = max(need, 2 * max(reach) + 1)
            continue
        need = max(need, given + 1)
        for side, points in zip((lower, upper), reach, strict=True):
            if side.kind == "slope" and points:
                need = max(need, given + order)
            elif side.kind == "value" and points > 1:
                need = max(need, given + order + 1)
    return need
