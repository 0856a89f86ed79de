"""The perceptron against Rosenblatt's rule in plain Python, its bound, several classes, planes that do not exist."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.models import Perceptron
from tests.models.real_data import real_data


def rosenblatt(x: np.ndarray, y: np.ndarray, order: np.ndarray, most: int) -> tuple[np.ndarray, int, int, int]:
    """Return the best weights, the samples on their wrong side, the epochs and the mistakes on the way."""
    w, best, fewest, mistakes, k = np.zeros(x.shape[1]), np.zeros(x.shape[1]), len(x) + 1, 0, 0
    while fewest and k < most:
        k += 1
        for i in order:
            if y[i] * (x[i] @ w) <= 0:
                w, mistakes = w + y[i] * x[i], mistakes + 1
        wrong = int(np.sum(y * (x @ w) <= 0))
        if wrong < fewest:
            best, fewest = w, wrong
    return best, fewest, k, mistakes


def clouds(apart: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    y = np.arange(41) % 2
    return rng.normal(size=(41, 3)) + apart * (2 * y[:, None] - 1), y


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("apart", [2.0, 0.5])
def test_is_rosenblatts_rule(apart: float, intercept: bool, target: str) -> None:
    x, y = clouds(apart)
    model = Perceptron(fit_intercept=intercept, max_iter=6, random_state=3, target=target)
    if apart > 1:
        model.fit(x, y)
    else:
        with pytest.warns(RuntimeWarning, match=r"after 6 epochs \d+ of 41 samples are on the wrong side"):
            model.fit(x, y)
    wide = np.concatenate([x, np.ones((41, 1))], axis=1) if intercept else x
    order = np.random.Generator(np.random.Philox(3)).permutation(41)
    w, wrong, epochs, mistakes = rosenblatt(wide, 2.0 * y - 1, order, 6)
    # Both add the same numbers in the same order but for the sum inside a score.
    np.testing.assert_allclose(model.coef_[0], w[:3], rtol=1e-13)
    assert model.intercept_[0] == (w[3] if intercept else 0.0)
    assert (model.n_mistakes_[0], model.n_iter_) == (wrong, epochs)
    assert np.sum(model.predict(x) != y) == wrong
    if apart > 1:
        margin = np.min((2.0 * y - 1) * (wide @ w)) / np.linalg.norm(w)
        assert mistakes <= np.max(np.sum(wide**2, axis=1)) / margin**2  # Novikoff


def test_several_classes() -> None:
    x, y = real_data("iris")
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    with pytest.warns(RuntimeWarning, match="wrong side"):
        rest = Perceptron("ovr", max_iter=50).fit(x, names)
    with pytest.warns(RuntimeWarning, match="wrong side"):
        pairs = Perceptron("ovo", max_iter=50).fit(x, names)
    assert rest.coef_.shape == pairs.coef_.shape == (3, 4)
    assert rest.n_mistakes_[0] == 0  # setosa is separable
    assert pairs.n_mistakes_[:2].tolist() == [0, 0]
    assert pairs.score(x, names) > 0.95
    for model in (rest, pairs):
        z = model.decision_function(x)
        np.testing.assert_array_equal(model.classes_[z.argmax(axis=1)], model.predict(x))
    # A pair's vote counts 1, what the scores add less than 1/3.
    np.testing.assert_array_equal(np.round(pairs.decision_function(x)).sum(axis=1), 3)


def test_bad_settings_and_data() -> None:
    x, y = clouds(2.0)
    for settings, text in (({"multi_class": "all"}, "'ovr', 'ovo', got 'all'"), ({"max_iter": 0}, "max_iter")):
        with pytest.raises(sd.DomainError, match=text):
            Perceptron(**settings, target="reference").fit(x, y)
    with pytest.raises(sd.DomainError, match="only one class"):
        Perceptron(target="reference").fit(x, 0 * y)
    with pytest.raises(sd.DomainError, match="Unknown label type"):
        Perceptron(target="reference").fit(x[:2], np.array([1, "a"], dtype=object))
    with pytest.raises(sd.DomainError, match="None or NaN"):
        Perceptron(target="reference").fit(x[:2], np.array([1, None], dtype=object))
