"""Bounds: the projected gradient method and L-BFGS-B against SciPy, and the Cauchy point against its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimize import LBFGSB, METHODS
from symdiff.optimize.cauchy_point import Model, cauchy_point

OURS = ("lbfgs-b", "projected-gradient")
SCIPYS = ("scipy:Nelder-Mead", "scipy:Powell", "scipy:L-BFGS-B", "scipy:TNC", "scipy:SLSQP")


def rosenbrock(n: int) -> tuple[Any, Any]:
    v = sd.vector("v", n)
    return v, sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)


@pytest.mark.parametrize("method", OURS)
def test_chained_rosenbrock_with_every_kind_of_bound(method: str, target: str) -> None:
    v, f = rosenbrock(12)
    k, inf = np.arange(12), np.inf
    low, high = np.where(k % 3 == 0, 0.2, -inf), np.where(k % 2 == 0, 0.9, 1.5)
    low[5] = high[5] = 0.7  # held
    start = np.tile([-1.2, 1.0], 6)
    res = sd.minimize(f, {v: start}, bounds={v: (low, high)}, method=method, tol=1e-9, max_steps=5000, target=target)
    assert res.converged, res.message
    assert "projected gradient norm" in res.message
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen,
        start,
        jac=scipy.optimize.rosen_der,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(low, high),
        options={"gtol": 1e-10, "ftol": 0.0, "maxiter": 5000},
    )
    np.testing.assert_allclose(res.x[v], theirs.x, atol=1e-7)
    assert res.fun == pytest.approx(theirs.fun, rel=1e-10)
    assert np.all(res.x[v] >= low)
    assert np.all(res.x[v] <= high)
    assert np.sum((res.x[v] == low) | (res.x[v] == high)) >= 3
    # The first-order conditions, by hand: no slope inside, none that leads inwards on a bound.
    g = scipy.optimize.rosen_der(res.x[v])
    pulled = np.clip(res.x[v] - g, low, high) - res.x[v]
    assert np.abs(pulled).max() <= 1e-9
    assert res.grad_norm == pytest.approx(np.abs(pulled).max(), abs=1e-12)
    if method == "lbfgs-b":
        assert res.steps < 2 * theirs.nit


def test_float32_stays_float32() -> None:
    w = sd.vector("w", 3, dtype="float32")
    f = sd.sum((w - 1.5) ** 4 + (w - 1) ** 2)
    res = sd.minimize(
        f, {w: np.zeros(3)}, bounds={w: (None, [0.5, 2, 2])}, method="lbfgs-b", tol=1e-4, target="reference"
    )
    assert res.converged, res.message
    assert res.x[w].dtype == np.float32
    # By hand: 4 (w - 3/2)³ + 2 (w - 1) = 0 at 1.114539...; where the slope is 1e-4, w is right to 1e-4 / f'' = 3e-5.
    np.testing.assert_allclose(res.x[w], [0.5, 1.114539, 1.114539], atol=3e-5)
    assert (
        "in float32 arithmetic" in sd.minimize(f, {w: np.zeros(3)}, method="bfgs", tol=0.0, target="reference").message
    )


@pytest.mark.parametrize("method", [*OURS, *SCIPYS])
def test_unknowns_of_several_shapes_and_bounds_that_broadcast(method: str) -> None:
    a, b, c = sd.symbols("a"), sd.matrix("b", 2, 3), sd.vector("c", "n")
    f = (a - 3) ** 2 + sd.sum((b - a) ** 2) + sd.sum((c + b[0, 0]) ** 2)
    start = {a: 9.0, b: np.full((2, 3), -4.0), c: np.zeros(2)}
    bounds = {a: (0, 2.5), b: (None, [1.0, 2.0, None]), c: (np.array([-0.5, -9.0]), None)}
    res = sd.minimize(f, start, bounds=bounds, method=method, tol=1e-7, max_steps=5000, target="reference")
    for key, (low, high) in ((a, (0, 2.5)), (b, (-np.inf, [1, 2, np.inf])), (c, ([-0.5, -9], np.inf))):
        assert np.all(np.less_equal(low, res.x[key]) & np.less_equal(res.x[key], high))
    if method in ("scipy:Nelder-Mead", "scipy:Powell"):
        return  # which creep in nine unknowns
    # By hand: the first column stands on its bound 1, the others follow a, and (a - 3)² + 2 (1 - a)² is least at 5/3;
    # c would follow -b[0, 0] = -1.
    assert res.converged or method in ("scipy:SLSQP", "scipy:TNC"), res.message
    np.testing.assert_allclose(res.x[a], 5 / 3, atol=1e-4)
    np.testing.assert_allclose(res.x[b], [[1, 5 / 3, 5 / 3], [1, 5 / 3, 5 / 3]], atol=1e-4)
    np.testing.assert_allclose(res.x[c], [-0.5, -1.0], atol=1e-4)


def test_without_bounds_they_find_what_lbfgs_finds(target: str) -> None:
    v, f = rosenbrock(6)
    start = np.full(6, 0.3)
    runs = {m: sd.minimize(f, {v: start}, method=m, max_steps=3000, target=target) for m in ("lbfgs", *OURS)}
    for res in runs.values():
        assert res.converged
        np.testing.assert_allclose(res.x[v], 1.0, atol=1e-6)
    # The same pairs in another form; the first step differs.
    assert runs["lbfgs-b"].steps < 1.5 * runs["lbfgs"].steps


def test_other_bounds_compile_nothing_new() -> None:
    from symdiff.optimize.compiled import _remembered

    x = sd.symbols("x")
    f = sd.cosh(x - 2) + x**2 / 7
    free = scipy.optimize.brentq(lambda x: np.sinh(x - 2) + 2 * x / 7, 0, 3)
    for high, want in ((1.0, 1.0), (0.25, 0.25), (None, free)):
        res = sd.minimize(f, {x: 0.0}, bounds={x: (None, high)}, method="lbfgs-b", target="reference")
        assert float(res.x[x]) == pytest.approx(want, rel=1e-8)
        if high == 1.0:
            misses = _remembered.cache_info().misses
    assert _remembered.cache_info().misses == misses


def pairs(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and changes of the gradient of a convex quadratic."""
    root = rng.normal(size=(n, n))
    s = rng.normal(size=(m, n))
    return s, s @ (root @ root.T + np.eye(n))


