"""Constraints: published solutions, SciPy's SLSQP and trust-constr, and the conditions of first order by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimize import AugmentedLagrangian, ConstrainedResult, QuadraticPenalty

INNER = ("newton", "trust-region", "newton-cg", "bfgs", "lbfgs", "lbfgs-b")


@pytest.mark.parametrize("inner", INNER)
def test_a_line_on_a_circle(inner: str) -> None:
    """x + 2 y on x² + y² = 5 is least at (-1, -2), with the multiplier -1/2."""
    x, y = sd.symbols("x y")
    start = {x: 2.0, y: 0.5}
    res = sd.minimize(x + 2 * y, start, constraints=[x**2 + y**2 - 5], method=inner, target="reference")
    assert isinstance(res, ConstrainedResult)
    assert res.converged, res.message
    np.testing.assert_allclose([res.x[x], res.x[y], res.multipliers[0]], [-1, -2, -0.5], atol=1e-7)
    assert res.violation <= 1e-8
    assert res.history["step"][-1] == res.steps


def test_hock_schittkowski_71_with_bounds() -> None:
    """The tutorial problem of IPOPT, f = 17.0140173, beside SLSQP."""
    v = sd.vector("v", 4)
    f = v[0] * v[3] * (v[0] + v[1] + v[2]) + v[2]
    res: Any = sd.minimize(
        f,
        {v: [1, 5, 5, 1]},
        bounds={v: (1, 5)},
        constraints=[sd.prod(v) >= 25, sd.equal(sd.sum(v**2), 40)],
        method="lbfgs-b",
        target="reference",
    )
    theirs = scipy.optimize.minimize(
        lambda z: z[0] * z[3] * (z[0] + z[1] + z[2]) + z[2],
        [1, 5, 5, 1],
        method="SLSQP",
        bounds=[(1, 5)] * 4,
        constraints=[
            {"type": "ineq", "fun": lambda z: np.prod(z) - 25},
            {"type": "eq", "fun": lambda z: z @ z - 40},
        ],
        options={"ftol": 1e-13},
    )
    assert res.converged, res.message
    assert res.fun == pytest.approx(17.0140173, rel=1e-8)
    np.testing.assert_allclose(res.x[v], theirs.x, atol=1e-6)
    assert res.multipliers[0] > 0.1
    assert res.x[v][0] == 1.0


def test_arrays_of_constraints_with_sizes_from_the_data() -> None:
    """The entropy under linear equations, beside trust-constr; the multipliers satisfy grad f = A'm by hand."""
    rng = np.random.default_rng(9)
    p, a, b = sd.vector("p", "n"), sd.matrix("a", "k", "n"), sd.vector("b", "k")
    a0 = np.vstack([np.ones(6), rng.normal(size=6)])
    b0 = np.array([1.0, a0[1].mean() + 0.3])
    f = sd.sum(p * sd.log(p))
    start = np.full(6, 1 / 6)
    res: Any = sd.minimize(f, {p: start}, {a: a0, b: b0}, constraints=[a @ p - b], tol=1e-9, target="reference")
    assert res.converged, res.message
    assert res.multipliers[0].shape == (2,)
    np.testing.assert_allclose(np.log(res.x[p]) + 1, a0.T @ res.multipliers[0], atol=1e-8)
    theirs = scipy.optimize.minimize(
        lambda z: np.sum(z * np.log(z)),
        start,
        jac=lambda z: np.log(z) + 1,
        hess=lambda z: np.diag(1 / z),
        method="trust-constr",
        constraints=scipy.optimize.LinearConstraint(a0, b0, b0),
        options={"gtol": 1e-10, "xtol": 1e-14},
    )
    np.testing.assert_allclose(res.x[p], theirs.x, atol=1e-6)


def test_inequalities_that_are_active_and_not() -> None:
    """Two of three hold with equality; the third has room and the multiplier zero."""
    x, y = sd.symbols("x y")
    f = (x - 2) ** 2 + (y - 1) ** 2
    for inner in ("newton", "bfgs"):
        res: Any = sd.minimize(
            f, {x: 0.0, y: 0.0}, constraints=[x**2 <= y, x + y <= 2, x >= -5], method=inner, target="reference"
        )
        assert res.converged, res.message
        np.testing.assert_allclose([res.x[x], res.x[y]], [1, 1], atol=1e-7)
        # grad f = (-2, 0) = m1 (-2x, 1) + m2 (-1, -1).
        np.testing.assert_allclose(res.multipliers, [2 / 3, 2 / 3, 0.0], atol=1e-6)
        assert res.multipliers[2] == 0.0


