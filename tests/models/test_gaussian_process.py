"""GaussianProcessRegressor: scikit-learn's likelihood and predictions, the maximum of the likelihood, bad data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import gaussian_process
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

import symdiff as sd
from symdiff.models import GaussianProcessRegressor
from symdiff.models.gaussian_process import negative_log_likelihood

RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 2)) * [1.0, 20.0]
Y = 5 + np.sin(2 * X[:, 0]) + 0.02 * X[:, 1] + 0.1 * RNG.normal(size=24)


def peer(model: GaussianProcessRegressor, **settings: Any) -> Any:
    lengths = model.length_scale_
    process = {"matern52": Matern(lengths, nu=2.5), "matern32": Matern(lengths, nu=1.5), "rbf": RBF(lengths)}
    kernel = ConstantKernel(model.variance_) * process[model.kernel] + WhiteKernel(model.noise_)
    return gaussian_process.GaussianProcessRegressor(kernel, alpha=1e-10 * model.variance_, **settings)


@pytest.mark.filterwarnings("ignore:.*close to the specified:UserWarning")  # of their search
@pytest.mark.parametrize("kernel", ["matern52", "matern32", "rbf"])
def test_likelihood_and_predictions_are_scikit_learns(kernel: str) -> None:
    # The loops of three kernels take long to compile, and the interpreter gives the same numbers.
    ours = GaussianProcessRegressor(kernel=kernel, n_restarts=0, target="reference").fit(X, Y)
    same = peer(ours, optimizer=None).fit(X, Y - Y.mean())
    np.testing.assert_allclose(ours.log_marginal_likelihood_, same.log_marginal_likelihood_value_, rtol=1e-10)
    new = RNG.normal(size=(9, 2)) * [1.0, 20.0]
    mean, std = ours.predict(new, return_std=True)
    theirs, deviation = same.predict(new, return_std=True)
    np.testing.assert_allclose(mean, theirs + Y.mean(), rtol=1e-9)
    np.testing.assert_allclose(std**2, deviation**2 - ours.noise_, rtol=0, atol=1e-10)  # theirs is with the noise
    # Their search, from our settings and at random, finds nothing better within the ends of ours.
    best = peer(ours, n_restarts_optimizer=1, random_state=4).fit(X, Y - Y.mean())
    assert best.log_marginal_likelihood_value_ < ours.log_marginal_likelihood_ + 0.01


def test_gradient_of_the_likelihood() -> None:
    theta, points = sd.vector("theta", 4), (sd.matrix("X", 5, 2), sd.vector("z", 5))
    for kernel in ("matern52", "matern32", "rbf"):
        loss = negative_log_likelihood(kernel, *points, theta)
        values = {points[0]: X[:5], points[1]: Y[:5], theta: np.array([0.1, 2.0, -0.3, -2.0])}
        exact = sd.compile(sd.gradient(loss, theta), list(values), target="reference")(*values.values())
        numbers = sd.finite_difference(loss, values, wrt=[theta], method="richardson")[0]
        np.testing.assert_allclose(exact, numbers, rtol=1e-7)


def test_noise_that_is_given_and_restarts() -> None:
    fixed = GaussianProcessRegressor(noise=0.04, n_restarts=0).fit(X, Y)
    np.testing.assert_allclose(fixed.noise_, 0.04, rtol=1e-12)
    exact = GaussianProcessRegressor(noise=1e-10, n_restarts=0).fit(X, Y)
    np.testing.assert_allclose(exact.predict(X), Y, rtol=0, atol=1e-5)
    many, few = (GaussianProcessRegressor(n_restarts=n, random_state=6).fit(X, Y) for n in (3, 0))
    assert many.log_marginal_likelihood_ >= few.log_marginal_likelihood_


def test_on_the_interpreter() -> None:
    few = GaussianProcessRegressor(n_restarts=0, target="reference").fit(X[:8], Y[:8])
    cpu = GaussianProcessRegressor(n_restarts=0).fit(X[:8], Y[:8])
    np.testing.assert_allclose(few.log_marginal_likelihood_, cpu.log_marginal_likelihood_, rtol=1e-8)


def test_constant_data_are_harmless() -> None:
    wide = np.concatenate([X, np.full((24, 1), 3.0)], axis=1)
    model = GaussianProcessRegressor(n_restarts=0).fit(wide, Y)
    np.testing.assert_allclose(
        model.predict(wide), GaussianProcessRegressor(n_restarts=0).fit(X, Y).predict(X), atol=1e-3
    )
    flat = GaussianProcessRegressor(n_restarts=0).fit(X, np.full(24, 2.5))
    np.testing.assert_allclose(flat.predict(X), 2.5, rtol=1e-12)
    twice = np.repeat(X[:5], 2, axis=0)  # equal samples, different targets: that is noise
    assert GaussianProcessRegressor(n_restarts=0).fit(twice, np.arange(10) % 2).noise_ > 0.05


def test_bad_input() -> None:
    cases: list[tuple[dict[str, Any], Any, Any, str]] = [
        ({"kernel": "matern"}, X, Y, "kernel is one of 'matern52'"),
        ({"noise": 0.0}, X, Y, "noise is a number > 0"),
        ({"n_restarts": -1}, X, Y, "n_restarts is an int >= 0"),
        ({}, X, Y[:-1], "24 samples and y has 23"),
        ({}, X, np.where(Y > 5, Y, math.nan), "y holds NaN"),
    ]
    for settings, x, y, message in cases:
        with pytest.raises(ValueError, match=message):
            GaussianProcessRegressor(**settings, target="reference").fit(x, y)
