"""Taylor mode: every primitive and many formulas against mpmath's Taylor coefficients, SymPy's series, and its cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret, mp_array
from symdiff.ir.node import Node
from symdiff.ops.elementwise import ELEMENTWISE
from tests.case import Case
from tests.primitive_cases import CASES

EPS = 2.0**-52
X, Y = sd.symbols("x y")
ORDER = 8


def exact(g: Callable[[Any], Any], at: float, order: int) -> list[Any]:
    """The Taylor coefficients of g by mpmath, which differences g with as many digits as that needs."""
    with mpmath.workdps(60):
        return [+c for c in mpmath.taylor(g, mpmath.mpf(at), order)]


def check(f: Node, g: Callable[[Any], Any], at: float, order: int = ORDER, ulps: float = 64) -> None:
    """Compare as formulas (50 digits) and as numbers.

    Both within `ulps` of the largest coefficient so far, for x of size 1: recursions sum products of the earlier
    ones, and literals such as 2/sqrt(pi) are doubles.
    """
    series = sd.taylor(f, X, order)
    expected = exact(g, at, order)
    with mpmath.workdps(50):
        formulas = interpret(series, {X: at}, "mpmath")
    numbers = interpret(series, {X: at})
    largest = 0.0
    for k, (c, formula, number) in enumerate(zip(expected, formulas, numbers, strict=True)):
        largest = max(largest, abs(float(c)))
        assert abs(formula[()] - c) <= 8 * EPS * largest, (k, formula, c)
        assert abs(float(number) - float(c)) <= ulps * EPS * largest, (k, number, c)


FORMULAS: dict[str, tuple[Callable[[Any], Node], Callable[[Any], Any], float]] = {
    "exp(sin)": (lambda x: sd.exp(sd.sin(x)), lambda x: mpmath.exp(mpmath.sin(x)), 0.7),
    "1/(1+x^2)": (lambda x: 1 / (1 + x * x), lambda x: 1 / (1 + x * x), 0.6),
    "x^x": (lambda x: x**x, lambda x: x**x, 1.3),
    "x^3 at 0": (lambda x: x**3, lambda x: x**3, 0.0),
    "(sin x)^5 at 0": (lambda x: sd.sin(x) ** 5, lambda x: mpmath.sin(x) ** 5, 0.0),
    "(1+x+x^2)^-2.5": (lambda x: (1 + x + x * x) ** -2.5, lambda x: (1 + x + x * x) ** mpmath.mpf(-2.5), 0.4),
    "(2+sin x)^3.5": (lambda x: (2 + sd.sin(x)) ** 3.5, lambda x: (2 + mpmath.sin(x)) ** mpmath.mpf(3.5), 0.4),
    "(x-3)^7": (lambda x: (x - 3) ** 7, lambda x: (x - 3) ** 7, 0.25),
    "2^x": (lambda x: 2.0**x, lambda x: mpmath.mpf(2) ** x, 0.3),
    "sqrt(1+x^2)": (lambda x: sd.sqrt(1 + x * x), lambda x: mpmath.sqrt(1 + x * x), 0.3),
    "log-sum-exp": (
        lambda x: sd.logsumexp(sd.stack([x, x * x, 0.5 * x])),
        lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(x * x) + mpmath.exp(x / 2)),
        0.3,
    ),
    "softplus(3x)": (lambda x: sd.log(1 + sd.exp(3 * x)), lambda x: mpmath.log1p(mpmath.exp(3 * x)), -0.4),
    "branch": (lambda x: sd.where(x > 0, sd.sin(x), sd.log(x)), mpmath.sin, 0.4),
    "the larger": (lambda x: sd.maximum(x * x, sd.exp(-x)), lambda x: mpmath.exp(-x), 0.4),
    "|sin|": (lambda x: sd.absolute(sd.sin(x)), lambda x: -mpmath.sin(x), -0.9),
    "mod": (lambda x: sd.mod(sd.sinh(x), 1 + x * x), lambda x: mpmath.sinh(x) - 1 - x * x, 3.2),
    "lgamma": (lambda x: sd.gammaln(x * x), lambda x: mpmath.loggamma(x * x), 1.6),
    "tan": (sd.tan, mpmath.tan, 0.4),
    "erf": (sd.erf, mpmath.erf, 0.4),
    "composed": (
        lambda x: sd.tanh(sd.arctan(x) / (1 + sd.erf(x) ** 2)),
        lambda x: mpmath.tanh(mpmath.atan(x) / (1 + mpmath.erf(x) ** 2)),
        0.4,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    f, g, at = FORMULAS[name]
    check(f(X), g, at)


def test_high_orders() -> None:
    check(sd.exp(X), mpmath.exp, 0.7, order=30)
    check(1 / (1 - X), lambda x: 1 / (1 - x), 0.25, order=30)
    assert [float(c) for c in interpret(sd.taylor(1 / (1 - X), X, 30), {X: 0.0})] == [1.0] * 31


SAMPLE_ORDER = {"digamma": 4, "polygamma": 4, "gammaln": 5, "gamma": 5}
ELEMENTWISE_NAMES = {p.name for p in ELEMENTWISE}
DIFFERENTIABLE = [c for c in CASES if any(v.dtype.kind == "f" for v in c.values)]
MADE_LATER = ("lu", "lu_solve", "eigh", "qr")
"""What other primitives become when a function is compiled; derivatives are taken before."""
FIXED_DIGITS = (
    "j0 j1 y0 y1 i0 i1 k0 k1 i0e i1e k0e k1e jv yv iv kv ive kve".split()  # noqa: SIM905  # read as prose
)
"""Their references compute with a number of digits of their own, which differences of high order do not stand."""
SMOOTH_TO = {"det-rank 1": 1}
"""How many derivatives are known where the rule divides by what is zero there; the next are NaN, which is seen."""


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_every_primitive_along_a_direction(case: Case) -> None:
    """Coefficients of w . f(x + t d) for random d and w: every entry and every argument takes part."""
    rng = np.random.default_rng(7)
    order = SAMPLE_ORDER.get(case.primitive, 6 if case.primitive in ELEMENTWISE_NAMES else 3)
    order = 1 if case.primitive in FIXED_DIGITS else SMOOTH_TO.get(str(case), order)
    symbols = [sd.array(f"v{k}", v.shape, dtype=str(v.dtype)) for k, v in enumerate(case.values)]
    real = [(x, v) for x, v in zip(symbols, case.values, strict=True) if v.dtype.kind == "f"]
    # Steps stay inside the intervals where the samples are smooth.
    d = [rng.uniform(-0.3, 0.3, v.shape) * np.minimum(1, np.abs(v) + 1e-3) for _, v in real]
    f = case.build(*symbols)
    if not f.dtype.startswith("float"):
        with pytest.raises(sd.DerivativeError, match=f.dtype):
            sd.taylor(f, [x for x, _ in real], order, directions=d)
        return
    if case.primitive in MADE_LATER:
        with pytest.raises(sd.DerivativeError, match="made after derivatives are taken"):
            sd.taylor(f, [x for x, _ in real], order, directions=d)
        return
    w = rng.uniform(0.5, 1.5, f.shape)
    series = sd.taylor(f, [x for x, _ in real], order, directions=d)
    found = interpret(series, dict(zip(symbols, case.values, strict=True)))

    def g(t: Any) -> Any:
        moved = iter(d)
        args = [mp_array(v) + mp_array(next(moved)) * t if v.dtype.kind == "f" else v for v in case.values]
        return mpmath.mpf(np.sum(mp_array(w) * case.reference(*args)))

    for k, (c, value) in enumerate(zip(exact(g, 0.0, order), found, strict=True)):
        # The rounding of sums over the entries, and of k products each.
        eps = float(np.finfo(value.dtype).eps)
        size = max(1.0, float(np.sum(np.abs(w * value))))
        assert abs(np.sum(w * value) - float(c)) <= 4096 * eps * size, (case, k)


def test_series_of_sympy() -> None:
    sympy = pytest.importorskip("sympy")
    x = sympy.Symbol("x")
    for e in (sympy.tan(x), sympy.log(1 + x) * sympy.exp(x), sympy.cos(sympy.sin(x)) / (1 - x)):
        expected = [float(e.series(x, 0, 6).removeO().coeff(x, k)) for k in range(6)]
        found = interpret(sd.taylor(sd.from_sympy(e), X, 5), {X: 0.0})
        np.testing.assert_allclose(np.array(found), expected, rtol=16 * EPS, atol=4 * EPS)


def test_formulas_are_short() -> None:
    assert [str(c) for c in sd.taylor(X**3, X, 5)] == ["x**3", "3*x**2", "3*x", "1", "0", "0"]
    assert [str(c) for c in sd.taylor(sd.sin(X), X, 4)] == [
        "sin(x)", "cos(x)", "-(sin(x)/2)", "-(cos(x)/6)", "sin(x)/24",
    ]  # fmt: skip
    assert [str(c) for c in sd.taylor(Y, X, 2)] == ["y", "0", "0"]


def test_roots_at_zero_are_infinite() -> None:
    assert [float(c) for c in interpret(sd.taylor(sd.sqrt(X), X, 3), {X: 0.0})] == [0, np.inf, -np.inf, np.inf]
    found = interpret(sd.taylor(X**2.5, X, 3), {X: 0.0})
    assert [float(c) for c in found] == [0, 0, 0, np.inf]
    # An exponent that is known at run time only: x**c with c = 2 at x = 0.
    found = interpret(sd.taylor(X**Y, X, 4), {X: 0.0, Y: 2.0})
    assert [float(c) for c in found] == [0, 0, 1, 0, 0]


def test_directions_of_arrays() -> None:
    """The coefficients of a quadratic form along D are its first and half its second derivative."""
    a, v = sd.matrix("A", 3, 4), sd.vector("v", 4)
    rng = np.random.default_rng(11)
    a0, v0, da, dv = (rng.uniform(-2, 2, s) for s in ((3, 4), (4,), (3, 4), (4,)))
    c = sd.taylor(sd.sum((a @ v) ** 2), [a, v], 5, directions=[da, dv])
    r = [a0 @ v0, da @ v0 + a0 @ dv, da @ dv]
    expected = [float(sum(r[j] @ r[k - j] for j in range(3) if 0 <= k - j < 3)) for k in range(6)]
    np.testing.assert_allclose(np.array(interpret(c, {a: a0, v: v0})), expected, rtol=64 * EPS)
    assert str(c[5]) == "0"


def test_run_time_sizes_and_float32() -> None:
    w = sd.vector("w", "n", dtype="float32")
    c = sd.taylor(sd.exp(w), w, 3, directions=sd.zeros_like(w) + 1)
    assert all(k.dtype == "float32" and k.shape == w.shape for k in c)
    values = np.array([0.25, -1.5, 2.0, 0.75, 1.0], dtype=np.float32)
    got = sd.compile(c, [w])(values)
    for k, out in enumerate(got):
        # float32: two roundings and those of exp
        np.testing.assert_allclose(out, np.exp(values) / math.factorial(k), rtol=8 * 2.0**-23)


def test_loops() -> None:
    """The series of a loop is one loop; it agrees with that of the unrolled formula."""
    n = 6
    _, y, _ = sd.while_loop(lambda i, y, k: i < n, lambda i, y, k: (i + 1, y * sd.sin(y * X) + Y, k + 2), [0, X, 1])
    unrolled: Any = X
    for _ in range(n):
        unrolled = unrolled * sd.sin(unrolled * X) + Y
    at = {X: 0.8, Y: 0.3}
    found, expected = (np.array(interpret(sd.taylor(f, X, 6), at)) for f in (y, unrolled))
    np.testing.assert_allclose(found, expected, rtol=64 * EPS)
    compiled = np.array(sd.compile(sd.taylor(y, X, 6), [X, Y])(0.8, 0.3))
    np.testing.assert_allclose(compiled, expected, rtol=64 * EPS)
    longer = sd.while_loop(lambda i, y: i < 1000, lambda i, y: (i + 1, y * sd.sin(y * X) + Y), [0, X])[1]
    assert count_ops(sd.taylor(longer, X, 6)) <= count_ops(sd.taylor(y, X, 6))


def test_loops_nest() -> None:
    def inner(y: Node) -> Node:
        return sd.while_loop(lambda j, z: j < 3, lambda j, z: (j + 1, sd.sin(z) * X), [0, y])[1]

    y = sd.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, inner(y) + y), [0, X])[1]
    plain: Any = X
    for _ in range(2):
        z = plain
        for _ in range(3):
            z = sd.sin(z) * X
        plain = z + plain
    found, expected = (np.array(interpret(sd.taylor(f, X, 5), {X: 0.8})) for f in (y, plain))
    np.testing.assert_allclose(found, expected, rtol=64 * EPS)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: sd.exp(sd.sin(x)),
        lambda x: 1 / (1 + x * x),
        lambda x: sd.tanh(x * sd.cos(x)) / sd.sqrt(1 + sd.exp(x)),
        lambda x: sd.log(2 + sd.sin(x)) ** 2.5,
        lambda x: sd.erf(sd.arctan2(x, 1 + x * x)),
    ],
)
def test_cost_grows_with_the_square_of_the_order(f: Callable[[Any], Node]) -> None:
    ops = {k: count_ops(sd.taylor(f(X), X, k)) for k in (4, 8, 16, 32)}
    # Quadratic: doubling the order multiplies by 4, and a little more where a linear term is subtracted.
    assert ops[32] < 4.5 * ops[16] < 4.5**2 * ops[8]
    # Each operation, and each of its partials, takes two operations for each pair of coefficients.
    assert ops[32] <= 16 * 32**2 / 2 * count_ops([f(X)])


def test_repeated_differentiation_is_what_it_avoids() -> None:
    f = sd.exp(sd.sin(X)) / (1 + X * X)
    g = f
    for _ in range(7):
        g = sd.diff(g, X)
    assert 4 * count_ops(sd.taylor(f, X, 7)) < count_ops([g])


def test_long_chains_need_no_recursion() -> None:
    f: Any = X
    for k in range(3000):
        f = sd.sin(f) + 0.001 * k
    (c,) = interpret(sd.taylor(f, X, 2)[1:2], {X: 0.3})
    assert np.isfinite(c)


def test_lists_and_zero_directions() -> None:
    rows = sd.taylor([X * Y, X + Y], [X, Y], 2, directions=[2.0, 0.0])
    assert [[str(c) for c in row] for row in rows] == [["x*y", "2*y", "0"], ["x + y", "2", "0"]]


def test_wrong_input() -> None:
    v = sd.vector("v", 3)
    with pytest.raises(sd.DerivativeError, match="order"):
        sd.taylor(X, X, -1)
    with pytest.raises(sd.DerivativeError, match="directions"):
        sd.taylor(X * Y, [X, Y], 2)
    with pytest.raises(sd.DerivativeError, match="twice"):
        sd.taylor(X * Y, [X, X], 2, directions=[1.0, 1.0])
    with pytest.raises(sd.ShapeError, match="'v'"):
        sd.taylor(sd.sum(v), v, 2)
    with pytest.raises(sd.ShapeError, match="direction"):
        sd.taylor(sd.sum(v), v, 2, directions=[1.0, 2.0])
    with pytest.raises(sd.DerivativeError, match="symbols"):
        sd.taylor(X * X, X + 1, 2)


def test_solutions_of_equations() -> None:
    """The series of a root comes from its rule: u = cbrt(x + x^2), and not from the iteration behind it."""
    u = sd.symbols("u")
    root = sd.root(u**3 - X - X * X, u, start=1.0)
    check(root, lambda x: mpmath.cbrt(x + x * x), 1.5, order=6)


def test_scans_and_choices() -> None:
    rows = sd.vector("r", 4)
    last, every = sd.scan(lambda c, r: (c * sd.sin(r * X), c + r), X, rows)
    chosen = sd.cond(X > 0, lambda x: sd.sqrt(x), lambda x: -x, X)
    at = {X: 0.7, rows: np.array([0.5, -1.5, 2.0, 0.25])}
    c: Any = X
    before = []
    for k in range(4):
        before.append(c + rows[k])
        c = c * sd.sin(rows[k] * X)
    for f, plain in ((last, c), (every, sd.stack(before)), (chosen, sd.sqrt(X))):
        found, expected = (interpret(sd.taylor(g, X, 5), at) for g in (f, plain))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=64 * EPS, atol=4 * EPS)


def test_stopped_gradients_are_constants() -> None:
    assert [str(c) for c in sd.taylor(sd.stop_gradient(X**3) * X, X, 2)][2] == "0"
