"""Newton's method with sparse Hessians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.jacobian import hessian
from symdiff.ir.node import Node, const
from symdiff.ops.elementwise import where
from symdiff.ops.index import zeros_like
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.newton import GROWTH
from symdiff.optimize.objective import Objective, Point, dot
from symdiff.optimize.rule import Move, OnHost, Rule, State


@dataclass(frozen=True, slots=True)
class SparseNewton(Rule):
    """x1 = x - a (H + tau I)^-1 g, as `Newton`, with a sparse Hessian and a sparse factorisation.

    The compiled Hessian holds the entries that are not zero by the function's structure; SciPy's SuperLU factors it
    with pivots on the diagonal, whose signs say whether it is positive definite. As that is no part of a compiled
    loop, the run returns to Python in each step; loss, gradient, Hessian and line search are compiled.

    Needs: memory for the Hessian's entries and those that the factorisation fills in; SciPy.
    Method: Nocedal & Wright 2006, algorithms 3.2 and 3.3; Li 2005 (SuperLU, symmetric mode).

    >>> import symdiff as sd
    >>> v = sd.vector("v", 1000)
    >>> f = sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
    >>> res = sd.minimize(f, {v: [0.9] * 1000}, method=SparseNewton(), target="reference")
    >>> res.converged, res.steps < 20
    (True, True)
    """

    def init(self, objective: Objective, point: Point) -> State:
        """Return room for the direction."""
        return tuple(zeros_like(g) for g in point.grad)

    def on_host(self, objective: Objective, data: Sequence[Node], target: str) -> OnHost | None:
        """Return the function that solves for the direction."""
        # Late: the compiler loads LLVM.
        from symdiff.compile import compile

        unknowns = list(objective.unknowns)
        rows = hessian(objective.f, unknowns, sparse=True)
        blocks = compile([b for row in rows for b in row], [*unknowns, *data], target=target)

        def direction(x: Sequence[Any], grad: Sequence[Any], values: Sequence[Any]) -> list[Any]:
            from scipy.sparse import block_array

            n, parts = len(unknowns), blocks(*x, *values)
            hess = block_array([parts[k * n : (k + 1) * n] for k in range(n)], format="csc")
            d = newton_direction(hess, np.concatenate([np.ravel(g) for g in grad]))
            ends = np.cumsum([np.size(g) for g in grad])[:-1]
            return [
                np.asarray(p.reshape(np.shape(g)), u.dtype)
                for p, g, u in zip(np.split(d, ends), grad, unknowns, strict=True)
            ]

        return direction

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Search along the direction that was found."""
        downhill = dot(point.grad, state) < 0
        direction = [where(downhill, d, -g) for d, g in zip(state, point.grad, strict=True)]
        new, moved, _ = backtrack(objective, point, direction, const(1.0, point.loss.dtype))
        return Move(new, state, moved)


def newton_direction(hess: Any, g: np.ndarray) -> np.ndarray:
    """Return -(H + tau I)^-1 g for the smallest tau tried that makes the matrix positive definite, else -g.

    tau takes the values of `newton.make_definite`.
    """
    from scipy.sparse import eye_array

    n, diagonal = len(g), hess.diagonal()
    scale = abs(hess).max() if hess.nnz else 0.0
    if not np.isfinite(scale):
        return -g
    eps = float(np.finfo(hess.dtype).eps)
    beta = eps**0.5 * scale or 1.0
    tau = 0.0 if diagonal.min() > 0 else beta - 2 * diagonal.min()
    while eps * tau <= scale + beta:
        solve = definite_solver(hess + tau * eye_array(n, format="csc") if tau else hess)
        if solve is not None:
            d = solve(-g)
            return d if np.all(np.isfinite(d)) else -g
        tau = max(GROWTH * tau, beta)
    return -g


def definite_solver(a: Any) -> Any:
    """Return the function that solves with a sparse symmetric matrix, or None if it is not positive definite.

    With all pivots on the diagonal the factors are those of L D L', and the signs of D are those of the eigenvalues
    (Sylvester). A pivot below the factorisation's backward error is no evidence, as in `newton.is_positive_definite`.
    """
    from scipy.sparse.linalg import splu

    try:
        lu = splu(a, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # exactly singular
        return None
    pivots = lu.U.diagonal()[lu.perm_r]
    least = (a.shape[0] + 1) * float(np.finfo(a.dtype).eps)
    definite = np.array_equal(lu.perm_r, lu.perm_c) and bool(np.all(pivots > least * a.diagonal()))
    return lu.solve if definite else None


__all__ = ["SparseNewton", "definite_solver", "newton_direction"]
