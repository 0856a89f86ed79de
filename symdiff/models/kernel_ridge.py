"""Kernel ridge regression."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.front.arrays import expand_dims, sum, transpose
from symdiff.front.linalg import cholesky, triangular_solve
from symdiff.front.literals import eye
from symdiff.front.loops import scan
from symdiff.front.symbols import array, matrix, vector
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.models.checks import (
    check_choice,
    check_count,
    check_features,
    check_fitted,
    check_not_negative,
    check_numbers,
    check_weights,
)
from symdiff.models.estimator import Regressor
from symdiff.models.gram import PRECOMPUTED, SYMBOLS, Gram, read_kernel, row_and_diagonal
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import sqrt


class KernelRidge(Regressor):
    """Least squares in the space of a kernel with an L2 penalty, in scikit-learn's interface.

    Minimises  sum_i s_i (y_i - f(x_i))² + alpha a·K a  over f(x) = sum_i a_i K(x_i, x), s the sample weights, without
    an intercept: the a of the linear equations (K + alpha S⁻¹) a = y.

    `kernel`, `gamma`, `degree`, `coef0` are those of `SVC`; `gamma=None` is 1 / n_features. `solver` "cholesky" keeps
    the kernel matrix, "cg" (conjugate gradients) computes its rows anew in every step, for samples whose matrix does
    not fit into memory: it ends where the residual is `tol` times the targets, or warns after `max_iter` steps.
    After `fit`: `dual_coef_` = a, `X_fit_`, `n_iter_` (1 for Cholesky), `n_features_in_`.

    >>> import numpy as np
    >>> X = np.linspace(0, 3, 9).reshape(-1, 1)
    >>> model = KernelRidge(alpha=1e-3, kernel="rbf", gamma=0.5, target="reference").fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.6]])[0] - np.sin(1.6)) < 0.01)
    True
    """

    dual_coef_: np.ndarray
    X_fit_: np.ndarray
    n_iter_: int

    def __init__(
        self,
        alpha: float = 1.0,
        kernel: str | Callable[[Any, Any], Any] = "linear",
        gamma: str | float | None = None,
        degree: int = 3,
        coef0: float = 1.0,
        solver: str = "cholesky",
        tol: float = 1e-10,
        max_iter: int = 10_000,
        target: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.target = target

    @property
    def is_pairwise(self) -> bool:
        return self.kernel == PRECOMPUTED

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRidge:
        """Fit to samples X of shape (n, n_features) and targets y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data.
        """
        check_count(self, max_iter=self.max_iter)
        check_not_negative(self, alpha=self.alpha, tol=self.tol)
        check_choice(self, ("cholesky", "cg"), solver=self.solver)
        x = check_features(X, self)
        targets = check_numbers(y, len(x), self)
        weights = check_weights(sample_weight, len(x), self)
        gram = read_kernel(self, x, weights)
        # Symmetric with the roots of the weights on both sides, which also takes weights of zero.
        roots = np.sqrt(weights)
        solve = self._by_cholesky if self.solver == "cholesky" else self._by_cg
        a, self.n_iter_ = solve(gram, x, roots, roots * targets)
        self._gram, self.n_features_in_ = gram, x.shape[1]
        self.dual_coef_, self.X_fit_ = roots * a, x
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the number of each sample, (n,); for a precomputed kernel X is K(X_new, X_fit)."""
        check_fitted(self)
        x = check_features(X, self, self.n_features_in_)
        if self._gram.is_precomputed:
            return np.asarray(x @ self.dual_coef_)
        return self._gram.times(x, self.X_fit_, self.dual_coef_[:, None])[:, 0]

    def _by_cholesky(self, gram: Gram, x: np.ndarray, roots: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
        k = x if gram.is_precomputed else gram.matrix(x, x)
        a = _cholesky_solver(self.target)(k, roots, b, self.alpha)
        if not np.isfinite(a).all():
            raise DomainError(
                f"KernelRidge: K + alpha is not positive definite for alpha={self.alpha!r}: equal samples, a kernel of "
                "low rank, or no kernel at all. Use a larger alpha."
            )
        return a, 1

    def _by_cg(self, gram: Gram, x: np.ndarray, roots: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
        solver = _cg_solver(gram.kernel, gram.degree, self.target)
        a, steps, rest = solver(x, *gram.parameters, roots, b, self.alpha, self.tol, self.max_iter)
        size = float(np.linalg.norm(b))
        if not rest <= self.tol * size:
            warnings.warn(
                f"KernelRidge: conjugate gradients stopped after {steps} steps with a residual of {rest / size:.3g} of "
                f"the targets, above tol={self.tol:.1g}. Use a larger alpha, max_iter or tol, or solver='cholesky'.",
                RuntimeWarning,
                stacklevel=3,
            )
        return a, int(steps)


@functools.lru_cache(maxsize=4)
def _cholesky_solver(target: str) -> Any:
    """Compile (K, r, b, alpha) -> the solution a of (r K r + alpha) a = b."""
    from symdiff.compile import compile  # late: the compiler loads LLVM

    k, r, b, alpha = matrix("K", "n", "n"), vector("r", "n"), vector("b", "n"), array("alpha")
    factor = cholesky(expand_dims(r, 1) * k * r + alpha * eye(b.shape[0]))
    a = triangular_solve(transpose(factor), triangular_solve(factor, b), lower=False)
    return compile(a, [k, r, b, alpha], target=target)


@functools.lru_cache(maxsize=16)
def _cg_solver(kernel: Any, degree: int, target: str) -> Any:
    """Compile (X, parameters, r, b, alpha, tol, most) -> (a, steps, residual) of (r K r + alpha) a = b.

    Method: conjugate gradients (Hestenes & Stiefel 1952) until the residual is below tol |b|. One row of the kernel
    matrix exists at a time.
    """
    from symdiff.compile import compile

    data = matrix("K", "n", "n") if kernel == PRECOMPUTED else matrix("X", "n", "d")
    r, b, alpha, tol, most = (
        vector("r", "n"),
        vector("b", "n"),
        array("alpha"),
        array("tol"),
        array("most", (), "int64"),
    )
    row, _ = row_and_diagonal(kernel, degree, data)

    def times(p: Node) -> Node:
        weighted = r * p
        _, every = scan(lambda i, _: (i + 1, sum(row(i) * weighted)), const(0, "int64"), length=b.shape[0])
        return r * every + alpha * p

    def turn(k: Node, a: Node, rest: Node, p: Node, square: Node) -> list[Node]:
        q = times(p)
        step = square / sum(p * q)
        after = rest - step * q
        now = sum(after**2)
        return [k + 1, a + step * p, after, after + now / square * p, now]

    def going(k: Node, a: Node, rest: Node, p: Node, square: Node) -> Node:
        return (square > tol**2 * sum(b**2)) & (k < most)

    k, a, _, _, square = while_loop(going, turn, [const(0, "int64"), 0 * b, b, b, sum(b**2)])
    return compile([a, k, sqrt(square)], [data, *SYMBOLS, r, b, alpha, tol, most], target=target)
