"""SVRG and averages against the same loops in NumPy, with the batches of `test_batches`."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.renamed import renamed
from symdiff.optimize import SGD, SVRG, Adam, Averaged, Clip, InverseSqrt
from tests.optimize.problems import EPS, Regression, regression

BATCH, SEED = 6, 3


def batch(p: Regression, k: int) -> Regression:
    """The problem on batch k of a reshuffled run."""
    x, y = p.arrays
    epoch, position = divmod(k, len(y) // BATCH)
    order = np.random.Generator(np.random.Philox(key=[SEED, epoch])).permutation(len(y))
    rows = order[position * BATCH : (position + 1) * BATCH]
    return Regression(p.f, p.w, dict(zip(p.data, (x[rows], y[rows]), strict=True)))


@pytest.mark.parametrize(("every", "target"), [(None, "reference"), (3, "reference"), (None, "cpu")])
def test_the_textbook_iteration(every: int | None, target: str) -> None:
    p, steps = regression(), 23
    res = sd.minimize(
        p.f, p.start, p.data, SVRG(0.03, every), max_steps=steps, target=target, batch_size=BATCH, seed=SEED
    )
    w, m = np.zeros(5), every or 31 // BATCH
    losses = []
    for k in range(steps):
        if k % m == 0:
            s, full = w.copy(), p.gradient(w)
        part = batch(p, k)
        losses.append(part.value(w))
        w = w - 0.03 * (part.gradient(w) - part.gradient(s) + full)
    np.testing.assert_allclose(res.x[p.w], w, rtol=1e-11)
    np.testing.assert_allclose(res.history["loss"][:-1], losses, rtol=1e-11)


def test_it_converges_where_sgd_does_not() -> None:
    p = regression()
    sgd, svrg = (
        sd.minimize(p.f, p.start, p.data, rule, 1e-10, 900, target="reference", batch_size=BATCH, seed=SEED)
        for rule in (SGD(lr=0.06), SVRG(lr=0.06))
    )
    assert svrg.converged
    assert sgd.grad_norm > 1e-4


def test_all_rows_are_a_batch_of_another_size() -> None:
    # 'n' is the size of a batch inside the loop; slices, reshapes and loops over rows carry it in their parameters.
    x, w = sd.matrix("X", "n", 2), sd.vector("w", 2)
    z = sd.concatenate([x @ w, (x[::2] @ w) ** 2])
    total, _ = sd.scan(lambda c, row: (c + (row @ w) ** 2, None), 0.0, x)
    f = sd.mean(z) + total / x.shape[0] + sd.sum(x.reshape((-1,)))
    (g,) = renamed([f], {"n": "all_n"})
    assert {str(s.shape[0]) for s in g.free_symbols} == {"all_n", "2"}
    assert renamed([g], {"all_n": "n"})[0] is f
    rng = np.random.default_rng(8)
    x0, w0 = rng.normal(size=(7, 2)), rng.normal(size=2)
    y = next(s for s in g.free_symbols if s.ndim == 2)
    a = sd.compile(f, [x, w], target="reference")(x0, w0)
    assert sd.compile(g, [y, w], target="reference")(x0, w0) == a


@pytest.mark.parametrize(
    ("start", "every", "target"), [(0, 1, "reference"), (7, 1, "reference"), (5, 4, "reference"), (5, 4, "cpu")]
)
def test_the_mean_of_the_points(start: int, every: int, target: str) -> None:
    p, steps = regression(), 26
    rule = SGD(lr=0.02, momentum=0.5)
    res = sd.minimize(
        p.f, p.start, p.data, Averaged(rule, start, every), max_steps=steps, target=target, batch_size=BATCH, seed=SEED
    )
    points = [
        sd.minimize(p.f, p.start, p.data, rule, max_steps=k, target="reference", batch_size=BATCH, seed=SEED).x[p.w]
        for k in range(steps + 1)
    ]
    np.testing.assert_allclose(res.x[p.w], np.mean(points[start + 1 :: every], axis=0), rtol=1e-11)


def test_until_the_start_the_point_is_the_rules() -> None:
    p = regression()
    a, b = (
        sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=9, target="reference").x[p.w]
        for rule in (Adam(lr=0.1), Averaged(Adam(lr=0.1), start=9))
    )
    np.testing.assert_array_equal(a, b)


def test_averages_are_below_the_noise() -> None:
    p = regression(n=200)
    best = np.linalg.lstsq(*p.arrays, rcond=None)[0]
    gaps = [
        sd.minimize(p.f, {p.w: best}, p.data, rule, max_steps=1200, target="reference", batch_size=2, seed=SEED).fun
        - p.value(best)
        for rule in (SGD(lr=0.02), Averaged(SGD(lr=0.02)))
    ]
    assert gaps[1] < gaps[0] / 10


def test_schedules_and_clipping_inside() -> None:
    p = regression()
    rule = Averaged(Clip(SGD(lr=InverseSqrt(0.05)), 1.0), start=2)
    res = sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=12, target="reference")
    w, points = np.zeros(5), []
    for t in range(1, 13):
        g = p.gradient(w)
        w = w - 0.05 / np.sqrt(t) * g * min(1.0, 1.0 / (np.linalg.norm(g) + 1e-6))
        points.append(w)
    np.testing.assert_allclose(res.x[p.w], np.mean(points[2:], axis=0), rtol=0, atol=1e3 * EPS)


def test_wrong_use_is_refused() -> None:
    p = regression()
    with pytest.raises(sd.DomainError, match="SVRG goes by batches: give minimize a batch_size"):
        sd.minimize(p.f, p.start, p.data, SVRG(0.1), target="reference")
    with pytest.raises(sd.DomainError, match="SVRG: every is a positive int or None"):
        SVRG(every=0)
    with pytest.raises(sd.DomainError, match="SVRG: lr is a positive finite number"):
        SVRG(lr=-1.0)
    with pytest.raises(sd.DTypeError, match="Averaged takes a rule that reads gradients only"):
        Averaged(sd.optimize.Newton())  # type: ignore[arg-type]  # the mistake
    for given in ({"start": -1}, {"every": 0}, {"every": 2.5}):
        with pytest.raises(sd.DomainError, match=r"Averaged: (start|every) is an int >= "):
            Averaged(SGD(), **given)  # type: ignore[arg-type]  # the mistake
