"""Derivatives of solutions of v = fixed + c*F(v, t), by the implicit function theorem.

    A v_dot = the derivative of fixed + c*F by all but v along their tangents,    A = 1 - c*J

and in reverse a system with A' for the cotangent of v, whose solution goes back through fixed + c*F.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.diff.forward import push
from symdiff.diff.reverse import vjp_nodes
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node
from symdiff.ops.custom import attach
from symdiff.ops.index import zeros_like
from symdiff.pde.fields import Side
from symdiff.pde.linear import LinearSolver, System, Vector
from symdiff.pde.semidiscrete import Semidiscrete


def with_derivative(
    semi: Semidiscrete,
    solver: LinearSolver,
    v: Sequence[Node],
    fixed: Sequence[Node],
    c: Node,
    t: Node,
    given: Mapping[Side, Node],
    shift: float = 1.0,
) -> Vector:
    """Return a solution of shift*v = fixed + c*F(v, t) with its derivative by everything that the equation reads."""
    # Late: it loads all optimisers.
    from symdiff.optimize.objective import pack, unpack

    reads = [*fixed, c, t, *given.values(), *semi.spacings, *semi.points, *semi.parameters]
    known = list(dict.fromkeys(n for n in reads if n.op.name != "const"))

    def system(y: Node) -> System:
        return System(semi, list(unpack(y, v)), t, dict(given), c, shift)

    def right(y: Node, place: Mapping[Node, Node]) -> Node:
        rates = system(y).rates
        return substitute([pack([b + c * f for b, f in zip(fixed, rates, strict=True)])], place)[0]

    def rule(y: Node, xs: list[Node], dots: list[Node], extra: list[Node]) -> Node:
        place = dict(zip(known, xs, strict=True))
        # The solution is held: y is a mark that carries no tangent here.
        (drift,) = push([right(y, place)], {y: None, **dict(zip(xs, dots, strict=True))})
        if drift is None:
            return zeros_like(y)
        solved = solver.solve(system(y), list(unpack(drift, v)))
        return substitute([pack(solved)], place)[0]

    def pulled(y: Node, xs: list[Node], y_bar: Node, extra: list[Node]) -> list[Node]:
        place = dict(zip(known, xs, strict=True))
        solved = solver.solve_transposed(system(y), list(unpack(y_bar, v)))
        (bar,) = substitute([pack(solved)], place)
        return vjp_nodes([right(y, place)], xs, [bar])

    return list(unpack(attach("implicit stage", pack(v), known, rule, pulled), v))
