"""The table of boundary conditions of a problem: one for every field, axis and side, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symdiff.front.symbols import symbols
from symdiff.front.sympy_bridge import is_sympy
from symdiff.ir.errors import DTypeError, SymdiffError, UnknownSymbolError
from symdiff.ir.node import Node
from symdiff.pde.conditions import Both, Condition, Dirichlet, Free, Periodic
from symdiff.pde.equations import Eq, System, highest, lowered, solved, velocity
from symdiff.pde.jets import TIME, all_jets, d, is_jet, jets
from symdiff.pde.side_equations import Place, check_contents, condition_of, normal
from symdiff.pde.sympy_equations import from_sympy
from symdiff.pde.text import parse

if TYPE_CHECKING:
    from symdiff.pde.domain import Box

Sides = tuple[Condition, Condition]
Table = dict[tuple[Node, str], Sides]


def boundary(given: Mapping[Any, Any], system: System, domain: Box) -> Table:
    """Return the two conditions of every field on every axis.

    A field without conditions takes those that another one has too many of; see `_derived`.
    Raises SymdiffError for conditions that are missing, that do not fit each other, or that name what is not there.
    """
    fields = system.fields
    if not isinstance(given, Mapping):
        raise DTypeError(
            f"boundary is a table of conditions by axis, such as {{{domain.axes[0]!r}: pde.Dirichlet(0)}}, "
            f"got {given!r}."
        )
    common, own = _tables(given, fields)
    for table in (common, *own.values()):
        for axis in table:
            if axis not in domain.axes:
                raise UnknownSymbolError(
                    f"A boundary condition names the axis {axis!r}; the domain has {', '.join(domain.axes)}."
                )
    out: Table = {}
    moved = {v: u for u, v in system.velocities.items()}
    missing = []
    for u in sorted(fields, key=lambda f: f in moved):
        for axis in domain.axes:
            value = own.get(u, {}).get(axis, None if u in moved else common.get(axis))
            places = [Place(axis, end, domain.axes, system) for end in (0, 1)]
            if value is not None:
                out[u, axis] = _sides(value, u, places, fields)
            elif u in moved:
                out[u, axis] = _rates_of(out[moved[u], axis], u, places)
            else:
                missing.append((u, axis, places))
    for u, axis, places in missing:
        out[u, axis] = _derived(out, u, places)
    _check(out, system, domain)
    for axis in domain.axes:
        periodic = isinstance(out[fields[0], axis][0], Periodic)
        out |= {(v, axis): (Periodic(), Periodic()) if periodic else (Free(), Free()) for v in system.known}
    return out


def _tables(given: Mapping[Any, Any], fields: Iterable[Node]) -> tuple[dict[str, Any], dict[Node, dict[str, Any]]]:
    """Return the conditions for all fields by axis, and those of a field of its own."""
    names = {u.params["name"]: u for u in fields}
    own: dict[Node, dict[str, Any]] = {}
    common: dict[str, Any] = {}
    for key, value in given.items():
        u = as_field(key, names)
        if u is not None and isinstance(value, Mapping):
            own[u] = {k if isinstance(k, str) else k.params["name"]: v for k, v in value.items()}
        elif is_jet(key):
            raise UnknownSymbolError(
                f"A boundary condition names {key!s}, which is no field of the problem with a table of its own; "
                f"it has {', '.join(names)}."
            )
        else:
            common[key if isinstance(key, str) else key.params.get("name")] = value
    return common, own


def as_field(key: Any, names: Mapping[str, Node]) -> Node | None:
    """Return the field that is meant by itself, by its name, or, for a velocity, by dt(u)."""
    if isinstance(key, str):
        return names.get(key)
    if not is_jet(key):
        return None
    if key.params["by"] == (TIME,):
        key = velocity(key.params["field"])
    return key if key in names.values() else None


def _sides(value: Any, u: Node, places: Sequence[Place], fields: Sequence[Node]) -> Sides:
    name, axis = u.params["name"], places[0].axis
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    sides = [tuple(c) if isinstance(c, (tuple, list)) else (c,) for c in pair]
    given = [[_read(c, fields) for c in side] for side in sides]
    if len(pair) != 2 or not all(side and all(isinstance(c, (Condition, Eq)) for c in side) for side in given):
        raise DTypeError(
            f"The boundary condition of {name!r} on axis {axis!r} is Periodic(), one condition or a pair "
            f"(lower, upper), such as Dirichlet(0), Neumann(0), an equation or its text, got {value!r}."
        )
    if any(isinstance(c, Periodic) for side in given for c in side):
        if not all(isinstance(c, Periodic) for side in given for c in side):
            raise SymdiffError(
                f"Axis {axis!r} of field {name!r} is periodic on one side only; a periodic axis has no sides: "
                f"write {axis!r}: Periodic()."
            )
        return Periodic(), Periodic()
    lower, upper = (condition_of(side, u, place) for side, place in zip(given, places, strict=True))
    return lower, upper


def _read(c: Any, fields: Sequence[Node]) -> Any:
    """Return a condition that is text, or SymPy's equation, as what it says; others as they are."""
    if is_sympy(c):
        return from_sympy(c)
    if not isinstance(c, str):
        return c
    if c.strip() == "periodic":
        return Periodic()
    eq = parse(c, fields)
    if not isinstance(eq, Eq):
        raise DTypeError(f'{c!r} is no condition; write an equation such as "u = 0" or "dn(u) = 0", or "periodic".')
    return eq


