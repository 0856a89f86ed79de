"""minimize as a whole: real data, chunks, callbacks, interruption, bad starts, bad input."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.data import load_breast_cancer
from symdiff.optimize import METHODS, Adam, GradientDescent, Progress
from symdiff.optimize import loop as loop_module
from tests.optimize.quick import QUICK

# The package's attribute of this name is a function.
driver = importlib.import_module("symdiff.optimize.run")
EPS = float(np.finfo(np.float64).eps)


def bowl() -> tuple[Any, Any]:
    w = sd.vector("w", 3)
    return w, sd.sum((w - np.array([1.0, -2.0, 3.0])) ** 2 * np.array([1.0, 3.0, 0.5]))


def logistic_data() -> tuple[np.ndarray, np.ndarray]:
    features, labels, _ = load_breast_cancer()
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1), 2 * labels - 1


def logistic_loss() -> tuple[Any, Any, Any, Any]:
    a, y, w = sd.matrix("A", "n", "d"), sd.vector("y", "n"), sd.vector("w", "d")
    return a, y, w, sd.sum(sd.softplus(-y * (a @ w))) / a.shape[0] + 5e-3 * sd.sum(w**2)


def test_logistic_regression_on_real_data_reaches_scipy_optimum(target: str) -> None:
    from scipy.optimize import minimize as scipy_minimize

    a0, y0 = logistic_data()
    a, y, w, f = logistic_loss()
    res = sd.minimize(f, {w: np.zeros(31)}, {a: a0, y: y0}, method="newton", target=target)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = -y0 * (a0 @ x)
        g = a0.T @ (-y0 / (1 + np.exp(-z))) / len(y0) + 1e-2 * x
        return float(np.logaddexp(0, z).mean() + 5e-3 * x @ x), g

    peer = scipy_minimize(value, np.zeros(31), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert res.converged
    assert res.grad_norm <= 1e-8
    assert res.steps < 15
    # The objective is flat at the optimum: gradient norm 1e-8 leaves an error of its square.
    np.testing.assert_allclose(res.fun, peer.fun, rtol=1e-10)
    np.testing.assert_allclose(res.x[w], peer.x, rtol=0, atol=1e-5)
    assert np.abs(value(res.x[w])[1]).max() < 2e-8
    accuracy = np.mean(np.sign(a0 @ res.x[w]) == y0)
    assert accuracy > 0.98


def test_result_and_history() -> None:
    w, f = bowl()
    res = sd.minimize(f, {w: np.zeros(3)}, method="gd", tol=1e-6, target="reference")
    assert res.converged
    assert isinstance(res.fun, float)
    n = res.steps + 1
    assert [len(res.history[k]) for k in ("step", "loss", "grad_norm")] == [n, n, n]
    np.testing.assert_array_equal(res.history["step"], np.arange(n))
    assert res.history["loss"][0] == 1 + 12 + 4.5
    assert res.history["loss"][-1] == res.fun
    assert res.history["grad_norm"][-1] == res.grad_norm
    text = repr(res)
    assert "converged: True" in text
    assert "x[w]" in text


@pytest.mark.parametrize("method", ["gd", "newton", Adam(lr=0.03)], ids=str)
def test_chunking_does_not_change_a_bit(method: Any, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = sd.vector("w", 3)
    f = sd.sum(sd.logaddexp(w, -2 * w)) + sd.sum(w[:-1] * w[1:]) ** 2

    def run(most: int) -> Any:
        monkeypatch.setattr(driver, "MOST_STEPS", most)
        return sd.minimize(f, {w: [1.0, -2.0, 0.3]}, method=method, tol=0.0, max_steps=150, target=target)

    one, many = run(1), run(loop_module.MOST_STEPS)
    assert one.steps == many.steps
    assert one.x[w].tobytes() == many.x[w].tobytes()
    for key in ("loss", "grad_norm"):
        assert one.history[key].tobytes() == many.history[key].tobytes()


def test_more_steps_than_one_chunk_records(target: str) -> None:
    x = sd.symbols("x")
    rule = GradientDescent(lr=0.25)
    steps = loop_module.FEW_STEPS + loop_module.MOST_STEPS + 7
    res = sd.minimize(x**2 + 1, {x: 1.0}, method=rule, tol=0.0, max_steps=steps, target=target)
    assert res.steps == steps
    assert [len(v) for v in res.history.values()] == [steps + 1] * 3
    np.testing.assert_array_equal(res.history["loss"], 1 + 0.25 ** np.arange(steps + 1))


def test_callback_sees_the_run_and_stops_it(target: str) -> None:
    x = sd.symbols("x")
    seen: list[Progress] = []

    def look(state: Progress) -> bool:
        seen.append(state)
        return state.step >= 3

    res = sd.minimize(x**2, {x: 1.0}, method=Adam(lr=1e-9), max_steps=10**9, callback=look, target=target)
    assert not res.converged
    assert "callback" in res.message
    assert res.steps == seen[-1].step >= 3
    assert seen[0].step == 0
    assert seen[0].loss == 1.0
    assert seen[-1].x[x] == res.x[x]
    assert seen[-1].rate > 0
    with pytest.raises(AttributeError):
        seen[0].loss = 2.0  # frozen


def test_callback_sees_the_end() -> None:
    w, f = bowl()
    seen: list[Progress] = []
    res = sd.minimize(f, {w: np.zeros(3)}, callback=seen.append, target="reference")
    assert (seen[0].step, seen[-1].step) == (0, res.steps)
    assert seen[-1].loss == res.fun


def test_only_true_stops() -> None:
    w, f = bowl()
    assert sd.minimize(f, {w: np.zeros(3)}, callback=lambda s: s.step + 1, target="reference").converged


def test_errors_of_the_callback_come_through() -> None:
    w, f = bowl()

    def fail(state: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sd.minimize(f, {w: np.zeros(3)}, callback=fail, progress=True, target="reference")


@pytest.mark.parametrize("when", [0, 2])
def test_interruption_returns_the_best_point(when: int, target: str) -> None:
    x = sd.symbols("x")

    def interrupt(state: Progress) -> None:
        if state.step >= when:
            raise KeyboardInterrupt

    # |x| grows by 1 + 2e-9 in every step, so the best point is the start.
    rule = GradientDescent(lr=1 + 1e-9)
    res = sd.minimize(x**2, {x: 1.0}, method=rule, tol=0.0, max_steps=10**9, callback=interrupt, target=target)
    assert not res.converged
    assert res.message.startswith(f"Interrupted after {res.steps} steps")
    assert res.steps >= when
    assert res.x[x] == 1.0
    assert res.fun == 1.0
    assert len(res.history["loss"]) == res.steps + 1


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt: a shell's background jobs ignore it, and so would the run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no Ctrl-C there")
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("progress", [False, True])
def test_a_real_interrupt_ends_a_real_run(progress: bool, target: str) -> None:
    w, f = bowl()
    seen: list[int] = []

    def look(state: Progress) -> None:
        seen.append(state.step)
        if len(seen) == 2:  # the run is on its way
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with redirect_stdout(io.StringIO()):
        res = sd.minimize(
            f,
            {w: np.zeros(3)},
            method=Adam(lr=1e-12),
            max_steps=10**12,
            callback=look,
            progress=progress,
            target=target,
        )
    assert res.message.startswith("Interrupted")
    assert 3 <= len(seen) < 200
    assert res.steps >= seen[-1] > 0
    assert res.fun < 17.5
    assert len(res.history["loss"]) == res.steps + 1


def test_an_interruption_at_the_end_does_not_cost_the_result() -> None:
    w, f = bowl()

    def interrupt(state: Progress) -> None:
        if state.step > 0:
            raise KeyboardInterrupt

    assert sd.minimize(f, {w: np.zeros(3)}, callback=interrupt, target="reference").converged


@pytest.mark.parametrize("method", METHODS)
def test_already_optimal_makes_no_step(method: str, target: str) -> None:
    w, f = bowl()
    res = sd.minimize(f, {w: [1.0, -2.0, 3.0]}, method=method, target=target)
    assert (res.converged, res.steps, res.fun) == (True, 0, 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_constant_function(method: str, target: str) -> None:
    x = sd.symbols("x")
    res = sd.minimize(7 + 0 * x, {x: 2.5}, method=method, target=target)
    assert (res.converged, res.steps, res.fun, res.x[x]) == (True, 0, 7.0, 2.5)


def test_no_steps_allowed() -> None:
    w, f = bowl()
    res = sd.minimize(f, {w: np.zeros(3)}, max_steps=0, target="reference")
    assert (res.converged, res.steps) == (False, 0)
    assert "max_steps" in res.message


@pytest.mark.parametrize("method", METHODS)
def test_unknowns_without_entries(method: str, target: str) -> None:
    w, v, x = sd.vector("w", "n"), sd.vector("v", 0), sd.symbols("x")
    f = sd.sum(w**2) + sd.sum(v**2) + (x - 1) ** 2
    rule = QUICK.get(method, method)
    res = sd.minimize(f, {w: np.zeros(0), v: np.zeros(0), x: 0.0}, method=rule, tol=1e-4, target=target)
    assert res.converged
    assert res.x[w].shape == res.x[v].shape == (0,)
    alone = sd.minimize(sd.sum(w**2), {w: np.zeros(0)}, method=method, target=target)
    assert (alone.converged, alone.steps, alone.fun) == (True, 0, 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_nan_start_is_named(method: str, target: str) -> None:
    w, f = bowl()
    res = sd.minimize(f, {w: [0.0, np.nan, 0.0]}, method=method, target=target)
    assert not res.converged
    assert res.steps == 0
    assert "w[1] is nan" in res.message
    assert "loss" in res.message


def test_other_bad_starts_are_explained(target: str) -> None:
    x, c = sd.symbols("x c")
    outside = sd.minimize(sd.log(x) + x, {x: -1.0}, target=target)
    assert not outside.converged
    assert "the loss is nan at the start, although all values are finite" in outside.message
    steep = sd.minimize(sd.sqrt(x) + x**2, {x: 0.0}, target=target)
    assert not steep.converged
    assert "the gradient by x is inf at the start" in steep.message
    data = sd.minimize((x - c) ** 2, {x: 0.0}, {c: np.inf}, target=target)
    assert not data.converged
    assert "the data value c is inf" in data.message
    far = sd.minimize(sd.exp(x), {x: -np.inf}, target=target)  # loss 0, gradient 0
    assert not far.converged
    assert "the start value x is -inf" in far.message


def test_bad_data_are_named(target: str) -> None:
    a, y, w = sd.matrix("A", "n", 3), sd.vector("y", "n"), sd.vector("w", 3)
    f = sd.mean((a @ w - y) ** 2)
    rows, right = np.random.default_rng(5).standard_normal((7, 3)), np.ones(7)
    rows[4, 1] = np.nan
    whole = sd.minimize(f, {w: np.zeros(3)}, {a: rows, y: right}, target=target)
    assert not whole.converged
    assert "the data value A[4, 1] is nan" in whole.message
    parts = sd.minimize(f, {w: np.zeros(3)}, {a: rows, y: right}, Adam(), batch_size=2, seed=5, target=target)
    assert not parts.converged
    assert parts.message.startswith("Diverged after")
    assert "The data value A[4, 1] is nan" in parts.message
    none = sd.minimize(f, {w: np.zeros(3)}, {a: np.zeros((0, 3)), y: np.zeros(0)}, target=target)
    assert not none.converged
    assert "the data of 'A' are empty, of shape (0, 3)" in none.message


def test_bounds_are_no_bad_data() -> None:
    x = sd.symbols("x")
    res = sd.minimize(sd.log(x), {x: -1.0}, bounds={x: (None, 3.0)}, method="lbfgs-b", target="reference")
    assert "although all values are finite" in res.message


def test_divergence_is_reported(target: str) -> None:
    x = sd.symbols("x")
    res = sd.minimize(x**4, {x: 2.0}, method=GradientDescent(lr=1.0), target=target)
    assert not res.converged
    assert res.message.startswith("Diverged")
    assert res.x[x] == 2.0  # the best point
    assert np.isfinite(res.fun)
    assert not np.isfinite(res.history["loss"][-1])
    slow = sd.minimize(x**2, {x: 2.0}, method=GradientDescent(lr=1.01), max_steps=20, target=target)
    assert not slow.converged
    assert "the run diverges" in slow.message


def test_an_infinite_loss_with_a_zero_gradient_is_no_minimum(target: str) -> None:
    x = sd.symbols("x")
    f = sd.where(x > 1, x, -np.inf)
    res = sd.minimize(f, {x: 1.5}, method=GradientDescent(lr=2.0), target=target)
    assert not res.converged
    assert "the loss became -inf" in res.message
    assert res.x[x] == 1.5


@pytest.mark.parametrize("method", [*METHODS, GradientDescent(lr=0.5)], ids=str)
def test_functions_without_a_minimum(method: Any, target: str) -> None:
    x, y = sd.symbols("x y")
    for f in (-(x**2) + y**2, x**3 + y):
        res = sd.minimize(f, {x: -1.0, y: 1.0}, method=method, max_steps=2000, target=target)
        assert not res.converged
        if method not in QUICK:  # which creep: lr bounds their steps
            assert res.message.startswith("Diverged")
        assert np.isfinite(res.fun)


@pytest.mark.parametrize("method", ["newton", "gd"])
def test_the_rounding_floor_stops_the_line_search(method: str, target: str) -> None:
    w = sd.vector("w", 2)
    f = sd.sum(sd.exp(w) - 2.1 * w) + 1e3
    res = sd.minimize(f, {w: [0.3, 2.0]}, method=method, tol=0.0, target=target)
    assert res.steps < 200
    if not res.converged:  # a gradient of exactly 0 may be found
        assert res.message.startswith("No further decrease possible")
    # Far below sqrt(eps * f) ~ 5e-7, where the loss itself goes blind.
    assert res.grad_norm < 64 * EPS
    np.testing.assert_allclose(res.x[w], np.log(2.1), rtol=64 * EPS)


def test_progress_without_a_terminal() -> None:
    w, f = bowl()
    out = io.StringIO()
    with redirect_stdout(out):
        res = sd.minimize(f, {w: np.zeros(3)}, method="gd", progress=True, target="reference")
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("minimize (GradientDescent): step 0  loss 17.5")
    assert f"step {res.steps}" in lines[-2]
    assert res.message in lines[-1]
    assert "\x1b" not in out.getvalue()


def test_progress_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    w, f = bowl()
    out = io.StringIO()
    with redirect_stdout(out):
        sd.minimize(f, {w: np.zeros(3)}, progress=True, target="reference")
    assert "gradient norm" in out.getvalue()
    assert "Converged" in out.getvalue()


def test_starts_are_not_changed_and_results_are_copies() -> None:
    w, f = bowl()
    start = np.zeros(3)
    res = sd.minimize(f, {w: start}, max_steps=0, target="reference")
    res.x[w][:] = 5.0
    assert not start.any()


def test_names_of_symbols_do_not_matter(target: str) -> None:
    stop, tol, loss = sd.symbols("stop tol loss")
    f = (stop - tol) ** 2 + (loss - 1) ** 2
    res = sd.minimize(f, {stop: 0.0, loss: 0.0}, {tol: 4.0}, target=target)
    assert res.converged
    np.testing.assert_allclose([res.x[stop], res.x[loss]], [4.0, 1.0], rtol=8 * EPS)


def test_data_may_hold_more_than_the_function_needs() -> None:
    x, c, spare = sd.symbols("x c spare")
    assert sd.minimize((x - c) ** 2, {x: 0.0}, {c: 1, spare: 2}, target="reference").converged
