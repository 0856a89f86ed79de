"""LinearSVC: the duality gap on real data, scikit-learn's objective, hard margins, classes that are not separable."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn import svm
from sklearn.datasets import load_breast_cancer

import symdiff as sd
from symdiff.models import SVC, LinearSVC
from tests.models.real_data import real_data


def objective(model: Any, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
    """scikit-learn's objective for each machine, the intercept penalised."""
    z = x @ model.coef_.T + model.intercept_
    classes = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    missing = np.maximum(1 - np.where(y[:, None] == classes, 1, -1) * z, 0)
    losses = missing**2 if model.loss == "squared_hinge" else missing
    b = model.intercept_ / model.intercept_scaling
    return np.asarray((model.coef_**2).sum(axis=1) / 2 + b**2 / 2 + model.C * s @ losses)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("name", ["iris", "digits", "breast_cancer"])
def test_optimum_is_scikit_learns(name: str, loss: str) -> None:
    """The gap proves the objective to 1e-8; LIBLINEAR's is not below it, and equal where it converges."""
    x, y = real_data(name)
    s = np.random.default_rng(6).uniform(0.2, 2.0, size=len(y))
    ours = LinearSVC(loss=loss, C=0.02, intercept_scaling=2.0).fit(x, y, s)
    assert (np.abs(ours.dual_gap_) <= 1e-8 * ours.objective_).all()
    np.testing.assert_allclose(objective(ours, x, y, s), ours.objective_, rtol=1e-12)
    theirs = svm.LinearSVC(loss=loss, C=0.02, intercept_scaling=2.0, tol=1e-10, max_iter=20_000, random_state=3)
    theirs.fit(x, y, s)
    # LIBLINEAR's last steps are small and many: 1e-8 from above, ours from above by its gap.
    np.testing.assert_allclose(objective(theirs, x, y, s), ours.objective_, rtol=2e-8)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_primal_and_dual_meet(loss: str, n_classes: int) -> None:
    x, y = real_data("iris")
    x, y = x[y < n_classes], y[y < n_classes]
    primal, dual = (LinearSVC(loss=loss, dual=dual).fit(x, y) for dual in (False, True))
    np.testing.assert_allclose(primal.objective_, dual.objective_, rtol=2e-8)
    for model in (primal, dual):
        assert (np.abs(model.dual_gap_) <= 1e-8 * model.objective_).all()
    np.testing.assert_allclose(primal.coef_, dual.coef_, rtol=0, atol=2e-3)
    assert dual.coef_.shape == ((1 if n_classes == 2 else 3), 4)


def test_on_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdiff.models.coordinate_ascent._CHUNK", 200)
    x, y = real_data("iris")
    few = LinearSVC(target="reference").fit(x, y)
    np.testing.assert_allclose(few.coef_, LinearSVC().fit(x, y).coef_, rtol=0, atol=1e-8)
    few = LinearSVC(dual=True, C=0.01, target="reference").fit(x[40:60], y[40:60])
    np.testing.assert_allclose(few.coef_, LinearSVC(C=0.01).fit(x[40:60], y[40:60]).coef_, rtol=0, atol=1e-4)


@pytest.mark.parametrize("c", [1.0, 1e4])
def test_features_of_any_scale(c: float) -> None:
    """Columns from 1e-3 to 4e3, where LIBSVM and LIBLINEAR give up; a free intercept is that of SVC."""
    x, y = load_breast_cancer(return_X_y=True)
    for scaling in (1.0, math.inf):
        for loss in ("hinge", "squared_hinge"):
            model = LinearSVC(C=c, loss=loss, intercept_scaling=scaling).fit(x, y)
            assert abs(model.dual_gap_[0]) <= 1e-8 * model.objective_[0]
    x, y = real_data("breast_cancer")
    free = LinearSVC(C=0.1, loss="hinge", intercept_scaling=math.inf).fit(x, y)
    np.testing.assert_allclose(free.objective_, SVC(C=0.1, kernel="linear").fit(x, y).objective_, rtol=2e-8)


def test_more_features_than_samples() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(30, 200))
    y = rng.integers(0, 2, size=30)
    wide, square = LinearSVC().fit(x, y), LinearSVC(dual=False).fit(x, y)
    assert wide.n_iter_ != square.n_iter_  # "auto" goes by coordinates
    np.testing.assert_allclose(wide.objective_, square.objective_, rtol=2e-8)


