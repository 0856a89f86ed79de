"""Errors of differences over their steps: the V, its best step against calculus, and points without a V."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.sweep import STEPS

EPS = np.finfo(float).eps
x, y = sd.symbols("x y")
v = sd.vector("v", 3)


def curves(f, point):
    return {c.method: c for c in sd.compare(f, point).sweep.curves}


@pytest.mark.parametrize(
    ("f", "at", "derivatives"),
    [
        (sd.exp(x), 0.4, [np.exp(0.4)] * 4),
        (sd.sin(x), 0.9, [np.sin(0.9), np.cos(0.9), -np.sin(0.9), -np.cos(0.9)]),
        (1 / x, 0.7, [1 / 0.7, -1 / 0.7**2, 2 / 0.7**3, -6 / 0.7**4]),
    ],
)
def test_the_expected_step_is_that_of_calculus(f, at, derivatives):
    """h = sqrt(2 eps |f|/|f''|) and (3/2 eps |f|/|f'''|)^(1/3) balance truncation and rounding."""
    f0, _, second, third = map(abs, derivatives)
    found = curves(f, {x: at})
    # The grid of steps is 1% wide.
    assert found["forward"].theory_step == pytest.approx(np.sqrt(2 * EPS * f0 / second), rel=0.03)
    assert found["central"].theory_step == pytest.approx((1.5 * EPS * f0 / third) ** (1 / 3), rel=0.03)


def test_the_best_step_lies_where_theory_expects_it():
    found = curves(sd.exp(-(x**2)) * sd.sin(y), {x: 1.2, y: 0.7})
    for method in ("forward", "central"):
        c = found[method]
        # Rounding errors are erratic: the best of a few steps near the optimum may be a decade away.
        assert abs(np.log10(c.best_step / c.theory_step)) <= 1.0
        assert c.best_error == c.errors.min() <= 2 * c.theory_error
        assert c.errors[0] > 1e3 * c.best_error < c.errors[-1]
    slopes = np.diff(np.log10(found["central"].errors[-8:])) / np.diff(np.log10(STEPS[-8:]))
    assert np.median(slopes) == pytest.approx(2.0, abs=0.1)


def test_the_complex_step_has_no_v():
    c = curves(sd.exp(x), {x: 0.4})["complex"]
    assert np.all(c.errors[STEPS < 1e-8] <= 2 * EPS)
    assert np.isnan(c.theory_step)


def test_polynomials_kinks_ends_of_the_domain_and_empty_arrays():
    assert np.isnan(curves(3 * x, {x: 0.5})["forward"].theory_step)
    assert np.all(curves(abs(x), {x: 0.0})["forward"].errors == 0.0)
    c = curves(sd.sqrt(x), {x: 1e-3})["central"]
    assert np.isnan(c.errors[STEPS > 2e-3]).all()
    assert np.isfinite(c.best_error)
    empty = sd.vector("empty", 0)
    assert np.all(curves(sd.sum(sd.sin(empty)), {empty: np.zeros(0)})["forward"].errors == 0.0)


def test_arrays_have_the_worst_entry_at_each_step():
    at = np.array([0.1, 0.2, 1.5])
    found = curves(sd.exp(v), {v: at})
    single = [curves(sd.exp(x), {x: a})["central"].errors for a in at]
    np.testing.assert_allclose(found["central"].errors, np.max(single, axis=0), rtol=1e-12)


def test_cancellation_moves_the_expected_step():
    """The noise of (1 - cos x)/x^2 at 1e-5 is 1e-6, not eps: steps must be wide."""
    assert curves((1 - sd.cos(x)) / x**2, {x: 1e-5})["forward"].theory_step > 1e-5


def test_it_prints():
    text = str(sd.compare(sd.exp(x), {x: 0.4}).sweep)
    assert text.count("\n") == 2
    assert "theory" in text
