"""The statement of a problem: equations, domain, boundary and initial conditions, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError, DTypeError, ShapeError, SymdiffError, UnknownSymbolError
from symdiff.ir.graph import depends_on, free_symbols, substitute
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.pde.conditions import Condition, Periodic
from symdiff.pde.domain import Box
from symdiff.pde.jets import LAPLACIAN, TIME, expand_laplacian, is_field, jet, jets

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

Sides = tuple[Condition, Condition]


@dataclass(frozen=True, eq=False)
class Eq:
    """The equation lhs = rhs.

    >>> from symdiff import pde
    >>> u = pde.field("u")
    >>> print(Eq(pde.dt(u), pde.laplacian(u)))
    u_t = u_laplacian
    """

    lhs: Any
    rhs: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "lhs", as_node(self.lhs))
        object.__setattr__(self, "rhs", as_node(self.rhs))

    def __str__(self) -> str:
        return f"{self.lhs} = {self.rhs}"


class Problem:
    """Fields that evolve in time on a box.

    `boundary` maps every axis to `Periodic()`, to one condition for both sides or to a pair (lower, upper); a
    field maps to such a table of its own, which goes before the common one. `initial` maps every field to an
    expression in coordinates and parameters, a number, or an array on the grid.

    Raises SymdiffError for equations without exactly one first time derivative of each field, for missing or
    conflicting conditions and for unknown axes or fields.

    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> heat = Problem([pde.Eq(pde.dt(u), pde.laplacian(u))], Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x * (1 - x)})
    >>> print(heat.rhs[u])
    u_xx
    """

    def __init__(
        self,
        equations: Sequence[Eq] | Eq,
        domain: Box,
        boundary: Mapping[Any, Any] | None = None,
        initial: Mapping[Any, Any] | None = None,
        exact: Mapping[Node, Node] | None = None,
    ):
        if not isinstance(domain, Box):
            raise DTypeError(f"The domain of a Problem is a Box, got {domain!r}; write pde.Box(x=(0, 1)).")
        self.domain = domain
        self.equations = tuple([equations] if isinstance(equations, Eq) else equations)
        self.rhs: dict[Node, Node] = _right_hand_sides(self.equations, domain)
        self.fields: tuple[Node, ...] = tuple(self.rhs)
        self.boundary: dict[tuple[Node, str], Sides] = _boundary(dict(boundary or {}), self)
        self.initial: dict[Node, Node | np.ndarray] = _initial(dict(initial or {}), self)
        self.exact: dict[Node, Node] = dict(exact or {})
        self.parameters: tuple[Node, ...] = self._parameters()

    @property
    def coordinates(self) -> tuple[Node, ...]:
        """The symbols of the axes."""
        return tuple(symbols(axis) for axis in self.domain.axes)

    def is_periodic(self, axis: str) -> bool:
        """Whether an axis closes on itself."""
        return isinstance(self.boundary[self.fields[0], axis][0], Periodic)

    def discretize(self, shape: Any, order: int = 2) -> Solver:
        """Return a solver on a grid of `shape` points, with central differences of this order of accuracy in space.

        `shape` counts the points along each axis, both ends included where the axis is not periodic. Orders are
        2, 4, 6 and 8. Raises ShapeError or DomainError for a grid that the formulas do not fit.
        """
        from symdiff.pde.solver import Solver

        return Solver(self, shape, order)

    def _parameters(self) -> tuple[Node, ...]:
        roots = [*self.rhs.values(), *(v for v in self.initial.values() if isinstance(v, Node))]
        roots += [e for pair in self.boundary.values() for side in pair for e in side.expressions()]
        known = {*self.coordinates, symbols(TIME)}
        found = [s for s in free_symbols(roots) if s not in known and "field" not in s.params]
        for s in found:
            if s.shape != ():
                raise ShapeError(f"Parameters of a Problem are scalars, got {brief(s)} of shape {s.shape} ({s.line}).")
        return tuple(found)

    def __repr__(self) -> str:
        return f"Problem({'; '.join(map(str, self.equations))} on {self.domain!r})"


def _right_hand_sides(equations: Sequence[Eq], domain: Box) -> dict[Node, Node]:
    """Solve each equation, linear in its time derivative u_t, for it; in the order of the equations."""
    out: dict[Node, Node] = {}
    if not equations:
        raise SymdiffError("A Problem needs at least one equation; write pde.Eq(pde.dt(u), pde.laplacian(u)).")
    for eq in equations:
        if not isinstance(eq, Eq):
            raise DTypeError(f"The equations of a Problem are made with pde.Eq(lhs, rhs), got {eq!r}.")
        left, right = eq.lhs, eq.rhs
        found = [w for w in jets([left, right]) if TIME in w.params["by"]]
        if len(found) != 1 or found[0].params["by"] != (TIME,):
            names = ", ".join(w.params["name"] for w in found) or "none"
            raise SymdiffError(
                f"The equation {eq} ({left.line}) should contain the first time derivative of one field, got {names}; "
                "write one equation dt(u) = … for each field."
            )
        u_t = found[0]
        u = jet(u_t.params["field"], ())
        if u in out:
            raise SymdiffError(f"Two equations determine dt({u.params['name']}) ({left.line}); keep one.")
        rhs = right if left is u_t and u_t not in free_symbols([right]) else _solve_for(u_t, left - right, eq)
        out[u] = _expanded(rhs, domain.axes)
    for rhs in out.values():
        for w in jets([rhs]):
            if jet(w.params["field"], ()) not in out:
                raise SymdiffError(
                    f"The field {w.params['field']!r} ({w.line}) has no equation; add Eq(dt(…), …) for it."
                )
            for axis in w.params["by"]:
                if axis not in domain.axes:
                    raise SymdiffError(
                        f"{w.params['name']} ({w.line}) differentiates by {axis!r}, which is no axis of {domain!r}."
                    )
    return out


def _solve_for(u_t: Node, f: Node, eq: Eq) -> Node:
    """Solve f = a*u_t + b = 0."""
    slope = diff(f, u_t)
    if slope in depends_on([slope], [u_t]):
        raise SymdiffError(
            f"The equation {eq} is not linear in {u_t.params['name']}; solve it for the time derivative."
        )
    (rest,) = substitute([f], {u_t: const(0.0)})
    return -rest / slope


def _expanded(rhs: Node, axes: Sequence[str]) -> Node:
    replacements = {w: expand_laplacian(w, axes) for w in jets([rhs]) if LAPLACIAN in w.params["by"]}
    return substitute([rhs], replacements)[0] if replacements else rhs


def _boundary(given: dict[Any, Any], problem: Problem) -> dict[tuple[Node, str], Sides]:
    """Return the two conditions of every field on every axis."""
    axes = problem.domain.axes
    own: dict[Node, dict[str, Any]] = {}
    common: dict[str, Any] = {}
    for key, value in given.items():
        name = key if isinstance(key, str) else None
        if isinstance(key, Node) and not is_field(key):
            name = key.params.get("name")
        if name is not None:
            common[name] = value
        elif key in problem.fields:
            own[key] = {k if isinstance(k, str) else k.params["name"]: v for k, v in dict(value).items()}
        else:
            raise UnknownSymbolError(
                f"A boundary condition names {key!s}, which is no field of the problem; {_fields(problem)}."
            )
    for table in (common, *own.values()):
        for axis in table:
            if axis not in axes:
                raise UnknownSymbolError(
                    f"A boundary condition names the axis {axis!r}; the domain has {', '.join(axes)}."
                )
    out: dict[tuple[Node, str], Sides] = {}
    for u in problem.fields:
        for axis in axes:
            value = own.get(u, {}).get(axis, common.get(axis))
            out[u, axis] = _sides(value, u.params["name"], axis)
    _check_conditions(out, problem)
    return out


def _sides(value: Any, name: str, axis: str) -> Sides:
    if value is None:
        raise SymdiffError(
            f"The field {name!r} has no boundary condition on axis {axis!r}; "
            f"add boundary={{{axis!r}: (lower, upper)}} with Dirichlet, Neumann or Robin, or {axis!r}: Periodic()."
        )
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(c, Condition) for c in pair):
        raise DTypeError(
            f"The boundary condition of {name!r} on axis {axis!r} is Periodic(), one condition or a pair "
            f"(lower, upper), got {value!r}."
        )
    if isinstance(pair[0], Periodic) != isinstance(pair[1], Periodic):
        raise SymdiffError(
            f"Axis {axis!r} of field {name!r} is periodic on one side only; a periodic axis has no sides: "
            f"write {axis!r}: Periodic()."
        )
    return pair


def _check_conditions(table: dict[tuple[Node, str], Sides], problem: Problem) -> None:
    for axis in problem.domain.axes:
        kinds = {isinstance(table[u, axis][0], Periodic) for u in problem.fields}
        if len(kinds) > 1:
            raise SymdiffError(
                f"Axis {axis!r} is periodic for some fields only; a grid closes on itself for all of them or for none."
            )
    for (u, axis), pair in table.items():
        for condition in pair:
            for w in jets(condition.expressions()):
                if condition.kind == "value" or w is not u:
                    raise SymdiffError(
                        f"The {type(condition).__name__} condition of {u.params['name']!r} on axis {axis!r} contains "
                        f"{w.params['name']} ({w.line}); it may contain coordinates, t and parameters, and for Neumann "
                        "and Robin the field itself."
                    )
        for rhs in problem.rhs.values():
            high = [w for w in jets([rhs]) if w.params["field"] == u.params["name"] and w.params["by"].count(axis) > 2]
            if high and pair[0].kind != "periodic":
                raise SymdiffError(
                    f"{high[0].params['name']} needs two conditions on each side of axis {axis!r}, "
                    "and only one is given; write the equation as a system of second-order equations, or make the axis "
                    "periodic."
                )


def _initial(given: dict[Any, Any], problem: Problem) -> dict[Node, Node | np.ndarray]:
    out: dict[Node, Node | np.ndarray] = {}
    for key, value in given.items():
        if key not in problem.fields:
            raise UnknownSymbolError(
                f"An initial condition names {key!s}, which is no field of the problem; {_fields(problem)}."
            )
        if isinstance(value, np.ndarray) and value.ndim:
            out[key] = np.array(value, dtype=float)
            continue
        node = as_node(value)
        if node.shape != () or jets([node]):
            raise ShapeError(
                f"The initial condition of {key!s} is an expression in coordinates, a number or an array, "
                f"got {brief(node)}."
            )
        out[key] = substitute([node], {symbols(TIME): const(0.0)})[0]
    for u in problem.fields:
        if u not in out:
            raise DomainError(
                f"The field {u.params['name']!r} has no initial condition; add initial={{{u.params['name']}: …}}."
            )
    return out


def _fields(problem: Problem) -> str:
    names = ", ".join(u.params["name"] for u in problem.fields)
    return f"it has {names}"
