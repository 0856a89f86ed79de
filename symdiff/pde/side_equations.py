"""Equations on one side of a box as conditions: solved for outward derivatives of their field.

On a side, an outward derivative is one along its axis, up to the sign. Derivatives of a field along the side are those
of what its conditions give: with u = g(y) on a side of x, u_yy there is g''(y).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symdiff.front.symbols import symbols
from symdiff.ir.errors import SymdiffError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node
from symdiff.pde.conditions import Both, Condition, Curvature, Dirichlet, Neumann, Robin
from symdiff.pde.equations import Eq, System, lowered, solved
from symdiff.pde.fluxes import plain
from symdiff.pde.jets import NORMAL, TIME, d, jet, jets, terms
from symdiff.pde.terms import expanded


@dataclass(frozen=True, slots=True)
class Place:
    """One side of a box, lower or upper (`end` 0 or 1), and the system whose fields have conditions there."""

    axis: str
    end: int
    axes: tuple[str, ...]
    system: System

    @property
    def sign(self) -> int:
        """What an outward derivative is of one along the axis."""
        return 1 if self.end else -1

    def __str__(self) -> str:
        return f"on the {'upper' if self.end else 'lower'} side of axis {self.axis!r}"

    def resolved(self, f: Node) -> Node:
        """Return an expression on this side in derivatives of fields along the axes of the domain."""
        out = plain(expanded(lowered(f, self.system.velocities), self.axes))
        table: dict[Node, Node] = {}
        for w in jets([out]):
            n = w.params["by"].count(NORMAL)
            if n:
                by = [self.axis if a == NORMAL else a for a in w.params["by"]]
                table[w] = self.sign**n * jet(w.params["field"], by)
        return substitute([out], table)[0] if table else out


def condition_of(given: Sequence[Condition | Eq], u: Node, place: Place) -> Condition:
    """Return one or two conditions and equations of a field on a side as one condition.

    Raises SymdiffError for an equation that is not linear in the outward derivative that it determines, or that
    contains derivatives of its field which no condition gives.
    """
    parts = [_solved_equation(c, u, place) if isinstance(c, Eq) else _resolved(c, place) for c in given]
    if len(parts) == 1 and len(parts[0].orders) < 2:
        return _complete(parts[0], _Given({}, place), u, place)
    several = [p for c in parts for p in ((c.first, c.second) if isinstance(c, Both) else (c,))]
    if len(several) != 2:
        raise SymdiffError(f"{u.params['name']!r} has {len(several)} conditions {place}; at most two can hold.")
    several = [Neumann(c.slope_of(u)) if isinstance(c, Robin) else c for c in several]
    both = Both(*several)
    lower = _complete(both.first, _Given({}, place), u, place)
    (value,) = lower.data(u)
    upper = _complete(both.second, _Given({both.orders[0]: value}, place), u, place)
    return Both(lower, upper)


def normal(n: int, value: Node) -> Condition:
    """Return the condition that the outward derivative of order `n` has this value."""
    return Dirichlet(value) if n == 0 else Neumann(value) if n == 1 else Curvature(n, value)


def _resolved(c: Condition, place: Place) -> Condition:
    if isinstance(c, Both):
        return Both(_resolved(c.first, place), _resolved(c.second, place))
    if isinstance(c, Dirichlet):
        return Dirichlet(place.resolved(c.value))
    if isinstance(c, Neumann):
        return Neumann(place.resolved(c.slope))
    if isinstance(c, Robin):
        return Robin(place.resolved(c.a), place.resolved(c.b), place.resolved(c.g))
    return c


def _solved_equation(eq: Eq, u: Node, place: Place) -> Condition:
    """Return an equation as the condition of its highest outward derivative of u, or else of u itself."""
    f = place.resolved(eq.lhs - eq.rhs)
    name, found = u.params["field"], jets([f])
    pure = [len(w.params["by"]) for w in found if w.params["field"] == name and set(w.params["by"]) <= {place.axis}]
    if not pure:
        raise SymdiffError(
            f"The boundary condition {eq} ({eq.lhs.line}) of {name!r} {place} contains neither {name} nor its outward "
            f"derivative dn({name})."
        )
    n = max(pure)
    shown = jet(name, (NORMAL,) * n).params["name"]
    value = solved(f, jet(name, (place.axis,) * n), eq, shown)
    return normal(n, place.sign**n * value)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the conditions of a field give on a side: outward derivatives by their order."""

    values: dict[int, Node]
    place: Place

    def of(self, w: Node) -> Node | None:
        """Return a derivative of the field, None where it does not follow from what is given."""
        by = w.params["by"]
        n = by.count(self.place.axis)
        if n not in self.values:
            return None
        out = self.place.sign**n * self.values[n]
        for name in by:
            if name != self.place.axis:
                out = d(out, symbols(name))
        return out


def _complete(c: Condition, known: _Given, u: Node, place: Place) -> Condition:
    """Return a condition in which derivatives of its own field are what other conditions give.

    The values on the side are unknowns that a condition of a derivative may contain; their derivatives are not.
    """
    name, expressions = u.params["field"], c.expressions()
    own = [w for w in jets(expressions) if w.params["field"] == name]
    table = {w: value for w in own if (value := known.of(w)) is not None}
    left = [w for w in own if w not in table and (w is not u or 0 in c.orders)]
    if left:
        raise SymdiffError(
            f"The {type(c).__name__} condition of {name!r} {place} contains {left[0].params['name']} "
            f"({left[0].line}), which no other condition there gives; it may contain {name} itself where it gives a "
            "derivative, and other fields with their derivatives."
        )
    if not table:
        return c
    pieces = substitute(list(expressions), table)
    if isinstance(c, Robin):
        return Robin(*pieces)
    return normal(c.orders[0], pieces[0])


def check_contents(condition: Condition, u: Node, place: Place, allowed: Sequence[Node]) -> None:
    """Refuse what a condition cannot contain: rates, numbers of the whole domain, and fields that are not there."""
    found = [*jets(condition.expressions()), *terms(condition.expressions())]
    for w in found:
        if "field" not in w.params or TIME in w.params["by"] or jet(w.params["field"], ()) not in allowed:
            raise SymdiffError(
                f"The {type(condition).__name__} condition of {u.params['name']!r} {place} contains "
                f"{w.params['name']} ({w.line}); it may contain coordinates, t, parameters, other fields of the "
                "problem and their derivatives in space, and for Neumann and Robin the field itself."
            )
        for axis in w.params["by"]:
            if axis not in place.axes:
                raise SymdiffError(
                    f"The condition of {u.params['name']!r} {place} contains {w.params['name']} ({w.line}), a "
                    f"derivative by {axis!r}, which is no axis of the domain."
                )