def test_the_model_is_the_bfgs_matrix() -> None:
    """B from the compact form and from m updates of BFGS's formula (Nocedal & Wright 2006, (6.19)) are one matrix."""
    n, m, known, theta = 7, 4, 3, 1.7
    s, y = pairs(np.random.default_rng(31), n, m)
    s[: m - known] = y[: m - known] = 0.0
    b = theta * np.eye(n)
    for sk, yk in zip(s[m - known :], y[m - known :], strict=True):
        bs = b @ sk
        b = b - np.outer(bs, bs) / (sk @ bs) + np.outer(yk, yk) / (yk @ sk)
    steps, changes, v = sd.matrix("steps", m, n), sd.matrix("changes", m, n), sd.vector("v", n)
    scale, count = sd.symbols("scale"), sd.array("count", (), dtype="int64")
    model = Model.learnt(steps, changes, scale, count)
    free = v > 0
    fn = sd.compile(
        [model.times(v), model.solve(v, free)], [steps, changes, scale, count, v], target="reference"
    )  # fmt: skip
    v0 = np.random.default_rng(32).normal(size=n)
    times, solved = fn(s, y, theta, known, v0)
    np.testing.assert_allclose(times, b @ v0, rtol=1e-10)
    some = v0 > 0
    assert np.all(solved[~some] == 0)
    np.testing.assert_allclose(solved[some], np.linalg.solve(b[np.ix_(some, some)], v0[some]), rtol=1e-9)


