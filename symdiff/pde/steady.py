"""Steady problems: F(v) = 0 by Newton's method with the exact derivative, damped where a full step is too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import maximum, sqrt
from symdiff.ops.index import broadcast_to
from symdiff.ops.reduce import sum_
from symdiff.pde.choose import choose
from symdiff.pde.errors import RunError
from symdiff.pde.formats import numbers, shown
from symdiff.pde.jets import TIME, all_symbols
from symdiff.pde.linear import LinearSolver, System, Vector, axpy, dot, ratio
from symdiff.pde.newton import ACCEPTED_RESIDUAL, NEWTON_TOLERANCE, is_linear
from symdiff.pde.problem import Problem
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.solution import Solution
from symdiff.pde.structure import Structure
from symdiff.pde.weights import weighed

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver, State

ITERATIONS = 60
_SHORTEST = 2.0**-20  # of the fractions of a Newton step that are tried


def search(
    semi: Semidiscrete, solver: LinearSolver, undetermined: Sequence[bool] = (), is_symmetric: bool = False
) -> tuple[list[Node], list[Node]]:
    """Return (outputs, inputs) of the whole search from the unknowns `semi.blocks`, at the time 0.

    Fields that are `undetermined` up to a constant keep their mean. Where J `is_symmetric`, no field of theirs that
    it makes has a mean, so that of F is left out: it is one of rounding errors, or else the residual shows it.

    Outputs: the number of iterations, the last correction relative to the solution, the largest residual of a
    linear system relative to the first |F|, |F| and the unknowns.
    """
    fields, blocks, t = list(semi.blocks), list(semi.blocks.values()), const(0.0)
    inputs = [*semi.spacings, *semi.points, *semi.parameters, *blocks]
    given = semi.given(t)

    def rates(v: Sequence[Node]) -> Vector:
        return list(semi.rates(dict(zip(fields, v, strict=True)), t, given).values())

    def size2(v: Sequence[Node]) -> Node:
        found = rates(v)
        return dot(found, found)

    def going(k: Node, change: Node, residual: Node, f2: Node, *v: Node) -> Node:
        return (k < ITERATIONS) & (change > NEWTON_TOLERANCE) & (residual <= ACCEPTED_RESIDUAL)

    def turn(k: Node, change: Node, residual: Node, f2: Node, *v: Node) -> list[Node]:
        system = System(semi, list(v), t, given, const(1.0), shift=0.0)
        b = _centred(system, system.rates, undetermined) if is_symmetric else system.rates
        p = _centred(system, solver.solve(system, b), undetermined)
        left = [b - a for b, a in zip(system.rates, system.matvec(p), strict=True)]
        linear = sqrt(ratio(dot(left, left), first2))
        if linear_rates:
            new, new2 = axpy(v, const(1.0), p), dot(left, left)  # F(v + p) = F(v) + J p
        else:
            new, new2 = _damped(size2, v, p, f2)
        relative = sqrt(dot(p, p) / maximum(dot(new, new), 1e-300))
        return [k + 1, relative, maximum(residual, linear), new2, *new]

    linear_rates, first2 = is_linear(semi), size2(blocks)
    first = [const(0, "int64"), const(1.0), const(0.0), first2, *blocks]
    k, change, residual, f2, *v = while_loop(going, turn, first)
    return [k, change, residual, sqrt(f2), *v], inputs


def _centred(system: System, p: Vector, undetermined: Sequence[bool]) -> Vector:
    """Return p without the means of some fields."""
    if not any(undetermined):
        return p
    pairs = [(x, broadcast_to(w, shape=x.shape)) for x, w in zip(p, weighed(system), strict=True)]
    means = [dot([w], [x]) / sum_(w, axes=tuple(range(w.ndim))) for x, w in pairs]
    return [x - mean if free else x for x, mean, free in zip(p, means, undetermined, strict=True)]


def _damped(
    size2: Callable[[Sequence[Node]], Node], v: Sequence[Node], p: Sequence[Node], f2: Node
) -> tuple[Vector, Node]:
    """Return v + s*p and |F|**2 there for the first s = 1, 1/2, 1/4, … that makes |F| smaller.

    At a solution |F| is all rounding errors and no s makes it smaller: the shortest is as good as any.
    """

    def short(s: Node, new2: Node) -> Node:
        # Written so that NaN is too long.
        return ~(new2 <= (1 - 0.5 * s) * f2) & (s > _SHORTEST)

    def halve(s: Node, new2: Node) -> list[Node]:
        return [0.5 * s, size2(axpy(v, 0.5 * s, p))]

    s, new2 = while_loop(short, halve, [const(2.0), const(float("inf"))])
    return axpy(v, s, p), new2


def oriented(solver: Solver) -> Semidiscrete:
    """Return the equations with the signs that make the diagonals of their derivatives negative, as diffusion has it.

    So neither the choice of the linear solver nor its iterations depend on the sides of Eq on which terms stand.
    """
    rhs, signs = solver.problem.rhs, Structure(solver, solver.semi).signs
    return solver.semi.with_rhs({u: -f if sign < 0 else f for (u, f), sign in zip(rhs.items(), signs, strict=True)})


def find(solver: Solver, way: str, values: Mapping[Node, float], start: State, target: str) -> Solution:
    """Search from the unknowns `start`, linear systems solved in the `way` of a name; see `Solver.steady`."""
    problem = solver.problem
    if symbols(TIME) in all_symbols([*problem.all_rhs.values(), *_side_values(problem)]):
        raise DomainError("A steady state needs equations and conditions without the time t; substitute a time for it.")
    began = time.perf_counter()
    linear, function = _compiled(solver, way, target)
    compiled = time.perf_counter()
    outcome = function(*solver.grid.spacing, *solver.grid.points, *values.values(), *start)
    seconds = time.perf_counter() - compiled
    k, change, residual, size = int(outcome[0]), *map(float, outcome[1:4])
    state = [np.asarray(a) for a in outcome[4:]]
    whole = solver.whole.completed(state, 0.0, dict(values), solver._start(dict(values))[len(state) :])
    arrays = solver.whole.assemble(whole, 0.0, dict(values))
    message = f"settled after {k} iterations, |F| = {size:.2g}; linear systems by {linear.describe()}"
    fine = change <= NEWTON_TOLERANCE and residual <= ACCEPTED_RESIDUAL
    solution = Solution(
        grid=solver.grid,
        arrays=arrays,
        t=0.0,
        times=np.zeros(1),
        saved={u: a[None] for u, a in arrays.items()},
        steps=k,
        dt=float("nan"),
        message=message if fine else "failed",
        finished=fine,
        seconds=seconds,
        compile_seconds=compiled - began,
        method="steady",
        equations=shown(problem.equations),
        parameters=numbers(values),
    )
    if not fine:
        raise RunError(_reason(k, change, residual, linear), solution)
    return solution


def _reason(k: int, change: float, residual: float, linear: LinearSolver) -> str:
    if not residual <= ACCEPTED_RESIDUAL:
        return (
            f"Iteration {k} of the steady problem could not be solved by {linear.describe()}: the relative residual of "
            f"its linear system is {residual:.2e}, at most {ACCEPTED_RESIDUAL:.0e} is accepted. The equations may "
            "determine no solution, or one up to a constant only; fix its value on a side, or try another "
            "linear_solver or initial state."
        )
    return (
        f"The steady problem has not settled after {k} iterations: the last correction is {change:.2e} of the "
        "solution. Give an initial state that is nearer to it."
    )


def _compiled(solver: Solver, way: str, target: str) -> tuple[LinearSolver, Callable[..., Sequence[Any]]]:
    """Return the linear solver and the compiled search, both made once."""
    key = ("steady", way, target)
    if key not in solver.compiled:
        # Late: the compiler loads LLVM.
        from symdiff.compile import compile

        semi = oriented(solver)
        linear = choose(solver, semi, way, is_steady=True)
        structure = Structure(solver, semi)
        outputs, inputs = search(semi, linear, structure.undetermined, structure.is_definite)
        solver.compiled[key] = linear, compile(outputs, inputs, target=target)
    return solver.compiled[key]


def _side_values(problem: Problem) -> list[Node]:
    return [e for pair in problem.boundary.values() for side in pair for e in side.expressions()]
