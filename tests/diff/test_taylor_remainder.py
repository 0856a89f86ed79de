"""Taylor tests: slopes 2 and 3 for right derivatives, less for wrong ones, no verdict where there can be none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

import symdiff as sd
from symdiff.ops import elementwise as el
from tests.diff.broken import scaled
from tests.diff.programs import array_programs

x = sd.symbols("x")
v = sd.vector("v", "n")
A = sd.matrix("A", 40, "n")
RNG = np.random.default_rng(8)
POINT = {A: RNG.normal(size=(40, 6)), v: RNG.normal(size=6)}
SMOOTH = sd.sum(sd.log1p(sd.exp(A @ v)) * sd.sin(sd.sum(A, axis=1)))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("order", [1, 2])
def test_slopes_of_right_derivatives(mode, order):
    for f in (SMOOTH, sd.tanh(A @ v)):
        result = sd.taylor_test(f, POINT, order=order, mode=mode)
        assert result.passed
        assert result.slope == pytest.approx(order + 1, abs=0.1)
    # The remainder of exp along v is known: h^2/2 v'v exp.
    result = sd.taylor_test(sd.exp(x), {x: 0.0}, order=order, mode=mode)
    direction = (result.remainders[3] * 2 / result.steps[3] ** 2) ** 0.5 if order == 1 else None
    assert direction is None or 0.3 <= direction <= 0.9


@given(array_programs())
@settings(max_examples=25)
def test_random_programs(program):
    """A test that is conclusive passes, also across the kinks of max, min, abs and where."""
    f, values = program
    for order in (1, 2):
        result = sd.taylor_test(f, values, order=order)
        assume(result.conclusive)
        assert result.passed, str(result)


@pytest.mark.parametrize("factor", [1 + 1e-5, 1.1, -1.0, 0.0])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_wrong_first_derivative_has_slope_one(factor, mode):
    with scaled(el.sin, factor):
        result = sd.taylor_test(SMOOTH, POINT, mode=mode)
    assert result.conclusive
    assert not result.passed
    assert result.slope == pytest.approx(1.0, abs=0.25)


def test_a_wrong_second_derivative_has_slope_two():
    """The derivative of cos enters the second derivative of sin only."""
    f = sd.sum(sd.sin(v) * sd.exp(v))
    with scaled(el.cos, 1.01):
        first, second = (sd.taylor_test(f, {v: POINT[v]}, order=k) for k in (1, 2))
    assert first.passed
    assert not second.passed
    assert second.slope == pytest.approx(2.0, abs=0.2)


def test_low_degrees_leave_nothing_but_rounding():
    for f, order in ((3 * sd.sum(v), 1), (sd.sum(v**2), 2), (sd.sum(v) * 0 + 2.5, 1)):
        result = sd.taylor_test(f, {v: POINT[v]}, order=order)
        assert result.passed
        assert result.slope == np.inf
        assert "low degree" in result.notes[0]
    with scaled(el.mul, 1.5):
        assert not sd.taylor_test(3 * sd.sum(v), {v: POINT[v]}).passed


def test_a_kink_at_the_point_allows_no_verdict():
    result = sd.taylor_test(sd.sum(sd.relu(v)), {v: np.zeros(5)})
    assert not result.conclusive
    assert not result.passed
    assert "kinks" in result.notes[0]


def test_kinks_beside_the_point():
    """Piecewise linear: below the nearest kink nothing is left, which no wrong derivative does."""
    for order in (1, 2):
        assert sd.taylor_test(sd.sum(sd.relu(A @ v)), POINT, order=order).passed
    with scaled(el.relu, 1.01):
        result = sd.taylor_test(sd.sum(sd.relu(A @ v)), POINT)
    assert result.conclusive
    assert not result.passed


def test_points_that_allow_no_verdict():
    for f, at, words in (
        (sd.log(x), -1.0, "not finite"),
        (x + 1e18, 0.3, "rounding hides"),
        (sd.where(sd.equal(x, 1.0), 1.0, sd.nan), 1.0, "domain"),
    ):
        result = sd.taylor_test(f, {x: at})
        assert not result.passed
        assert not result.conclusive
        assert words in result.notes[0]


def test_edges():
    empty = sd.vector("empty", 0)
    assert sd.taylor_test(sd.sum(sd.sin(empty)), {empty: np.zeros(0)}).passed
    single = sd.array("single", (4,), dtype="float32")
    result = sd.taylor_test(sd.exp(single), {single: [0.1, 0.2, 0.3, 0.4]})
    assert result.passed, str(result)
    with pytest.raises(sd.DerivativeError, match="order 1"):
        sd.taylor_test(x, {x: 1.0}, order=3)
    with pytest.raises(sd.DerivativeError, match="'forward'"):
        sd.taylor_test(x, {x: 1.0}, mode="backward")


def test_it_prints():
    text = str(sd.taylor_test(SMOOTH, POINT))
    assert "slope 2.00, expected 2" in text
    assert len(text.splitlines()) >= 18
