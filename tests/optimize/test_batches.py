"""Stochastic descent against the same loop in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import SGD, Adam, InverseSqrt, InverseTime

N, D, BATCH = 23, 3, 5


def problem() -> tuple[Any, Any, dict[Any, np.ndarray]]:
    rng = np.random.default_rng(9)
    a0 = rng.normal(size=(N, D))
    w, a, y = sd.vector("w", D), sd.matrix("A", "n", D), sd.vector("y", "n")
    f = sd.sum((a @ w - y) ** 2) / a.shape[0] + 0.1 * sd.sum(w**2)
    return w, f, {a: a0, y: a0 @ np.arange(1.0, D + 1) + 0.1 * rng.normal(size=N)}


def order(sampling: str, epoch: int, seed: int) -> np.ndarray:
    random = np.random.Generator(np.random.Philox(key=[seed, 0 if sampling == "once" else epoch]))
    return random.integers(0, N, N // BATCH * BATCH) if sampling == "replacement" else random.permutation(N)


@pytest.mark.parametrize("sampling", ["reshuffle", "once", "replacement"])
def test_every_step_sees_its_batch(sampling: str, target: str) -> None:
    w, f, data = problem()
    steps, lr, mu = 30, 0.05, 0.5
    res = sd.minimize(
        f, {w: np.zeros(D)}, data, SGD(lr=lr, momentum=mu), max_steps=steps, target=target,
        batch_size=BATCH, seed=4, sampling=sampling,
    )  # fmt: skip
    a0, y0 = data.values()
    x, buffer, losses = np.zeros(D), np.zeros(D), []
    for k in range(steps + 1):
        epoch, position = divmod(k, N // BATCH)
        rows = order(sampling, epoch, 4)[position * BATCH : (position + 1) * BATCH]
        r = a0[rows] @ x - y0[rows]
        losses.append(r @ r / BATCH + 0.1 * x @ x)
        g = 2 * a0[rows].T @ r / BATCH + 0.2 * x
        if k < steps:
            buffer = mu * buffer + g
            x = x - lr * buffer
    np.testing.assert_allclose(res.x[w], x, rtol=1e-12)
    np.testing.assert_allclose(res.history["loss"], losses, rtol=1e-12)
    r = a0 @ x - y0
    assert res.fun == pytest.approx(r @ r / N + 0.1 * x @ x, rel=1e-12)
    assert res.grad_norm == pytest.approx(np.max(np.abs(2 * a0.T @ r / N + 0.2 * x)), rel=1e-10)
    assert res.message.startswith("Made 30 steps on batches. All rows: loss")


def test_chunks_and_seeds(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w, f, data = problem()

    def run(seed: int) -> Any:
        return sd.minimize(
            f, {w: np.zeros(D)}, data, Adam(lr=InverseSqrt(0.1)), max_steps=60, target=target, batch_size=7, seed=seed
        ).x[w]

    whole = run(1)
    monkeypatch.setattr("symdiff.optimize.batches._MOST_ROWS", 3 * 7)
    np.testing.assert_array_equal(run(1), whole)
    assert np.any(run(2) != whole)


def test_decreasing_steps_come_to_the_minimum() -> None:
    """Robbins and Monro: the distance falls like 1/sqrt(t) for steps like 1/t."""
    w, f, data = problem()
    best = sd.minimize(f, {w: np.zeros(D)}, data, target="reference")
    assert best.converged
    rule = SGD(lr=InverseTime(0.2, 0.05))
    gaps = [
        np.linalg.norm(
            sd.minimize(f, {w: np.zeros(D)}, data, rule, max_steps=n, batch_size=BATCH, sampling="replacement").x[w]
            - best.x[w]
        )
        for n in (200, 20000)
    ]
    assert gaps[1] < 0.2 * gaps[0]


def test_a_batch_of_all_rows_is_descent() -> None:
    w, f, data = problem()
    rule = SGD(lr=0.05)
    a = sd.minimize(f, {w: np.zeros(D)}, data, rule, max_steps=400, target="reference", batch_size=N, tol=1e-6)
    b = sd.minimize(f, {w: np.zeros(D)}, data, rule, max_steps=400, target="reference", tol=0.0)
    np.testing.assert_allclose(a.x[w], b.x[w], rtol=1e-12)
    assert a.converged


def test_wrong_batches_are_refused() -> None:
    w, f, data = problem()
    start = {w: np.zeros(D)}
    for options, error, text in (
        ({"batch_size": 0}, sd.DomainError, "batch_size is a positive int, got 0"),
        ({"batch_size": 2.5}, sd.DomainError, "batch_size is a positive int"),
        ({"batch_size": 99}, sd.DomainError, r"batch_size is 99, the data have 23 rows \('A'\)"),
        ({"batch_size": 5, "seed": -1}, sd.DomainError, "seed is an int from 0"),
        ({"batch_size": 5, "sampling": "sorted"}, sd.DomainError, "sampling is one of 'reshuffle'"),
        ({"batch_size": 5, "method": "newton"}, sd.DomainError, "Newton compares them"),
    ):
        given = {"method": "adam", **options}
        with pytest.raises(error, match=text):
            sd.minimize(f, start, data, target="reference", **given)  # type: ignore[arg-type]  # a table of mistakes
    with pytest.raises(sd.ShapeError, match="there is none"):
        sd.minimize(sd.sum(w**2), start, method="adam", batch_size=2)
    z = sd.vector("z", "m")
    with pytest.raises(sd.ShapeError, match=r"there are several: 'A' \(n\), 'y' \(n\), 'z' \(m\)"):
        sd.minimize(f + sd.sum(z) * w[0], start, data | {z: np.ones(4)}, method="adam", batch_size=2)
    y = next(k for k in data if k.ndim == 1)
    square = sd.matrix("S", "n", "n")
    with pytest.raises(sd.ShapeError, match="'S' has the size n of the batched rows along another axis"):
        sd.minimize(f + y @ square @ y * w[0], start, data | {square: np.ones((N, N))}, method="adam", batch_size=2)
