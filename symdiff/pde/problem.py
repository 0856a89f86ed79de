"""The statement of a problem: equations, domain, boundary and initial conditions, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError, DTypeError, ShapeError, SymdiffError, UnknownSymbolError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.pde.boundary import Sides, as_field
from symdiff.pde.boundary import boundary as table_of
from symdiff.pde.conditions import Periodic
from symdiff.pde.domain import Box
from symdiff.pde.equations import Eq, system
from symdiff.pde.jets import TIME, all_jets, all_symbols, is_field

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

__all__ = ["Eq", "Problem", "Sides", "Start"]

Start = Node | np.ndarray | Callable[..., Any]
"""What a field starts from: an expression, an array on the grid, or a function of the coordinates' arrays."""


class Problem:
    """Fields on a box: equations, boundary and initial conditions.

    `equations` give the time derivative of each field, `Eq(dt(u), …)`, or its second one, `Eq(dt(u, 2), …)`, whose
    first one is then a field of its own (`velocities`). A field may be defined by the others, `Eq(w, laplacian(u))`, or
    be determined by an equation without time derivatives beside them, `Eq(laplacian(psi), -w)` (`constraints`), which
    every step solves. Equations that all have no time derivative state a steady problem (`is_steady`), for
    `Solver.steady`.

    `boundary` maps every axis to `Periodic()`, to one condition for both sides or to a pair (lower, upper); a
    field maps to such a table of its own, which goes before the common one. A condition is a `Dirichlet`, `Neumann`
    or `Robin`, an equation in u and `dn(u)`, or the text of one; it may contain other fields and their derivatives.
    Where derivatives of third or fourth order need two on one side, write `Dirichlet(0) & Neumann(0)`, or a tuple of
    equations. Where a field psi of an elliptic equation has two, a field w in it that has none takes what the equation
    says of w on that side. `initial` maps every field that evolves, and dt(u) where the second derivative is given, to
    an expression in coordinates and parameters, a number, an array on the grid, or a function of the coordinates'
    arrays; the start of a search for a steady or elliptic field is 0 if left out. `known` are fields without an
    equation and conditions, such as a diffusivity or a source: every run is given their values on the grid, as
    parameters.

    Raises SymdiffError for fields without an equation or with two, for missing or conflicting conditions and for
    unknown axes or fields.

    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> heat = Problem([pde.Eq(pde.dt(u), pde.laplacian(u))], Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x * (1 - x)})
    >>> print(heat.rhs[u])
    u_xx
    """

    def __init__(
        self,
        equations: Sequence[Any] | Any,
        domain: Box,
        boundary: Mapping[Any, Any] | None = None,
        initial: Mapping[Any, Any] | None = None,
        exact: Mapping[Node, Node] | None = None,
        known: Sequence[Node] = (),
    ):
        if not isinstance(domain, Box):
            raise DTypeError(f"The domain of a Problem is a Box, got {domain!r}; write pde.Box(x=(0, 1)).")
        self.domain = domain
        self.known: tuple[Node, ...] = _known(known)
        found = system(equations, domain, self.known)
        self.equations: tuple[Any, ...] = found.equations
        self.rhs: dict[Node, Node] = found.rates
        self.fields: tuple[Node, ...] = tuple(found.rates)
        self.constraints: dict[Node, Node] = found.constraints
        self.definitions: dict[Node, Node] = found.definitions
        self.velocities: dict[Node, Node] = found.velocities
        self.is_steady = found.is_steady
        self.boundary: dict[tuple[Node, str], Sides] = table_of({} if boundary is None else boundary, found, domain)
        self.initial: dict[Node, Start] = _initial({} if initial is None else initial, self)
        self.exact: dict[Node, Node] = dict(exact or {})
        self.parameters: tuple[Node, ...] = self._parameters()

    @property
    def coordinates(self) -> tuple[Node, ...]:
        """The symbols of the axes."""
        return tuple(symbols(axis) for axis in self.domain.axes)

    @property
    def all_fields(self) -> tuple[Node, ...]:
        """The unknown fields, those that are defined by them, and the known ones."""
        return (*self.states, *self.definitions, *self.known)

    @property
    def states(self) -> tuple[Node, ...]:
        """The unknown fields: those that evolve, or are steady, and those that elliptic equations determine."""
        return (*self.fields, *self.constraints)

    @property
    def all_rhs(self) -> dict[Node, Node]:
        """What is equal to the rate of an unknown field, to a field that is defined, or to zero."""
        return {**self.rhs, **self.constraints, **self.definitions}

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
        roots = [*self.all_rhs.values(), *(v for v in self.initial.values() if isinstance(v, Node))]
        roots += [e for pair in self.boundary.values() for side in pair for e in side.expressions()]
        known = {*self.coordinates, symbols(TIME)}
        found = [s for s in all_symbols(roots) if s not in known and "by" not in s.params]
        for s in found:
            if s.shape != ():
                raise ShapeError(
                    f"Parameters of a Problem are scalars, got {brief(s)} of shape {s.shape} ({s.line}); for values on "
                    "the grid take a pde.field and Problem(…, known=[…])."
                )
            if any(s.params["name"] == u.params["name"] for u in self.known):
                raise SymdiffError(f"{s!s} is a known field and a parameter too ({s.line}); rename one.")
        return tuple(found)

    def __repr__(self) -> str:
        return f"Problem({'; '.join(map(str, self.equations))} on {self.domain!r})"


def _known(given: Sequence[Node]) -> tuple[Node, ...]:
    fields = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for u in fields:
        if not is_field(u):
            raise DTypeError(f"known is a list of fields, made with pde.field, got {u!s}.")
    return fields


def _initial(given: Mapping[Any, Any], problem: Problem) -> dict[Node, Start]:
    if not isinstance(given, Mapping):
        raise DTypeError(f"initial is a table of values by field, such as {{u: 0}}, got {brief(as_node(given))}.")
    out: dict[Node, Start] = {}
    names = {u.params["name"]: u for u in problem.states}
    for key, value in given.items():
        u = as_field(key, names)
        if u is None:
            raise UnknownSymbolError(
                f"An initial condition names {key!s}, which is no field of the problem that evolves; "
                f"it has {', '.join(names)}."
            )
        if isinstance(value, (np.ndarray, list, tuple)) and np.ndim(value):
            out[u] = np.array(value, dtype=float)
            continue
        if callable(value):
            out[u] = value
            continue
        node = as_node(value)
        if node.shape != () or all_jets([node]):
            raise ShapeError(
                f"The initial condition of {key!s} is an expression in coordinates, a number or an array, "
                f"got {brief(node)}."
            )
        out[u] = substitute([node], {symbols(TIME): const(0.0)})[0]
    for u in problem.states:
        name = u.params["name"]
        if u not in out and (problem.is_steady or u in problem.constraints):
            out[u] = const(0.0)
        elif u not in out and u in problem.velocities.values():
            field = name.removesuffix(f"_{TIME}")
            raise DomainError(f"The velocity of {field!r} has no initial condition; add initial={{dt({field}): …}}.")
        elif u not in out:
            raise DomainError(f"The field {name!r} has no initial condition; add initial={{{name}: …}}.")
    return out
