"""The trust region: its subproblem against its optimality conditions, its runs against SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimize import TrustRegion
from symdiff.optimize.trust_step import cg_step, exact_step

EPS = float(np.finfo(np.float64).eps)


def symmetric(eigenvalues: list[float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A matrix with given eigenvalues, and its eigenvectors."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))
    return q * np.array(eigenvalues) @ q.T, q


CASES = {
    "inside": ([1.0, 2.0, 5.0], [0.3, -0.2, 0.1], 3.0),
    "on the border": ([1.0, 2.0, 5.0], [3.0, -2.0, 4.0], 0.7),
    "indefinite": ([-2.0, 1.0, 3.0], [1.0, 2.0, -1.0], 1.3),
    "hard": ([-2.0, 1.0, 3.0], [0.0, 2.0, -1.0], 2.5),
    "nearly hard": ([-2.0, 1.0, 3.0], [1e-13, 2.0, -1.0], 2.5),
    "singular": ([0.0, 1.0, 3.0], [0.0, 2.0, -1.0], 2.5),
    "zero": ([0.0, 0.0, 0.0], [0.5, 2.0, -1.0], 1.5),
    "tiny region": ([-1e6, 1e-3, 1e6], [1.0, 2.0, -1.0], 1e-9),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_step_is_the_global_minimiser(case: str, target: str) -> None:
    """Moré & Sorensen: (H + nu I) p = -g, H + nu I >= 0, nu >= 0, nu (radius - |p|) = 0."""
    eigenvalues, turned, delta = CASES[case]
    h, q = symmetric(eigenvalues, 7)
    g = q @ np.array(turned)
    hess, grad, radius = sd.matrix("hess", 3, 3), sd.vector("grad", 3), sd.symbols("radius")
    p, promised, border = sd.compile([*exact_step(hess, grad)(radius)], [hess, grad, radius], target=target)(
        h, g, delta
    )
    size = np.linalg.norm(p)
    assert size <= delta * (1 + 2e-3)
    nu = -(p @ (h @ p + g)) / (p @ p)
    if not border:
        assert nu == pytest.approx(0.0, abs=1e-9 * max(1.0, np.abs(h).max()))
    scale = np.abs(h).max() + np.linalg.norm(g) / delta + 1
    assert nu >= -1e-9 * scale
    assert min(eigenvalues) + nu >= -1e-9 * scale
    np.testing.assert_allclose(h @ p + nu * p, -g, atol=1e-6 * scale * size + 1e-12)
    assert promised == pytest.approx(-(g @ p + 0.5 * p @ h @ p), rel=1e-6)
    assert promised > 0


def test_conjugate_gradients_do_no_worse_than_steepest_descent(target: str) -> None:
    """The first turn is the Cauchy point, and the model falls in every turn (Nocedal & Wright 2006, theorem 7.3)."""
    hess, grad, radius = sd.matrix("hess", 5, 5), sd.vector("grad", 5), sd.symbols("radius")
    step = cg_step(lambda v: hess @ v, grad)(radius)
    fn = sd.compile([*step], [hess, grad, radius], target=target)
    for k, eigenvalues in enumerate(([1, 2, 3, 4, 5], [-3, 1, 2, 3, 4], [1e-4, 1, 10, 100, 1000])):
        h, _ = symmetric([float(e) for e in eigenvalues], k + 3)
        g = np.random.default_rng(k + 20).normal(size=5)
        for delta in (0.01, 0.6, 1e4):
            p, promised, border = fn(h, g, delta)
            size, curvature = np.linalg.norm(g), g @ h @ g
            tau = min(1.0, size**3 / (delta * curvature)) if curvature > 0 else 1.0
            cauchy = -tau * delta / size * g
            assert promised >= -(g @ cauchy + 0.5 * cauchy @ h @ cauchy) * (1 - 1e-12)
            assert promised == pytest.approx(-(g @ p + 0.5 * p @ h @ p), rel=1e-9)
            assert np.linalg.norm(p) <= delta * (1 + 1e-12)
            if border:
                assert np.linalg.norm(p) == pytest.approx(delta, rel=1e-12)


@pytest.mark.parametrize("subproblem", ["exact", "cg"])
def test_rosenbrock_in_ten_dimensions(subproblem: str, target: str) -> None:
    v = sd.vector("v", 10)
    f = sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
    start = np.tile([-1.2, 1.0], 5)
    res = sd.minimize(f, {v: start}, method=TrustRegion(subproblem), tol=1e-9, target=target)
    theirs: Any = scipy.optimize.minimize(
        scipy.optimize.rosen,
        start,
        jac=scipy.optimize.rosen_der,
        hess=scipy.optimize.rosen_hess,
        method="trust-exact" if subproblem == "exact" else "trust-ncg",
    )
    assert res.converged
    assert res.fun == pytest.approx(theirs.fun, rel=1e-9)
    # SciPy stops at a gradient of 1e-4.
    np.testing.assert_allclose(res.x[v], theirs.x, rtol=1e-5)
    assert res.steps < 2 * theirs.nit


def test_saddles_are_left_and_what_has_no_minimum_is_said() -> None:
    p, q = sd.symbols("p q")
    # On the ridge p = 0 the gradient does not see the valleys at p = +-1; the eigenvalues do.
    res = sd.minimize((p**2 - 1) ** 2 + q**2, {p: 0.0, q: 1.0}, method="trust-region", target="reference")
    assert res.converged
    assert abs(float(res.x[p])) == pytest.approx(1.0, rel=1e-8)
    for method in ("trust-region", "trust-cg"):
        endless = sd.minimize(p * q, {p: 1.0, q: 0.5}, method=method, max_steps=3000, target="reference")
        assert not endless.converged
        assert "unbounded" in endless.message
    with pytest.raises(sd.DomainError, match="subproblem is 'exact' or 'cg', got 'dogleg'"):
        TrustRegion("dogleg")
    with pytest.raises(sd.DomainError, match="radius lies in"):
        TrustRegion(radius=0.0)


def test_steps_off_the_domain_shrink_the_region(target: str) -> None:
    """log is NaN below 0: a step there is refused, the next is shorter."""
    x = sd.symbols("x")
    res = sd.minimize(x - sd.log(x), {x: 5.0}, method=TrustRegion(radius=100.0), target=target)
    assert res.converged
    assert float(res.x[x]) == pytest.approx(1.0, rel=1e-8)
