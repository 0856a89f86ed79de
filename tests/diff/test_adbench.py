"""ADBench's objectives: against formulas in NumPy with complex steps, and against the benchmark's own references."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import gammaln

from demos.adbench import hand, problems, truth

EPS = np.finfo(float).eps
STEP = 1e-200

INSTANCES = list(truth.instances())


@pytest.mark.skipif(not INSTANCES, reason=f"the references are not at {truth.FOLDER}")
@pytest.mark.parametrize(("kind", "name"), INSTANCES, ids=[name for _, name in INSTANCES])
def test_references_are_met(kind: str, name: str) -> None:
    problem, references = truth.read(kind, name)
    values = problem.values(problem.compile())
    assert set(values) == set(references)
    for quantity, reference in references.items():
        error = reference.error(values[quantity])
        assert error <= reference.tolerance, f"{quantity}: {error:.1e}"


# --- the same objectives written for NumPy, element by element -------------------


def logsumexp(v: np.ndarray) -> Any:
    top = np.max(v.real)
    return top + np.log(np.sum(np.exp(v - top)))


def gmm_numpy(alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: float) -> Any:
    (K, d), n = means.shape, len(x)
    factors = []
    for q in icf:
        factor, rest = np.diag(np.exp(q[:d])), list(q[d:])
        for i in range(d):
            for j in range(i + 1, d):
                factor[j, i] = rest.pop(0)
        factors.append(factor)
    total = -n * d / 2 * np.log(2 * np.pi) - n * logsumexp(alphas)
    for point in x:
        whitened = [factor @ (point - mean) for factor, mean in zip(factors, means, strict=True)]
        total += logsumexp(np.array([alphas[k] + np.sum(icf[k, :d]) - w @ w / 2 for k, w in enumerate(whitened)]))
    N = d + m + 1
    log_gamma = d * (d - 1) / 4 * np.log(np.pi) + sum(gammaln(N / 2 + (1 - j) / 2) for j in range(1, d + 1))
    total -= K * (N * d * (np.log(gamma) - np.log(2) / 2) - log_gamma)
    return total + np.sum(
        gamma**2 / 2 * (np.exp(2 * icf[:, :d]).sum() + (icf[:, d:] ** 2).sum()) - m * icf[:, :d].sum()
    )


def lstm_numpy(gates: Any, extra: Any, state: Any, text: Any) -> Any:
    def sigmoid(v: Any) -> Any:
        return 1 / (1 + np.exp(-v))

    memory, total = [[h, c] for h, c in state], 0.0
    for now, after in itertools.pairwise(text):
        u = now * extra[0]
        for (w, b), cells in zip(gates, memory, strict=True):
            forget, ingate = sigmoid(u * w[0] + b[0]), sigmoid(cells[0] * w[1] + b[1])
            outgate, change = sigmoid(u * w[2] + b[2]), np.tanh(cells[0] * w[3] + b[3])
            cells[1] = cells[1] * forget + ingate * change
            cells[0] = u = outgate * np.tanh(cells[1])
        y = u * extra[1] + extra[2]
        total += after @ (y - np.log(2 + np.sum(np.exp(y))))
    return -total / text[1:].size


def turn_numpy(r: Any, y: Any) -> Any:
    t = np.sqrt(np.sum(r * r))
    return y * np.cos(t) + np.cross(r, y) * np.sin(t) / t + r * np.sum(r * y) * 2 * (np.sin(t / 2) / t) ** 2


def ba_numpy(cameras: Any, points: Any, weights: Any, seen: Any, features: Any) -> Any:
    out = []
    for (c, p), w, feature in zip(seen, weights, features, strict=True):
        _, _, _, _, _, _, f, u0, v0, k1, k2 = cameras[c]
        z = turn_numpy(cameras[c, :3], points[p] - cameras[c, 3:6])
        x, y = z[0] / z[2], z[1] / z[2]
        q = x * x + y * y
        factor = f * (1 + k1 * q + k2 * q * q)
        out.append([w * (factor * x + u0 - feature[0]), w * (factor * y + v0 - feature[1])])
    return np.array(out)


def hand_numpy(model: hand.Model, theta: Any, triangles: Any, points: Any, us: Any) -> Any:
    def around(axis: int, angle: Any) -> Any:
        out = np.eye(4, dtype=complex)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        out[i, i] = out[j, j] = np.cos(angle)
        out[i, j], out[j, i] = -np.sin(angle), np.sin(angle)
        return out

    flexion, abduction = np.zeros((2, 22), dtype=complex)
    for f, angles in enumerate(theta[6:].reshape(5, 4)):
        flexion[4 * f + 2], abduction[4 * f + 2], flexion[4 * f + 3], flexion[4 * f + 4] = angles
    absolute: list[Any] = []
    for k, parent in enumerate(model.parents):
        relative = model.base_relatives[k] @ around(2, abduction[k]) @ around(0, flexion[k])
        absolute.append(relative if parent < 0 else absolute[parent] @ relative)
    transforms = [a @ b for a, b in zip(absolute, model.inverse_base_absolutes, strict=True)]

    def place(v: int) -> Any:
        rest = np.append(model.base_positions[:, v], 1)
        moved = sum(w * (t @ rest) for w, t in zip(model.weights[:, v], transforms, strict=True))
        return turn_numpy(theta[:3], moved[:3]) + theta[3:6]

    corners = [[place(v) for v in model.triangles[t]] for t in triangles]
    return np.array(
        [p - (u[0] * a + u[1] * b + (1 - u[0] - u[1]) * c) for p, u, (a, b, c) in zip(points, us, corners, strict=True)]
    )


def complex_step(f: Callable[..., Any], arguments: list[np.ndarray], k: int) -> np.ndarray:
    """The derivative of `f` by argument `k`, exact to rounding: shape (*f.shape, *argument.shape)."""
    columns = []
    for index in np.ndindex(arguments[k].shape):
        moved = [a.astype(complex) if j == k else a for j, a in enumerate(arguments)]
        moved[k][index] += 1j * STEP
        columns.append(np.asarray(f(*moved)).imag / STEP)
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *arguments[k].shape)


def assert_close(got: np.ndarray, want: np.ndarray, operations: int) -> None:
    # One rounding for each operation along the longest path, all in one direction, of the largest entry.
    np.testing.assert_allclose(got, want, rtol=0, atol=operations * EPS * np.max(np.abs(want)))


RNG = np.random.default_rng(8)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_gmm(target: str) -> None:
    arguments = [RNG.normal(size=s) for s in [(4,), (4, 3), (4, 6), (7, 3)]]
    f = functools.partial(gmm_numpy, gamma=1.3, m=2)
    problem = problems.gmm_problem([*arguments, 1.3, 2])
    values = problem.values(problem.compile(target=target))
    assert_close(values["objective"], np.array([f(*arguments)]), 200)
    assert_close(values["gradient"], problems.flat(*(complex_step(f, arguments, k) for k in range(3))), 200)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_lstm(target: str) -> None:
    arguments = [RNG.normal(size=s) for s in [(2, 2, 4, 3), (3, 3), (2, 2, 3)]]
    arguments.append(RNG.integers(0, 2, (9, 3)).astype(float))
    problem = problems.lstm_problem(arguments)
    values = problem.values(problem.compile(target=target))
    assert_close(values["objective"], np.array([lstm_numpy(*arguments)]), 200)
    assert_close(values["gradient"], problems.flat(*(complex_step(lstm_numpy, arguments, k) for k in range(2))), 500)


def ba_arguments() -> list[np.ndarray]:
    cameras = np.concatenate([RNG.normal(size=(3, 6)), [[400.0, 3.0, -2.0, 0.04, -0.02]] * 3], axis=1)
    points, seen = RNG.normal(size=(5, 3)) + 9, np.stack([RNG.integers(0, 3, 8), RNG.integers(0, 5, 8)], axis=1)
    return [cameras, points, RNG.uniform(0.5, 2, 8), seen, RNG.normal(size=(8, 2))]


def test_bundle_adjustment() -> None:
    arguments = ba_arguments()
    problem = problems.ba_problem(*arguments)
    values = problem.values(problem.compile())
    assert_close(values["errors"], ba_numpy(*arguments), 200)
    by_camera, by_point, by_weight = (complex_step(ba_numpy, arguments, k) for k in range(3))
    for k, (camera, point) in enumerate(arguments[3]):
        block = [by_camera[k, :, camera], by_point[k, :, point], by_weight[k, :, k, None]]
        assert_close(values["jacobian"][k], np.concatenate(block, axis=1), 1000)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-160, 2e-9, 1e-4, 0.0999, 0.1001])
def test_rotations_near_zero_keep_their_digits(size: float) -> None:
    import mpmath

    import symdiff as sd
    from demos.adbench.ba import rotate

    r, y = sd.vector("r", 3), sd.vector("y", 3)
    way, arm = np.array([1.0, -2.0, 0.5]) / np.sqrt(5.25), np.array([0.3, -1.2, 0.8])
    turned = rotate(r, y)
    outputs = [sd.jacobian(turned, r, mode=mode) for mode in ("forward", "reverse")]
    outputs.append(sd.jacobian(outputs[0], r))
    forward, reverse, second = sd.compile(outputs, [r, y])(size * way, arm)

    def exact(*r: Any) -> list[Any]:
        """The exponential of the matrix of r × y, as its series, which has no limit to take."""
        total = term = [mpmath.mpf(v) for v in arm]
        for k in range(1, 25):
            cross = [r[i - 2] * term[i - 1] - r[i - 1] * term[i - 2] for i in range(3)]
            term = [c / k for c in cross]
            total = [a + b for a, b in zip(total, term, strict=True)]
        return total

    with mpmath.workdps(50):
        at = tuple(mpmath.mpf(v) for v in size * way)
        for i, j in np.ndindex(3, 3):
            orders = [int(k == j) for k in range(3)]
            want = float(mpmath.diff(lambda *v, i=i: exact(*v)[i], at, tuple(orders)))
            for got in (forward, reverse):
                assert abs(got[i, j] - want) <= 32 * EPS, (i, j)
            for k in range(3):
                mixed = tuple(o + int(k == n) for n, o in enumerate(orders))
                want = float(mpmath.diff(lambda *v, i=i: exact(*v)[i], at, mixed))
                # Above 0.1 differences of sin and cos of size 1 stand over the angle.
                assert abs(second[i, j, k] - want) <= 32 * EPS / 0.1, (i, j, k)


def hand_model() -> hand.Model:
    """Return a hand of 22 bones and 9 vertices whose numbers are random."""
    parents = np.array([-1, *(k - 1 if (k - 1) % 4 else 0 for k in range(1, 21)), 0])
    transforms = RNG.normal(size=(2, 22, 4, 4)) / 2
    transforms[:, :, 3] = [0, 0, 0, 1]
    triangles = np.array([[0, 3, 5], [8, 1, 2], [4, 7, 6], [2, 0, 8]])
    relatives, inverses = transforms
    return hand.Model(parents, relatives, inverses, RNG.normal(size=(3, 9)), RNG.uniform(size=(22, 9)), triangles)


def test_hand_tracking() -> None:
    model = hand_model()
    arguments: list[Any] = [RNG.normal(size=26), np.array([3, 0, 2]), RNG.normal(size=(3, 3)), RNG.uniform(size=(3, 2))]
    problem = problems.hand_problem(model, *arguments)
    values = problem.values(problem.compile())
    f = functools.partial(hand_numpy, model)
    assert_close(values["errors"], f(*arguments).real, 500)
    assert_close(values["jacobian"], complex_step(f, arguments, 0), 500)
    by_us = complex_step(f, arguments, 3)
    assert_close(values["jacobian by us"], np.stack([by_us[k, :, k] for k in range(3)]), 500)
    vertices = np.array([7, 0, 4, 4])
    simple = problems.hand_problem(model, arguments[0], vertices, np.zeros((4, 3)))
    corners = dataclasses.replace(model, triangles=np.stack([vertices] * 3, axis=1))
    want = hand_numpy(corners, arguments[0], np.arange(4), np.zeros((4, 3)), np.zeros((4, 2)))
    assert_close(simple.values(simple.compile())["errors"], want.real, 500)


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy

    monkeypatch.setattr("sys.argv", ["demos.adbench", "gmm"])
    monkeypatch.setattr(truth, "instances", lambda: [])
    runpy.run_module("demos.adbench", run_name="__main__")
    assert "K=25" in capsys.readouterr().out
