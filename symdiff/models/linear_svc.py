"""Linear support vector machines."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.models import coordinate_ascent, interior_point
from symdiff.models.checks import (
    check_choice,
    check_count,
    check_features,
    check_fitted,
    check_labels,
    check_not_negative,
    check_positive,
    check_weights,
    random_numbers,
)
from symdiff.models.estimator import Classifier
from symdiff.models.margin import Fit, Machine


class LinearSVC(Classifier):
    """Linear classification with the widest margin, soft or hard, in scikit-learn's interface.

    Minimises  (|w|² + w_b²)/2 + C sum_i s_i loss(1 - y_i (w·x_i + b)),  b = intercept_scaling w_b, s the sample
    weights; loss(t) is max(0, t) for "hinge", its square for "squared_hinge". That is scikit-learn's objective, in
    which the intercept is penalised; `intercept_scaling=math.inf` leaves it free, as textbooks and `SVC` do.
    `C=math.inf` is the hard margin: the widest street without a sample in it, or a DomainError where there is none.

    `dual=False` finds w by an interior point method on the primal and the dual together, in some twenty steps of
    n d² operations; `dual=True` is coordinate ascent in the dual, for more features than samples (which is what
    "auto" looks at). `tol` is on the duality gap relative to the objective, so the objective is within this part of its
    optimum. More than two classes: one machine for each class against the rest.

    After `fit`: `coef_` (1 or n_classes, n_features), `intercept_`, `objective_` and `dual_gap_` of each machine,
    `n_iter_` (the most steps, or epochs of coordinate ascent), `classes_`, `n_features_in_`. A machine that does not
    converge warns.

    >>> import numpy as np
    >>> X, y = np.array([[0.0, 0.0], [0.0, 1.0], [3.0, 0.5], [4.0, 0.5]]), [0, 0, 1, 1]
    >>> model = LinearSVC(C=np.inf, intercept_scaling=np.inf, target="reference").fit(X, y)
    >>> model.predict([[1.4, 0.0], [1.6, 0.0]]).tolist(), float(np.round(2 / np.linalg.norm(model.coef_), 6))
    ([0, 1], 3.0)
    """

    coef_: np.ndarray
    intercept_: np.ndarray
    objective_: np.ndarray
    dual_gap_: np.ndarray
    n_iter_: int

    def __init__(
        self,
        C: float = 1.0,
        loss: str = "squared_hinge",
        dual: bool | str = "auto",
        tol: float = 1e-8,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        max_iter: int = 10_000,
        random_state: int = 0,
        target: str = "cpu",
    ) -> None:
        self.C = C
        self.loss = loss
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.max_iter = max_iter
        self.random_state = random_state
        self.target = target

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearSVC:
        """Fit to samples X of shape (n, n_features) and labels y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data; DomainError where C is infinite
        and no hyperplane separates the classes.
        """
        check_positive(self, C=self.C, intercept_scaling=self.intercept_scaling)
        check_count(self, max_iter=self.max_iter)
        check_not_negative(self, tol=self.tol)
        check_choice(self, ("hinge", "squared_hinge"), loss=self.loss)
        check_choice(self, (True, False, "auto"), dual=self.dual)
        x = check_features(X, self)
        weights = check_weights(sample_weight, len(x), self)
        classes, index = check_labels(y, len(x), self, weights)
        z, penalty = self._augmented(x[weights > 0])
        ascent = self._by_ascent(len(z), z.shape[1], penalised=bool(penalty.all()))
        positive = range(1, 2) if len(classes) == 2 else range(len(classes))
        rng = random_numbers(self, self.random_state)
        fits = []
        for k in positive:
            sign = np.where(index[weights > 0] == k, 1.0, -1.0)
            loss = "hard" if math.isinf(self.C) else self.loss
            machine = Machine(sign[:, None] * z, penalty, self.C * weights[weights > 0], loss)
            if ascent:
                fit = coordinate_ascent.solve(machine, self.tol, self.max_iter, rng, self.target)
            else:
                fit = interior_point.solve(machine, self.tol, self.max_iter, self.target)
            other = classes[0] if len(classes) == 2 else "the rest"
            _report(fit, f"{classes[k]} and {other}")
            fits.append(fit)
        w = np.stack([fit.w for fit in fits])
        d = x.shape[1]
        self.classes_, self.n_features_in_ = classes, d
        self.coef_ = w[:, :d]
        self.intercept_ = w[:, d] * z[0, d] if self.fit_intercept else np.zeros(len(w))
        self.objective_ = np.array([fit.primal for fit in fits])
        self.dual_gap_ = np.array([fit.gap for fit in fits])
        self.n_iter_ = max(1, *(fit.steps for fit in fits))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores: (n,) for two classes, else (n, n_classes)."""
        check_fitted(self)
        z = check_features(X, self, self.n_features_in_) @ self.coef_.T + self.intercept_
        return z[:, 0] if len(self.classes_) == 2 else z

    def _augmented(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the samples with a constant for the intercept, and the penalties of the weights."""
        if not self.fit_intercept:
            return x, np.ones(x.shape[1])
        free = math.isinf(self.intercept_scaling)
        constant = np.full((len(x), 1), 1.0 if free else self.intercept_scaling)
        return np.concatenate([x, constant], axis=1), np.append(np.ones(x.shape[1]), 0.0 if free else 1.0)

    def _by_ascent(self, n: int, d: int, penalised: bool) -> bool:
        possible = penalised and not math.isinf(self.C)
        if self.dual is True and not possible:
            raise DomainError(
                "LinearSVC: dual=True changes one multiplier at a time, which needs a finite C and a finite "
                "intercept_scaling (or fit_intercept=False); use dual=False, or SVC(kernel='linear')."
            )
        return possible and (self.dual is True or (self.dual == "auto" and d > n))


def _report(fit: Fit, classes: str) -> None:
    if fit.unfit == interior_point.NO_SOLUTION:
        raise DomainError(
            f"LinearSVC: no hyperplane separates the classes {classes}: the dual of the hard margin is unbounded, "
            f"which leaves no margin above {1 / math.sqrt(2 * fit.dual):.1e}. Use a finite C."
        )
    if fit.unfit:
        warnings.warn(
            f"LinearSVC: the machine for the classes {classes} {fit.unfit}: the duality gap is {fit.gap:.3e} at an "
            f"objective of {fit.primal:.6g}. Scale the features, raise tol or max_iter, or use dual=False.",
            RuntimeWarning,
            stacklevel=3,
        )


__all__ = ["LinearSVC"]
