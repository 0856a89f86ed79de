"""The discretised equations as functions of a vector, and their steady solutions by dense linear algebra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.interpret import interpret
from symdiff.ir.node import const
from symdiff.pde.evaluate import on_points

Function = Callable[[np.ndarray], np.ndarray]


def right_hand_side(solver: Any, parameters: Any = None) -> Function:
    """Return the right-hand sides as a function of all unknowns in one vector."""
    semi, values = solver.semi, dict(parameters or {})
    rates = list(semi.rates(semi.blocks, const(0.0)).values())
    shapes = [np.empty(solver.grid.shape)[solver.block(u)].shape for u in solver.problem.fields]
    cuts = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    def f(vector: np.ndarray) -> np.ndarray:
        blocks = [p.reshape(s) for p, s in zip(np.split(vector, cuts), shapes, strict=True)]
        return np.concatenate([np.asarray(r).ravel() for r in interpret(rates, solver._inputs(values, blocks))])

    return f


def exact(solver: Any) -> np.ndarray:
    """Return the exact solution at time 0 on the unknowns, in one vector."""
    points = dict(zip(solver.grid.axes, solver.grid.mesh(), strict=True))
    out = []
    for u in solver.problem.fields:
        full = np.broadcast_to(on_points(solver.problem.exact[u], points, 0.0, {}), solver.grid.shape)
        out.append(full[solver.block(u)].ravel())
    return np.concatenate(out)


def jacobian(f: Function, v: np.ndarray, apart: int | None) -> np.ndarray:
    """Return the matrix of forward differences; columns `apart` have no rows in common and are found together.

    On a circle the number of unknowns must be a multiple of `apart`.
    """
    n, h = v.size, 1e-7
    out, f0, place = np.zeros((n, n)), f(v), np.arange(n)
    apart = apart or n
    last = apart * ((n - 1 - np.arange(apart)) // apart) + np.arange(apart)
    for first in range(min(apart, n)):
        step = np.zeros(n)
        step[first::apart] = h
        column = first + apart * np.round((place - first) / apart).astype(int)
        column = column % n if n % apart == 0 else np.clip(column, first, last[first])
        out[place, column] = (f(v + step) - f0) / h
    return out


def error(problem: Any, shape: Any, order: int, apart: int | None = None) -> tuple[float, float]:
    """Return the spacing and the largest error of the steady solution next to the exact one.

    One step of Newton's method from the exact solution: the error that is left is its square.
    """
    solver = problem.discretize(shape, order)
    f, truth = right_hand_side(solver), exact(solver)
    change = np.linalg.solve(jacobian(f, truth, apart), f(truth))
    return max(solver.grid.spacing), float(np.abs(change).max())


def order_of(problem: Any, shapes: tuple[Any, Any], order: int, apart: int | None = None) -> float:
    """Return the observed order between two grids."""
    (h0, e0), (h1, e1) = (error(problem, shape, order, apart) for shape in shapes)
    return float(np.log(e0 / e1) / np.log(h0 / h1))
