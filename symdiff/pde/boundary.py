"""The table of boundary conditions of a problem: one for every field, axis and side, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from symdiff.front.symbols import symbols
from symdiff.ir.errors import DTypeError, SymdiffError, UnknownSymbolError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node
from symdiff.pde.conditions import Condition, Dirichlet, Free, Neumann, Periodic, Robin
from symdiff.pde.equations import Eq, System, solved, velocity
from symdiff.pde.jets import NORMAL, TIME, all_jets, d, is_field, is_jet, is_term, jet, jets, orders, terms

if TYPE_CHECKING:
    from symdiff.pde.domain import Box

Sides = tuple[Condition, Condition]
Table = dict[tuple[Node, str], Sides]


def boundary(given: Mapping[Any, Any], system: System, domain: Box) -> Table:
    """Return the two conditions of every field on every axis.

    Raises SymdiffError for conditions that are missing, that do not fit each other, or that name what is not there.
    """
    fields = [*system.rates, *system.definitions]
    common, own = _tables(given, fields)
    for table in (common, *own.values()):
        for axis in table:
            if axis not in domain.axes:
                raise UnknownSymbolError(
                    f"A boundary condition names the axis {axis!r}; the domain has {', '.join(domain.axes)}."
                )
    out: Table = {}
    moved = {v: u for u, v in system.velocities.items()}
    for u in sorted(fields, key=lambda f: f in moved):
        for axis in domain.axes:
            value = own.get(u, {}).get(axis, None if u in moved else common.get(axis))
            if value is None and u in moved:
                out[u, axis] = _rates_of(out[moved[u], axis], system, u)
            else:
                out[u, axis] = _sides(value, u, axis)
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


def _sides(value: Any, u: Node, axis: str) -> Sides:
    name = u.params["name"]
    if value is None:
        raise SymdiffError(
            f"The field {name!r} has no boundary condition on axis {axis!r}; "
            f"add boundary={{{axis!r}: (lower, upper)}} with Dirichlet, Neumann or Robin, or {axis!r}: Periodic()."
        )
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(c, (Condition, Eq)) for c in pair):
        raise DTypeError(
            f"The boundary condition of {name!r} on axis {axis!r} is Periodic(), one condition or a pair "
            f"(lower, upper), got {value!r}."
        )
    lower, upper = (as_condition(c, u, axis) if isinstance(c, Eq) else c for c in pair)
    if isinstance(lower, Periodic) != isinstance(upper, Periodic):
        raise SymdiffError(
            f"Axis {axis!r} of field {name!r} is periodic on one side only; a periodic axis has no sides: "
            f"write {axis!r}: Periodic()."
        )
    return lower, upper


def as_condition(eq: Eq, u: Node, axis: str) -> Condition:
    """Return an equation in u and dn(u) as a condition of the field u: solved for dn(u), or else for u.

    Raises SymdiffError for an equation that contains neither, or is not linear in what it is solved for.
    """
    residual, normal = eq.lhs - eq.rhs, jet(u.params["field"], (NORMAL,))
    found = jets([residual])
    if normal in found:
        return Neumann(solved(residual, normal, eq))
    if u in found:
        return Dirichlet(solved(residual, u, eq))
    raise SymdiffError(
        f"The boundary condition {eq} ({eq.lhs.line}) of {u.params['name']!r} on axis {axis!r} contains neither "
        f"{u.params['name']} nor its outward derivative dn({u.params['name']})."
    )


def _rates_of(sides: Sides, system: System, v: Node) -> Sides:
    """Return the conditions of a velocity: the time derivatives of those of its field."""
    lower, upper = (_rate_of(side, system, v) for side in sides)
    return lower, upper


def _rate_of(side: Condition, system: System, v: Node) -> Condition:
    if isinstance(side, Periodic):
        return side
    u = next(u for u, w in system.velocities.items() if w is v)
    if isinstance(side, Dirichlet):
        return Dirichlet(_rate(side.value, system, side, v))
    assert isinstance(side, (Neumann, Robin))
    return Neumann(_rate(side.slope_of(u), system, side, v))


def _rate(f: Node, system: System, side: Condition, v: Node) -> Node:
    rate = d(f, symbols(TIME))
    table = {w: velocity(w.params["field"]) for w in jets([rate]) if w.params["by"] == (TIME,)}
    for w, new in table.items():
        if new not in system.rates:
            raise SymdiffError(
                f"The {type(side).__name__} condition from which that of {v.params['name']!r} follows contains "
                f"{w.params['field']}, whose velocity is no unknown; give {v.params['name']!r} a condition of its own."
            )
    return substitute([rate], table)[0] if table else rate


# -- checks -------------------------------------------------------------------------------------------------------


def _check(table: Table, system: System, domain: Box) -> None:
    fields = [*system.rates, *system.definitions]
    for axis in domain.axes:
        kinds = {isinstance(table[u, axis][0], Periodic) for u in fields}
        if len(kinds) > 1:
            raise SymdiffError(
                f"Axis {axis!r} is periodic for some fields only; a grid closes on itself for all of them or for none."
            )
    for (u, axis), pair in table.items():
        for condition in pair:
            _check_contents(condition, u, axis, fields, system)
        if pair[0].kind != "periodic":
            _check_order(u, axis, system)
    for axis in domain.axes:
        for end in (0, 1):
            _check_circle(table, fields, axis, end)


def _check_contents(condition: Condition, u: Node, axis: str, fields: list[Node], system: System) -> None:
    """Refuse what a condition cannot contain: derivatives, unknown fields, and fields that are known only later."""
    known = [*system.known, *(fields[: fields.index(u) + 1] if u in system.definitions else system.rates)]
    for w in (*all_jets(condition.expressions()), *terms(condition.expressions())):
        if is_term(w) or w not in known or (condition.kind == "value" and w is u) or not is_field(w):
            raise SymdiffError(
                f"The {type(condition).__name__} condition of {u.params['name']!r} on axis {axis!r} contains "
                f"{w.params['name']} ({w.line}); it may contain coordinates, t, parameters, other fields of the "
                "problem without derivatives, and for Neumann and Robin the field itself."
            )


def _check_order(u: Node, axis: str, system: System) -> None:
    for f in (*system.rates.values(), *system.definitions.values()):
        for w in all_jets([f]):
            if w.params["field"] == u.params["name"] and orders(w)[axis] > 2:
                raise SymdiffError(
                    f"{w.params['name']} needs two conditions on each side of axis {axis!r}, "
                    "and only one is given; write the equation as a system of second-order equations with a field "
                    "Eq(w, laplacian(u)) that has conditions of its own, or make the axis periodic."
                )


def _check_circle(table: Table, fields: list[Node], axis: str, end: int) -> None:
    """Refuse values on a side that depend on each other in a circle."""
    left = {u: table[u, axis][end] for u in fields}
    while left:
        ready = [u for u, c in left.items() if c.kind != "value" or not {w for w in jets(c.expressions()) if w in left}]
        if not ready:
            names = ", ".join(u.params["name"] for u in left)
            raise SymdiffError(f"The Dirichlet conditions of {names} on axis {axis!r} are given by each other.")
        for u in ready:
            del left[u]
