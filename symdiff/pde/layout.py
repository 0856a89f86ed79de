"""Where the unknowns of a field are on a grid of named sizes.

Grid points along an axis have the indices 0 … n-1. A Dirichlet condition takes the point on its side out of the
unknowns. To differentiate, the block of unknowns is extended by `beyond` points on each side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from symdiff.ir.dims import Extent, Shape, as_extent
from symdiff.ir.node import Node
from symdiff.pde import ghosts, stencils
from symdiff.pde.jets import WHOLE, is_field, jet, jets, orders, terms
from symdiff.pde.problem import Problem

Pairs = tuple[tuple[int, int], ...]


def grid_size(axis: str) -> Extent:
    """The number of points along an axis, by name."""
    return as_extent(f"n{axis}")


def outside(first: Extent, count: Extent, n: Extent) -> tuple[int, int]:
    """Return how many of `count` places from `first` on lie before 0 and behind n - 1: numbers, as sizes cancel."""
    below, above = -first, first + count - n
    return max(below, 0) if isinstance(below, int) else 0, max(above, 0) if isinstance(above, int) else 0


@dataclass(frozen=True, slots=True)
class Region:
    """A box of grid points: first index and number along each axis; along `half` the middles behind these points."""

    starts: Shape
    extents: Shape
    half: int | None = None

    def along(self, axis: int, start: Extent, extent: Extent, half: bool = False) -> Region:
        """Return the region with other points along an axis."""
        starts = (*self.starts[:axis], start, *self.starts[axis + 1 :])
        extents = (*self.extents[:axis], extent, *self.extents[axis + 1 :])
        return Region(starts, extents, axis if half else self.half)


@dataclass(frozen=True, slots=True)
class Layout:
    """First index and number of the unknowns along each axis, and the points beyond them, (lower, upper)."""

    starts: tuple[int, ...]
    extents: Shape
    beyond: Pairs

    @property
    def region(self) -> Region:
        """The unknowns."""
        return Region(self.starts, self.extents)


def layouts(problem: Problem, order: int, also: Sequence[Node] = ()) -> dict[Node, Layout]:
    """Return the layout of every field.

    A field reaches as far as the formulas of all equations need it, those of the numbers `also`, and on the earlier
    axes as far as a field whose condition contains it.
    """
    axes = problem.domain.axes
    out = {}
    for u in problem.all_fields:
        ends = [_given(problem, u, axis) for axis in axes]
        extents = tuple(grid_size(axis) - lower - upper for axis, (lower, upper) in zip(axes, ends, strict=True))
        beyond = tuple(_reach(problem, u, k, order, also) for k in range(len(axes)))
        out[u] = Layout(tuple(lower for lower, _ in ends), extents, beyond)
    for _ in problem.all_fields:
        for (u, axis), sides in problem.boundary.items():
            for w in {w for side in sides for w in jets(side.expressions())} - {u}:
                v = jet(w.params["field"], ())
                out[v] = _widened(problem, out, w, u, axes.index(axis), order)
                if not is_field(w) or w in problem.definitions:
                    # What is given by derivatives or by a defined field is seen on the sides by the extension only.
                    least = [_given(problem, u, name) for name in axes]
                    out[u] = replace(out[u], beyond=_larger(out[u].beyond, least))
    return out


def _larger(a: Pairs, b: Sequence[tuple[int, int]]) -> Pairs:
    return tuple((max(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True))


def _given(problem: Problem, u: Node, axis: str) -> tuple[int, int]:
    """Return 1 for each side of an axis on which a field is given, else 0."""
    lower, upper = problem.boundary[u, axis]
    return int(lower.kind == "value"), int(upper.kind == "value")


def _reach(problem: Problem, u: Node, axis: int, order: int, also: Sequence[Node]) -> tuple[int, int]:
    """Return how many points beyond the unknowns of a field the formulas of all equations need."""
    name = problem.domain.axes[axis]
    own, reach = _given(problem, u, name), [0, 0]
    for f, rhs in [*problem.all_rhs.items(), *((u, number) for number in also)]:
        for w, wrapping in _uses([rhs]):
            if w.params["field"] != u.params["name"]:
                continue
            ends = _given(problem, f, name)
            for e, needed in enumerate(_needed(w, wrapping, axis, problem, order)):
                from_side = 0 if _reaches_sides(wrapping, name, problem.is_periodic(name)) else ends[e]
                reach[e] = max(reach[e], needed + own[e] - from_side)
    return reach[0], reach[1]


def _uses(roots: list[Node], wrapping: Node | None = None) -> Iterator[tuple[Node, Node | None]]:
    """Yield the jets under `roots`, each with the innermost term that it is in."""
    for w in jets(roots):
        yield w, wrapping
    for s in terms(roots):
        yield from _uses([s.params["of"]], s)


def _reaches_sides(wrapping: Node | None, axis: str, is_periodic: bool) -> bool:
    """Whether a term is evaluated on the sides of an axis too: one of the whole domain, and a flux along the axis."""
    if wrapping is None:
        return False
    kind = wrapping.params["term"]
    return kind in WHOLE or (kind in ("flux", "nodal") and axis in wrapping.params["by"] and not is_periodic)


def _needed(w: Node, wrapping: Node | None, axis: int, problem: Problem, order: int) -> tuple[int, int]:
    """Return how far the formula of a jet reaches below and above a point along an axis."""
    name = problem.domain.axes[axis]
    n = orders(w)[name]
    r = stencils.radius(n, order)
    if wrapping is None or wrapping.params["term"] in WHOLE or name not in wrapping.params["by"]:
        return r, r
    if wrapping.params["term"] == "nodal":
        if problem.is_periodic(name):
            return stencils.radius(2, order), stencils.radius(2, order)
        # The values at the points of the grid, and on sides their slopes.
        r = stencils.radius(1, order)
        lower, upper = (slopes_given(problem, wrapping.params["of"], name, end) for end in (0, 1))
        return r * lower, r * upper
    if wrapping.params["term"] == "biased":
        accuracy = wrapping.params["accuracy"] or order
        offsets = stencils.biased(accuracy, wrapping.params["direction"])
        # Points beyond sides of another order are continued from the slopes there.
        is_own = stencils.beside_leaning(accuracy) != (order, order) and not problem.is_periodic(name)
        least = stencils.radius(1, order) if is_own else 0
        return max(least, -min(offsets)), max(least, *offsets)
    half = stencils.half_radius(n, order)
    r = order // 2 + half - 1 if problem.is_periodic(name) else max(r, half - 1)
    return r, r


def slopes_given(problem: Problem, f: Node, axis: str, end: int) -> bool:
    """Whether the slope of one of the fields in an expression is given on a side."""
    return any(problem.boundary[u, axis][end].kind == "slope" for u in jets([f]))


def _widened(problem: Problem, found: Mapping[Node, Layout], w: Node, u: Node, axis: int, order: int) -> Layout:
    """Return the layout of a field with the points that its derivative w needs in a condition of u on an axis."""
    v = jet(w.params["field"], ())
    beyond = []
    for k, name in enumerate(problem.domain.axes):
        mine, other = _given(problem, v, name), _given(problem, u, name)
        reach = stencils.radius(orders(w)[name], order)
        more = found[u].beyond[k] if k < axis else (0, 0)
        # On the axis itself the condition is taken on the side, else where the unknowns of u are.
        first = other if k != axis else (0, 0)
        lower, upper = (more[e] + reach + mine[e] - first[e] for e in (0, 1))
        beyond.append((0, 0) if k == axis and is_field(w) else (lower, upper))
    return replace(found[v], beyond=_larger(found[v].beyond, beyond))


def fewest_points(
    problem: Problem, layout: Mapping[Node, Layout], axis: int, order: int, also: Sequence[Node] = ()
) -> int:
    """Return the smallest number of grid points along an axis that the formulas fit on."""
    name = problem.domain.axes[axis]
    need = 2
    found = [s for f in [*problem.all_rhs.values(), *also] for s in terms([f])]
    if any(s.params["term"] == "integral" and not problem.is_periodic(name) for s in found):
        need = max(need, 2 * (order - 1))
    for u in problem.all_fields:
        lower, upper = problem.boundary[u, name]
        reach = layout[u].beyond[axis]
        given = int(lower.kind == "value") + int(upper.kind == "value")
        if lower.kind == "periodic":
            need = max(need, 2 * max(reach) + 1)
            continue
        need = max(need, given + 1)
        if any(s.params["term"] == "flux" and s.params["by"] == (name,) for s in found):
            need = max(need, order)
        for s in found:
            if s.params["term"] == "biased" and s.params["by"] == (name,):
                value, slope = stencils.beside_leaning(s.params["accuracy"] or order)
                need = max(need, given + max(stencils.dirichlet_points(value), slope))
        if order > 2 and any(s.params["term"] == "nodal" and name in s.params["by"] for s in found):
            need = max(need, stencils.dirichlet_points(order) + 1)
        for side, points in zip((lower, upper), reach, strict=True):
            if points > int(side.kind == "value"):
                need = max(need, given + ghosts.points(side, order))
    return need
