"""Verification: problems with a known solution, made from any other by a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, as_node, const
from symdiff.pde.conditions import Both, Condition, Dirichlet, Neumann, Periodic, Robin
from symdiff.pde.domain import Box
from symdiff.pde.equations import Eq, system
from symdiff.pde.fluxes import plain
from symdiff.pde.jets import TIME, WHOLE, d, field, is_field, jets, term, terms
from symdiff.pde.problem import Problem
from symdiff.pde.side_equations import normal
from symdiff.pde.text import parse


def manufactured(
    equations: Sequence[Any] | Any, exact: Mapping[Any, Any], domain: Box, boundary: Mapping[str, Any] | None = None
) -> Problem:
    """Return the problem whose solution is `exact`: every equation gets the source that makes it so.

    Equations, fields and solutions may be text. `boundary` names the kind of condition on each axis, `Dirichlet`,
    `Neumann`, `Periodic`, a `Robin(a, b, 0)` or `Dirichlet(0) & Neumann(0)`, one or a pair; their values come from
    `exact`. Sides along axes that it leaves out are Dirichlet.

    Raises UnknownSymbolError for fields without a solution and for axes that the domain does not have, DomainError
    for a solution that is not periodic where it is said to be.

    >>> import symdiff as sd
    >>> from symdiff import pde
    >>> x, t = pde.coordinates("x t")
    >>> u = pde.field("u")
    >>> problem = manufactured(pde.Eq(pde.dt(u), pde.laplacian(u)), {u: x * t}, pde.Box(x=(0, 1)))
    >>> print(problem.rhs[u])
    u_xx + x
    """
    several = equations if isinstance(equations, (list, tuple)) else [equations]
    solution = dict(_read(u, e) for u, e in exact.items())
    given = [parse(e, solution) if isinstance(e, str) else e for e in several]
    for u, e in solution.items():
        if not is_field(u) or jets([e]):
            raise UnknownSymbolError(
                f"The exact solution maps fields to expressions in coordinates, t and parameters, got {u!s}: {e!s}."
            )
    stated = system(given, domain)
    for u, v in stated.velocities.items():
        if u in solution:
            solution[v] = diff(solution[u], symbols(TIME))
    for u in (*stated.rates, *stated.constraints):
        if u not in solution:
            raise UnknownSymbolError(f"The field {u.params['name']!r} has no exact solution; add it to the table.")
    for u, f in stated.definitions.items():
        solution[u] = _exact(f, solution)
    forced = [Eq(u, f) for u, f in stated.definitions.items()]
    forced += [Eq(f - _exact(f, solution), 0.0) for f in stated.constraints.values()]
    moved = {v: u for u, v in stated.velocities.items()}
    for u, rhs in stated.rates.items():
        time = symbols(TIME)
        if stated.is_steady:
            forced.append(Eq(rhs - _exact(rhs, solution), 0.0))
        elif u not in stated.velocities:
            source = diff(solution[u], time) - _exact(rhs, solution)
            forced.append(Eq(d(moved[u], time, 2) if u in moved else d(u, time), rhs + source))
    kinds = {**dict.fromkeys(domain.axes, Dirichlet), **(boundary or {})}
    for axis in kinds:
        if axis not in domain.axes:
            raise UnknownSymbolError(f"The domain has no axis {axis!r}; its axes are {', '.join(domain.axes)}.")
    conditions = {u: {axis: _sides(kinds[axis], solution[u], axis, domain) for axis in domain.axes} for u in solution}
    start = {u: substitute([solution[u]], {symbols(TIME): const(0.0)})[0] for u in stated.rates}
    return Problem(forced, domain, conditions, {} if stated.is_steady else start, solution)


def _read(u: Any, e: Any) -> tuple[Node, Node]:
    """Return a field and its solution, which may be text."""
    return field(u) if isinstance(u, str) else u, parse(e, ()) if isinstance(e, str) else as_node(e)


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
    if any(kind is Periodic or isinstance(kind, Periodic) for kind in pair):
        _check_period(exact, axis, ends)

    def outward(n: int, end: int) -> Node:
        value = diff(exact, symbols(axis), n) if n else exact
        return substitute([value if end or n % 2 == 0 else -value], {symbols(axis): const(ends[end])})[0]

    lower, upper = (_side(kind, axis, partial(outward, end=end)) for end, kind in enumerate(pair))
    return lower, upper


def _side(kind: Any, axis: str, outward: Callable[[int], Node]) -> Condition:
    """Return a condition of a kind, where the exact solution has these outward derivatives."""
    if kind is Periodic or isinstance(kind, Periodic):
        return Periodic()
    if kind is Dirichlet or kind is Neumann:
        return normal(kind.orders[0], outward(kind.orders[0]))
    if isinstance(kind, Robin):
        return Robin(kind.a, kind.b, kind.a * outward(0) + kind.b * outward(1))
    if isinstance(kind, Both):
        return Both(*(normal(n, outward(n)) for n in kind.orders))
    raise DTypeError(
        f"The kind of condition on axis {axis!r} is Dirichlet, Neumann, Periodic, a Robin(a, b, 0) or two such as "
        f"Dirichlet(0) & Neumann(0), got {kind!r}."
    )


def _check_period(exact: Node, axis: str, ends: Sequence[float]) -> None:
    """Raise DomainError if a solution or its slope differs at the ends of an axis, at a random point."""
    both = [exact, diff(exact, symbols(axis))]
    lower, upper = (substitute(both, {symbols(axis): const(end)}) for end in ends)
    rng = np.random.default_rng(7)
    others = {s: rng.uniform(0.3, 0.9) for s in free_symbols([*lower, *upper])}
    for a, b in zip(interpret(lower, dict(others)), interpret(upper, dict(others)), strict=True):
        # Rounding errors of a formula are far below, those of another formula far above.
        if not abs(a - b) <= 1e-8 * max(abs(a), abs(b), 1.0):
            raise DomainError(
                f"The exact solution {exact!s} does not repeat along {axis!r}: it, or its slope, is {float(a):.6g} at "
                f"{axis} = {ends[0]:g} and {float(b):.6g} at {ends[1]:g}, at some point of the other coordinates."
            )