def test_the_quadratic_penalty_is_off_by_the_multiplier_over_the_penalty() -> None:
    x, y = sd.symbols("x y")
    f, c = x**2 + 3 * y**2, x + y - 4
    res: Any = sd.minimize(
        f, {x: 0.0, y: 0.0}, constraints=[c], method="quadratic-penalty", tol=1e-6, target="reference"
    )
    assert res.converged, res.message
    np.testing.assert_allclose([res.x[x], res.x[y], res.multipliers[0]], [3, 1, 6], atol=1e-5)
    h = res.history
    # On this quadratic c = -6/(mu + 1.5) exactly.
    np.testing.assert_allclose(h["violation"], 6 / (h["penalty"] + 1.5), rtol=1e-4)
    better: Any = sd.minimize(f, {x: 0.0, y: 0.0}, constraints=[c], target="reference")
    assert better.converged
    assert better.history["penalty"].max() < 1e-2 * h["penalty"].max()


def test_a_run_that_cannot_succeed_says_why() -> None:
    x, y = sd.symbols("x y")
    at = {x: 0.3, y: 0.1}
    apart: Any = sd.minimize((x - y) ** 2, at, constraints=[x + y - 1, x + y - 2], target="reference")
    assert not apart.converged
    assert "contradict each other" in apart.message
    assert apart.violation == pytest.approx(0.5, rel=1e-6)
    endless = sd.minimize(-(x**2), at, constraints=[y - 1], max_steps=300, target="reference")
    assert not endless.converged
    nan = sd.minimize(sd.log(x), {x: -1.0}, constraints=[x - 1], target="reference")
    assert not nan.converged
    assert "Not started" in nan.message
    few = sd.minimize(x + y, at, constraints=[x**2 + y**2 - 2], max_steps=3, target="reference")
    assert (few.converged, few.steps) == (False, 3)
    assert "max_steps" in few.message


def test_where_the_augmented_lagrangian_is_unbounded_the_penalty_grows() -> None:
    """-x² + y² on x = 1: with a penalty below 2 there is no minimum."""
    x, y = sd.symbols("x y")
    rule = AugmentedLagrangian("newton", penalty=0.5)
    res: Any = sd.minimize(y**2 - x**2, {x: 3.0, y: 1.0}, constraints=[x - 1], method=rule, target="reference")
    assert res.converged, res.message
    assert float(res.x[x]) == pytest.approx(1.0, abs=1e-7)
    assert float(res.multipliers[0]) == pytest.approx(-2.0, abs=1e-6)


def test_callback_and_interruption_span_the_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = sd.symbols("x y")
    seen: list[int] = []

    def stop(now: Any) -> bool:
        seen.append(now.step)
        return now.step >= 8

    f, c, start = x + y, [x**2 + y**2 - 2], {x: 1.0, y: 0.0}
    res = sd.minimize(f, start, constraints=c, callback=stop, target="reference")
    assert not res.converged
    assert "Stopped by the callback" in res.message
    assert seen == sorted(seen)

    def interrupt(now: Any) -> None:
        if now.step >= 8:
            raise KeyboardInterrupt

    cut = sd.minimize(f, start, constraints=c, callback=interrupt, target="reference")
    assert not cut.converged
    assert np.isfinite(cut.fun)
    whole = sd.minimize(f, start, constraints=c, progress=True, target="reference")
    printed = capsys.readouterr().out
    assert whole.converged
    assert "AugmentedLagrangian, Newton" in printed
    assert "violation" in repr(whole)
    assert "multipliers[0]" in repr(whole)


def test_wrong_input_is_named() -> None:
    x, y = sd.symbols("x y")

    def run(constraints: Any, **more: Any) -> Any:
        return sd.minimize(x**2 + y**2, {x: 1.0, y: 1.0}, constraints=constraints, target="reference", **more)

    with pytest.raises(sd.DTypeError, match="constraints is a list"):
        run(x - 1)
    with pytest.raises(sd.DomainError, match="empty list"):
        run([])
    with pytest.raises(sd.DomainError, match="is strict; write <= or >="):
        run([x < 1])
    with pytest.raises(sd.DomainError, match="is a constant"):
        run([3.0])
    with pytest.raises(sd.DTypeError, match="Write a - b, which is to vanish"):
        run([x == y])
    with pytest.raises(sd.DomainError, match="is no comparison"):
        run([(x <= 1) & (y <= 1)])
    with pytest.raises(sd.DomainError, match="constraints are for rules of"):
        run([x - 1], method="scipy:SLSQP")
    with pytest.raises(sd.DomainError, match="not for batches"):
        run([x - 1], batch_size=3)
    with pytest.raises(sd.DomainError, match="Newton takes no bounds"):
        run([x - 1], bounds={x: (0, 1)}, method="newton")
    with pytest.raises(sd.UnknownSymbolError, match="needs 'z'"):
        run([x - sd.symbols("z")])
    with pytest.raises(sd.DomainError, match="is for constraints"):
        sd.minimize(x**2, {x: 1.0}, method="augmented-lagrangian")
    with pytest.raises(sd.DomainError, match="penalty lies in"):
        QuadraticPenalty(penalty=0.0)
    with pytest.raises(sd.DomainError, match="minimize has no method 'simplex'"):
        AugmentedLagrangian("simplex")
