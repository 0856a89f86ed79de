"""SciPy's minimisers on compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize.scipy_methods import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_every_method_finds_the_minimum(name: str, target: str) -> None:
    p, q, c = sd.symbols("p"), sd.matrix("q", 1, 2), sd.vector("c", "n")
    f = (p - 1) ** 2 + sd.sum((q - p) ** 2) + sd.sum((q[0, 0] + c) ** 2) + 0.1 * p**4
    data = {c: [0.5, -1.0]}
    want = sd.minimize(f, {p: 0.0, q: [[0.0, 1.0]]}, data, target="reference")
    assert want.converged
    res = sd.minimize(f, {p: 0.0, q: [[0.0, 1.0]]}, data, method=f"scipy:{name}", tol=1e-6, target=target)
    rough = name in ("Nelder-Mead", "Powell", "SLSQP", "TNC", "Newton-CG")
    assert res.converged or rough, res.message
    np.testing.assert_allclose(res.x[p], want.x[p], atol=1e-3 if rough else 1e-6)
    np.testing.assert_allclose(res.x[q], want.x[q], atol=1e-3 if rough else 1e-6)
    assert res.fun == pytest.approx(want.fun, rel=1e-5)
    assert len(res.history["loss"]) == res.steps + 1
    assert name in res.message


def test_sizes_and_precisions_and_the_callback() -> None:
    w, a = sd.vector("w", "d", dtype="float32"), sd.vector("a", "d")
    f = sd.sum(sd.cosh(w - a))
    res = sd.minimize(f, {w: np.zeros(4)}, {a: [1, 2, 3, 4]}, method="scipy:L-BFGS-B", tol=1e-5, target="reference")
    np.testing.assert_allclose(res.x[w], [1, 2, 3, 4], atol=1e-4)
    assert res.x[w].dtype == np.float32
    seen: list[Any] = []

    def stop(now: Any) -> bool:
        seen.append(now.loss)
        return len(seen) == 3

    early = sd.minimize(f, {w: np.zeros(4)}, {a: [1, 2, 3, 4]}, method="scipy:CG", callback=stop, target="reference")
    assert early.steps == 2
    assert "stopped by the callback" in early.message
    assert early.fun <= min(seen)

    def interrupt(now: Any) -> None:
        if now.step == 1:
            raise KeyboardInterrupt

    cut = sd.minimize(
        f, {w: np.zeros(4)}, {a: [1, 2, 3, 4]}, method="scipy:BFGS", callback=interrupt, target="reference"
    )
    assert "interrupted" in cut.message
    assert cut.fun < 4 * np.cosh(4)


def test_wrong_names_are_refused() -> None:
    x = sd.symbols("x")
    with pytest.raises(sd.DomainError, match=r"SciPy's methods are Nelder-Mead, .*got 'scipy:bfgs'"):
        sd.minimize(x**2, {x: 1.0}, method="scipy:bfgs")
    with pytest.raises(sd.DomainError, match="take neither batch_size"):
        sd.minimize(x**2, {x: 1.0}, method="scipy:BFGS", batch_size=3)
    bad = sd.minimize(sd.log(x), {x: -1.0}, method="scipy:BFGS", target="reference")
    assert not bad.converged
