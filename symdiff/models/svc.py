"""Support vector machines with kernels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from symdiff.models.checks import (
    check_choice,
    check_count,
    check_features,
    check_fitted,
    check_labels,
    check_not_negative,
    check_positive,
    check_weights,
)
from symdiff.models.estimator import Classifier
from symdiff.models.gram import PRECOMPUTED, read_kernel
from symdiff.models.smo import Dual, solve
from symdiff.models.votes import by_votes

_MB = 2**20


class SVC(Classifier):
    """Classification with the widest margin in the space of a kernel, in scikit-learn's interface.

    Minimises  |w|²/2 + C sum_i s_i max(0, 1 - y_i (w·phi(x_i) + b))  in the dual, s the sample weights: scikit-learn's
    objective, by sequential minimal optimisation as a compiled loop. More than two classes: one machine for each pair,
    and the pairs vote (ties go to the larger sum of scores). `C=math.inf` is the hard margin.

    `kernel` is "linear", "poly", "rbf" ("gaussian"), "laplacian", "precomputed" (X is K(X, X), for predictions
    K(X_new, X)) or a function of two matrices of samples, as expressions. `gamma` is a number, "scale" for
    1 / (n_features var(X)) or "auto" for 1 / n_features. `tol` is on the duality gap relative to the objective, so
    the objective is within this part of its optimum. The kernel matrix is kept where it fits into `cache_size` MB;
    else its rows are computed when they are needed.

    After `fit`: `classes_`, `support_`, `support_vectors_`, `n_support_`, `dual_coef_`, `intercept_` (all as
    scikit-learn's), `objective_` and `dual_gap_` for each machine, `n_iter_`, `n_features_in_`. A machine that does
    not converge warns; large numbers of steps mean features of very different scales, or a C too large for them.

    >>> import numpy as np
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["out", "in", "in", "out"]
    >>> model = SVC(gamma=1.0, C=10.0, target="reference").fit(X, y)
    >>> model.predict([[1.4], [9.0]]).tolist(), float(np.round(model.dual_gap_[0], 6))
    (['in', 'out'], 0.0)
    """

    dual_coef_: np.ndarray
    intercept_: np.ndarray
    support_: np.ndarray
    support_vectors_: np.ndarray
    n_support_: np.ndarray
    objective_: np.ndarray
    dual_gap_: np.ndarray
    n_iter_: np.ndarray

    def __init__(
        self,
        C: float = 1.0,
        kernel: str | Callable[[Any, Any], Any] = "rbf",
        degree: int = 3,
        gamma: str | float = "scale",
        coef0: float = 0.0,
        tol: float = 1e-8,
        cache_size: float = 200.0,
        max_iter: int = 10_000_000,
        decision_function_shape: str = "ovr",
        target: str = "cpu",
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.tol = tol
        self.cache_size = cache_size
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape
        self.target = target

    @property
    def is_pairwise(self) -> bool:
        return self.kernel == PRECOMPUTED

    @property
    def coef_(self) -> np.ndarray:
        """The normals of the hyperplanes, (n_machines, n_features), for the linear kernel."""
        if self.kernel != "linear":
            raise AttributeError(f"SVC: coef_ exists for kernel='linear', not for {self.kernel!r}.")
        return self._beta.T @ self.support_vectors_

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SVC:
        """Fit to samples X of shape (n, n_features) and labels y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data.
        """
        check_positive(self, C=self.C, cache_size=self.cache_size)
        check_count(self, max_iter=self.max_iter)
        check_not_negative(self, tol=self.tol)
        check_choice(self, ("ovr", "ovo"), decision_function_shape=self.decision_function_shape)
        x = check_features(X, self)
        weights = check_weights(sample_weight, len(x), self)
        gram = read_kernel(self, x, weights)
        classes, index = check_labels(y, len(x), self, weights)
        pairs = list(combinations(range(len(classes)), 2))
        beta, duals = np.zeros((len(x), len(pairs))), []
        for k, (i, j) in enumerate(pairs):
            members = np.flatnonzero(((index == i) | (index == j)) & (weights > 0))
            # Of two classes the second one is positive, of a pair among more the first: scikit-learn's convention.
            sign = np.where(index[members] == (j if len(pairs) == 1 else i), 1.0, -1.0)
            part = x[np.ix_(members, members)] if gram.is_precomputed else x[members]
            bound = self.C * weights[members]
            dual = solve(gram, part, sign, bound, self.tol, self.max_iter, self.cache_size * _MB)
            if not dual.converged:
                warnings.warn(_not_converged(dual, f"{classes[i]} and {classes[j]}"), RuntimeWarning, stacklevel=2)
            beta[members, k] = dual.beta
            duals.append(dual)
        self.classes_, self.n_features_in_ = classes, x.shape[1]
        self._gram, self._pairs = gram, pairs
        self._keep(x, index, beta, duals)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores: (n,) for two classes; else (n, n_classes), or (n, n_pairs) for "ovo".

        The score of a class is its votes plus a number between -1/3 and 1/3 that grows with its pairs' scores.
        """
        z = self._scores(X)
        if len(self.classes_) == 2:
            return z[:, 0]
        return z if self.decision_function_shape == "ovo" else by_votes(z, len(self.classes_))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each sample."""
        z = self._scores(X)
        best = (z[:, 0] > 0).astype(int) if len(self.classes_) == 2 else by_votes(z, len(self.classes_)).argmax(axis=1)
        return self.classes_[best]

    def _scores(self, X: Any) -> np.ndarray:
        """Return the scores of the pairs, (n, n_pairs)."""
        check_fitted(self)
        x = check_features(X, self, self.n_features_in_)
        if self._gram.is_precomputed:
            return x[:, self.support_] @ self._beta + self.intercept_
        return self._gram.times(x, self.support_vectors_, self._beta) + self.intercept_

    def _keep(self, x: np.ndarray, index: np.ndarray, beta: np.ndarray, duals: Sequence[Dual]) -> None:
        """Set the attributes: the samples with a multiplier, class after class."""
        support = np.flatnonzero((beta != 0).any(axis=1))
        support = support[np.argsort(index[support], kind="stable")]
        owner, self._beta = index[support], beta[support]
        self.support_, self.n_support_ = support, np.bincount(owner, minlength=len(self.classes_))
        self.support_vectors_ = np.zeros((0, 0)) if self._gram.is_precomputed else x[support]
        # Row r of a column of class i belongs to the r-th of the other classes.
        self.dual_coef_ = np.zeros((len(self.classes_) - 1, len(support)))
        for k, (i, j) in enumerate(self._pairs):
            self.dual_coef_[j - 1, owner == i] = self._beta[owner == i, k]
            self.dual_coef_[i, owner == j] = self._beta[owner == j, k]
        self.intercept_ = np.array([d.bias for d in duals])
        self.objective_, self.dual_gap_ = np.array([d.primal for d in duals]), np.array([d.gap for d in duals])
        self.n_iter_ = np.array([d.steps for d in duals])


def _not_converged(dual: Dual, classes: str) -> str:
    start = f"SVC: the machine for the classes {classes} has not converged after {dual.steps} steps: "
    if math.isinf(dual.primal):
        width = 1 / math.sqrt(2 * dual.dual) if dual.dual > 0 else math.inf
        return (
            f"{start}no hyperplane without errors was found, and none has a margin above {width:.3g}. "
            "The classes are not separable in the space of this kernel, or barely; use a finite C."
        )
    return (
        f"{start}the duality gap is {dual.gap:.3e} at an objective of {dual.primal:.6g}. Scale the features to equal "
        "spread, lower C, or raise tol or max_iter."
    )
