"""Fields that elliptic equations determine beside those that evolve: solved for whenever rates need them.

    0 = G(psi, v, t)

With psi's unknowns as those of a steady problem in which the evolving fields v are known, the linear solvers and
Newton's method are those of steady problems. A search begins where the last step ended.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, final

from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, const
from symdiff.ops.custom import stop_gradient
from symdiff.ops.elementwise import maximum, sqrt, where
from symdiff.ops.index import zeros_like
from symdiff.pde.adjoint import with_derivative
from symdiff.pde.choose import choose
from symdiff.pde.conditions import Both, Condition
from symdiff.pde.equations import highest
from symdiff.pde.fields import Fields, Side
from symdiff.pde.jets import all_jets, is_field, jets
from symdiff.pde.linear import LinearSolver, System, Vector, dot, ratio
from symdiff.pde.newton import ACCEPTED_RESIDUAL, is_linear, newton
from symdiff.pde.problem import Problem
from symdiff.pde.semidiscrete import Semidiscrete

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver


@final
class Elliptic:
    """The solver of a problem's elliptic equations, chosen when it is first needed."""

    def __init__(self, solver: Solver):
        self._solver = solver

    @cached_property
    def _part(self) -> Semidiscrete:
        semi = self._solver.semi
        return part(semi, semi.blocks)

    @cached_property
    def linear(self) -> LinearSolver:
        """The linear solver. A transform sees the equations only, and not what the sides feed back into them."""
        name = "bicgstab" if _feeds_back(self._solver.problem) else "auto"
        return choose(self._solver, self._part, name)

    @cached_property
    def _is_linear(self) -> bool:
        return is_linear(self._part)

    def solve(self, fields: Fields) -> dict[Node, Node]:
        """Return the unknowns of all fields of elliptic equations, NaN where the equations could not be solved."""
        semi, within = fields.semi, self._part
        start = list(within.blocks.values())
        v, residual = self._zero(start, fields.t, fields.fixed)
        none = [zeros_like(x) for x in v]
        found = with_derivative(within, self.linear, v, none, const(1.0), fields.t, fields.fixed, shift=0.0)
        solved = stop_gradient(residual) <= ACCEPTED_RESIDUAL
        held = [where(solved, x, float("nan")) for x in found]
        # Written in symbols first: the evolving fields may have been computed from the guess, and the derivative of G
        # by psi does not go through them.
        place = {x: stop_gradient(semi.guess.get(u, zeros_like(x))) for u, x in within.blocks.items()}
        place |= {x: fields.block(u) for u, x in semi.blocks.items()}
        return dict(zip(within.blocks, substitute(held, place), strict=True))

    def _zero(self, start: Sequence[Node], t: Node, given: Mapping[Side, Node]) -> tuple[Vector, Node]:
        """Return v with G(v) = 0, and the largest residual of a linear system relative to G(0)."""

        def system(v: Sequence[Node]) -> System:
            return System(self._part, list(v), t, dict(given), const(1.0), shift=0.0)

        first = system([zeros_like(x) for x in start]).rates
        first2 = dot(first, first)
        # What has no value at 0 is measured by itself.
        first2 = where(first2 < float("inf"), first2, 0.0)

        def correction(v: Sequence[Node]) -> tuple[Vector, Node]:
            here = system(v)
            p = self.linear.solve(here, here.rates)
            left = [b - a for b, a in zip(here.rates, here.matvec(p), strict=True)]
            return p, sqrt(ratio(dot(left, left), maximum(dot(here.rates, here.rates), first2)))

        if not self._is_linear:
            return newton(correction, start)
        change, residual = correction(start)
        return [u + p for u, p in zip(start, change, strict=True)], residual


def part(semi: Semidiscrete, blocks: Mapping[Node, Node]) -> Semidiscrete:
    """Return the elliptic equations alone, with the unknowns of the evolving fields known."""
    whole = semi.problem
    problem = copy.copy(whole)
    problem.fields, problem.rhs = tuple(whole.constraints), dict(whole.constraints)
    problem.constraints, problem.is_steady = {}, True
    problem.known = (*whole.known, *whole.fields)
    problem.boundary = {**whole.boundary, **_needed(whole)}
    out = replace(semi, problem=problem, elliptic=None, guess={}, begun={})
    # Fields have the same unknowns and reach as far.
    out.__dict__["layout"] = semi.layout
    out.__dict__["known"] = {**semi.known, **blocks}
    return out


def _needed(problem: Problem) -> dict[tuple[Node, str], tuple[Condition, Condition]]:
    """Return the conditions of fields that have two and need one: the lower one determines them."""
    out = {}
    for (u, axis), sides in problem.boundary.items():
        if u in problem.constraints and max(highest(f, u, axis) for f in problem.constraints.values()) <= 2:
            lower, upper = (c.first if isinstance(c, Both) else c for c in sides)
            out[u, axis] = (lower, upper)
    return out


def _feeds_back(problem: Problem) -> bool:
    """Whether a side on which a field is differentiated depends on the fields that are solved for."""
    names = {u.params["field"] for u in problem.constraints}
    for (u, _), sides in problem.boundary.items():
        inside = {w.params["field"] for side in sides for w in jets(side.expressions())}
        if inside & names and any(
            w.params["field"] == u.params["field"] and (u in problem.constraints or not is_field(w))
            for w in all_jets(problem.constraints.values())
        ):
            return True
    return False
