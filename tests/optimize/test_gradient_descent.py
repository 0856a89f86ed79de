"""The steps of gradient descent and its preconditioners against textbook loops in NumPy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import SGD, GradientDescent
from symdiff.optimize.line_search import SUFFICIENT
from symdiff.optimize.wolfe import CURVATURE
from tests.optimize.problems import EPS, quadratic, regression


def test_the_exact_step_is_cauchys(target: str) -> None:
    p = regression()
    res = sd.minimize(p.f, p.start, p.data, GradientDescent(search="exact"), tol=0.0, max_steps=20, target=target)
    x, hess = np.zeros(5), p.hessian()
    losses = [p.value(x)]
    for _ in range(20):
        g = p.gradient(x)
        x = x - (g @ g) / (g @ hess @ g) * g
        losses.append(p.value(x))
    # 20 steps of some tens of roundings.
    np.testing.assert_allclose(res.x[p.w], x, rtol=0, atol=1e4 * EPS)
    np.testing.assert_allclose(res.history["loss"], losses, rtol=1e4 * EPS)


def test_the_exact_step_has_the_rate_of_kantorovich() -> None:
    # f_k+1 <= ((kappa - 1)/(kappa + 1))² f_k, with equality from the start (1/lambda) in the extreme eigenvectors.
    f, w, data, hess = quadratic(np.array([1.0, 10.0]))
    vectors = np.linalg.eigh(hess)[1]
    start = {w: vectors @ np.array([10.0, 1.0])}
    res = sd.minimize(f, start, data, GradientDescent(search="exact"), tol=0.0, max_steps=9, target="reference")
    rates = res.history["loss"][1:] / res.history["loss"][:-1]
    np.testing.assert_allclose(rates, (9 / 11) ** 2, rtol=1e-12)


def test_wolfe_steps_keep_both_conditions(target: str) -> None:
    x, y = sd.symbols("x y")
    f = (1 - x) ** 2 + 10 * (y - x**2) ** 2
    rule = GradientDescent(search="wolfe")
    points = [np.array([-1.2, 1.0])]
    for k in range(1, 6):
        res = sd.minimize(f, {x: -1.2, y: 1.0}, method=rule, tol=0.0, max_steps=k, target=target)
        points.append(np.array([res.x[x], res.x[y]]))

    def value(p: np.ndarray) -> float:
        return float((1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2)

    def slope(p: np.ndarray) -> np.ndarray:
        return np.array([-2 * (1 - p[0]) - 40 * p[0] * (p[1] - p[0] ** 2), 20 * (p[1] - p[0] ** 2)])

    for before, after in pairwise(points):
        g, step = slope(before), after - before
        assert value(after) <= value(before) + SUFFICIENT * step @ g
        assert step @ slope(after) >= CURVATURE * step @ g
        # The step is along -g.
        assert abs(step[0] * g[1] - step[1] * g[0]) <= 1e3 * EPS * np.linalg.norm(step) * np.linalg.norm(g)


def test_a_preconditioner_is_a_change_of_variables(target: str) -> None:
    # With P = S S', w = S v turns descent on w with P into plain descent on v.
    p = regression()
    rng = np.random.default_rng(5)
    s = np.eye(5) + 0.2 * rng.normal(size=(5, 5))
    rule = GradientDescent(lr=0.02, preconditioner=s @ s.T)
    res = sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=12, target=target)
    v = np.zeros(5)
    for _ in range(12):
        v = v - 0.02 * s.T @ p.gradient(s @ v)
    np.testing.assert_allclose(res.x[p.w], s @ v, rtol=0, atol=1e4 * EPS)
    diagonal = np.array([1.0, 0.5, 0.25, 2.0, 0.1])
    by_vector, by_matrix = (
        sd.minimize(p.f, p.start, p.data, GradientDescent(lr=0.02, preconditioner=m), tol=0.0, max_steps=7,
                    target="reference").x[p.w]
        for m in (diagonal, np.diag(diagonal))
    )  # fmt: skip
    np.testing.assert_allclose(by_vector, by_matrix, rtol=0, atol=64 * EPS)


def test_the_inverse_hessian_as_a_preconditioner_is_newtons_step() -> None:
    p = regression()
    rule = GradientDescent(lr=1.0, preconditioner=np.linalg.inv(p.hessian()))
    res = sd.minimize(p.f, p.start, p.data, rule, tol=1e-10, target="reference")
    x, y = p.arrays
    assert res.steps <= 3
    # The condition of the normal equations is some hundred.
    np.testing.assert_allclose(res.x[p.w], np.linalg.lstsq(x, y, rcond=None)[0], rtol=0, atol=1e4 * EPS)


def test_an_expression_in_the_data_preconditions() -> None:
    p = regression()
    x = next(iter(p.data))
    rule = GradientDescent(lr=1.0, preconditioner=sd.inv(x.T @ x / x.shape[0]))
    res = sd.minimize(p.f, p.start, p.data, rule, tol=1e-10, target="reference")
    assert res.converged
    assert res.steps <= 3


def test_diagonal_scaling_does_not_see_units() -> None:
    p, q = regression(spread=1.0), regression(spread=1.0)
    x = next(iter(p.data))
    units = np.array([1.0, 1e3, 1e-2, 10.0, 1e-4])
    q.data[x] = q.data[x] * units
    rule = GradientDescent(lr=0.4, preconditioner="diagonal")
    a, b = (sd.minimize(r.f, r.start, r.data, rule, tol=0.0, max_steps=15, target="reference") for r in (p, q))
    np.testing.assert_allclose(b.x[q.w] * units, a.x[p.w], rtol=1e-10)
    w = np.zeros(5)
    for _ in range(15):
        w = w - 0.4 * p.gradient(w) / np.diag(p.hessian())
    np.testing.assert_allclose(a.x[p.w], w, rtol=1e-11)


def test_diagonal_scaling_where_there_is_no_curvature() -> None:
    # The Hessian of x + y² at any point: no curvature along x, and a negative one in -y².
    x, y = sd.symbols("x y")
    rule = GradientDescent(lr=0.5, preconditioner="diagonal")
    res = sd.minimize(x - y**2, {x: 1.0, y: 3.0}, method=rule, tol=0.0, max_steps=1, target="reference")
    assert np.isfinite(res.fun)
    np.testing.assert_allclose(res.x[y], 3.0 + 0.5 * 3.0, rtol=4 * EPS)


@pytest.mark.parametrize("search", ["wolfe", "exact"])
def test_preconditioned_searches_converge_faster(search: str) -> None:
    p = regression(spread=10.0)
    plain, scaled = (
        sd.minimize(p.f, p.start, p.data, GradientDescent(search=search, preconditioner=m), target="reference")
        for m in (None, "diagonal")
    )
    assert plain.converged
    assert scaled.converged
    assert scaled.steps < plain.steps / 3


def test_heavy_ball_is_sgd_with_momentum() -> None:
    # Polyak 1964, (9): x1 = x - a g + b (x - x_before).
    p, a, b = regression(), 0.05, 0.8
    res = sd.minimize(p.f, p.start, p.data, SGD(lr=a, momentum=b), tol=0.0, max_steps=25, target="reference")
    before = x = np.zeros(5)
    for _ in range(25):
        before, x = x, x - a * p.gradient(x) + b * (x - before)
    np.testing.assert_allclose(res.x[p.w], x, rtol=0, atol=1e4 * EPS)


def test_nesterovs_constant_momentum_is_sgd_with_nesterov() -> None:
    # Nesterov 2018, (2.2.22): x1 = y - a g(y), y1 = x1 + b (x1 - x); the rule's point is y.
    p, a, b = regression(), 0.05, 0.8
    rule = SGD(lr=a, momentum=b, nesterov=True)
    res = sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=25, target="reference")
    x = y = np.zeros(5)
    for _ in range(25):
        x1 = y - a * p.gradient(y)
        x, y = x1, x1 + b * (x1 - x)
    np.testing.assert_allclose(res.x[p.w], y, rtol=0, atol=1e4 * EPS)


def test_exact_steps_are_for_quadratics_only() -> None:
    x = sd.symbols("x")
    rule = GradientDescent(search="exact")
    with pytest.raises(sd.DomainError, match=r"needs a quadratic; the Hessian of the function .* depends"):
        sd.minimize(sd.cosh(x), {x: 1.0}, method=rule, target="reference")
    saddle = sd.minimize(-(x**2) / 2, {x: 1.0}, method=rule, target="reference")
    assert saddle.message.startswith("Diverged")
    # |x| + x² passes for a quadratic; its exact steps go past the kink, and up.
    kink = sd.minimize(4 * abs(x) + x**2, {x: 1.0}, method=rule, target="reference")
    assert not kink.converged
    assert kink.fun <= 5.0


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: GradientDescent(search="best"), sd.DomainError, "search is one of 'armijo', 'wolfe', 'exact'"),
        (lambda: GradientDescent(lr=0.1, search="wolfe"), sd.DomainError, "the step is lr or found by search='wolfe'"),
        (lambda: GradientDescent(preconditioner="cholesky"), sd.DomainError, "an array or 'diagonal', got 'cholesky'"),
        (lambda: GradientDescent(preconditioner=2.0), sd.ShapeError, "a vector or a square matrix"),
    ],
)
def test_wrong_settings(make: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_a_preconditioner_of_another_size_is_refused() -> None:
    p = regression()
    with pytest.raises(sd.ShapeError, match=r"has shape \(4, 4\), the unknowns together have 5 entries"):
        sd.minimize(p.f, p.start, p.data, GradientDescent(preconditioner=np.eye(4)), target="reference")
    with pytest.raises(sd.UnknownSymbolError, match="the setting preconditioner contains 'P', which no data"):
        sd.minimize(p.f, p.start, p.data, GradientDescent(preconditioner=sd.matrix("P", 5, 5)), target="reference")
