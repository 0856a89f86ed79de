"""Equations, and what each of them determines: a rate, a definition, or a steady state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from symdiff.diff.symbolic import diff
from symdiff.front.sympy_bridge import is_sympy
from symdiff.ir.errors import DTypeError, SymdiffError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, as_node
from symdiff.pde.domain import Box
from symdiff.pde.fluxes import is_linear, without
from symdiff.pde.jets import NORMAL, TIME, all_jets, all_symbols, is_field, is_term, jet, jets, term
from symdiff.pde.terms import expanded


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


@dataclass(frozen=True, eq=False)
class System:
    """Equations by what they determine, every term written along the axes of the domain.

    `rates` has du/dt of every field that evolves, or, where nothing evolves (`is_steady`), what is zero.
    `definitions` has the fields that are given by the others at each time. `velocities` has, for a field with a
    second time derivative, the field that its first one has become. `known` are the fields without an equation, whose
    values every run is given. `constraints` has, beside rates, what is zero at each time: the fields that elliptic
    equations determine.
    """

    rates: dict[Node, Node] = field(default_factory=dict)
    definitions: dict[Node, Node] = field(default_factory=dict)
    velocities: dict[Node, Node] = field(default_factory=dict)
    is_steady: bool = False
    equations: tuple[Eq, ...] = ()
    known: tuple[Node, ...] = ()
    constraints: dict[Node, Node] = field(default_factory=dict)

    @property
    def elliptic(self) -> dict[Node, Node]:
        """What is zero at each time, by the field that it determines."""
        return self.rates if self.is_steady else self.constraints

    @property
    def fields(self) -> list[Node]:
        """The fields that have an equation."""
        return [*self.rates, *self.constraints, *self.definitions]

    @property
    def all_rhs(self) -> dict[Node, Node]:
        """What the equations say, by the field that they determine."""
        return {**self.rates, **self.constraints, **self.definitions}


def system(equations: Any, domain: Box, known: Sequence[Node] = ()) -> System:
    """Sort an equation or several. Raises SymdiffError for a field that has no equation or several, naming it."""
    equations = list(equations) if isinstance(equations, (list, tuple)) else [equations]
    if not equations:
        raise SymdiffError("A Problem needs at least one equation; write pde.Eq(pde.dt(u), pde.laplacian(u)).")
    given = [_as_equation(eq, equations) for eq in equations]
    velocities = _velocities(given)
    sides = [(eq, lowered(eq.lhs, velocities), lowered(eq.rhs, velocities)) for eq in given]
    moving = [(eq, a, b) for eq, a, b in sides if _times(a, b)]
    still = [(eq, a, b) for eq, a, b in sides if not _times(a, b)]
    out = System({}, {}, velocities, not moving, tuple(given), tuple(known))
    for eq, a, b in moving:
        _add_rate(out, eq, a, b)
    for u, v in velocities.items():
        _refuse_second(out.rates, u, given[0])
        out.rates[u] = v
    rest = []
    for eq, a, b in still:
        others = [f for f, _, _ in still if f is not eq]
        if is_field(a) and a not in out.rates and a not in all_jets([b]) and (moving or others):
            _refuse_second(out.definitions, a, eq)
            out.definitions[a] = b
        else:
            rest.append((eq, a - b))
    for eq, residual in rest:
        out.elliptic[_determined(residual, out, eq)] = residual
    return _checked(out, domain)


def _as_equation(eq: Any, equations: Sequence[Any]) -> Eq:
    # Late: both modules make equations.
    if isinstance(eq, str):
        from symdiff.pde.text import parse_equation

        return parse_equation(eq, [text for text in equations if isinstance(text, str)])
    if is_sympy(eq):
        from symdiff.pde.sympy_equations import from_sympy

        return from_sympy(eq)
    if not isinstance(eq, Eq):
        raise DTypeError(f"The equations of a Problem are made with pde.Eq(lhs, rhs), got {eq!r}.")
    return eq


# -- second order in time -----------------------------------------------------------------------------------------


def _velocities(equations: Sequence[Eq]) -> dict[Node, Node]:
    """Return u: v for each field u with a second time derivative; u_t becomes the field v, and u_tt its first one."""
    found = [w for eq in equations for w in all_jets([eq.lhs, eq.rhs]) if w.params["by"].count(TIME) == 2]
    return {jet(w.params["field"], ()): velocity(w.params["field"]) for w in found}


def velocity(name: str) -> Node:
    """Return the field that stands for the first time derivative of the field `name`."""
    return jet(f"{name}_{TIME}", ())


def lowered(f: Node, velocities: dict[Node, Node]) -> Node:
    """Return an expression with one time derivative of each field that has a velocity replaced by it."""
    table = {}
    for w in _top(f):
        if is_term(w):
            of = lowered(w.params["of"], velocities)
            settings = {k: v for k, v in w.params.items() if k not in ("name", "shape", "dtype", "term", "of")}
            new = term(w.params["term"], of, **settings)
        elif TIME in w.params["by"] and jet(w.params["field"], ()) in velocities:
            rest = list(w.params["by"])
            rest.remove(TIME)
            new = jet(f"{w.params['field']}_{TIME}", rest)
        else:
            continue
        table[w] = new
    return substitute([f], table)[0] if table else f


def highest(f: Node, u: Node, axis: str) -> int:
    """Return the highest order of a derivative of a field by an axis in an expression, terms looked into."""
    return max((n for name, n in _orders(f, axis, 0) if name == u.params["name"]), default=0)


def _orders(f: Node, axis: str, outside: int) -> Iterator[tuple[str, int]]:
    for w in _top(f):
        n = outside + w.params["by"].count(axis)
        if is_term(w):
            yield from _orders(w.params["of"], axis, n)
        else:
            yield w.params["field"], n


def _top(f: Node) -> list[Node]:
    return [s for s in all_symbols([f]) if "by" in s.params]


# -- rates --------------------------------------------------------------------------------------------------------


def _times(*sides: Node) -> list[Node]:
    return [w for w in all_jets(sides) if TIME in w.params["by"]]


def _add_rate(out: System, eq: Eq, a: Node, b: Node) -> None:
    """Solve an equation, linear in its time derivative u_t, for it."""
    found = _times(a, b)
    if len(found) != 1 or found[0].params["by"] != (TIME,):
        names = ", ".join(w.params["name"] for w in found) or "none"
        raise SymdiffError(
            f"The equation {eq} ({eq.lhs.line}) should contain the first time derivative of one field, got {names}; "
            "write one equation dt(u) = … for each field."
        )
    u_t = found[0]
    u = jet(u_t.params["field"], ())
    _refuse_second(out.rates, u, eq)
    out.rates[u] = b if a is u_t and u_t not in all_jets([b]) else solved(a - b, u_t, eq)


def _refuse_second(table: dict[Node, Node], u: Node, eq: Eq) -> None:
    if u in table:
        raise SymdiffError(f"Two equations determine dt({u.params['name']}) ({eq.lhs.line}); keep one.")


def solved(f: Node, w: Node, eq: Any, name: str = "") -> Node:
    """Return w of f = a*w + b = 0. Raises SymdiffError where f is not linear in w, which has this name in eq."""
    if not is_linear(f, w) or w not in jets([f]):
        raise SymdiffError(f"The equation {eq} is not linear in {name or w.params['name']}; solve it for it.")
    return -without(f, [w]) / diff(f, w)


# -- steady states ------------------------------------------------------------------------------------------------


def _determined(residual: Node, out: System, eq: Eq) -> Node:
    """Return the field that a steady equation determines: the one of highest derivative that none does yet."""
    free: dict[Node, int] = {}
    for w in all_jets([residual]):
        u = jet(w.params["field"], ())
        if u not in out.all_rhs and u not in out.known:
            free[u] = max(free.get(u, 0), len(w.params["by"]))
    if not free:
        raise SymdiffError(
            f"The equation {eq} ({eq.lhs.line}) has no field that no other equation determines. Where it constrains "
            "fields that evolve, as div(u) = 0 does, write what it says of the field that sees to it: the divergence "
            "of the momentum equations, laplacian(p) = …, is one for the pressure."
        )
    return max(free, key=lambda u: free[u])


# -- checks -------------------------------------------------------------------------------------------------------


def _checked(found: System, domain: Box) -> System:
    for u in found.known:
        if u in found.all_rhs:
            raise SymdiffError(f"The field {u.params['name']!r} is known and has an equation; leave out one of both.")
    for u in (*found.all_rhs, *found.known):
        if u.params["field"] in (*domain.axes, TIME):
            raise SymdiffError(f"The field {u.params['field']!r} ({u.line}) has the name of a coordinate; rename it.")
    known = {*found.all_rhs, *found.known}
    rates, constraints, definitions = (
        {u: _along(f, domain, known) for u, f in table.items()}
        for table in (found.rates, found.constraints, found.definitions)
    )
    return replace(found, rates=rates, constraints=constraints, definitions=_in_order(definitions))


def _along(f: Node, domain: Box, known: Iterable[Node]) -> Node:
    """Return an expression with its terms along the axes. Raises for unknown fields and axes."""
    out = expanded(f, domain.axes)
    for w in _top(out):
        if not is_term(w) and jet(w.params["field"], ()) not in known:
            raise SymdiffError(
                f"The field {w.params['field']!r} ({w.line}) has no equation; add Eq(dt(…), …) for it, or "
                f"known=[{w.params['field']}] to give its values as parameters."
            )
        if NORMAL in w.params["by"]:
            raise SymdiffError(f"{w.params['name']} ({w.line}) is for boundary conditions; an equation has dx, dy, dz.")
        for axis in w.params["by"]:
            if axis not in domain.axes:
                raise SymdiffError(
                    f"{w.params['name']} ({w.line}) differentiates by {axis!r}, which is no axis of {domain!r}."
                )
    return out


def _in_order(definitions: dict[Node, Node]) -> dict[Node, Node]:
    """Return definitions so that each uses only earlier ones. Raises for a circle."""
    out: dict[Node, Node] = {}
    left = dict(definitions)
    while left:
        ready = [u for u, f in left.items() if not {jet(w.params["field"], ()) for w in all_jets([f])} & left.keys()]
        if not ready:
            names = ", ".join(u.params["name"] for u in left)
            raise SymdiffError(f"The fields {names} are defined by each other; give one of them a time derivative.")
        out |= {u: left.pop(u) for u in ready}
    return out
