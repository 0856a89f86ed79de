"""Verification: problems with a known solution, and observed orders of convergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.errors import ConvergenceError, DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, as_node, const
from symdiff.pde.conditions import Condition, Dirichlet, Neumann, Periodic, Robin
from symdiff.pde.domain import Box
from symdiff.pde.equations import Eq, system
from symdiff.pde.evaluate import on_points
from symdiff.pde.jets import TIME, WHOLE, d, is_field, jets, term, terms
from symdiff.pde.problem import Problem
from symdiff.pde.terms import plain


def manufactured(
    equations: Sequence[Eq] | Eq, exact: Mapping[Any, Any], domain: Box, boundary: Mapping[str, Any] | None = None
) -> Problem:
    """Return the problem whose solution is `exact`: every equation gets the source that makes it so.

    `boundary` names the kind of condition on each axis, `Dirichlet`, `Neumann`, `Periodic` or a `Robin(a, b, 0)`,
    one or a pair; their values come from `exact`. Without it all sides are Dirichlet.

    >>> import symdiff as sd
    >>> from symdiff import pde
    >>> x, t = pde.coordinates("x t")
    >>> u = pde.field("u")
    >>> problem = manufactured(pde.Eq(pde.dt(u), pde.laplacian(u)), {u: x * t}, pde.Box(x=(0, 1)))
    >>> print(problem.rhs[u])
    u_xx + x
    """
    given = list(equations) if isinstance(equations, (list, tuple)) else [equations]
    solution = {u: as_node(e) for u, e in exact.items()}
    for u, e in solution.items():
        if not is_field(u) or jets([e]):
            raise UnknownSymbolError(
                f"The exact solution maps fields to expressions in coordinates, t and parameters, got {u!s}: {e!s}."
            )
    stated = system(given, domain)
    for u, v in stated.velocities.items():
        if u in solution:
            solution[v] = diff(solution[u], symbols(TIME))
    for u in stated.rates:
        if u not in solution:
            raise UnknownSymbolError(f"The field {u.params['name']!r} has no exact solution; add it to the table.")
    for u, f in stated.definitions.items():
        solution[u] = _exact(f, solution)
    forced = [Eq(u, f) for u, f in stated.definitions.items()]
    moved = {v: u for u, v in stated.velocities.items()}
    for u, rhs in stated.rates.items():
        time = symbols(TIME)
        if stated.is_steady:
            forced.append(Eq(rhs - _exact(rhs, solution), 0.0))
        elif u not in stated.velocities:
            source = diff(solution[u], time) - _exact(rhs, solution)
            forced.append(Eq(d(moved[u], time, 2) if u in moved else d(u, time), rhs + source))
    kinds = boundary or dict.fromkeys(domain.axes, Dirichlet)
    conditions = {
        u: {axis: _sides(kinds.get(axis), solution[u], axis, domain) for axis in domain.axes} for u in solution
    }
    start = {u: substitute([solution[u]], {symbols(TIME): const(0.0)})[0] for u in stated.rates}
    return Problem(forced, domain, conditions, {} if stated.is_steady else start, solution)


def _exact(f: Node, solution: Mapping[Node, Node]) -> Node:
    """Return an expression with the exact solution in it; integrals stay, for the quadrature to take."""
    table = {w: _derivative(solution, w) for w in jets([f])}
    for s in terms([f]):
        if s.params["term"] in WHOLE:
            table[s] = term(s.params["term"], _exact(s.params["of"], solution), s.params["label"])
        else:
            table[s] = _exact(plain(s), solution)
    return substitute([f], table)[0] if table else f


def _derivative(solution: Mapping[Node, Node], w: Node) -> Node:
    """Return the exact value of a jet symbol."""
    out = next(e for u, e in solution.items() if u.params["name"] == w.params["field"])
    for name in w.params["by"]:
        out = diff(out, symbols(name))
    return out


def _sides(kinds: Any, exact: Node, axis: str, domain: Box) -> tuple[Condition, Condition]:
    pair = tuple(kinds) if isinstance(kinds, (tuple, list)) else (kinds, kinds)
    ends = domain.intervals[domain.axes.index(axis)]
    outward = (-diff(exact, symbols(axis)), diff(exact, symbols(axis)))
    out: list[Condition] = []
    for kind, end, slope in zip(pair, ends, outward, strict=True):
        value, slope = substitute([exact, slope], {symbols(axis): const(end)})
        if kind is Periodic or isinstance(kind, Periodic):
            out.append(Periodic())
        elif kind is Dirichlet:
            out.append(Dirichlet(value))
        elif kind is Neumann:
            out.append(Neumann(slope))
        elif isinstance(kind, Robin):
            out.append(Robin(kind.a, kind.b, kind.a * value + kind.b * slope))
        else:
            raise DTypeError(
                f"The kind of condition on axis {axis!r} is Dirichlet, Neumann, Periodic or a Robin(a, b, 0), "
                f"got {kind!r}."
            )
    return out[0], out[1]


@dataclass(frozen=True, slots=True)
class Convergence:
    """Errors on ever finer grids or steps, and the orders between neighbours.

    `sizes` are the spacings or steps, `errors` the largest errors at the end, `orders` one number less.
    """

    sizes: tuple[float, ...]
    errors: tuple[float, ...]
    orders: tuple[float, ...]

    @property
    def order(self) -> float:
        """The order that the last refinement showed."""
        return self.orders[-1]

    def __repr__(self) -> str:
        rows = ["      size       error   order"]
        for k, (h, e) in enumerate(zip(self.sizes, self.errors, strict=True)):
            rows.append(f"{h:10.3e}  {e:10.3e}" + (f"  {self.orders[k - 1]:6.2f}" if k else ""))
        return "\n".join(rows)


def convergence(
    problem: Problem,
    shapes: Sequence[Any],
    until: float,
    order: int = 2,
    method: str = "rk4",
    dts: Sequence[float | None] | None = None,
    expect: float | None = None,
    band: float = 0.2,
    **options: Any,
) -> Convergence:
    """Return the errors of runs with known solution (`manufactured`) and the observed orders.

    With several `shapes` the order is that in space: `dts` gives the step on each, None an automatic one (pick steps
    small enough not to matter). With one shape and several `dts` it is the order in time, from the differences of
    runs with neighbouring steps, so that the error in space cancels. `options` go to `Solver.run`.

    Raises ConvergenceError when `expect` is given and the last order is lower by more than `band`.
    """
    if len(shapes) == 1 and dts is not None and len(dts) > 2:
        sizes, errors = _in_time(problem, shapes[0], until, order, method, [float(dt or 0) for dt in dts], options)
    elif len(shapes) > 1 and (dts is None or len(dts) == len(shapes)):
        sizes, errors = _in_space(problem, shapes, until, order, method, list(dts or [None] * len(shapes)), options)
    else:
        raise DomainError(
            "convergence takes at least two shapes, with one dt for each if any, or one shape and at least three dts."
        )
    with np.errstate(all="ignore"):
        orders = tuple((np.diff(np.log(errors)) / np.diff(np.log(sizes))).tolist())
    result = Convergence(tuple(sizes), tuple(errors), orders)
    if expect is not None and not result.order >= expect - band:
        raise ConvergenceError(
            f"Expected order {expect:g} (at most {band:g} less), observed {result.order:.2f}:\n{result!r}"
        )
    return result


def error(problem: Problem, solution: Any, parameters: Mapping[Any, Any] | None = None) -> float:
    """Return the largest difference of a solution from the problem's exact one, at its time."""
    if not problem.exact:
        raise DomainError("The problem has no exact solution; make it with pde.manufactured.")
    values = {s: float((parameters or {})[s]) for s in problem.parameters}
    points = dict(zip(solution.grid.axes, solution.grid.mesh(), strict=True))
    worst = [np.abs(solution[u] - on_points(e, points, solution.t, values)).max() for u, e in problem.exact.items()]
    return float(max(worst))


def _in_space(
    problem: Problem,
    shapes: Sequence[Any],
    until: float,
    order: int,
    method: str,
    dts: Sequence[float | None],
    options: Any,
) -> tuple[list[float], list[float]]:
    sizes, errors = [], []
    for shape, dt in zip(shapes, dts, strict=True):
        solver = problem.discretize(shape, order)
        solution = solver.run(until, method=method, dt=dt, **options)
        sizes.append(max(solver.grid.spacing))
        errors.append(error(problem, solution, options.get("parameters")))
    return sizes, errors


def _in_time(
    problem: Problem, shape: Any, until: float, order: int, method: str, dts: Sequence[float], options: Any
) -> tuple[list[float], list[float]]:
    solver = problem.discretize(shape, order)
    runs = [solver.run(until, method=method, dt=dt, **options) for dt in dts]
    errors = [max(float(np.abs(a[u] - b[u]).max()) for u in problem.fields) for a, b in pairwise(runs)]
    return [run.dt for run in runs[:-1]], errors
