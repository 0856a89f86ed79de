"""SVC: the duality gap, scikit-learn's solution, the hard margin, kernels on the fly, bad data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import svm
from sklearn.metrics.pairwise import laplacian_kernel

import symdiff as sd
from symdiff.models import SVC, kernels
from tests.models.real_data import real_data

CASES: list[tuple[str, dict[str, Any]]] = [
    ("digits", {}),
    ("digits", {"kernel": "linear", "C": 0.3}),
    ("breast_cancer", {"kernel": "linear"}),
    ("breast_cancer", {"kernel": "poly", "coef0": 1.0, "C": 0.7, "degree": 2}),
    ("iris", {"C": 20.0}),
    ("iris", {"kernel": "laplacian", "gamma": 0.05, "C": 3.0}),
]


def peer(settings: dict[str, Any], **more: Any) -> Any:
    if settings.get("kernel") == "laplacian":

        def kernel(x: np.ndarray, z: np.ndarray) -> np.ndarray:
            return np.asarray(laplacian_kernel(x, z, settings["gamma"]))

        return svm.SVC(C=settings["C"], kernel=kernel, tol=1e-10, **more)
    return svm.SVC(**settings, tol=1e-10, **more)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda case: case if isinstance(case, str) else str(case))
def test_the_optimum(name: str, settings: dict[str, Any]) -> None:
    """The gap proves the objective to 1e-8, and LIBSVM at its tightest tolerance finds the same functions."""
    x, y = real_data(name)
    ours, theirs = SVC(**settings).fit(x, y), peer(settings).fit(x, y)
    assert (ours.dual_gap_ >= 0).all()
    assert (ours.dual_gap_ <= 1e-8 * ours.objective_).all()
    z = theirs.decision_function(x)
    # A gap of g leaves the normal within sqrt(2 g), so scores within sqrt(2 g) |phi(x)|.
    np.testing.assert_allclose(ours.decision_function(x), z, rtol=0, atol=3e-4 * np.abs(z).max())
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    assert ours.score(x, y) == theirs.score(x, y)


def test_attributes_are_scikit_learns() -> None:
    x, y = real_data("iris")
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    ours = SVC(kernel="linear", C=0.5).fit(x, names)
    theirs = svm.SVC(kernel="linear", C=0.5, tol=1e-10).fit(x, names)
    assert ours.classes_.tolist() == theirs.classes_.tolist()
    for attribute in ("support_", "n_support_", "support_vectors_"):
        np.testing.assert_array_equal(getattr(ours, attribute), getattr(theirs, attribute))
    for attribute in ("dual_coef_", "intercept_", "coef_"):
        np.testing.assert_allclose(getattr(ours, attribute), getattr(theirs, attribute), rtol=0, atol=1e-5)
    pairs = [m.set_params(decision_function_shape="ovo").decision_function(x) for m in (ours, theirs)]
    np.testing.assert_allclose(*pairs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", [kernels.laplacian], ids=["laplacian"])
def test_rows_on_the_fly_are_rows_of_the_matrix(kernel: Any) -> None:
    x, y = real_data("iris")
    kept, computed = (SVC(kernel=kernel, cache_size=size, C=5.0).fit(x, y) for size in (200.0, 1e-6))
    np.testing.assert_allclose(computed.decision_function(x), kept.decision_function(x), rtol=0, atol=1e-5)
    assert (computed.dual_gap_ <= 1e-8 * computed.objective_).all()


def test_precomputed_kernels_and_sample_weights() -> None:
    x, y = real_data("iris")
    x, y = x[::3], y[::3]
    s = np.random.default_rng(4).uniform(0.2, 2.0, size=len(y))
    k = x @ x.T
    ours = SVC(kernel="precomputed").fit(k, y, s)
    theirs = svm.SVC(kernel="precomputed", tol=1e-10).fit(k, y, s)
    np.testing.assert_allclose(ours.decision_function(k), theirs.decision_function(k), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(ours.support_, theirs.support_)


def test_weights_are_repetitions() -> None:
    x, y = real_data("iris")
    times = np.random.default_rng(4).integers(0, 3, size=len(y))
    weighted = SVC(gamma=0.3).fit(x, y, times)
    repeated = SVC(gamma=0.3).fit(np.repeat(x, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.decision_function(x), repeated.decision_function(x), rtol=0, atol=1e-4)


def test_hard_margin() -> None:
    x = np.array([[0.0, 0.0], [0.0, 1.0], [3.0, 0.5], [4.0, 0.5]])
    model = SVC(C=math.inf, kernel="linear", target="reference").fit(x, [0, 0, 1, 1])
    # The street lies between x = 0 and x = 3: w = (2/3, 0), b = -1.
    np.testing.assert_allclose(model.coef_, [[2 / 3, 0]], atol=1e-7)
    np.testing.assert_allclose(model.intercept_, [-1.0], atol=1e-7)
    np.testing.assert_allclose(model.objective_, [2 / 9], rtol=1e-7)
    assert model.dual_gap_[0] <= 1e-8 * model.objective_[0]


def test_hard_margin_in_the_space_of_a_kernel() -> None:
    x, y = real_data("iris")  # no hyperplane parts versicolor from virginica
    hard = SVC(C=math.inf, gamma=2.0).fit(x, y)
    assert (hard.dual_gap_ <= 1e-8 * hard.objective_).all()
    assert hard.score(x, y) == 1.0


def test_no_street_is_said_so() -> None:
    x = np.array([[0.0], [1.0], [2.0]])
    with pytest.warns(RuntimeWarning, match="not separable in the space of this kernel, or barely; use a finite C"):
        SVC(C=math.inf, kernel="linear", max_iter=500, target="reference").fit(x, ["a", "b", "a"])


def test_a_run_that_is_cut_off_is_said_so() -> None:
    x, y = real_data("breast_cancer")
    with pytest.warns(RuntimeWarning, match=r"not converged after 50 steps: the duality gap is .* Scale the features"):
        model = SVC(C=100.0, max_iter=50).fit(x, y)
    assert model.n_iter_.tolist() == [50]
    assert model.dual_gap_[0] > 1e-8 * model.objective_[0]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1.0, math.nan], [0.0, 1.0]], [0, 1], r"X holds NaN at \[0, 1\]"),
        ([[1.0], [2.0]], [0, 1, 1], "2 samples and y has 3"),
        ([[1.0], [2.0]], [1, 1], "only one class"),
        ([1.0, 2.0], [0, 1], "Reshape your data"),
    ],
    ids=["NaN", "lengths", "one class", "vector"],
)
def test_bad_data(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SVC(target="reference").fit(x, y)


def test_constant_columns_are_harmless() -> None:
    x, y = real_data("iris")
    wide = np.concatenate([x, np.full((len(x), 1), 3.0)], axis=1)
    np.testing.assert_array_equal(SVC(gamma=0.2).fit(wide, y).predict(wide), SVC(gamma=0.2).fit(x, y).predict(x))
    same = SVC(target="reference").fit(np.ones((4, 2)), [0, 1, 1, 1])  # nothing to learn: the larger class
    assert same.predict([[1.0, 1.0], [5.0, 2.0]]).tolist() == [1, 1]


def test_wrong_settings() -> None:
    for settings in ({"C": 0.0}, {"C": "1"}, {"tol": -1.0}, {"decision_function_shape": "pairs"}, {"max_iter": 0}):
        with pytest.raises(sd.DomainError, match=next(iter(settings))):
            SVC(**settings, target="reference").fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(AttributeError, match="for kernel='linear', not for 'rbf'"):
        _ = SVC(target="reference").fit([[0.0], [1.0]], [0, 1]).coef_
