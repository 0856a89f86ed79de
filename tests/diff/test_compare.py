"""Finite differences and the comparison: accuracy, forms, kinks, and that a wrong rule is caught."""

from __future__ import annotations

import math
from unittest import mock

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import symdiff as sd
from symdiff.diff.exact import exact_derivative
from symdiff.ops import elementwise as el
from tests.diff.broken import scaled
from tests.diff.programs import array_programs

EPS = np.finfo(float).eps
x, y = sd.symbols("x y")
v = sd.vector("v", 3)
A = sd.matrix("A", 2, 3)

# Steps eps^(1/2) and eps^(1/3) lose a half and a third of the digits; factors are those of the test functions.
ACCURACY = {"forward": 8 * EPS ** (1 / 2), "central": 8 * EPS ** (2 / 3), "complex": 8 * EPS, "richardson": 1e-11}


@pytest.mark.parametrize("method", ACCURACY)
def test_differences_have_their_accuracy(method) -> None:
    for f, at, exact in (
        (sd.sin(x), 0.7, math.cos(0.7)),
        (sd.exp(x), 2.0, math.exp(2.0)),
        (x**3, -1.5, 6.75),
        (sd.log(x), 30.0, 1 / 30.0),
        (sd.arctan(1000 * x), 0.5, 1000 / (1 + 500.0**2)),
    ):
        assert sd.finite_difference(f, {x: at}, wrt=x, method=method) == pytest.approx(
            exact, rel=200 * ACCURACY[method]
        )
    assert sd.finite_difference(sd.sin(x), {x: 0.7}, x, method) == pytest.approx(math.cos(0.7), rel=ACCURACY[method])


def test_complex_step_beside_a_singularity_and_far_away() -> None:
    for at in (1e-200, 1e-8, 1e8, 1e200):
        got = sd.finite_difference(sd.log(x), {x: at}, x, "complex")
        assert got == pytest.approx(1 / at, rel=4 * EPS)
    assert math.isnan(sd.finite_difference(sd.log(x), {x: -1.0}, x, "complex"))
    assert sd.finite_difference(sd.gamma(x), {x: -0.45}, x, "complex") == pytest.approx(
        float(mpmath.diff(mpmath.gamma, -0.45)), rel=64 * EPS
    )


def test_forms() -> None:
    f = sd.sum(sd.tanh(A @ v)) * x
    point = {"A": np.arange(6.0).reshape(2, 3) / 7, v: [0.1, 0.2, -0.4], "x": 2.0}
    assert isinstance(sd.finite_difference(f, point, wrt="x"), float)
    assert sd.finite_difference(f, point, wrt=A).shape == (2, 3)
    assert [np.shape(b) for b in sd.finite_difference(f, point, wrt=[v, x])] == [(3,), ()]
    assert len(sd.finite_difference(f, point)) == 3
    assert sd.finite_difference(A @ v, {A: np.ones((2, 3)), v: np.ones(3)}, wrt=A).shape == (2, 2, 3)
    value, error = sd.richardson(A @ v, {A: np.ones((2, 3)), v: np.ones(3)}, wrt=v)
    assert value.shape == error.shape == (2, 3)
    np.testing.assert_array_less(np.abs(value - 1.0), error + 4 * EPS)


def test_integers_stay_put_and_single_precision_knows_its_steps() -> None:
    k = sd.array("k", (2,), dtype="int64")
    got = sd.finite_difference(sd.sum(sd.take(v, k) ** 2), {v: [1.0, 2.0, 3.0], k: [2, 0]})
    np.testing.assert_allclose(got[0], [2.0, 0.0, 6.0], rtol=ACCURACY["central"])
    s = sd.array("s", (), dtype="float32")
    assert sd.finite_difference(sd.exp(s), {s: 1.0}, s) == pytest.approx(math.e, rel=1e-3)


def test_nan_and_infinite_points() -> None:
    for method in ACCURACY:
        assert math.isnan(sd.finite_difference(sd.sin(x), {x: math.nan}, x, method))
    assert math.isnan(sd.finite_difference(sd.arctan(x), {x: math.inf}, x))
    assert sd.compare(sd.sin(x), {x: math.nan}).notes == ("x: f is not finite",)


def test_rows_and_reference() -> None:
    f = sd.exp(-(x**2)) * sd.sin(y)
    cmp = sd.compare(f, {x: 1.2, y: 0.7})
    assert [r.method for r in cmp.rows] == [
        "symbolic", "forward", "reverse", "forward difference", "central difference", "complex step", "richardson",
    ]  # fmt: skip
    assert cmp.passed
    assert cmp.wrt == (x, y)
    with mpmath.workdps(60):
        a, b = mpmath.mpf(1.2), mpmath.mpf(0.7)
        exact = [-2 * a * mpmath.exp(-a * a) * mpmath.sin(b), mpmath.exp(-a * a) * mpmath.cos(b)]
        shown = mpmath.nstr(exact[1], 20)
        assert all(abs(r - e) < mpmath.mpf(10) ** -50 for r, e in zip(cmp.reference, exact, strict=True))
    for row in cmp.rows[:3]:
        assert row.max_ulp <= 4
        assert row.ops > 0
        assert row.seconds > 0
    text = str(cmp)
    assert shown in text
    assert "central difference" in text
    assert "\x1b" not in text


