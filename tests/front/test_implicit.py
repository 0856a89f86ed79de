"""root, fixed_point, argmin against closed forms and mpmath, in every mode; what a gradient costs; wrong input."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.graph import made_order, topological
from symdiff.ir.text import parse_text, to_text

EPS = np.finfo(float).eps
TARGETS = ("reference", "cpu")

x, a, b = sd.symbols("x a b")
M, e = sd.symbols("M e")


def kepler() -> sd.Expr:
    u = sd.symbols("u")
    return sd.root(u - e * sd.sin(u) - M, u, start=M)


def exact_kepler(m: float, ecc: float, orders: tuple[int, int] = (0, 0)) -> float:
    """The eccentric anomaly, or a partial derivative of it, to 50 digits, by mpmath alone."""

    def anomaly(m, ecc):
        return mpmath.findroot(lambda u: u - ecc * mpmath.sin(u) - m, m + ecc)

    with mpmath.workdps(60):
        if orders == (0, 0):
            return float(anomaly(mpmath.mpf(m), mpmath.mpf(ecc)))
        return float(mpmath.diff(anomaly, (mpmath.mpf(m), mpmath.mpf(ecc)), orders))


@pytest.mark.parametrize("target", TARGETS)
def test_keplers_equation_and_its_derivatives(target):
    E = kepler()
    by_m, by_e = sd.gradient(E, [M, e])
    outputs = {
        (0, 0): E, (1, 0): by_m, (0, 1): by_e, (2, 0): sd.diff(E, M, 2), (1, 1): sd.gradient(by_m, e),
        (0, 2): sd.jvp(by_e, e, 1.0),
    }  # fmt: skip
    got = sd.compile(outputs, [M, e], target=target)(0.7, 0.6)
    for orders, value in got.items():
        exact = exact_kepler(0.7, 0.6, orders)
        # A derivative of order n is divided by (1 - e cos E)^(2n + 1), here 0.6: a few dozen roundings.
        assert abs(value - exact) <= 64 * EPS * abs(exact), orders


def test_forward_over_reverse_and_reverse_over_reverse_agree():
    E = kepler()
    f = sd.sin(E) * M
    g = sd.gradient(f, [M, e])
    forward = sd.hessian(f, [M, e])
    reverse = [sd.gradient(g[k], [M, e]) for k in range(2)]
    fn = sd.compile([*forward[0], *forward[1], *reverse[0], *reverse[1]], [M, e])
    values = np.array(fn(0.7, 0.6))
    np.testing.assert_allclose(values[:4], values[4:], rtol=64 * EPS)
    with mpmath.workdps(60):
        exact = mpmath.diff(
            lambda m: mpmath.sin(mpmath.findroot(lambda u: u - mpmath.mpf(0.6) * mpmath.sin(u) - m, 1.2)) * m,
            mpmath.mpf(0.7), 2,
        )  # fmt: skip
    assert abs(values[0] - exact) <= 256 * EPS * abs(exact)


@pytest.mark.parametrize("target", TARGETS)
def test_a_root_is_mapped_over_arrays(target):
    E = kepler()
    fn = sd.compile([E, *sd.gradient(E, [M, e])], [M, e], target=target)
    ms, es = np.array([0.05, 0.7, 3.0]), np.array([[0.1], [0.9]])
    value, by_m, by_e = fn(ms, es)
    for i, j in np.ndindex(2, 3):
        at = (ms[j], es[i, 0])
        assert abs(value[i, j] - exact_kepler(*at)) <= 16 * EPS * abs(value[i, j])
        assert abs(by_m[i, j] - exact_kepler(*at, (1, 0))) <= 256 * EPS * abs(by_m[i, j])
        assert abs(by_e[i, j] - exact_kepler(*at, (0, 1))) <= 256 * EPS * (abs(by_e[i, j]) + 1)


def test_complex_steps_and_many_digits_see_the_solution_and_not_the_iteration():
    root = sd.root(x**3 - a, x, start=2.0)
    # At a = 8 the iteration has nothing to do, so its own derivative is that of the start: zero.
    assert sd.finite_difference(root, {a: 8.0}, a, method="complex") == pytest.approx(1 / 12, rel=8 * EPS)
    assert sd.compare(kepler(), {M: 0.7, e: 0.6}).passed


@pytest.mark.parametrize("target", TARGETS)
def test_the_adjoint_of_a_linear_system_is_one_transposed_solve(target):
    n = 4
    v = sd.vector("v", n)
    p = [sd.symbols(f"p{k}") for k in range(7)]
    rng = np.random.default_rng(5)
    parts = rng.normal(size=(len(p), n, n))
    A = sum(p[k] * parts[k] for k in range(len(p))) + 6 * np.eye(n)
    right = sd.stack([sd.sin(p[k] * p[k + 1]) for k in range(n)])
    w = np.arange(1.0, n + 1)
    J = sd.sum(w * sd.root(A @ v - right, v, start=0.0))
    gradient = sd.gradient(J, p)
    n_value = _solves(J)
    # One more for the gradient by all seven parameters, and one for the gradient by one of them.
    assert _solves(*gradient) == n_value + 1 == _solves(gradient[3]) == 2
    at = rng.uniform(0.2, 0.9, len(p))
    got = sd.compile([J, *gradient], p, target=target)(*at)
    Av = np.tensordot(at, parts, 1) + 6 * np.eye(n)
    bv = np.sin(at[:n] * at[1 : n + 1])
    u, adjoint = np.linalg.solve(Av, bv), np.linalg.solve(Av.T, w)
    b_by = np.zeros((len(p), n))
    for k in range(n):
        b_by[k, k] += np.cos(at[k] * at[k + 1]) * at[k + 1]
        b_by[k + 1, k] += np.cos(at[k] * at[k + 1]) * at[k]
    exact = [w @ u, *(adjoint @ (b_by[k] - parts[k] @ u) for k in range(len(p)))]
    # The matrix has condition 3; sums of 16 terms.
    np.testing.assert_allclose(got, exact, rtol=0, atol=64 * EPS * np.abs(exact).max())


def _solves(*roots: sd.Expr) -> int:
    """Linear systems outside the loops, whose bodies are parameters of their nodes."""
    return sum(node.op.name in ("solve", "lu_solve") for node in made_order(roots))


def test_a_gradient_by_many_parameters_costs_what_one_by_few_does():
    counts = []
    for n_parameters in (3, 40):
        v, q = sd.vector("v", 3), sd.vector("q", n_parameters)
        root = sd.root(v**3 + v - sd.sum(q**2) * np.ones(3), v, start=0.0)
        gradient = sd.gradient(sd.sum(root), q)
        counts.append((_solves(gradient), len(topological([gradient]))))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("target", TARGETS)
def test_ridge_regression_as_an_inner_minimum(target):
    rng = np.random.default_rng(8)
    Xv, yv = rng.normal(size=(9, 3)), rng.normal(size=9)
    Zv, zv = rng.normal(size=(5, 3)), rng.normal(size=5)
    w, lam = sd.vector("w", 3), sd.symbols("lam")
    best = sd.argmin(sd.sum((Xv @ w - yv) ** 2) + lam * sd.sum(w**2), w, start=np.ones(3))
    outer = sd.sum((Zv @ best - zv) ** 2)
    value, slope, curvature = sd.compile(
        [outer, sd.gradient(outer, lam), sd.hessian(outer, lam)], [lam], target=target
    )(0.8)

    def exact(lam):
        G = mpmath.matrix((Xv.T @ Xv).tolist()) + lam * mpmath.eye(3)
        inner = mpmath.lu_solve(G, mpmath.matrix((Xv.T @ yv).tolist()))
        r = mpmath.matrix(Zv.tolist()) * inner - mpmath.matrix(zv.tolist())
        return mpmath.fdot(r, r)

    with mpmath.workdps(50):
        wanted = [float(mpmath.diff(exact, 0.8, k)) for k in range(3)]
    # The normal equations were rounded in double precision, with a condition below 10.
    np.testing.assert_allclose([value, slope, curvature], wanted, rtol=1024 * EPS)


@pytest.mark.parametrize("target", TARGETS)
def test_argmin_descends_where_newtons_method_would_climb(target):
    # At 0.1 the second derivative is negative: Newton's step goes to the maximum at 0.
    low = sd.argmin(x**4 / 4 - a * x**2 / 2, x, start=0.1)
    got = sd.compile([low, sd.diff(low, a)], [a], target=target)(2.0)
    np.testing.assert_allclose(got, [np.sqrt(2), 0.5 / np.sqrt(2)], rtol=8 * EPS)
    w = sd.vector("w", 2)
    valley = sd.argmin((a - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2, w, start=[-1.2, 1.0])
    place, by_a = sd.compile([valley, sd.jacobian(valley, a)], [a], target=target)(1.5)
    # The Hessian has condition 5000.
    np.testing.assert_allclose(place, [1.5, 2.25], rtol=5000 * EPS)
    np.testing.assert_allclose(by_a, [1.0, 3.0], rtol=5000 * EPS)


def test_argmin_gives_no_maximum_and_no_saddle():
    top = sd.argmin(sd.cos(x) + a * x**2, x, start=0.0)
    assert np.isnan(sd.compile(top, [a])(0.0))
    w = sd.vector("w", 2)
    saddle = sd.argmin(w[0] ** 2 - w[1] ** 2 + a * sd.sum(w) * 0, w, start=[0.0, 0.0])
    assert np.isnan(sd.compile(saddle, [a])(2.0)).all()


@pytest.mark.parametrize("factor", [0.7, 1.0, 3.0])
def test_fixed_points_that_attract_and_one_that_repels(factor):
    y = sd.fixed_point(sd.cos(a * x), x, start=0.5)
    value, slope = sd.compile([y, sd.diff(y, a)], [a])(factor)
    with mpmath.workdps(40):

        def solve(k):
            return mpmath.findroot(lambda u: u - mpmath.cos(k * u), 0.5)

        exact = solve(mpmath.mpf(factor)), mpmath.diff(solve, mpmath.mpf(factor))
    np.testing.assert_allclose([value, slope], [float(v) for v in exact], rtol=16 * EPS)


@pytest.mark.parametrize("target", TARGETS)
def test_unknowns_of_any_shape_and_run_time_sizes(target):
    X, B = sd.matrix("X", 2, 2), sd.matrix("B", 2, 2)
    square_root = sd.root(X @ X - B, X, start=np.eye(2))
    Bv = np.array([[4.0, 1.0], [0.5, 9.0]])
    S, B_bar = sd.compile([square_root, sd.gradient(sd.sum(square_root), B)], [B], target=target)(Bv)
    np.testing.assert_allclose(S @ S, Bv, rtol=16 * EPS)
    # S_bar = S' B_bar + B_bar S' determines the adjoint.
    np.testing.assert_allclose(S.T @ B_bar + B_bar @ S.T, np.ones((2, 2)), rtol=32 * EPS)
    A, y, u = sd.matrix("A", "n", "n"), sd.vector("y", "n"), sd.vector("u", "n")
    root = sd.root(A @ u + u**3 - y, u, start=0.0)
    fn = sd.compile([root, sd.gradient(sd.sum(root**2), y)], [A, y], target=target)
    rng = np.random.default_rng(4)
    for n in (5, 3):
        Av, yv = rng.normal(size=(n, n)) + 4 * np.eye(n), rng.normal(size=n)
        uv, y_bar = fn(Av, yv)
        np.testing.assert_allclose(Av @ uv + uv**3, yv, rtol=0, atol=64 * EPS)
        np.testing.assert_allclose(
            y_bar, np.linalg.solve((Av + np.diag(3 * uv**2)).T, 2 * uv), rtol=0, atol=64 * EPS
        )  # fmt: skip


def test_nested_roots_and_roots_in_loops():
    y = sd.symbols("y")
    inner = sd.root(x**3 - a * b, x, start=1.0)
    outer = sd.root(y - sd.cos(inner.subs({b: y})), y, start=0.5)
    slope, curvature = sd.compile([sd.diff(outer, a), sd.diff(outer, a, 2)], [a])(0.7)
    assert slope == pytest.approx(sd.finite_difference(outer, {a: 0.7}, a, method="complex"), rel=32 * EPS)
    inner_difference = sd.finite_difference(sd.diff(outer, a), {a: 0.7}, a, method="complex")
    assert curvature == pytest.approx(inner_difference, rel=32 * EPS)

    def implicit_euler(u, k):
        return [sd.root(x - u + 0.1 * a * x**3, x, start=u), k + 1]

    last = sd.while_loop(lambda u, k: k < 4, implicit_euler, [b, 0.0])[0]
    slopes = sd.compile(sd.gradient(last, [a, b]), [a, b])(2.0, 1.5)
    wanted = [sd.finite_difference(last, {a: 2.0, b: 1.5}, s, method="complex") for s in (a, b)]
    np.testing.assert_allclose(slopes, wanted, rtol=32 * EPS)


def test_a_root_in_single_precision():
    u, c = sd.array("u", (), dtype="float32"), sd.array("c", (), dtype="float32")
    root = sd.root(u**2 - c, u, start=1.0)
    assert root.dtype == "float32"
    single = 4 * np.finfo("float32").eps
    np.testing.assert_allclose(sd.compile([root, sd.diff(root, c)], [c])(2.0), [2**0.5, 0.5 / 2**0.5], rtol=single)
    v = sd.vector("v", 3)
    converted = [sd.root(x**2 - a, x, start=1.0), sd.root(v**3 + v - 2 * a, v, start=0.0)]
    converted.append(sd.argmin(sd.exp(x) - a * x, x, start=0.0))
    for target in TARGETS:
        got = sd.compile(converted, [a], dtype="float32", target=target)(5.0)
        np.testing.assert_allclose(got[0], 5**0.5, rtol=single)
        np.testing.assert_allclose(got[1], [2.0] * 3, rtol=single)
        np.testing.assert_allclose(got[2], np.log(5.0), rtol=single)


def test_what_does_not_converge_is_nan():
    for residual, parameter in ((sd.exp(x) + a, 1.0), (sd.exp(-x) * a, 3.0), (sd.log(x) * 0 + a, 1.0)):
        root = sd.root(residual, x, start=0.5)
        value, slope = sd.compile([root, sd.diff(root, a)], [a])(parameter)
        assert np.isnan(value)
        assert np.isnan(slope)
    assert np.isnan(sd.compile(sd.root(x**3 - a, x, start=100.0, max_steps=2), [a])(8.0))
    # Halving the step keeps Newton's method inside the domain of log.
    inside = sd.root(sd.log(x) - a, x, start=9.0)
    assert sd.compile(inside, [a])(-2.0) == pytest.approx(np.exp(-2.0), rel=8 * EPS)


def test_an_ill_conditioned_system_is_solved_as_well_as_its_rounding_allows():
    """The Newton steps never get shorter than 1e-8 of the solution here, and the residual is rounding all the same."""
    n = 8
    hilbert = 1 / (np.arange(n)[:, None] + np.arange(n) + 1.0)
    v = sd.vector("v", n)
    got = sd.compile(sd.root(hilbert @ v - a * np.ones(n), v, start=0.0), [a])(1.0)
    with mpmath.workdps(40):
        exact = mpmath.lu_solve(mpmath.matrix(hilbert.tolist()), mpmath.ones(n, 1))
    # The condition is 2e10.
    np.testing.assert_allclose(got, [float(v) for v in exact], rtol=2e10 * EPS)


def test_sparse_jacobians_look_at_rules():
    v = sd.vector("v", "n")
    f = sd.custom_derivative(lambda z: z**2)
    f.jvp(lambda primals, tangents: 2 * primals[0] * tangents[0])
    matrix = sd.compile(sd.jacobian(f(v) * v[::-1], v, sparse=True), [v])(np.arange(1.0, 6.0))
    dense = sd.compile(sd.jacobian(v**2 * v[::-1], v), [v])(np.arange(1.0, 6.0))
    assert matrix.nnz == 9
    np.testing.assert_array_equal(matrix.toarray(), dense)


def test_the_text_form_reads_back_and_the_printed_form_is_short():
    root = kepler()
    assert parse_text(to_text([root]))[0] is root
    assert str(sd.diff(sd.root(x**3 - a, x, start=1.0), a)) == "0.3333333333333333/root(a)**2"


def test_the_start_has_no_derivative():
    root = sd.root(x**3 - a, x, start=b)
    assert sd.compile(sd.gradient(root, [a, b]), [a, b])(8.0, 1.5) == [pytest.approx(1 / 12), 0.0]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_residuals_with_loops_that_read_parameters(mode):
    turns = sd.scan(lambda c, _: (sd.sin(c) * b + 1, None), x, length=2)[0]
    root = sd.root(turns - a, x, start=0.1)
    derivatives = sd.gradient(root, [a, b]) if mode == "reverse" else [sd.jvp(root, s, 1.0) for s in (a, b)]
    u, *got = sd.compile([root, *derivatives], [a, b])(1.25, 0.3)
    # a = b sin(c) + 1 with c = b sin(u) + 1
    c = 0.3 * np.sin(u) + 1
    by_u, by_b = 0.3 * np.cos(c) * 0.3 * np.cos(u), np.sin(c) + 0.3 * np.cos(c) * np.sin(u)
    # The condition of the root in u, 1 / by_u of about 20, twice.
    np.testing.assert_allclose(got, [1 / by_u, -by_b / by_u], rtol=1000 * EPS)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_systems_of_run_time_size_may_be_empty(n):
    v, p = sd.vector("v", "n"), sd.vector("p", "n")
    root = sd.root(v**3 + v - p, v, start=0.0)
    value, slope = sd.compile([root, sd.gradient(sd.sum(root), p)], [p])(np.full(n, 2.0))
    np.testing.assert_allclose(value, np.ones(n), rtol=4 * EPS)
    np.testing.assert_allclose(slope, np.full(n, 0.25), rtol=16 * EPS)


def test_wrong_input_says_what_is_wrong():
    v = sd.vector("v", 3)
    with pytest.raises(sd.DerivativeError, match=r"root finds one unknown, got 2; join them"):
        sd.root([x - a, x - b], [x, b], start=[0.0, 0.0])
    with pytest.raises(sd.ShapeError, match=r"residual has shape \(3,\).*unknown 'x' \(\).*alike"):
        sd.root(v - a, x, start=1.0)
    with pytest.raises(sd.UnknownSymbolError, match="does not contain the unknown 'x'"):
        sd.root(a**2, x, start=1.0)
    with pytest.raises(sd.UnknownSymbolError, match=r"start .* contains the unknown 'x'"):
        sd.root(x - a, x, start=x)
    with pytest.raises(sd.ShapeError, match="start has shape"):
        sd.root(v - a, v, start=np.ones(2))
    with pytest.raises(sd.DerivativeError, match="taken by symbols"):
        sd.root(x - a, x + 1, start=1.0)
    with pytest.raises(sd.DomainError, match="tol is a number"):
        sd.root(x - a, x, start=1.0, tol=-1.0)
    with pytest.raises(sd.DomainError, match="max_steps is a positive int"):
        sd.fixed_point(a * x, x, start=1.0, max_steps=0)
    with pytest.raises(sd.ShapeError, match="g has shape"):
        sd.fixed_point(v, x, start=1.0)
    with pytest.raises(sd.UnknownSymbolError, match=r"argmin: the gradient of f, 'a' .* does not contain"):
        sd.argmin(a * x, x, start=0.0)
    with pytest.raises(sd.ShapeError, match="argmin needs a scalar"):
        sd.argmin(v * a, v, start=0.0)
    with pytest.raises(sd.UnknownSymbolError, match="not among the inputs"):
        sd.compile(sd.root(x - a, x, start=b), [a])
