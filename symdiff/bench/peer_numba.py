"""Numba: loops and derivatives by hand, on its threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from symdiff.bench.cases import GRAY_SCOTT, HEAT_RATE, RK4_STEP, WIDTH, Sizes, Straight
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


def heat3d_rk4(p: Sizes, start: np.ndarray) -> Job:
    """One parallel sweep for each stage, rows without index arithmetic, sums kept as they come."""
    one, work = start.copy(), [np.empty_like(start) for _ in range(3)]

    def build() -> Any:
        @njit(fastmath=True, inline="always")
        def laplacian(c, xm2, xm, xp, xp2, ym2, ym, yp, yp2, zm2, zm, zp, zp2):
            near = xm + xp + ym + yp + zm + zp
            far = xm2 + xp2 + ym2 + yp2 + zm2 + zp2
            return -7.5 * c + (4 / 3) * near - (1 / 12) * far

        @njit(parallel=True, fastmath=True)
        def stage(s, u, total, target, first, weight, ahead):
            # total (+)= weight * k and target = u + ahead * k, with k = laplacian(s)
            n = s.shape[0]
            for i in prange(n):
                im2, im, ip, ip2 = (i - 2) % n, (i - 1) % n, (i + 1) % n, (i + 2) % n
                for j in range(n):
                    row = s[i, j]
                    xm2, xm, xp, xp2 = s[im2, j], s[im, j], s[ip, j], s[ip2, j]
                    ym2, ym, yp, yp2 = s[i, (j - 2) % n], s[i, (j - 1) % n], s[i, (j + 1) % n], s[i, (j + 2) % n]
                    k = np.empty(n)
                    for z in range(2, n - 2):
                        k[z] = laplacian(
                            row[z], xm2[z], xm[z], xp[z], xp2[z], ym2[z], ym[z], yp[z], yp2[z],
                            row[z - 2], row[z - 1], row[z + 1], row[z + 2],
                        )  # fmt: skip
                    for e in range(4):
                        z = (e - 2) % n
                        k[z] = laplacian(
                            row[z], xm2[z], xm[z], xp[z], xp2[z], ym2[z], ym[z], yp[z], yp2[z],
                            row[(z - 2) % n], row[(z - 1) % n], row[(z + 1) % n], row[(z + 2) % n],
                        )  # fmt: skip
                    if first:
                        for z in range(n):
                            total[i, j, z] = u[i, j, z] + weight * k[z]
                    else:
                        for z in range(n):
                            total[i, j, z] += weight * k[z]
                    if ahead > 0:
                        for z in range(n):
                            target[i, j, z] = u[i, j, z] + ahead * k[z]

        @njit
        def advance(u, total, a, b, h, steps):
            for _ in range(steps):
                stage(u, u, total, a, True, h / 6, h / 2)
                stage(a, u, total, b, False, h / 3, h / 2)
                stage(b, u, total, a, False, h / 3, h)
                stage(a, u, total, b, False, h / 6, 0.0)
                u, total = total, u
            return u

        return lambda: advance(one, *work, RK4_STEP, p["steps"])

    return Job(build, lambda u: (u,), lambda: np.copyto(one, start))


def gray_scott(p: Sizes, start_u: np.ndarray, start_v: np.ndarray) -> Job:
    """One parallel sweep for each step, rows without index arithmetic but at their ends."""
    du, dv, feed, kill = GRAY_SCOTT.values()
    u0, v0 = start_u.copy(), start_v.copy()
    u1, v1 = np.empty_like(u0), np.empty_like(v0)

    def build() -> Any:
        @njit(fastmath=True, inline="always")
        def point(u, v, near_u, near_v):
            reaction = u * v * v
            return (
                u + du * (near_u - 4 * u) - reaction + feed * (1 - u),
                v + dv * (near_v - 4 * v) + reaction - (feed + kill) * v,
            )

        @njit(parallel=True, fastmath=True)
        def advance(u, v, nu, nv, steps):
            n = u.shape[0]
            for _ in range(steps):
                for i in prange(n):
                    up, um, uc = u[(i + 1) % n], u[i - 1], u[i]
                    vp, vm, vc = v[(i + 1) % n], v[i - 1], v[i]
                    for j in range(1, n - 1):
                        near_u = um[j] + up[j] + uc[j - 1] + uc[j + 1]
                        near_v = vm[j] + vp[j] + vc[j - 1] + vc[j + 1]
                        nu[i, j], nv[i, j] = point(uc[j], vc[j], near_u, near_v)
                    for j in (0, n - 1):
                        near_u = um[j] + up[j] + uc[j - 1] + uc[(j + 1) % n]
                        near_v = vm[j] + vp[j] + vc[j - 1] + vc[(j + 1) % n]
                        nu[i, j], nv[i, j] = point(uc[j], vc[j], near_u, near_v)
                u, v, nu, nv = nu, nv, u, v
            return u, v

        return lambda: advance(u0, v0, u1, v1, p["steps"])

    def reset() -> None:
        np.copyto(u0, start_u)
        np.copyto(v0, start_v)

    return Job(build, tuple, reset)


def call(p: Sizes, x: Any, y: Any) -> Job:
    """A function of two floats, or of two arrays."""

    def build() -> Any:
        @njit
        def f(x, y):
            return x * y + x - y

        return lambda: f(x, y)

    return Job(build, lambda r: (r,))


CASES = {
    "map": map_,
    "scalar_ops": scalar_ops,
    "heat2d": heat2d,
    "heat3d_rk4": heat3d_rk4,
    "gray_scott": gray_scott,
    "call": call,
}