def test_arrays_single_symbols_and_compiled_rows() -> None:
    values = {A: np.arange(6.0).reshape(2, 3) / 7, v: np.array([0.1, 0.2, -0.4])}
    cmp = sd.compare(sd.tanh(A @ v), values, wrt=v, compiler=sd.compile)
    assert cmp.passed
    assert cmp.rows[0].value.shape == (2, 3)
    assert cmp.reference.shape == (2, 3)
    assert "… 3 more" in str(cmp)


def test_notes_at_points_that_are_not_smooth() -> None:
    cases = {
        "a kink": (sd.absolute(x), 0.0, 0.0),
        "f jumps": (sd.sign(x), 0.0, 0.0),
        "the domain of f ends": (sd.sqrt(x), 0.0, math.inf),
        "a vertical tangent": (sd.cbrt(x), 0.0, math.inf),
    }
    for note, (f, at, expected) in cases.items():
        cmp = sd.compare(f, {x: at}, wrt=x)
        assert cmp.notes[0] == f"x: {note}"
        assert [r.value for r in cmp.rows[:3]] == [expected] * 3
        assert cmp.passed, str(cmp)
    for f in (x * sd.absolute(x), sd.where(x > 0, sd.sqrt(x) * x, 0.0), sd.relu(x) ** 2):
        cmp = sd.compare(f, {x: 0.0}, wrt=x)
        assert cmp.notes == ()
        assert cmp.rows[2].value == 0.0
        assert cmp.passed, str(cmp)


def test_rounding_of_the_reference_is_no_jump() -> None:
    """Where a value of many digits is constant but for its last digit, the derivative is 0 and not a jump's."""
    D = sd.matrix("D", 2, 2)
    got = sd.compare(sd.qr(D)[0][1, 1], {D: [[2.0, 1], [0.3, 1.7]]})
    assert got.passed
    assert not got.notes
    assert got.reference[0][0, 1] == 0
    third = exact_derivative(sd.sin(x) ** 2 + sd.cos(x) ** 2 + y / 3, {x: np.asarray(0.7), y: np.asarray(2.0)}, x)
    assert third.value.item() == 0
    assert not third.notes
    B = sd.matrix("B", 3, 3)
    at = np.random.default_rng(3).uniform(-2, 2, (3, 3))
    all_of_q = sd.compare(sd.qr(B)[0], {B: at})
    assert all_of_q.passed
    assert not all_of_q.notes
    # Rules lose a few digits of the largest entry at most, and a 0 is measured by that.
    assert max(r.max_ulp for r in all_of_q.rows if r.method in ("forward", "reverse", "sparse")) < 2.0**10
    # A jump of any honest size is one still.
    assert exact_derivative(sd.floor(x) * 1e-90, {x: np.asarray(2.0)}, x).notes == ("x: f jumps",)


def test_extrapolation_across_a_kink_is_judged_by_its_differences() -> None:
    """All but the last steps of Ridders' table reach over the kink 1e-4 away."""
    cmp = sd.compare(sd.tanh(sd.minimum(x, y)), {x: 1.00017, y: 1.00031})
    assert cmp.passed
    assert cmp.rows[-1].max_abs_error > 0.1


def test_values_beyond_floating_point_numbers() -> None:
    cmp = sd.compare(sd.exp(1000 * x), {x: 1.0}, wrt=x)
    assert [r.value for r in cmp.rows[:3]] == [math.inf] * 3
    assert cmp.rows[0].max_abs_error == 0.0
    assert cmp.passed, str(cmp)
    # Below the smallest number the derivative is 0, as close as it can be.
    assert sd.compare(sd.exp(-1000 * x), {x: 1.0}, wrt=x).passed


def test_cancellation_is_no_failure() -> None:
    """(1 - cos x)/x^2 loses all digits at 1e-8: each method is as good as its arithmetic allows."""
    assert sd.compare((1 - sd.cos(x)) / x**2, {x: 1e-8}).passed


def test_a_tie_passes_with_any_share_but_one_for_all() -> None:
    cmp = sd.compare(sd.maximum(x, y), {x: 1.0, y: 1.0})
    assert cmp.passed
    assert cmp.rows[0].value == [0.5, 0.5]
    assert all("a kink" in note for note in cmp.notes)