def _rates_of(sides: Sides, v: Node, places: Sequence[Place]) -> Sides:
    """Return the conditions of a velocity: the time derivatives of those of its field."""
    lower, upper = (_rate_of(side, v, place) for side, place in zip(sides, places, strict=True))
    return lower, upper


def _rate_of(side: Condition, v: Node, place: Place) -> Condition:
    if isinstance(side, Periodic):
        return side
    system = place.system
    u = next(u for u, w in system.velocities.items() if w is v)
    rates = [lowered(d(f, symbols(TIME)), system.velocities) for f in side.data(u)]
    unknown = [w for w in jets(rates) if TIME in w.params["by"]]
    if unknown and side.kind == "slope" and not any(highest(f, v, place.axis) for f in system.all_rhs.values()):
        return Free()  # nothing asks for v beyond the side
    if unknown:
        raise SymdiffError(
            f"The {type(side).__name__} condition from which that of {v.params['name']!r} follows contains "
            f"{unknown[0].params['field']}, whose velocity is no unknown; give {v.params['name']!r} a condition of its "
            "own."
        )
    parts = [normal(n, rate) for n, rate in zip(side.orders, rates, strict=True)]
    return parts[0] if len(parts) == 1 else Both(*parts)


def _derived(table: Table, u: Node, places: Sequence[Place]) -> Sides:
    """Return the conditions of a field that has none, where another one has two and its equation needs only one.

    Such is the vorticity w beside a stream function, laplacian(psi) = -w: with psi and dn(psi) on a wall, w there is
    what psi's equation says. With the points beyond the wall of a polynomial that has both, the formula is Thom's,
    Woods's or Briley's by its degree. Raises SymdiffError where there is no such field.
    """
    lower, upper = (_derived_one(table, u, place) for place in places)
    return lower, upper


def _derived_one(table: Table, u: Node, place: Place) -> Condition:
    for f, residual in place.system.elliptic.items():
        sides = table.get((f, place.axis))
        found = [w for w in all_jets([residual]) if w.params["field"] == u.params["field"]]
        has_two = sides is not None and len(sides[place.end].orders) == 2
        if has_two and found == [u] and highest(residual, f, place.axis) <= 2:
            return Dirichlet(place.resolved(solved(residual, u, f"of {f.params['name']}")))
    name, axis = u.params["name"], place.axis
    raise SymdiffError(
        f"The field {name!r} has no boundary condition on axis {axis!r}; "
        f"add boundary={{{axis!r}: (lower, upper)}} with Dirichlet, Neumann or Robin, or {axis!r}: Periodic()."
    )


# -- checks -------------------------------------------------------------------------------------------------------


def _check(table: Table, system: System, domain: Box) -> None:
    fields = system.fields
    for axis in domain.axes:
        kinds = {isinstance(table[u, axis][0], Periodic) for u in fields}
        if len(kinds) > 1:
            raise SymdiffError(
                f"Axis {axis!r} is periodic for some fields only; a grid closes on itself for all of them or for none."
            )
    for (u, axis), pair in table.items():
        if pair[0].kind == "periodic":
            continue
        for end, condition in enumerate(pair):
            check_contents(condition, u, Place(axis, end, domain.axes, system), _allowed(u, system))
        _check_count(u, axis, pair, system)
    for axis in domain.axes:
        for end in (0, 1):
            _check_circle(table, fields, axis, end)


def _allowed(u: Node, system: System) -> list[Node]:
    """Return the fields that a condition may contain: a definition's those that are known before it."""
    defined = list(system.definitions)
    if u not in defined:
        return [*system.fields, *system.known]
    return [*(f for f in system.fields if f not in defined), *defined[: defined.index(u) + 1], *system.known]


def _check_count(u: Node, axis: str, pair: Sides, system: System) -> None:
    """Refuse fewer conditions than the derivatives of a field need, and more, where nothing else takes them."""
    n = max(highest(f, u, axis) for f in system.all_rhs.values())
    counts = [len(side.orders) for side in pair]
    name = u.params["name"]
    if n > 4:
        raise SymdiffError(f"{name!r} has a derivative of order {n} by {axis!r}, for which no sides exist; up to 4 do.")
    if (n == 4 and min(counts) < 2) or (n == 3 and sum(counts) < 3):
        raise SymdiffError(
            f"{name!r} has a derivative of order {n} by {axis!r}, which needs two conditions on "
            f"{'each' if n == 4 else 'one'} side of the axis, and one is given; give two, such as "
            "Dirichlet(0) & Neumann(0), write the equation as a system of second-order equations with a field "
            f"Eq(w, laplacian({name})) that has conditions of its own, or make the axis periodic."
        )
    if n == 3 and sum(counts) > 3:
        raise SymdiffError(
            f"{name!r} has two conditions on each side of axis {axis!r}; its derivatives there are of order 3 and "
            "determine it with three: two on one side, one on the other."
        )
    if n <= 2 and max(counts) > 1 and u not in system.elliptic and u not in system.velocities.values():
        raise SymdiffError(
            f"{name!r} has two conditions on a side of axis {axis!r}; its derivatives by {axis!r} are of order {n} and "
            "determine it with one."
        )


def _check_circle(table: Table, fields: Sequence[Node], axis: str, end: int) -> None:
    """Refuse values on a side that depend on each other in a circle."""
    left = {u: table[u, axis][end] for u in fields}
    while left:
        ready = [u for u, c in left.items() if c.kind != "value" or not any(w in left for w in jets(c.data(u)[:1]))]
        if not ready:
            names = ", ".join(u.params["name"] for u in left)
            raise SymdiffError(f"The Dirichlet conditions of {names} on axis {axis!r} are given by each other.")
        for u in ready:
            del left[u]
