"""Least squares: linear regression and ridge."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symdiff.front.diagonals import diagonal
from symdiff.front.linalg import cholesky, eigh, qr, triangular_solve
from symdiff.front.literals import eye
from symdiff.front.symbols import array
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.models.checks import check_not_negative
from symdiff.models.design import Design
from symdiff.models.linear import SHARE, LinearRegressor, T, W, half_squares, minimised
from symdiff.ops.elementwise import abs_, sqrt, where
from symdiff.ops.index import broadcast_to, concatenate, reshape, transpose
from symdiff.ops.linalg import matmul
from symdiff.ops.reduce import max_, sum_
from symdiff.optimize import OptimizeResult, Rule

_X, _PENALTY = array("X", ("n", "d")), array("c", ())


class LinearRegression(LinearRegressor):
    """Least squares, sum_i s_i (y_i - x_i'w - b)² with sample weights s, in scikit-learn's interface.

    `solver` is "qr" (Householder's factorisation of X), "normal" (Cholesky's of X'X: half the time, half the digits),
    "svd", or a method of `minimize`, such as "newton-cg" or "gd". `tol`, on the gradient's infinity norm of half the
    weighted mean of squares, and `max_iter` are for these methods. "qr" and "normal" refuse columns that depend on each
    other, constant ones beside an intercept among them, since they leave w undetermined; "svd" gives the shortest w.

    "auto" is "qr", for such columns "svd", and for sparse X "newton-cg": conjugate gradients from zero, which reach the
    shortest w too, with products X v and X'r only.

    After `fit`: `coef_` (n_features,), `intercept_`, `n_iter_`, `n_features_in_`, and `result_` of an iteration.

    >>> model = LinearRegression(target="reference").fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(12), round(model.intercept_, 12)
    (array([2.]), 1.0)
    """

    result_: OptimizeResult

    def __init__(
        self,
        fit_intercept: bool = True,
        solver: str | Rule = "auto",
        tol: float = 1e-10,
        max_iter: int = 1000,
        target: str = "cpu",
    ) -> None:
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.target = target

    def _weights(self, samples: Design, y: np.ndarray, share: np.ndarray, total: float) -> np.ndarray:
        return _least_squares(self, samples, y, share, 0.0)


class Ridge(LinearRegressor):
    """Least squares with an L2 penalty, sum_i s_i (y_i - x_i'w - b)² + alpha |w|², in scikit-learn's interface.

    The intercept is not penalised. The settings are those of `LinearRegression`; `tol` is on the gradient of the
    objective divided by twice the sum of the sample weights.

    After `fit`: `coef_` (n_features,), `intercept_`, `n_iter_`, `n_features_in_`, and `result_` of an iteration.

    >>> model = Ridge(alpha=2.0, target="reference").fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(12), round(model.intercept_, 12)
    (array([1.]), 2.0)
    """

    result_: OptimizeResult

    def __init__(
        self,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        solver: str | Rule = "auto",
        tol: float = 1e-10,
        max_iter: int = 1000,
        target: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.target = target

    def _weights(self, samples: Design, y: np.ndarray, share: np.ndarray, total: float) -> np.ndarray:
        check_not_negative(self, alpha=self.alpha)
        return _least_squares(self, samples, y, share, self.alpha / total)


def _least_squares(
    who: LinearRegression | Ridge, samples: Design, y: np.ndarray, share: np.ndarray, penalty: float
) -> np.ndarray:
    """Return w that minimises sum_i share_i (y_i - x_i'w)² + penalty |w|²."""
    solver = who.solver
    if solver == "auto":
        solver = "newton-cg" if samples.is_sparse else "qr"
    if solver not in DIRECT:
        return _by_iteration(who, samples, y, share, penalty, solver)
    if samples.is_sparse:
        raise DomainError(
            f"{type(who).__name__}: solver {solver!r} factorises a dense matrix and X is sparse; use 'newton-cg'."
        )
    args = samples.x, y, np.sqrt(share), penalty
    w, pivots, lengths = _compiled(solver, who.target)(*args)
    small = ~(pivots > (len(w) * EPS) ** DIRECT[solver].digits * lengths)  # NaN too: Cholesky's way to say no
    if small.any() and who.solver != "auto":
        raise _undetermined(who, pivots, small, lengths)
    who.n_iter_ = 1
    return _compiled("svd", who.target)(*args)[0] if small.any() else w


def _by_iteration(
    who: LinearRegression | Ridge, samples: Design, y: np.ndarray, share: np.ndarray, penalty: float, solver: Any
) -> np.ndarray:
    loss = half_squares(samples) + 0.5 * _PENALTY * sum_(W**2, axes=(0,))
    data = {**samples.data, T: y, SHARE: share, _PENALTY: penalty}
    run = {"method": solver, "tol": who.tol, "max_steps": who.max_iter, "target": who.target}
    who.result_ = minimised(who, loss, {W: np.zeros(samples.x.shape[1])}, data, **run)
    who.n_iter_ = max(1, who.result_.steps)  # scikit-learn's counts start at 1
    return who.result_.x[W]


def by_qr(x: Node, y: Node, penalty: Node) -> tuple[Node, Node]:
    """Return w that minimises |y - x w|² + penalty |w|², and the pivots, from Q R = [x; sqrt(penalty) I]: R w = Q'y."""
    r, right = _triangle(x, y, penalty)
    return triangular_solve(r, right, lower=False), abs_(diagonal(r))


def by_normal_equations(x: Node, y: Node, penalty: Node) -> tuple[Node, Node]:
    """Return w with (x'x + penalty I) w = x'y, and the pivots, from L L' = x'x + penalty I."""
    factor = cholesky(matmul(_t(x), x) + penalty * eye(x.shape[1]))
    half = triangular_solve(factor, matmul(_t(x), y))
    return triangular_solve(factor, half, transposed=True), diagonal(factor)


def by_svd(x: Node, y: Node, penalty: Node) -> tuple[Node, Node]:
    """Return the shortest w that minimises |y - x w|² + penalty |w|², from R = U S V', and that no pivot is too small.

    The symmetric matrix [0 R; R' 0] has the eigenvalues s and -s for vectors (u, v)/sqrt(2) and (u, -v)/sqrt(2), so
    w = sum_s 2 v (u'Q'y)/s over the positive ones, up to rounding. The eigenvalues of R'R have half the digits.
    Method: Golub & Van Loan 2013, section 8.6.1.
    """
    r, right = _triangle(x, y, penalty)
    d = x.shape[1]
    nothing = 0.0 * eye(d)
    both = concatenate(concatenate(nothing, r, axis=1), concatenate(_t(r), nothing, axis=1), axis=0)
    s, vectors = eigh(both)
    known = s > cast(as_node(x.shape[0]) + d, "float64") * EPS * max_(s, axes=(0,))
    along = where(known, matmul(_t(vectors[:d]), right) / where(known, s, 1.0), 0.0)
    return 2.0 * matmul(vectors[d:], along), broadcast_to(const(math.inf), shape=(d,))


class _Direct(NamedTuple):
    """A factorisation, and the share of its digits that its pivots keep."""

    rule: Callable[[Node, Node, Node], tuple[Node, Node]]
    digits: float


EPS = float(np.finfo(float).eps)
DIRECT = {"qr": _Direct(by_qr, 1.0), "normal": _Direct(by_normal_equations, 0.5), "svd": _Direct(by_svd, 1.0)}


def _triangle(x: Node, y: Node, penalty: Node) -> tuple[Node, Node]:
    """Return R and Q'[y; 0] for Q R = [x; sqrt(penalty) I]: the rows of Q that belong to x are enough."""
    q, r = qr(concatenate(x, sqrt(penalty) * eye(x.shape[1]), axis=0))
    return r, matmul(_t(q[: x.shape[0]]), y)


def _t(a: Node) -> Node:
    return transpose(a, perm=(1, 0))


@functools.cache
def _compiled(solver: str, target: str) -> Any:
    """Return the function (X, y, sqrt(share), penalty) -> (w, pivots, lengths of the columns)."""
    # Late: the compiler loads LLVM.
    from symdiff.compile import compile

    y, root = array("y", "n"), array("root", "n")
    x = _X * reshape(root, shape=(*root.shape, 1))
    w, pivots = DIRECT[solver].rule(x, y * root, _PENALTY)
    lengths = sqrt(sum_(x * x, axes=(0,)) + _PENALTY)
    return compile([w, pivots, lengths], [_X, y, root, _PENALTY], target=target)


def _undetermined(
    who: LinearRegression | Ridge, pivots: np.ndarray, small: np.ndarray, lengths: np.ndarray
) -> DomainError:
    empty = np.flatnonzero(~(lengths > 0))
    if len(empty):
        what = f"column {empty[0]} of X " + ("is constant, as the intercept is" if who.fit_intercept else "is zero")
    elif np.isnan(pivots).any():  # Cholesky's factorisation does not tell where it failed
        what = "a column of X is a combination of the others, to the digits that X'X has"
    else:
        what = f"column {np.flatnonzero(small)[0]} of X is a combination of those before it"
    return DomainError(
        f"{type(who).__name__}: {what}, so that its coefficient is not determined. Leave it out, take more samples, "
        "use Ridge, or solver='svd' for the shortest solution."
    )


__all__ = ["LinearRegression", "Ridge", "by_normal_equations", "by_qr", "by_svd"]