def test_the_reference_uses_no_rule() -> None:
    with mock.patch("symdiff.diff.forward.push_one", side_effect=AssertionError("a rule was used")):
        exact = exact_derivative(sd.gammaln(x), {x: np.array(2.5)}, x)
        with pytest.raises(AssertionError, match="a rule was used"):
            sd.diff(sd.gammaln(x), x)
    with mpmath.workdps(50):
        assert abs(exact.value.item() - mpmath.digamma(2.5)) < mpmath.mpf(10) ** -48


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sin", lambda r, x: (el.cos(x) * 1.0000000001,)),
        ("exp", lambda r, x: (-r,)),
        ("tanh", lambda r, x: (1 - r,)),
        ("sigmoid", lambda r, x: (r,)),
    ],
)
def test_a_wrong_partial_is_caught(name, wrong) -> None:
    op = getattr(el, name)
    right = op.partials
    try:
        object.__setattr__(op, "partials", wrong)
        cmp = sd.compare(op(x) + x, {x: 0.7})
    finally:
        object.__setattr__(op, "partials", right)
    assert not cmp.passed
    # Three rules that share the wrong partial agree with each other; only the reference tells.
    assert [r.passed for r in cmp.rows] == [False] * 3 + [True] * 4


def test_array_comparisons_have_a_sparse_row() -> None:
    u = sd.vector("u", 6)
    f = sd.sin(u[1:]) * u[:-1] ** 2
    at = {u: np.linspace(-1, 2, 6)}
    for compiler in (None, sd.compile):
        cmp = sd.compare(f, at, compiler=compiler)
        row = next(r for r in cmp.rows if r.method == "sparse")
        assert row.passed, str(cmp)
        # One result per symbol, written out in full; the pattern is a band of two diagonals.
        np.testing.assert_allclose(row.value[0], cmp.rows[2].value[0], rtol=8 * EPS)
        assert np.count_nonzero(row.value[0]) == 10
    with scaled(el.sin, 1.0001):
        assert not next(r for r in sd.compare(f, at).rows if r.method == "sparse").passed


def test_empty_and_single_entries() -> None:
    empty, one = sd.vector("empty", 0), sd.vector("one", 1)
    for f, at, shape in (
        (sd.sin(empty), {empty: np.zeros(0)}, (0, 0)),
        (sd.sum(sd.sin(empty)), {empty: np.zeros(0)}, (0,)),
        (sd.sin(one) * one, {one: [0.3]}, (1, 1)),
        (sd.sin(x) + 0 * sd.sum(empty), {x: 0.3, empty: np.zeros(0)}, ()),
    ):
        cmp = sd.compare(f, at)
        assert cmp.passed, str(cmp)
        assert np.shape(cmp.rows[0].value[0]) == shape
        str(cmp)


def test_infinite_and_nan_points_of_arrays() -> None:
    cmp = sd.compare(sd.arctan(v), {v: [0.3, math.inf, math.nan]})
    assert "v[2]: f is not finite" in cmp.notes
    assert cmp.passed, str(cmp)
    assert cmp.rows[0].value[0][0, 0] == pytest.approx(1 / 1.09, rel=4 * EPS)


def test_counters_of_loops_are_not_moved_by_rounding() -> None:
    """A count kept in floating-point numbers must not miss its end when rounding is estimated."""
    out = sd.while_loop(lambda s, n: n < 5, lambda s, n: [sd.sin(s + x / s) / 2, n + 1], [1 + x * x, 0])[0]
    assert sd.compare(out, {x: 0.7}).passed
    with scaled(el.sin, 1 + 1e-10):
        assert not sd.compare(out, {x: 0.7}).passed


def test_lost_digits_are_explained() -> None:
    f = (1 - sd.cos(x)) / x**2
    cmp = sd.compare(f, {x: 1e-8})
    assert cmp.passed
    assert cmp.parting.node is f.args[0]
    assert "is as good as its formula" in cmp.notes[-1]
    assert sd.compare(sd.sin(x), {x: 1.0}).parting is None


@given(array_programs())
@settings(max_examples=15)
def test_array_programs_pass(program) -> None:
    f, values = program
    cmp = sd.compare(f, values)
    assert cmp.passed, str(cmp)


def test_nothing_compared_is_not_passed() -> None:
    assert not sd.compare(sd.opaque(np.sin, ())(x), {x: 0.3}).passed
    assert not sd.compare(sd.log(x), {x: -1.0}).passed
    assert sd.compare(sd.sin(x) * 0 + 2, {x: 0.3}).passed
    with pytest.raises(sd.DTypeError, match=r"A point is a mapping .* got Node"):
        sd.compare(sd.sin(x), x)
    with pytest.raises(sd.DomainError, match="one point or more, got points=0"):
        sd.check(sd.sin(x), points=0)
