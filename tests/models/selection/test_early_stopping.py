"""EarlyStopping: the best point on other data, patience, NaN, bad settings."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import symdiff as sd
from symdiff.models.selection import EarlyStopping
from symdiff.optimize import GradientDescent


def looks(stop: EarlyStopping, w: sd.Expr, values: list[float]) -> list[bool]:
    states = [SimpleNamespace(step=10 * k, x={w: v}) for k, v in enumerate(values)]
    return [stop(s) for s in states]  # type: ignore[arg-type]  # all that it reads of a Progress


def test_patience_counts_steps_since_the_best() -> None:
    w = sd.symbols("w")
    stop = EarlyStopping(w**2, patience=20, min_delta=0.5, target="reference")
    assert looks(stop, w, [3.0, 2.0, 1.0, 0.9, 2.0]) == [False, False, False, False, True]
    assert (stop.best_x, stop.best_loss, stop.best_step) == ({w: 1.0}, 1.0, 20)  # 0.81 is less than 0.5 better
    assert stop.history == [(0, 9.0), (10, 4.0), (20, 1.0), (30, 0.9**2), (40, 4.0)]


def test_nan_is_never_the_best() -> None:
    w = sd.symbols("w")
    stop = EarlyStopping(w**2, patience=20, target="reference")
    assert looks(stop, w, [np.nan, 2.0, np.nan, np.nan]) == [False, False, False, True]
    assert stop.best_loss == 4.0


def test_overfitting_is_stopped(target: str) -> None:
    """A polynomial of degree 9 through 12 noisy points: the validation loss falls, then rises."""
    rng = np.random.default_rng(7)
    x, w, y = sd.matrix("X", "n", 10), sd.vector("w", 10), sd.vector("y", "n")
    loss = sd.mean((x @ w - y) ** 2)

    def sample(n: int) -> dict[sd.Expr, np.ndarray]:
        t = rng.uniform(-1, 1, n)
        return {x: np.polynomial.legendre.legvander(t, 9), y: np.sin(3 * t) + 0.4 * rng.normal(size=n)}

    train, other = sample(12), sample(200)
    stop = EarlyStopping(loss, other, patience=300, target=target)
    res = sd.minimize(
        loss, {w: np.zeros(10)}, train, GradientDescent(lr=0.02), tol=0, max_steps=10**6, callback=stop, target=target
    )
    assert res.message.startswith("Stopped by the callback")
    value = sd.compile(loss, [w, x, y], target=target)
    assert stop.best_loss <= value(res.x[w], *other.values())
    np.testing.assert_allclose(value(stop.best_x[w], *other.values()), stop.best_loss)
    assert stop.history[-1][0] - stop.best_step >= 300


def test_bad_settings() -> None:
    w = sd.symbols("w")
    with pytest.raises(sd.DomainError, match="EarlyStopping: patience is an int >= 1, got 0"):
        EarlyStopping(w, patience=0)
    with pytest.raises(sd.DomainError, match="min_delta is a finite number >= 0, got -1"):
        EarlyStopping(w, min_delta=-1)
    with pytest.raises(sd.UnknownSymbolError, match="data gives no value of 't'"):
        sd.minimize(w**2, {w: 1.0}, callback=EarlyStopping((w - sd.symbols("t")) ** 2), target="reference")
