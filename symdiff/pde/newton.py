"""The equation of an implicit stage, v = fixed + c*F(v, t), solved exactly rather than by substituting old values.

Newton's method with the exact derivative of F; a linear F needs one correction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.graph import depends_on
from symdiff.ir.node import Node, const
from symdiff.ops import leaves
from symdiff.ops.control import while_loop
from symdiff.ops.custom import stop_gradient
from symdiff.ops.elementwise import maximum, sqrt
from symdiff.pde.adjoint import with_derivative
from symdiff.pde.fields import Side
from symdiff.pde.linear import LinearSolver, System, Vector, dot, relative_residual
from symdiff.pde.semidiscrete import Semidiscrete

# Newton stops when a correction is this small relative to the solution; convergence being quadratic, the next
# one would be of the size of rounding errors.
NEWTON_TOLERANCE = 1e-9
NEWTON_ITERATIONS = 25
# What a step's residual, relative to the change it solves for, may be at most: rounding errors grow with dt and
# 1/spacing**2, so the attained residual lies above the tolerance, but far below this.
ACCEPTED_RESIDUAL = 1e-6


def stage(
    semi: Semidiscrete,
    solver: LinearSolver,
    start: Sequence[Node],
    fixed: Sequence[Node],
    c: Node,
    t: Node,
    given: Mapping[Side, Node],
    is_differentiable: bool = False,
) -> tuple[Vector, Node]:
    """Return v with v = fixed + c*F(v, t), from a first guess, and the relative residual of its linear systems.

    Derivatives of v come from the implicit function theorem if `is_differentiable`, instead of from the iterations.
    """
    v, residual = _solved(semi, solver, start, fixed, c, t, given)
    if is_differentiable:
        return with_derivative(semi, solver, v, fixed, c, t, given), stop_gradient(residual)
    return v, residual


def _solved(
    semi: Semidiscrete,
    solver: LinearSolver,
    start: Sequence[Node],
    fixed: Sequence[Node],
    c: Node,
    t: Node,
    given: Mapping[Side, Node],
) -> tuple[Vector, Node]:
    def correction(v: Sequence[Node]) -> tuple[Vector, Node]:
        system = System(semi, list(v), t, dict(given), c)
        missing = [b + c * f - x for b, f, x in zip(fixed, system.rates, v, strict=True)]
        change = solver.solve(system, missing)
        return change, relative_residual(system, change, missing)

    if is_linear(semi):
        change, residual = correction(start)
        return [u + p for u, p in zip(start, change, strict=True)], residual
    return newton(correction, start)


def newton(correction: Callable[[Sequence[Node]], tuple[Vector, Node]], start: Sequence[Node]) -> tuple[Vector, Node]:
    """Return the limit of v <- v + correction(v), and the largest residual of a correction or the last one's size."""

    def going(k: Node, change2: Node, size2: Node, residual: Node, *v: Node) -> Node:
        small = change2 <= NEWTON_TOLERANCE**2 * size2
        return (k < NEWTON_ITERATIONS) & ~small & (residual <= ACCEPTED_RESIDUAL)

    def turn(k: Node, change2: Node, size2: Node, residual: Node, *v: Node) -> list[Node]:
        change, linear = correction(v)
        new = [x + p for x, p in zip(v, change, strict=True)]
        return [k + 1, dot(change, change), dot(new, new), maximum(residual, linear), *new]

    first = [const(0, "int64"), const(1.0), const(0.0), const(0.0), *start]
    _, change2, size2, residual, *v = while_loop(going, turn, first)
    # A last correction that is not small says by its size how far Newton's method is from a solution.
    return v, maximum(residual, sqrt(change2 / maximum(size2, 1e-300)))


def is_linear(semi: Semidiscrete) -> bool:
    """Whether the rates are linear in the unknowns: their derivative does not depend on them."""
    blocks, t = semi.blocks, const(0.0)
    directions = [direction(block) for block in blocks.values()]
    slopes = jvp_nodes(list(semi.rates(blocks, t).values()), list(blocks.values()), directions)
    touched = depends_on(slopes, blocks.values())
    return not any(s in touched for s in slopes)


def direction(block: Node) -> Node:
    """Return the symbol of a direction of the unknowns of a field."""
    return leaves.symbol(name=f"{block.params['name']}_direction", shape=block.shape, dtype=block.dtype)