def test_the_cauchy_point_is_the_first_minimum_along_the_path(target: str) -> None:
    """Against the model on a fine grid of the projected path."""
    n, m = 9, 3
    steps, changes = sd.matrix("steps", m, n), sd.matrix("changes", m, n)
    x, g, low, high = (sd.vector(name, n) for name in ("x", "g", "low", "high"))
    scale = sd.symbols("scale")
    model = Model.learnt(steps, changes, scale, sd.array("count", (), dtype="int64"))
    fn = sd.compile(
        [cauchy_point(model, x, g, low, high), model.times(x)],
        [steps, changes, scale, sd.array("count", (), dtype="int64"), x, g, low, high],
        target=target,
    )
    for seed in range(5, 13):
        rng = np.random.default_rng(seed)
        s, y = pairs(rng, n, m)
        theta = float(y[-1] @ y[-1] / (y[-1] @ s[-1]))
        lo, hi = -rng.uniform(0.01, 2, n), rng.uniform(0.01, 2, n)
        lo[0], hi[1], g0 = -np.inf, np.inf, 10 * rng.normal(size=n)
        x0 = np.clip(rng.normal(size=n), lo, hi)
        x0[2] = lo[2] if g0[2] > 0 else hi[2]  # stands on its bound already
        found, _ = fn(s, y, theta, m, x0, g0, lo, hi)
        b = np.array([fn(s, y, theta, m, e, g0, lo, hi)[1] for e in np.eye(n)])

        def value(z: np.ndarray, x0: np.ndarray = x0, g0: np.ndarray = g0, b: np.ndarray = b) -> float:
            return float(g0 @ (z - x0) + 0.5 * (z - x0) @ b @ (z - x0))

        path = [np.clip(x0 - t * g0, lo, hi) for t in np.linspace(0, 3 / theta, 4001)]
        values = np.array([value(z) for z in path])
        rises = np.flatnonzero(np.diff(values) > 0)
        first = path[rises[0]] if rises.size else path[-1]
        assert value(found) <= value(first) + 1e-9 * abs(value(first))
        if rises.size:
            assert np.abs(found - first).max() <= 2 * 3 / theta / 4000 * np.abs(g0).max()


def test_a_method_that_takes_bounds_is_the_default_within_them() -> None:
    x = sd.symbols("x")
    res = sd.minimize((x + 2) ** 2, {x: 3.0}, bounds={x: (-1, None)}, target="reference")
    assert res.converged
    assert float(res.x[x]) == -1.0


def test_what_cannot_be_done_is_refused() -> None:
    x, v = sd.symbols("x"), sd.vector("v", 3)
    f = x**2 + sd.sum(v**2)
    start = {x: 1.0, v: np.ones(3)}

    def run(bounds: Any, method: str = "lbfgs-b", **more: Any) -> Any:
        return sd.minimize(f, start, bounds=bounds, method=method, target="reference", **more)

    for method in sorted(set(METHODS) - set(OURS)):
        with pytest.raises(sd.DomainError, match="takes no bounds; choose 'lbfgs-b'"):
            run({x: (0, 1)}, method)
    with pytest.raises(sd.DomainError, match="SciPy's BFGS takes no bounds; Nelder-Mead, Powell, L-BFGS-B"):
        run({x: (0, 1)}, "scipy:BFGS")
    with pytest.raises(sd.DTypeError, match=r"bounds is a dict \{symbol: \(low, high\)\}, got list"):
        run([(0, 1)])
    with pytest.raises(sd.UnknownSymbolError, match="bounds gives z, which is no unknown"):
        run({sd.symbols("z"): (0, 1)})
    with pytest.raises(sd.UnknownSymbolError, match="the string 'x', which is no unknown; its keys are symbols"):
        run({"x": (0, 1)})
    with pytest.raises(sd.DTypeError, match="are a pair"):
        run({x: 3.0})
    with pytest.raises(sd.ShapeError, match=r"a bound of 'v', of shape \(3,\)"):
        run({v: (np.zeros(2), None)})
    with pytest.raises(sd.DTypeError, match="a bound of 'x' is a number, got 'low'"):
        run({x: ("low", None)})
    with pytest.raises(sd.DomainError, match=r"the bounds of 'v' cross: low 2.0 > high 1.0 at entry \[1\]"):
        run({v: ([0, 2, 0], 1)})
    with pytest.raises(sd.DomainError, match="a bound of 'x' is NaN"):
        run({x: (np.nan, 1)})
    with pytest.raises(sd.DomainError, match="memory is a positive int, got 0"):
        LBFGSB(memory=0)


def test_the_start_is_taken_into_the_box() -> None:
    """log is NaN at the start given, and defined from the bound on."""
    x = sd.symbols("x")
    res = sd.minimize(x - sd.log(x), {x: -5.0}, bounds={x: (1.5, None)}, method="lbfgs-b", target="reference")
    assert (res.converged, res.steps, float(res.x[x])) == (True, 0, 1.5)


@pytest.mark.parametrize("method", OURS)
def test_a_function_that_falls_forever_within_its_bounds_does_not_converge(method: str) -> None:
    """Far out x + 1 is x in floating point: a projected gradient as a difference of points would vanish."""
    x = sd.symbols("x")
    res = sd.minimize(-x, {x: 1.0}, bounds={x: (0, None)}, method=method, target="reference")
    assert not res.converged
    assert res.grad_norm == 1.0
