"""The equations in two parts: the stiff linear one, and the rest.

    u' = L(u) + N(u)

L has the derivatives of second and higher order, counted through the fields that others define, whose factors contain
no unknown; sources, reactions, advection and everything nonlinear are N. A field that is defined by a linear and a
nonlinear part, Eq(w, c**3 - c - laplacian(c)), is w = w_L + w_N: derivatives of w_L are in L, those of w_N in N. What
its conditions give goes with w_N, and what they feed back from w itself with both.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from symdiff.diff.forward import jvp_nodes
from symdiff.diff.symbolic import diff
from symdiff.ir.errors import DomainError
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.node import Node, const
from symdiff.pde.conditions import Both, Condition, Curvature, Dirichlet, Neumann, Robin
from symdiff.pde.fluxes import is_linear, without
from symdiff.pde.jets import added, all_jets, is_jet, is_term, jet, jets, orders, term, terms
from symdiff.pde.problem import Problem
from symdiff.pde.semidiscrete import Semidiscrete


def parts(semi: Semidiscrete) -> tuple[Semidiscrete, Semidiscrete]:
    """Return the equations with the stiff linear part alone, and with the rest alone.

    Raises DomainError where there is no such part.
    """
    problem = semi.problem
    split = _Split(problem)
    for w in problem.definitions:
        split.define(w)
    _check_conditions(problem, split)
    halves = {u: split.halves(rhs, 2) for u, rhs in problem.rhs.items()}
    if not any(stiff is not const(0.0) for stiff, _ in halves.values()):
        raise DomainError(
            "An imex method takes linear derivatives of second and higher order implicitly, and these equations have "
            "none; use an explicit method, or an implicit one such as 'sdirk2'."
        )
    stiff, rest = copy.copy(problem), copy.copy(problem)
    stiff.rhs, rest.rhs = ({u: h[k] for u, h in halves.items()} for k in (0, 1))
    stiff.definitions, rest.definitions = split.linear, {**problem.definitions, **split.rest}
    stiff.boundary, rest.boundary = {**problem.boundary, **split.homogeneous}, {**problem.boundary, **split.remaining}
    return _with(semi, stiff, split.renamed), _with(semi, rest, split.renamed)


def _with(semi: Semidiscrete, problem: Problem, renamed: Mapping[Node, Node]) -> Semidiscrete:
    out = replace(semi, problem=problem)
    # The points beyond are those of all terms, so extensions fit both parts.
    out.__dict__["layout"] = {**semi.layout, **{new: semi.layout[w] for w, new in renamed.items()}}
    return out


def nonlinear_part(w: Node) -> Node:
    """Return the field that stands for what is not linear in a defined one."""
    return jet(f"{w.params['name']}\0rest", ())


@dataclass
class _Split:
    """The two parts of every field that is defined so far: w_L by its own name, and w_N by a new one (`renamed`)."""

    problem: Problem
    linear: dict[Node, Node] = field(default_factory=dict)
    rest: dict[Node, Node] = field(default_factory=dict)
    renamed: dict[Node, Node] = field(default_factory=dict)
    homogeneous: dict[tuple[Node, str], tuple[Condition, Condition]] = field(default_factory=dict)
    remaining: dict[tuple[Node, str], tuple[Condition, Condition]] = field(default_factory=dict)
    order: dict[Node, int] = field(default_factory=dict)

    def define(self, w: Node) -> None:
        """Split a field that the others define."""
        axes = self.problem.domain.axes
        sides = {axis: self.problem.boundary[w, axis] for axis in axes}
        linear, rest = self.halves(self.problem.definitions[w], 0)
        if linear is const(0.0) or not all(_is_affine(c, w) for pair in sides.values() for c in pair):
            self.linear[w] = const(0.0)
            return
        new = nonlinear_part(w)
        self.linear[w], self.rest[new], self.renamed[w] = linear, rest, new
        self.order[w] = max(self._order(s) for s in free_symbols([linear]) if is_jet(s) or is_term(s))
        for axis, (lower, upper) in sides.items():
            self.homogeneous[w, axis] = (_homogeneous(lower, w), _homogeneous(upper, w))
            self.remaining[new, axis] = (_moved(lower, w, new), _moved(upper, w, new))

    def halves(self, f: Node, least: int) -> tuple[Node, Node]:
        """Return the linear terms of an expression of at least some order of derivatives, and the rest."""
        stiff: list[Node] = []
        rest = f
        for s in free_symbols([f]):
            if not (is_jet(s) or is_term(s)) or self._order(s) < least:
                continue
            (slope,) = jvp_nodes([rest], [s], [const(1.0)])
            if not is_linear(rest, s) or any(
                is_term(x) or (is_jet(x) and not self._is_known(x)) for x in free_symbols([slope])
            ):
                continue
            stiff.append(slope * s)
            # Of a field with a nonlinear part, that is left over.
            left = self._left(s)
            rest = without(rest, [s]) if left is None else substitute([rest], {s: left})[0]
        return (added(stiff) if stiff else const(0.0)), rest

    def _is_known(self, w: Node) -> bool:
        return jet(w.params["field"], ()) in self.problem.known

    def _order(self, s: Node) -> int:
        """Return the order of derivatives in a symbol, -1 for one that is not linear in unknowns that evolve."""
        if is_jet(s):
            u = jet(s.params["field"], ())
            if u in self.problem.fields:
                return sum(orders(s).values())
            return sum(orders(s).values()) + self.order[u] if u in self.order else -1
        if s.params["term"] not in ("flux", "nodal"):
            return -1
        of = s.params["of"]
        found = [w for w in all_jets([of]) if not self._is_known(w)]
        along = jvp_nodes([of], found, [const(1.0)] * len(found)) if found else []
        inner = [self._order(w) for w in found]
        if terms([of]) or not found or min(inner) < 0 or any(w in found for w in all_jets(along)):
            return -1
        return max(inner) + orders(s).total()

    def _left(self, s: Node) -> Node | None:
        """Return what a symbol is for the nonlinear parts alone, None if it is nothing."""
        if is_jet(s):
            new = self.renamed.get(jet(s.params["field"], ()))
            return None if new is None else jet(new.params["name"], s.params["by"])
        left = {w: self._left(w) for w in jets([s.params["of"]]) if not self._is_known(w)}
        rest = without(s.params["of"], [w for w, new in left.items() if new is None])
        (rest,) = substitute([rest], {w: new for w, new in left.items() if new is not None})
        return term(s.params["term"], rest, s.params["label"], s.params["by"]) if all_jets([rest]) else None


def _check_conditions(problem: Problem, split: _Split) -> None:
    """Refuse conditions that contain a defined field whose two parts would not both be seen there."""
    for (u, axis), pair in problem.boundary.items():
        for w in {w for c in pair for w in jets(c.expressions()) if jet(w.params["field"], ()) in split.linear}:
            defined = jet(w.params["field"], ())
            if defined is not u and split.rest.get(split.renamed.get(defined, defined)) is not const(0.0):
                raise DomainError(
                    f"The condition of {u!s} on axis {axis!r} contains {defined!s}, which is not linear in the fields: "
                    "imex methods cannot split it. Use another method, such as 'sdirk2'."
                )


def _is_affine(condition: Condition, w: Node) -> bool:
    """Whether what a side gives is a number times the field itself, plus what contains it no more."""
    rates = [diff(data, w) for data in condition.data(w)]
    return all(is_linear(f, w) for f in condition.data(w)) and not any(
        is_jet(s) or is_term(s) for s in free_symbols(rates)
    )


def _homogeneous(condition: Condition, w: Node) -> Condition:
    """Return the condition with nothing but what the field feeds back."""

    def fed_back(f: Node) -> Node:
        rate = diff(f, w)
        return rate if rate is const(0.0) else rate * w

    match condition:
        case Dirichlet():
            return Dirichlet(0.0)
        case Neumann() | Robin():
            return Neumann(fed_back(condition.slope_of(w)))
        case Curvature():
            return Curvature(condition.n, fed_back(condition.value))
        case Both():
            return Both(_homogeneous(condition.first, w), _homogeneous(condition.second, w))
        case _:
            return condition


def _moved(condition: Condition, w: Node, new: Node) -> Condition:
    """Return the same condition on a field of another name."""

    def with_new(f: Node) -> Node:
        (out,) = substitute([f], {w: new})
        return out

    match condition:
        case Neumann() | Robin():
            return Neumann(with_new(condition.slope_of(w)))
        case Curvature():
            return Curvature(condition.n, with_new(condition.value))
        case Both():
            return Both(_moved(condition.first, w, new), _moved(condition.second, w, new))
        case _:
            return condition
