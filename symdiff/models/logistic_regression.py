"""Logistic regression for two and more classes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from symdiff.front.symbols import array
from symdiff.ir.node import Node
from symdiff.models.checks import check_features, check_fitted, check_labels, check_positive, check_weights
from symdiff.models.design import Design
from symdiff.models.estimator import Classifier
from symdiff.models.linear import minimised
from symdiff.models.losses import binary_cross_entropy_with_logits, cross_entropy
from symdiff.ops.reduce import sum_
from symdiff.optimize import OptimizeResult, Rule


class LogisticRegression(Classifier):
    """Linear classification by maximum likelihood with an L2 penalty, in scikit-learn's interface.

    Minimises  sum_i s_i loss_i / S + |w|² / (2 C S),  S = sum_i s_i  the sum of the sample weights: scikit-learn's
    objective in its scaling, the intercept not penalised. Two classes have one weight vector and the binary
    cross-entropy, more have one each and the softmax cross-entropy (softmax regression). `C=math.inf` switches the
    penalty off. X may be one of SciPy's sparse matrices; it is never made dense by a method of first order or by
    "newton-cg".

    `solver` is a method of `minimize`: a name or a rule object; `tol` is on the gradient's infinity norm. "newton-cg"
    needs products X v and X'r only; "newton" the dense Hessian, whose size is the square of the number of unknowns.
    After `fit`: `coef_` (1 or n_classes, n_features), `intercept_`, `classes_`, `n_iter_`, `n_features_in_` and
    `result_`, the `OptimizeResult`. A run that does not converge warns, as in scikit-learn.

    >>> import numpy as np
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> model = LogisticRegression(target="reference").fit(X, y)
    >>> model.predict([[0.5], [9.0]]).tolist(), model.score(X, y)
    (['no', 'yes'], 1.0)
    """

    takes_sparse: ClassVar[bool] = True

    coef_: np.ndarray
    intercept_: np.ndarray
    n_iter_: np.ndarray
    result_: OptimizeResult

    def __init__(
        self,
        C: float = 1.0,
        fit_intercept: bool = True,
        tol: float = 1e-10,
        max_iter: int = 1000,
        solver: str | Rule = "newton-cg",
        target: str = "cpu",
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.target = target

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """Fit to samples X of shape (n, n_features) and labels y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data.
        """
        check_positive(self, C=self.C)
        features = check_features(X, self)
        n = features.shape[0]
        weights = check_weights(sample_weight, n, self)
        classes, index = check_labels(y, n, self, weights)
        total = weights.sum()
        # By 1/C and 1/S in turn: C*S may overflow where neither does.
        penalty = 0.0 if math.isinf(self.C) else 1.0 / self.C / total
        w, b = self._minimise(features, index, weights / total, penalty, len(classes))
        self.classes_, self.n_features_in_ = classes, features.shape[1]
        self.coef_, self.intercept_ = w, b
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores: (n,) for two classes, else (n, n_classes)."""
        check_fitted(self)
        scores = check_features(X, self, self.n_features_in_) @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the classes' probabilities, (n, n_classes), exact where these underflow."""
        z = self.decision_function(X)
        if len(self.classes_) == 2:
            return np.stack([-np.logaddexp(0, z), -np.logaddexp(0, -z)], axis=1)
        shifted = z - z.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, (n, n_classes)."""
        return np.exp(self.predict_log_proba(X))

    def _minimise(
        self, x: Any, index: np.ndarray, share: np.ndarray, penalty: float, n_classes: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (coef, intercept) in their public shapes."""
        binary, d = n_classes == 2, x.shape[1]
        samples = Design(x)
        t, s, c = array("t", ("n",) if binary else ("n", "k")), array("s", "n"), array("c", ())
        w, b = array("w", ("d",) if binary else ("d", "k")), array("b", () if binary else ("k",))
        loss = objective(samples.times(w) + b, t, s, w, c)
        start: dict[Node, Any] = {w: np.zeros(d if binary else (d, n_classes))}
        data: dict[Node, Any] = {
            **samples.data, t: index.astype(float) if binary else np.eye(n_classes)[index], s: share, c: penalty,
        }  # fmt: skip
        zero = np.zeros(() if binary else n_classes)
        (start if self.fit_intercept else data)[b] = zero
        run = {"method": self.solver, "tol": self.tol, "max_steps": self.max_iter, "target": self.target}
        self.result_ = res = minimised(self, loss, start, data, **run)
        self.n_iter_ = np.array([max(1, res.steps)])  # scikit-learn's counts start at 1
        coef, intercept = res.x[w].T, res.x[b] if self.fit_intercept else zero
        if not binary:
            # One vector added to every class changes no probability: of all optima, take that with classes in balance.
            coef, intercept = coef - coef.mean(axis=0), intercept - intercept.mean()
        return np.atleast_2d(coef), np.atleast_1d(intercept)


def objective(z: Node, t: Node, share: Node, w: Node, penalty: Node) -> Node:
    """Return sum_i share_i loss_i + penalty/2 |w|² for scores z: of two classes if z is a vector, else softmax."""
    entropy = binary_cross_entropy_with_logits if z.ndim == 1 else cross_entropy
    return sum_(share * entropy(z, t, "none"), axes=(0,)) + penalty / 2 * sum_(w**2, axes=range(w.ndim))
