"""least_squares against certified values, SciPy and exact solutions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimize import GaussNewton, LevenbergMarquardt, Newton, least_squares

NIST = json.loads(Path(__file__).with_name("nist_strd.json").read_text(encoding="utf-8"))["problems"]
NAMES = {n: getattr(sd, n) for n in ("exp", "sin", "cos", "log")} | {"atan": sd.arctan, "pi": np.pi}
# Parameters that the data determine badly: NIST's 11 digits allow no more (see the certificates' standard deviations).
ILL_CONDITIONED = {"Bennett5", "MGH09", "Lanczos1", "Lanczos2", "Lanczos3", "Hahn1"}
# From the far start these two end in a valley where the model is flat, and say so.
HARD = {("BoxBOD", 0), ("MGH10", 0)}


@pytest.mark.parametrize("problem", NIST, ids=lambda p: p["name"])
def test_the_certified_values_of_nist(problem: dict[str, Any]) -> None:
    parameters = [sd.symbols(p) for p in problem["parameters"]]
    columns = {c: sd.vector(c, "n") for c in ("y", *problem["predictors"])}
    names = NAMES | columns | dict(zip(problem["parameters"], parameters, strict=True))
    residuals = eval(problem["model"], {}, names) - eval(problem["response"], {}, names)
    data = {columns[c]: v for c, v in zip(columns, problem["data"], strict=True)}
    for k, start in enumerate(problem["starts"]):
        res = least_squares(residuals, dict(zip(parameters, start, strict=True)), data)
        if (problem["name"], k) in HARD:
            assert not res.converged
            continue
        assert res.converged, res.message
        got = [float(res.x[p]) for p in parameters]
        np.testing.assert_allclose(got, problem["certified"], rtol=1e-4 if problem["name"] in ILL_CONDITIONED else 1e-6)
        if problem["name"] == "Lanczos1":  # 1.4e-25 is below the rounding of the data
            assert 2 * res.fun <= 1e-20
        else:
            assert 2 * res.fun == pytest.approx(problem["rss"], rel=1e-8)


def test_linear_problems_take_one_step(target: str) -> None:
    rng = np.random.default_rng(8)
    a0, b0 = rng.normal(size=(9, 4)), rng.normal(size=9)
    a, b, x = sd.matrix("a", 9, 4), sd.vector("b", 9), sd.vector("x", 4)
    res = least_squares(a @ x - b, {x: np.zeros(4)}, {a: a0, b: b0}, LevenbergMarquardt(damping=1e-14), target=target)
    assert res.converged
    assert res.steps <= 2
    want, rss, *_ = np.linalg.lstsq(a0, b0)
    np.testing.assert_allclose(res.x[x], want, rtol=1e-9)
    assert res.fun == pytest.approx(rss[0] / 2, rel=1e-12)
    assert res.grad_norm < 1e-9


def test_a_list_of_residuals_and_unknowns_of_several_shapes(target: str) -> None:
    """Rosenbrock's function has residual zero; the fit has not. SciPy finds the same."""
    u, v = sd.symbols("u"), sd.vector("v", 2)
    residuals = [10 * (v[0] - u**2), 1 - u, sd.tanh(v) - 0.3, sd.stack([u * v])]
    res = least_squares(residuals, {u: -1.2, v: [1.0, 0.5]}, target=target)

    def fun(p: np.ndarray) -> np.ndarray:
        return np.r_[10 * (p[1] - p[0] ** 2), 1 - p[0], np.tanh(p[1:]) - 0.3, p[0] * p[1:]]

    theirs = scipy.optimize.least_squares(fun, [-1.2, 1.0, 0.5], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert res.converged
    assert res.fun == pytest.approx(theirs.cost, rel=1e-10)
    np.testing.assert_allclose([res.x[u], *res.x[v]], theirs.x, rtol=1e-6)


def test_gauss_newton_on_the_data_of_nist() -> None:
    """The certified values again, by a second method, where Gauss-Newton is at home: from the near starts."""
    for problem in (p for p in NIST if p["name"] in ("Misra1a", "Chwirut2", "DanWood", "Thurber", "Gauss1")):
        parameters = [sd.symbols(p) for p in problem["parameters"]]
        columns = {c: sd.vector(c, "n") for c in ("y", *problem["predictors"])}
        names = NAMES | columns | dict(zip(problem["parameters"], parameters, strict=True))
        residuals = eval(problem["model"], {}, names) - eval(problem["response"], {}, names)
        data = {columns[c]: v for c, v in zip(columns, problem["data"], strict=True)}
        start = dict(zip(parameters, problem["starts"][1], strict=True))
        res = least_squares(residuals, start, data, method="gauss-newton", target="reference")
        assert res.converged, problem["name"] + res.message
        np.testing.assert_allclose([float(res.x[p]) for p in parameters], problem["certified"], rtol=1e-6)


def test_gauss_newton_is_newtons_step_where_the_residuals_vanish(target: str) -> None:
    """Quadratic convergence: the error of the first steps from a near start is squared in each."""
    u, v = sd.symbols("u v")
    residuals = [u**2 + v**2 - 2, sd.exp(u - 1) + v**3 - 2]
    res = least_squares(residuals, {u: 1.3, v: 0.8}, method="gauss-newton", target=target)
    assert res.converged
    np.testing.assert_allclose([res.x[u], res.x[v]], [1.0, 1.0], rtol=1e-12)
    losses = res.history["loss"]
    # From a sum of squares s to at most some constant times s².
    assert all(after <= 10 * before**2 for before, after in itertools.pairwise(losses[1:5]))


def test_a_singular_jacobian_is_no_obstacle(target: str) -> None:
    a, b = sd.symbols("a b")
    t = np.linspace(0, 1, 6)
    res = least_squares((a + b) * t - 3 * t, {a: 0.0, b: 1.0}, target=target)
    assert res.converged
    assert float(res.x[a] + res.x[b]) == pytest.approx(3.0, rel=1e-8)


def test_wrong_input_is_named() -> None:
    x = sd.vector("x", 3)
    with pytest.raises(sd.DomainError, match="no method 'gd'; the methods are 'gauss-newton', 'levenberg-marquardt'"):
        least_squares(x - 1, {x: np.zeros(3)}, method="gd")
    with pytest.raises(sd.DTypeError, match="method is a LevenbergMarquardt"):
        least_squares(x - 1, {x: np.zeros(3)}, method=Newton())
    with pytest.raises(sd.DomainError, match="call least_squares with the residuals"):
        sd.minimize(sd.sum(x**2), {x: np.ones(3)}, method=LevenbergMarquardt(), target="reference")
    with pytest.raises(sd.DomainError, match="GaussNewton minimises sums of squares"):
        sd.minimize(sd.sum(x**2), {x: np.ones(3)}, method=GaussNewton(), target="reference")
    with pytest.raises(sd.DomainError, match="damping lies in"):
        LevenbergMarquardt(damping=0.0)
    with pytest.raises(sd.UnknownSymbolError, match="start gives 'y'"):
        least_squares(x - 1, {sd.symbols("y"): 1.0})
    n = sd.vector("n", "n")
    with pytest.raises(sd.DomainError, match="no residuals: the data are empty"):
        least_squares(n - x[0], {x: np.zeros(3)}, {n: []})
    assert not least_squares(sd.log(x), {x: -np.ones(3)}, target="reference").converged
