"""NumPy: derivatives by hand, work arrays made once where that pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.bench.cases import (
    ADAM,
    CN_STEP,
    GMM_GAMMA,
    GRAY_SCOTT,
    HEAT_RATE,
    MLP_MOMENTUM,
    MLP_RATE,
    RIDGE,
    RK4_STEP,
    WIDTH,
    Sizes,
    Straight,
    gmm_constant,
)
from symdiff.bench.measure import Job


@dataclass(frozen=True, slots=True)
class _Dual:
    """A value and its derivatives by all inputs."""

    value: Any
    slope: Any

    def __add__(self, other: _Dual) -> _Dual:
        return _Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: _Dual) -> _Dual:
        return _Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: _Dual) -> _Dual:
        return _Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def __neg__(self) -> _Dual:
        return _Dual(-self.value, -self.slope)


def scalar_ops(p: Sizes, program: Straight, point: np.ndarray) -> Job:
    """Forward mode, operation by operation."""

    def sin(a: _Dual) -> _Dual:
        return _Dual(np.sin(a.value), np.cos(a.value) * a.slope)

    def exp(a: _Dual) -> _Dual:
        value = np.exp(a.value)
        return _Dual(value, value * a.slope)

    inputs = [_Dual(v, row) for v, row in zip(point, np.eye(WIDTH), strict=True)]

    def arrays(outputs: list[_Dual]) -> tuple[Any, ...]:
        return [y.value for y in outputs], [y.slope for y in outputs]

    return Job(lambda: lambda: program(inputs, sin, exp), arrays)


def map_(p: Sizes, x: np.ndarray) -> Job:
    """One array operation after another."""

    def run() -> tuple[np.ndarray, np.ndarray]:
        square, angle = x * x, 3 * x
        bell, wave = np.exp(-square), np.sin(angle)
        slope = bell * (3 * np.cos(angle) - 2 * x * wave) + 2 * x / (1 + square)
        return bell * wave + np.log1p(square), slope

    return Job(lambda: run, tuple)


def gmm(p: Sizes, alphas: np.ndarray, means: np.ndarray, factors: np.ndarray, x: np.ndarray, places: np.ndarray) -> Job:
    """Responsibilities, then their moments."""
    n, d, k = p["n"], p["d"], p["k"]

    def run() -> tuple[Any, ...]:
        diagonal, lower = np.exp(factors[:, :d]), factors[:, d:]
        full = np.concatenate([np.zeros((k, 1)), diagonal, lower], axis=1)[:, places]
        centred = (x @ full.reshape(k * d, d).T).reshape(n, k, d) - np.einsum("kij,kj->ki", full, means)
        inner = alphas + factors[:, :d].sum(1) - 0.5 * np.einsum("nki,nki->nk", centred, centred)
        top, top_alpha = inner.max(1, keepdims=True), alphas.max()
        weights, shares = np.exp(inner - top), np.exp(alphas - top_alpha)
        sums = weights.sum(1, keepdims=True)
        fit = np.sum(np.log(sums) + top) - n * (np.log(shares.sum()) + top_alpha)
        value = fit + 0.5 * GMM_GAMMA**2 * (np.sum(diagonal**2) + np.sum(lower**2)) + gmm_constant(p)
        weights /= sums
        mass = weights.sum(0)
        pull = -weights[:, :, None] * centred
        total = pull.sum(0)
        by_full = (x.T @ pull.reshape(n, k * d)).T.reshape(k, d, d) - total[:, :, None] * means[:, None, :]
        by_entry = np.zeros((k, 1 + d * (d + 1) // 2))
        by_entry[:, places] = by_full
        by_diagonal = mass[:, None] + diagonal * (by_entry[:, 1 : d + 1] + GMM_GAMMA**2 * diagonal)
        by_lower = by_entry[:, d + 1 :] + GMM_GAMMA**2 * lower
        by_means = -np.einsum("kij,ki->kj", full, total)
        return value, mass - n * shares / shares.sum(), by_means, np.concatenate([by_diagonal, by_lower], axis=1)

    return Job(lambda: run, tuple)


def logreg(p: Sizes, features: np.ndarray, labels: np.ndarray, w: np.ndarray) -> Job:
    """Two products with the features, in the form that does not overflow."""

    def run() -> tuple[Any, Any]:
        margin = labels * (features @ w)
        tail = np.exp(-np.abs(margin))
        value = np.mean(np.log1p(tail) + np.maximum(-margin, 0.0)) + 0.5 * RIDGE * (w @ w)
        pull = labels * np.where(margin > 0, tail, 1.0) / (1 + tail)
        return value, RIDGE * w - (pull @ features) / p["n"]

    return Job(lambda: run, tuple)


def adam_loop(p: Sizes, features: np.ndarray, labels: np.ndarray, start: np.ndarray) -> Job:
    """A Python loop over whole-array operations."""
    lr, b1, b2, eps = ADAM.values()

    def run() -> np.ndarray:
        w, m, v = np.zeros((3, p["d"]))
        pull = np.empty(p["n"])
        for t in range(1, p["steps"] + 1):
            np.matmul(features, w, out=pull)
            pull *= labels
            np.exp(pull, out=pull)
            pull += 1
            np.divide(labels, pull, out=pull)
            g = RIDGE * w - (pull @ features) / p["n"]
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * (g * g)
            w = w - (lr / (1 - b1**t)) * m / (np.sqrt(v / (1 - b2**t)) + eps)
        return w

    return Job(lambda: run, lambda w: (w,))


def heat2d(p: Sizes, start: np.ndarray) -> Job:
    """Two arrays that take turns, and one for the sum of the neighbours."""
    one, other = start.copy(), start.copy()
    near = np.empty((p["n"] - 2, p["n"] - 2))
    inside = (slice(1, -1), slice(1, -1))

    def run() -> np.ndarray:
        u, after = one, other
        for _ in range(p["steps"]):
            np.add(u[:-2, 1:-1], u[2:, 1:-1], out=near)
            np.add(near, u[1:-1, :-2], out=near)
            np.add(near, u[1:-1, 2:], out=near)
            np.multiply(near, HEAT_RATE, out=near)
            np.multiply(u[inside], 1 - 4 * HEAT_RATE, out=after[inside])
            after[inside] += near
            u, after = after, u
        return u

    return Job(lambda: run, lambda u: (u,), lambda: np.copyto(one, start))


def heat3d_rk4(p: Sizes, start: np.ndarray) -> Job:
    """The sum of rolled arrays."""
    h = RK4_STEP

    def rate(u: np.ndarray) -> np.ndarray:
        out = -7.5 * u
        for axis in range(3):
            for shift, weight in ((1, 4 / 3), (2, -1 / 12)):
                out += weight * (np.roll(u, shift, axis) + np.roll(u, -shift, axis))
        return out

    def run() -> np.ndarray:
        u = start
        for _ in range(p["steps"]):
            k1 = rate(u)
            k2 = rate(u + 0.5 * h * k1)
            k3 = rate(u + 0.5 * h * k2)
            k4 = rate(u + h * k3)
            u = u + h / 6 * (k1 + 2 * (k2 + k3) + k4)
        return u

    return Job(lambda: run, lambda u: (u,))


def gray_scott(p: Sizes, start_u: np.ndarray, start_v: np.ndarray) -> Job:
    """The sum of rolled arrays."""
    du, dv, feed, kill = GRAY_SCOTT.values()

    def near(x: np.ndarray) -> np.ndarray:
        return np.roll(x, 1, 0) + np.roll(x, -1, 0) + np.roll(x, 1, 1) + np.roll(x, -1, 1) - 4 * x

    def run() -> tuple[np.ndarray, np.ndarray]:
        u, v = start_u, start_v
        for _ in range(p["steps"]):
            reaction = u * v * v
            u, v = u + du * near(u) - reaction + feed * (1 - u), v + dv * near(v) + reaction - (feed + kill) * v
        return u, v

    return Job(lambda: run, tuple)


def crank_nicolson(p: Sizes, start: np.ndarray) -> Job:
    """Each step exactly, in the basis of sines, which diagonalises this Laplacian: the floor for this domain."""
    n = p["n"]

    def build() -> Any:
        k = np.arange(1, n + 1)
        sines = np.sqrt(2 / (n + 1)) * np.sin(np.pi * np.outer(k, k) / (n + 1))
        line = 2 * CN_STEP * ((n + 1) * np.sin(np.pi * k / (2 * (n + 1)))) ** 2
        both = line[:, None] + line
        factor = (1 - both) / (1 + both)

        def run() -> np.ndarray:
            u = start
            for _ in range(p["steps"]):
                u = sines @ (factor * (sines @ u @ sines)) @ sines
            return u

        return run

    return Job(build, lambda u: (u,))


def sparse_hessian(p: Sizes, x: np.ndarray) -> Job:
    """The formula by hand, written into arrays made once: the two diagonals, without a matrix around them."""
    main, below = np.empty(p["n"]), np.empty(p["n"] - 1)
    left, right, work = x[:-1], x[1:], np.empty(p["n"] - 1)

    def run() -> tuple[np.ndarray, np.ndarray]:
        inner = main[:-1]
        np.multiply(left, 1200.0, out=inner)
        inner *= left
        np.multiply(right, 400.0, out=work)
        inner -= work
        inner += 2.0
        main[-1] = 0.0
        main[1:] += 200.0
        np.multiply(left, -400.0, out=below)
        return main, below

    return Job(lambda: run, tuple)


def call(p: Sizes, x: Any, y: Any) -> Job:
    """The formula itself."""

    def f(x: Any, y: Any) -> Any:
        return x * y + x - y

    return Job(lambda: lambda: f(x, y), lambda r: (r,))


def mlp(p: Sizes, layers: list[np.ndarray], x: np.ndarray, labels: np.ndarray) -> Job:
    """Backpropagation by hand, updates in place."""
    here = np.arange(p["batch"])

    def run() -> Any:
        w = [a.copy() for a in layers]
        speeds = [np.zeros_like(a) for a in layers]
        losses = np.empty(len(x), dtype=np.float32)
        for k, (rows, classes) in enumerate(zip(x, labels, strict=True)):
            first = np.maximum(rows @ w[0] + w[1], 0)
            second = np.maximum(first @ w[2] + w[3], 0)
            logits = second @ w[4] + w[5]
            logits -= logits.max(axis=1, keepdims=True)
            e = np.exp(logits)
            total = e.sum(axis=1, keepdims=True)
            losses[k] = np.mean(np.log(total[:, 0]) - logits[here, classes])
            bar = e / total
            bar[here, classes] -= 1
            bar /= np.float32(len(rows))
            slopes = [second.T @ bar, bar.sum(axis=0)]
            bar = (bar @ w[4].T) * (second > 0)
            slopes = [first.T @ bar, bar.sum(axis=0), *slopes]
            bar = (bar @ w[2].T) * (first > 0)
            slopes = [rows.T @ bar, bar.sum(axis=0), *slopes]
            for a, v, g in zip(w, speeds, slopes, strict=True):
                v *= np.float32(MLP_MOMENTUM)
                v += g
                a -= np.float32(MLP_RATE) * v
        return losses, w[4]

    return Job(lambda: run, tuple)


CASES = {
    "map": map_,
    "map32": map_,
    "scalar_ops": scalar_ops,
    "gmm": gmm,
    "logreg": logreg,
    "adam_loop": adam_loop,
    "mlp": mlp,
    "heat2d": heat2d,
    "heat3d_rk4": heat3d_rk4,
    "gray_scott": gray_scott,
    "crank_nicolson": crank_nicolson,
    "sparse_hessian": sparse_hessian,
    "call": call,
}
