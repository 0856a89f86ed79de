"""Each rule against hand-written NumPy iterates, SciPy and the theory of its convergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.ops.leaves import symbol
from symdiff.optimize import METHODS, Adam, GradientDescent, Newton, Objective
from symdiff.optimize.line_search import SUFFICIENT, backtrack
from symdiff.optimize.newton import make_definite
from tests.optimize.quick import QUICK

EPS = float(np.finfo(np.float64).eps)


def rosenbrock() -> tuple[Any, Any, Any]:
    x, y = sd.symbols("x y")
    return x, y, (1 - x) ** 2 + 100 * (y - x**2) ** 2


def quadratic(rng: np.random.Generator, n: int, condition: float) -> tuple[np.ndarray, np.ndarray]:
    """A positive definite matrix of a given condition and a right-hand side."""
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return q * np.geomspace(1, condition, n) @ q.T, rng.normal(size=n)


def test_adam_is_the_textbook_iteration(target: str) -> None:
    rng = np.random.default_rng(3)
    w, c = sd.matrix("w", 2, 3), sd.matrix("c", 2, 3)
    f = sd.sum((w - c) ** 4) + sd.sum(w**2)
    w0, c0 = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    lr, b1, b2, eps, n = 3e-2, 0.8, 0.95, 1e-7, 20
    res = sd.minimize(f, {w: w0}, {c: c0}, Adam(lr, (b1, b2), eps), tol=0.0, max_steps=n, target=target)

    x, m, v = w0.copy(), np.zeros_like(w0), np.zeros_like(w0)
    losses = [np.sum((x - c0) ** 4) + np.sum(x**2)]
    for t in range(1, n + 1):
        g = 4 * (x - c0) ** 3 + 2 * x
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        x = x - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        losses.append(np.sum((x - c0) ** 4) + np.sum(x**2))
    # 20 steps of a dozen roundings each.
    np.testing.assert_allclose(res.x[w], x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(res.history["loss"], losses, rtol=1e-12)
    assert res.steps == n
    assert not res.converged


def test_gradient_descent_with_a_fixed_step(target: str) -> None:
    rng = np.random.default_rng(4)
    matrix, b = quadratic(rng, 5, 10.0)
    w, a, r = sd.vector("w", 5), sd.matrix("a", 5, 5), sd.vector("r", 5)
    f = 0.5 * (w @ (a @ w)) - r @ w
    x = w0 = rng.normal(size=5)
    res = sd.minimize(f, {w: w0}, {a: matrix, r: b}, GradientDescent(lr=0.07), tol=0.0, max_steps=17, target=target)
    norms = [np.abs(matrix @ x - b).max()]
    for _ in range(17):
        x = x - 0.07 * (matrix @ x - b)
        norms.append(np.abs(matrix @ x - b).max())
    # 17 steps with sums of five products each; the iteration contracts.
    np.testing.assert_allclose(res.x[w], x, rtol=0, atol=1e3 * EPS)
    np.testing.assert_allclose(res.history["grad_norm"], norms, rtol=0, atol=1e4 * EPS)


def test_backtracking_satisfies_armijo_and_takes_the_first_such_step(target: str) -> None:
    w = sd.vector("w", 3)
    f = sd.sum(w**4) + sd.sum(sd.sin(3 * w))
    grad = sd.gradient(f, w)
    step, (first,) = Objective(f, (w,)), sd.symbols("first,")
    point = step.at([w])
    new, moved, a = backtrack(step, point, [-g for g in point.grad], first)
    fn = sd.compile([new.x[0], new.loss, moved, a, f, grad], [w, first], target=target)
    rng = np.random.default_rng(5)

    def value(x: np.ndarray) -> float:
        return float(np.sum(x**4) + np.sum(np.sin(3 * x)))

    for first0 in (0.1, 1.7, 1000.0):
        w0 = rng.normal(size=3)
        x1, _, ok, a1, _, g0 = (np.asarray(v) for v in fn(w0, first0))
        assert ok
        square = float(g0 @ g0)
        assert value(x1) <= value(w0) - SUFFICIENT * a1 * square
        np.testing.assert_allclose(x1, w0 - a1 * g0, rtol=4 * EPS)
        # The step before it, twice as long, must have failed, unless this is the first.
        assert a1 == first0 or value(w0 - 2 * a1 * g0) > value(w0) - SUFFICIENT * 2 * a1 * square


def test_backtracking_wants_a_sufficient_and_finite_decrease(target: str) -> None:
    x, first = sd.symbols("x first")

    def taken(f: Any, x0: float, first0: float) -> float:
        objective = Objective(f, (x,))
        point = objective.at([x])
        new, moved, _ = backtrack(objective, point, [-point.grad[0]], first)
        x1, ok = sd.compile([new.x[0], moved], [x, first], target=target)(x0, first0)
        assert ok
        return float(x1)

    # The first trial is -1 + 2e-6: lower than the start, but not by 1e-4 of what the slope promises.
    np.testing.assert_allclose(taken(x**2, 1.0, 1.0 - 1e-6), 1e-6, rtol=1e-6)
    # The first trial is 0, where log is -inf.
    assert taken(sd.log(x), 1.0, 1.0) == 0.5
    # The first trial is 0, where the loss is finite and the slope is not.
    assert taken(sd.sqrt(x), 1.0, 2.0) == 0.5


def test_backtracking_never_raises_the_loss(target: str) -> None:
    x, y, f = rosenbrock()
    res = sd.minimize(f, {x: -1.2, y: 1.0}, method="gd", max_steps=150, target=target)
    assert np.all(np.diff(res.history["loss"]) < 0)
    assert res.history["loss"][-1] < 0.2 * res.history["loss"][0]


def test_gradient_descent_has_the_linear_rate_of_the_theorem(target: str) -> None:
    # With a = 1/L: f(x_k) - f* <= (1 - mu/L)^k (f(x_0) - f*).
    rng = np.random.default_rng(6)
    matrix, b = quadratic(rng, 4, 8.0)
    w, a, r = sd.vector("w", 4), sd.matrix("a", 4, 4), sd.vector("r", 4)
    f = 0.5 * (w @ (a @ w)) - r @ w
    res = sd.minimize(f, {w: np.zeros(4)}, {a: matrix, r: b}, GradientDescent(lr=1 / 8.0), tol=1e-6, target=target)
    assert res.converged
    lowest = -0.5 * b @ np.linalg.solve(matrix, b)
    gap = res.history["loss"] - lowest
    bound = gap[0] * (1 - 1 / 8.0) ** np.arange(res.steps + 1)
    assert np.all(gap <= bound + 64 * EPS * abs(lowest))


def test_newton_solves_a_quadratic_in_one_step(target: str) -> None:
    rng = np.random.default_rng(7)
    matrix, b = quadratic(rng, 6, 100.0)
    u, v, a, r = sd.vector("u", 2), sd.matrix("v", 2, 2), sd.matrix("a", 6, 6), sd.vector("r", 6)
    w = sd.concatenate([u, v.reshape((4,))])
    f = 0.5 * (w @ (a @ w)) - r @ w
    res = sd.minimize(f, {u: np.ones(2), v: np.ones((2, 2))}, {a: matrix, r: b}, "newton", target=target)
    exact = np.linalg.solve(matrix, b)
    assert res.converged
    assert res.steps == 1
    # Condition 100 times some tens of roundings.
    np.testing.assert_allclose(np.concatenate([res.x[u], res.x[v].ravel()]), exact, rtol=0, atol=1e4 * EPS)


def test_newton_converges_quadratically_on_rosenbrock(target: str) -> None:
    x, y, f = rosenbrock()
    res = sd.minimize(f, {x: -1.2, y: 1.0}, method=Newton(), tol=1e-12, target=target)
    assert res.converged
    assert res.steps <= 25
    np.testing.assert_allclose([res.x[x], res.x[y]], 1.0, rtol=0, atol=1e-12)
    norms = res.history["grad_norm"]
    tail = [n for n in norms if 1e-10 < n < 1.0]
    # |g1| <= C |g0|^2: the exponent between the last steps before rounding is near 2.
    assert np.log(tail[-1]) / np.log(tail[-2]) > 1.6


@pytest.mark.parametrize(
    ("name", "start", "minimum"),
    [
        ("double_well", (1e-3, 0.4), -0.25),
        ("monkey", (0.1, 0.05), -1.0 / 4),
    ],
)
def test_newton_leaves_saddles(name: str, start: tuple[float, float], minimum: float, target: str) -> None:
    # The Hessian is indefinite at the start: a bare Newton step would go to the saddle at the origin.
    x, y = sd.symbols("x y")
    f = {
        "double_well": x**4 / 4 - x**2 / 2 + y**2,
        "monkey": (x**2 + y**2) ** 2 / 4 - (x**2 + y**2) / 2 + (x - y) ** 2 * y**2,
    }[name]
    res = sd.minimize(f, {x: start[0], y: start[1]}, target=target)
    assert res.converged
    assert np.all(np.diff(res.history["loss"]) <= 0)
    np.testing.assert_allclose(res.fun, minimum, rtol=1e-12)


def test_newton_falls_into_the_next_valley(target: str) -> None:
    # Just beside a maximum: the curvature -1 is taken as 1, not as nearly 0.
    x = sd.symbols("x")
    res = sd.minimize(sd.cos(x), {x: 0.1}, target=target)
    assert res.converged
    np.testing.assert_allclose(res.x[x], np.pi, rtol=0, atol=1e-8)


def test_newton_on_a_singular_hessian_at_the_minimum(target: str) -> None:
    # x^4: every Newton step is x1 = 2/3 x, exactly.
    x = sd.symbols("x")
    res = sd.minimize(x**4, {x: 3.0}, tol=1e-6, target=target)
    assert res.converged
    np.testing.assert_allclose(res.x[x], 3.0 * (2 / 3) ** res.steps, rtol=64 * EPS)


def test_newton_on_rank_deficient_least_squares(target: str) -> None:
    rng = np.random.default_rng(8)
    thin = rng.normal(size=(7, 2))
    a0 = np.concatenate([thin, thin @ rng.normal(size=(2, 3))], axis=1)
    b0 = rng.normal(size=7)
    a, b, w = sd.matrix("a", "n", "d"), sd.vector("b", "n"), sd.vector("w", "d")
    res = sd.minimize(sd.sum((a @ w - b) ** 2) / 2, {w: np.zeros(5)}, {a: a0, b: b0}, target=target)
    best = np.linalg.lstsq(a0, b0, rcond=None)[0]
    assert res.converged
    assert res.steps <= 5
    np.testing.assert_allclose(res.fun, 0.5 * np.sum((a0 @ best - b0) ** 2), rtol=1e-13)
    # sqrt(eps) of damping keeps the step close to the shortest one.
    np.testing.assert_allclose(res.x[w], best, rtol=0, atol=1e-5)


def test_the_hessian_shift(target: str) -> None:
    h = symbol(name="h", shape=(3, 3), dtype="float64")
    shifted, definite = make_definite(h)
    fn = sd.compile([shifted, definite], [h], target=target)
    regular = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]])
    scaled = np.diag([1e10, 1, 1e-10]) @ regular @ np.diag([1e10, 1, 1e-10])
    for matrix in (regular, scaled):
        got, ok = fn(matrix)
        assert ok
        np.testing.assert_array_equal(got, matrix)  # untouched
    for matrix in (-regular, np.ones((3, 3)), np.zeros((3, 3)), np.array([[1.0, 2, 0], [2, 1, 0], [0, 0, 5]])):
        got, ok = fn(matrix)
        assert ok
        tau = got - matrix
        np.testing.assert_allclose(tau, tau[0, 0] * np.eye(3), rtol=0, atol=4 * EPS * (1 + tau[0, 0]))
        lowest = np.linalg.eigvalsh(matrix)[0]
        least = np.sqrt(EPS) * np.abs(matrix).max() if matrix.any() else 1.0
        assert -lowest < tau[0, 0] <= max(10 * least, 10.5 * -lowest)
        assert np.linalg.eigvalsh(got)[0] > 0
    for bad in (np.nan, np.inf):
        broken = regular.copy()
        broken[1, 0] = broken[0, 1] = bad
        assert not fn(broken)[1]


def test_newton_with_an_infinite_hessian_goes_downhill(target: str) -> None:
    # f'' of |x|^1.5 is infinite at y's start 0, where the gradient is 0.
    x, y = sd.symbols("x y")
    f = (x - 1) ** 2 + abs(y) ** 1.5 + 0 * y
    hess = interpret(sd.hessian(f, [x, y])[1], {x: 3.0, y: 0.0})
    assert not np.all(np.isfinite(hess))
    res = sd.minimize(f, {x: 3.0, y: 0.0}, target=target)
    assert res.converged
    np.testing.assert_allclose([res.x[x], res.x[y]], [1.0, 0.0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", [Newton(), GradientDescent(), GradientDescent(lr=0.2), Adam(lr=0.05)], ids=repr)
def test_float32_unknowns_stay_float32(method: Any, target: str) -> None:
    w = sd.array("w", (2, 2), dtype="float32")
    c = np.array([[1, 2], [3, 4]], dtype=np.float32)
    res = sd.minimize(
        sd.sum((w - c) ** 2), {w: np.zeros((2, 2))}, method=method, tol=2e-2, max_steps=400, target=target
    )
    assert res.converged
    assert res.x[w].dtype == np.float32
    np.testing.assert_allclose(res.x[w], c, rtol=0, atol=2e-2)


@pytest.mark.parametrize("method", METHODS)
def test_mixed_dtypes_and_shapes(method: str, target: str) -> None:
    s, w, m = sd.symbols("s"), sd.array("w", (3,), dtype="float32"), sd.matrix("m", 1, 2)
    f = (s - 1) ** 2 + sd.sum((w - s) ** 2) + sd.sum((m + 2) ** 2)
    rule = QUICK.get(method, method)
    res = sd.minimize(f, {s: 0, w: [0, 0, 0], m: [[0, 1]]}, method=rule, tol=1e-3, target=target)
    assert res.converged
    assert [res.x[k].dtype for k in (s, w, m)] == [np.float64, np.float32, np.float64]
    np.testing.assert_allclose(res.x[w], np.ones(3), rtol=0, atol=1e-2)
    np.testing.assert_allclose(res.x[m], [[-2, -2]], rtol=0, atol=1e-2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Adam(lr=0), "lr"),
        (lambda: Adam(lr=float("nan")), "lr"),
        (lambda: Adam(betas=(1.0, 0.9)), r"betas\[0\]"),
        (lambda: Adam(betas=0.9), r"betas is a pair such as \(0\.9, 0\.999\), got 0\.9"),
        (lambda: Adam(eps=-1.0), "eps"),
        (lambda: GradientDescent(lr=-1.0), "lr"),
        (lambda: GradientDescent(lr="fast"), "lr"),
    ],
)
def test_settings_out_of_range(make: Any, text: str) -> None:
    with pytest.raises(sd.DomainError, match=text):
        make()
