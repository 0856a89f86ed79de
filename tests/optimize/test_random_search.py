"""Random search: its numbers, its rule of one in five, its theory."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import RandomSearch
from symdiff.optimize.draws import normals, permutation
from tests.optimize.problems import EPS


def test_normals_are_normal_and_depend_on_counters_only(target: str) -> None:
    from scipy.stats import kstest

    t, x = sd.symbols("t"), sd.vector("x", "n")
    fn = sd.compile(normals(9, t, x), [t, x], target=target)
    z = np.concatenate([fn(float(k), np.zeros(500)) for k in (1, 2, 3, 4)])
    assert kstest(z, "norm").pvalue > 0.01
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 4 / np.sqrt(len(z))
    # The first numbers of a step are the same whatever the length; each step and each seed has its own.
    np.testing.assert_allclose(fn(2.0, np.zeros(3)), z[500:503], rtol=0, atol=64 * EPS)
    assert len(np.unique(z)) == len(z)
    other = sd.compile(normals(10, t, x), [t, x], target=target)(1.0, np.zeros(500))
    assert abs(np.corrcoef(other, z[:500])[0, 1]) < 4 / np.sqrt(500)


def test_permutations_are_uniform(target: str) -> None:
    t, x = sd.symbols("t"), sd.vector("x", 3)
    fn = sd.compile(permutation(4, t, x), [t, x], target=target)
    found = [tuple(int(k) for k in fn(float(step), np.zeros(3))) for step in range(600)]
    counts = np.array([found.count(p) for p in set(found)])
    assert len(counts) == 6
    # Chi squared with 5 degrees of freedom: above 20 once in a thousand.
    assert np.sum((counts - 100) ** 2 / 100) < 20


def test_the_iteration(target: str) -> None:
    w, t = sd.vector("w", 3), sd.symbols("t")
    draw = sd.compile(normals(3, t, w), [t, w], target="reference")
    c = np.array([1.0, -2.0, 0.5])
    f = sd.sum((w - c) ** 4) + sd.sum(w**2)
    res = sd.minimize(f, {w: np.zeros(3)}, method=RandomSearch(0.7, seed=3), tol=0.0, max_steps=40, target=target)

    def value(x: np.ndarray) -> float:
        return float(np.sum((x - c) ** 4) + np.sum(x**2))

    x, r = np.zeros(3), 0.7
    for k in range(1, 41):
        trial = x + r * draw(float(k), x)
        lower = value(trial) < value(x)
        x, r = (trial, r * np.exp(1 / 3)) if lower else (x, r * np.exp(-1 / 12))
    np.testing.assert_allclose(res.x[w], x, rtol=1e-12)
    assert np.all(np.diff(res.history["loss"]) <= 0)


def test_convergence_is_linear_on_the_sphere_model() -> None:
    # Rechenberg 1973: with the best radius the distance falls by about 0.2/n a step in log scale.
    w = sd.vector("w", 10)
    res = sd.minimize(sd.sum(w * w), {w: np.ones(10)}, method=RandomSearch(seed=2), tol=1e-7, max_steps=5000)
    assert res.converged
    norms = np.sqrt(res.history["loss"])
    rate = np.log(norms[100] / norms[-1]) / (len(norms) - 100) * 10
    assert 0.12 < rate < 0.25


def test_trials_that_are_not_finite_are_not_taken() -> None:
    x = sd.symbols("x")
    res = sd.minimize(x - sd.log(x), {x: 0.1}, method=RandomSearch(5.0), tol=1e-6, max_steps=2000, target="reference")
    assert res.converged
    np.testing.assert_allclose(res.x[x], 1.0, rtol=0, atol=1e-5)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(sd.DomainError, match="RandomSearch: radius lies in"):
        RandomSearch(radius=0.0)
    with pytest.raises(sd.DomainError, match="seed is an int from 0"):
        RandomSearch(seed=2.5)  # type: ignore[arg-type]  # the mistake
