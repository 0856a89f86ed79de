"""Numbers of the cpu target: special values, errors in ulp against long double, independence of place and threads."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.literals import Literal
from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.ops.elementwise.bessel import OF_ORDER

nan, inf = np.nan, np.inf
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, nan, inf, -inf, 5e-324, -5e-324, 2.3e-308, -2.3e-308, 1e-310,
     1e-300, 1e-20, -1e-20, 1e-17, 1e-9, 1e22, -1e22, 1e300, -1e300, 1.7976931348623157e308, -1.7976931348623157e308,
     709.5, 709.78, 709.79, 710.5, -708.5, -745.0, -745.2, -746.0, -740.0, 1e5, 12345678.9, -1e5, 3.141592653589793,
     1.5707963267948966, -1.5707963267948966, 314159.2653589793, 20.0, -20.0, 22.5, 30.0, -37.6, 6.0, 26.5, 27.3, -6.0,
     170.5, 171.7, 172.0, -0.9999999, -1 + 1e-16, 1 + 2.3e-16, -2.0, -170.5, 0.1, -0.1, 89.4, -104.0, 2.0**53 + 1,
     2.0**63, -(2.0**63), 1e19, 1.5, -1.5, 2.5, 0.49999999999999994]
)  # fmt: skip
PARAMS: dict[str, dict[str, Any]] = {"cast": {"dtype": "bool"}} | {op.name: {"v": Literal(2.5)} for op in OF_ORDER}
NUMERIC = [op for op in ELEMENTWISE if op.kinds != "logic" and op.name not in ("where", "polygamma")]

# (function, argument) -> why SciPy, which the interpreter calls there, is not the judge.
OTHER_VALUES = {
    ("gammaln", -inf): "C says +inf as the limit of log|gamma|, SciPy -inf",
    ("gammaln", 5e-324): "log(5e-324) is -744, SciPy gives inf",
    ("gammaln", -5e-324): "as above",
    ("gammaln", 1e-310): "as above",
    ("gammaln", 1 + 2.3e-16): "SciPy loses all digits next to the zero at 1",
}
# logaddexp cancels where its value is near 0; SciPy's gamma and gammaln are themselves off by some ulp.
ULPS = {"logaddexp": 32, "gamma": 8, "gammaln": 64}


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """|got - want| in units of the last digit of `want`; inf where one is NaN or infinite and the other is not."""
    with np.errstate(all="ignore"):
        space = np.spacing(np.abs(want))
        off = np.abs(got - want) / np.where(np.isfinite(space), space, 1)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    return np.where(same, 0.0, np.where(np.isfinite(off), off, inf))


def grids(op: Elementwise, values: np.ndarray) -> list[np.ndarray]:
    """Every value, or every pair of values, or some triples."""
    return [g.ravel() for g in np.meshgrid(*[values] * op.n_args)]


@pytest.mark.parametrize("op", NUMERIC, ids=str)
def test_special_values_on_lanes(op: Elementwise) -> None:
    params = PARAMS.get(op.name, {})
    xs = [sd.array(f"x{k}", "n") for k in range(op.n_args)]
    args = grids(op, SPECIAL)
    node = op(*xs, **params)
    want = sd.compile(node, xs, target="reference")(*args)
    got = sd.compile(node, xs)(*args)
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    off = ulps(got, want)
    known = np.array([(op.name, float(p[0])) in OTHER_VALUES for p in zip(*args, strict=True)])
    bad = np.flatnonzero((off > ULPS.get(op.name, 4)) & ~known)
    lines = [f"{[float(a[i]) for a in args]}: got {got[i]!r}, NumPy {want[i]!r}" for i in bad[:10]]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("op", NUMERIC, ids=str)
def test_one_number_and_lanes_of_numbers(op: Elementwise) -> None:
    """The scalar functions of the C library have the same NaN and infinities as the vector ones."""
    params = PARAMS.get(op.name, {})
    xs = [sd.symbols(f"x{k}") for k in range(op.n_args)]
    fn = sd.compile(op(*xs, **params), xs)
    args = grids(op, SPECIAL[::3])
    mapped = fn(*args)
    single = np.array([fn(*map(float, p)) for p in zip(*args, strict=True)])
    if mapped.dtype.kind != "f":
        np.testing.assert_array_equal(single, mapped)
        return
    # 4 ulp for the vector library, 1 for the scalar one, more where formulas cancel.
    assert (ulps(single, mapped) <= ULPS.get(op.name, 5)).all()


@pytest.mark.parametrize("op", NUMERIC, ids=str)
def test_float32_lanes(op: Elementwise) -> None:
    if op.name == "cast":
        return
    values = np.unique(SPECIAL[np.abs(SPECIAL) < 3e38].astype(np.float32))
    values = np.append(values, np.float32([nan, inf, 88.7, -87.3, -103.9, 1e-40]))
    xs = [sd.array(f"x{k}", "n", dtype="float32") for k in range(op.n_args)]
    wide = [sd.array(f"x{k}", "n") for k in range(op.n_args)]
    args = grids(op, values)
    params = PARAMS.get(op.name, {})
    got = sd.compile(op(*xs, **params), xs)(*args)
    with np.errstate(all="ignore"):
        want = sd.compile(op(*wide, **params), wide, target="reference")(*[a.astype(float) for a in args]).astype(
            got.dtype
        )
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    assert (ulps(got, want) <= ULPS.get(op.name, 4)).all()


N = 20_000
RNG = np.random.default_rng(5)


def log_uniform(low: float, high: float) -> np.ndarray:
    return np.exp(RNG.uniform(np.log(low), np.log(high), N)) * RNG.choice([-1, 1], N)


WIDE, MIDDLE, NEAR, UNIT = (
    log_uniform(1e-300, 1e300),
    log_uniform(1e-8, 1e3),
    RNG.uniform(-3, 3, N),
    RNG.uniform(-1, 1, N),
)
RANGES: dict[str, list[np.ndarray]] = {
    "sin": [WIDE, MIDDLE, NEAR], "cos": [WIDE, MIDDLE, NEAR], "tan": [WIDE, MIDDLE, NEAR], "exp": [MIDDLE * 0.7, NEAR],
    "exp2": [MIDDLE * 0.9, NEAR], "expm1": [MIDDLE * 0.7, NEAR, log_uniform(1e-20, 1)], "arctan": [WIDE, NEAR],
    "log": [abs(WIDE), abs(NEAR), 1 + UNIT * 1e-6], "log2": [abs(WIDE), 1 + UNIT * 1e-6],
    "log10": [abs(WIDE), 1 + UNIT * 1e-6], "log1p": [abs(WIDE), UNIT, log_uniform(1e-20, 0.9)],
    "sinh": [MIDDLE * 0.7, NEAR],
    "arcsin": [UNIT, 1 - abs(UNIT) * 1e-8], "arccos": [UNIT, 1 - abs(UNIT) * 1e-8], "cosh": [MIDDLE * 0.7, NEAR],
    "tanh": [MIDDLE, NEAR, log_uniform(1e-20, 1)], "arcsinh": [WIDE, NEAR], "arctanh": [UNIT, log_uniform(1e-20, 0.99)],
    "arccosh": [1 + abs(MIDDLE), 1 + abs(UNIT) * 1e-8], "cbrt": [WIDE, NEAR], "sqrt": [abs(WIDE)],
}  # fmt: skip


def check_long_double(got: np.ndarray, exact: np.ndarray) -> None:
    """At most 4 ulp from the value with 64 bits of mantissa, which is known to 0.01 ulp of a double."""
    want = exact.astype(float)
    with np.errstate(all="ignore"):
        off = np.abs((got - exact) / np.spacing(np.abs(want)))
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    assert np.where(same, 0, off).max() <= 4


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here")
@pytest.mark.parametrize("name", RANGES)
def test_functions_are_right_to_four_ulp(name: str) -> None:
    x = sd.symbols("x")
    fn = sd.compile(getattr(sd, name)(x), [x])
    for v in RANGES[name]:
        with np.errstate(all="ignore"):
            exact = getattr(np, name)(v.astype(np.longdouble))
        check_long_double(fn(v), exact)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here")
@pytest.mark.parametrize("name", ["pow", "arctan2", "hypot"])
def test_functions_of_two_arguments_are_right_to_four_ulp(name: str) -> None:
    x, y = sd.symbols("x y")
    build = {"pow": x**y, "arctan2": sd.arctan2(x, y), "hypot": sd.hypot(x, y)}[name]
    a, b = {
        "pow": (abs(log_uniform(1e-30, 1e30)), RNG.uniform(-9, 9, N)),
        "arctan2": (WIDE, log_uniform(1e-300, 1e300)),
        "hypot": (log_uniform(1e-150, 1e150), log_uniform(1e-150, 1e150)),
    }[name]
    exact = {"pow": np.power}.get(name, getattr(np, name, None))(a.astype(np.longdouble), b.astype(np.longdouble))
    check_long_double(sd.compile(build, [x, y])(a, b), exact)


# --- place, threads, repetition -----------------------------------------------

X, Y = sd.symbols("x y")
LONG = [
    sd.exp(-(X**2)) * sd.sin(Y) + X * Y - Y * X * 3 + sd.log1p(X * X),
    X / Y + sd.tanh(X) * sd.erf(Y) + sd.absolute(X) ** 3.3,
    sd.gradient(sd.exp(-(X**2)) * sd.sin(Y) * sd.cos(X * Y) / (1 + X * X) + sd.gammaln(1 + X * X), X),
]


def test_a_result_does_not_depend_on_its_place() -> None:
    fn = sd.compile(LONG, [X, Y])
    a, b = RNG.normal(size=(2, 40_001))
    whole = fn(a, b)
    for offset, length in itertools.product((0, 1, 3, 8, 13, 16_381), (1, 2, 3, 7, 8, 9, 17, 20_000)):
        part = slice(offset, offset + length)
        for got, want in zip(fn(a[part], b[part]), whole, strict=True):
            np.testing.assert_array_equal(got, want[part])


def test_a_row_does_not_depend_on_its_place() -> None:
    a, w = sd.matrix("A", "n", "m"), sd.vector("w", "n")
    fn = sd.compile([sd.exp(a) * w[:, None] + sd.sin(a), sd.sum(a * a + a, axis=1), sd.max(a, axis=1)], [a, w])
    m, v = RNG.normal(size=(50, 37)), RNG.normal(size=50)
    whole = fn(m, v)
    for rows in (slice(0, 1), slice(3, 20), slice(49, 50)):
        for got, want in zip(fn(m[rows], v[rows]), whole, strict=True):
            np.testing.assert_array_equal(got, want[rows])


@pytest.mark.parametrize("shape", [(300_000, 1), (1, 300_000), (500, 400), (40_001, 13), (13, 40_001)], ids=str)
def test_results_do_not_depend_on_threads(shape: tuple[int, int]) -> None:
    a, w = sd.matrix("A", "n", "m"), sd.vector("w", "n")
    nodes = [
        sd.sum(sd.exp(a) * w[:, None]), sd.sum(a * a, axis=0), sd.sum(sd.sin(a), axis=1), sd.exp(a) + a,
        sd.max(a, axis=0), sd.sum(a.T * w, axis=1), sd.prod(1 + a * 1e-6),
    ]  # fmt: skip
    args = [RNG.normal(size=shape), RNG.normal(size=shape[0])]
    runs: list[list[Any]] = []
    for threads in (1, 2, 5, None):
        fn = sd.compile(nodes, [a, w], threads=threads)
        runs += [fn(*args), fn(*args)]
    for run in runs[1:]:
        for got, want in zip(run, runs[0], strict=True):
            np.testing.assert_array_equal(got, want)
    # Blocked sums of 3e5 terms of either sign: the error grows with the square root of their number at most.
    for got, want in zip(runs[0], sd.compile(nodes, [a, w], target="reference")(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e5 * np.finfo(float).eps, atol=1e5 * np.finfo(float).eps)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 16_383, 16_384, 16_385, 40_001])
def test_sizes_around_lanes_and_blocks(n: int) -> None:
    a, b = RNG.normal(size=(2, n))
    x, y = sd.vector("x", "n"), sd.vector("y", "n")
    nodes = [sd.exp(x) * y, sd.sum(x * y), sd.sum(sd.sin(x) + y), sd.prod(1 + 1e-4 * x), x[::-1] - y]
    for got, want in zip(
        sd.compile(nodes, [x, y])(a, b),
        [np.exp(a) * b, a @ b, np.sum(np.sin(a) + b), np.prod(1 + 1e-4 * a), a[::-1] - b],
        strict=True,
    ):
        # Sums of 4e4 numbers near 1, in another order than NumPy's.
        np.testing.assert_allclose(got, want, rtol=1e4 * np.finfo(float).eps, atol=1e4 * np.finfo(float).eps)
    for got, want in zip(
        sd.compile(LONG[:1], [X, Y])(a, b),
        [np.exp(-(a**2)) * np.sin(b) + a * b - b * a * 3 + np.log1p(a * a)],
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=64 * np.finfo(float).eps, atol=16 * np.finfo(float).eps)
