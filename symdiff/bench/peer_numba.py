"""Numba: loops and derivatives by hand, on its threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from symdiff.bench.cases import HEAT_RATE, WIDTH, Sizes, Straight
from symdiff.bench.measure import Job


class _Written:
    """A number that writes its operations, and those of its derivatives by the inputs it depends on, as source."""

    def __init__(self, lines: list[str], value: str, slopes: dict[int, str]):
        self.lines, self.name = lines, f"v{len(lines)}"
        lines.append(f"{self.name} = {value}")
        self.slopes: dict[int, str] = {}
        for k, text in slopes.items():
            self.slopes[k] = f"s{len(lines)}"
            lines.append(f"s{len(lines)} = {text}")

    def _new(self, value: str, *parts: tuple[_Written, str]) -> _Written:
        """Return a new number; `parts` are the operands with the derivatives by them."""
        slopes: dict[int, str] = {}
        for operand, partial in parts:
            for k, s in operand.slopes.items():
                slopes[k] = f"{slopes[k]} + {partial} * {s}" if k in slopes else f"{partial} * {s}"
        return _Written(self.lines, value, slopes)

    def __add__(self, other: _Written) -> _Written:
        return self._new(f"{self.name} + {other.name}", (self, "1.0"), (other, "1.0"))

    def __sub__(self, other: _Written) -> _Written:
        return self._new(f"{self.name} - {other.name}", (self, "1.0"), (other, "-1.0"))

    def __mul__(self, other: _Written) -> _Written:
        return self._new(f"{self.name} * {other.name}", (self, other.name), (other, self.name))

    def __neg__(self) -> _Written:
        return self._new(f"-{self.name}", (self, "-1.0"))


def _sin(a: _Written) -> _Written:
    return a._new(f"sin({a.name})", (a, f"cos({a.name})"))


def _exp(a: _Written) -> _Written:
    return a._new(f"exp({a.name})", (a, f"exp({a.name})"))


def scalar_ops(p: Sizes, program: Straight, point: np.ndarray) -> Job:
    """Generated source of the values and the forward derivatives."""

    def build() -> Any:
        lines: list[str] = ["def f(x, y, jac):"]
        y = program([_Written(lines, f"x[{k}]", {k: "1.0"}) for k in range(WIDTH)], _sin, _exp)
        for i, out in enumerate(y):
            lines.append(f"y[{i}] = {out.name}")
            lines += [f"jac[{i}, {k}] = {s}" for k, s in out.slopes.items()]
        space: dict[str, Any] = {"sin": np.sin, "cos": np.cos, "exp": np.exp}
        exec("\n    ".join(lines), space)
        f = njit(fastmath=True)(space["f"])
        value, jacobian = np.zeros(WIDTH), np.zeros((WIDTH, WIDTH))

        def run() -> tuple[np.ndarray, np.ndarray]:
            f(point, value, jacobian)
            return value, jacobian

        return run

    return Job(build, tuple)


def map_(p: Sizes, x: np.ndarray) -> Job:
    """One parallel loop for value and derivative."""
    value, slope = np.empty_like(x), np.empty_like(x)

    def build() -> Any:
        @njit(parallel=True, fastmath=True)
        def both(x, value, slope):
            for i in prange(x.size):
                t = x[i]
                bell, wave = np.exp(-t * t), np.sin(3 * t)
                value[i] = bell * wave + np.log1p(t * t)
                slope[i] = bell * (3 * np.cos(3 * t) - 2 * t * wave) + 2 * t / (1 + t * t)

        def run() -> tuple[np.ndarray, np.ndarray]:
            both(x, value, slope)
            return value, slope

        return run

    return Job(build, tuple)


def heat2d(p: Sizes, start: np.ndarray) -> Job:
    """One parallel sweep for each step."""
    one, other = start.copy(), start.copy()

    def build() -> Any:
        @njit(parallel=True, fastmath=True)
        def advance(u, after, rate, steps):
            rows, cols = u.shape
            for _ in range(steps):
                for i in prange(1, rows - 1):
                    for j in range(1, cols - 1):
                        near = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                        after[i, j] = (1 - 4 * rate) * u[i, j] + rate * near
                u, after = after, u
            return u

        return lambda: advance(one, other, HEAT_RATE, p["steps"])

    return Job(build, lambda u: (u,), lambda: np.copyto(one, start))


def call(p: Sizes, x: Any, y: Any) -> Job:
    """A function of two floats, or of two arrays."""

    def build() -> Any:
        @njit
        def f(x, y):
            return x * y + x - y

        return lambda: f(x, y)

    return Job(build, lambda r: (r,))


CASES = {"map": map_, "scalar_ops": scalar_ops, "heat2d": heat2d, "call": call}