def test_hard_margin() -> None:
    x, y = real_data("iris")
    x, y = x[y < 2], y[y < 2]
    hard = LinearSVC(C=math.inf, intercept_scaling=math.inf).fit(x, y)
    scores = np.where(y == 1, 1, -1) * hard.decision_function(x)
    np.testing.assert_allclose(scores.min(), 1.0, rtol=1e-12)
    assert abs(hard.dual_gap_[0]) <= 1e-8 * hard.objective_[0]
    np.testing.assert_allclose(hard.objective_, SVC(C=math.inf, kernel="linear").fit(x, y).objective_, rtol=2e-8)
    soft = LinearSVC(C=1e6, loss="hinge", intercept_scaling=math.inf).fit(x, y)  # the same above some C
    np.testing.assert_allclose(hard.objective_, soft.objective_, rtol=2e-8)


@pytest.mark.parametrize("seed", range(2, 14))
@pytest.mark.parametrize("scaling", [1.0, math.inf])
def test_hard_margins_exist_where_linear_programming_finds_a_plane(seed: int, scaling: float) -> None:
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(6, 40)), int(rng.integers(2, 6))
    sign = np.where(np.arange(n) % 2, 1.0, -1.0)
    x = rng.normal(size=(n, d)) + rng.uniform(0, 2) * sign[:, None]
    a = sign[:, None] * np.concatenate([x, np.ones((n, 1))], axis=1)
    exists = linprog(np.zeros(d + 1), A_ub=-a, b_ub=-np.ones(n), bounds=(None, None)).status == 0
    model = LinearSVC(C=math.inf, intercept_scaling=scaling)
    if exists:
        assert (sign * model.fit(x, sign).decision_function(x)).min() > 1 - 1e-12
    else:
        with pytest.raises(sd.DomainError, match="no hyperplane separates the classes 1"):
            model.fit(x, sign)


def test_weights_of_zero_leave_samples_out() -> None:
    x, y = real_data("iris")
    times = np.random.default_rng(4).integers(0, 3, size=len(y))
    weighted = LinearSVC(C=0.3).fit(x, y, times)
    repeated = LinearSVC(C=0.3).fit(np.repeat(x, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=0, atol=1e-4)


def test_constant_columns_are_harmless() -> None:
    x, y = real_data("breast_cancer")
    wide = np.concatenate([x, np.zeros((len(x), 1))], axis=1)
    for dual in (False, True):
        model = LinearSVC(C=0.01, dual=dual).fit(wide, y)
        assert model.coef_[0, -1] == 0.0
        assert abs(model.dual_gap_[0]) <= 1e-8 * model.objective_[0]


def test_a_run_that_is_cut_off_is_said_so() -> None:
    x, y = real_data("breast_cancer")
    for dual, unit in ((True, "epochs"), (False, "steps")):
        with pytest.warns(RuntimeWarning, match=f"classes 1 and 0 has not converged after 3 {unit}: the duality gap"):
            assert LinearSVC(loss="hinge", dual=dual, max_iter=3).fit(x, y).n_iter_ == 3


@pytest.mark.parametrize(
    ("settings", "x", "y", "message"),
    [
        ({}, [[1.0, math.nan], [0.0, 1.0]], [0, 1], r"X holds NaN at \[0, 1\]"),
        ({}, [[1.0], [2.0]], [0, 1, 1], "2 samples and y has 3"),
        ({}, [[1.0], [2.0]], [1, 1], "only one class"),
        ({"C": -1.0}, [[1.0], [2.0]], [0, 1], "C is a number > 0, got -1.0"),
        ({"loss": "log"}, [[1.0], [2.0]], [0, 1], "loss is one of 'hinge', 'squared_hinge', got 'log'"),
        ({"dual": "yes"}, [[1.0], [2.0]], [0, 1], "dual is one of True, False, 'auto'"),
        ({"dual": True, "C": math.inf}, [[1.0], [2.0]], [0, 1], "dual=True changes one multiplier at a time"),
    ],
    ids=["NaN", "lengths", "one class", "C", "loss", "dual", "hard dual"],
)
def test_bad_input(settings: dict[str, Any], x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinearSVC(**settings, target="reference").fit(x, y)
