"""heyoka: expressions, derivatives and functions compiled with LLVM. Its cache on disk is off."""

from __future__ import annotations

from typing import Any

import heyoka as hy
import numpy as np

from symdiff.bench.cases import WIDTH, Sizes, Straight
from symdiff.bench.measure import Job

hy.llvm_state.set_diskcache_enabled(False)


def map_(p: Sizes, points: np.ndarray) -> Job:
    """A vectorised function of one variable, with fast-math."""
    out = np.empty((2, p["n"]))
    rows = points[None, :]

    def build() -> Any:
        x = hy.expression("x")
        f = hy.exp(-x * x) * hy.sin(3.0 * x) + hy.log(1.0 + x * x)
        fn = hy.cfunc([f, hy.diff(f, x)], [x], fast_math=True)
        return lambda: fn(rows, outputs=out)

    return Job(build, tuple)


def scalar_ops(p: Sizes, program: Straight, point: np.ndarray) -> Job:
    """Derivatives by `diff_tensors`; compact mode for large programs, as the manual advises."""
    out = np.empty(WIDTH * (1 + WIDTH))

    def build() -> Any:
        x = [hy.expression(f"x{k}") for k in range(WIDTH)]
        y = program(x, hy.sin, hy.exp)
        slopes = hy.diff_tensors(y, diff_args=x).jacobian
        fn = hy.cfunc([*y, *slopes.ravel()], x, compact_mode=p["n"] > 1000)
        return lambda: fn(point, outputs=out)

    return Job(build, lambda r: (r[:WIDTH], r[WIDTH:]))


def call(p: Sizes, x: Any, y: Any) -> Job:
    """Arguments are the rows of one array."""
    inputs = np.array([x, y])

    def build() -> Any:
        a, b = hy.expression("x"), hy.expression("y")
        fn = hy.cfunc([a * b + a - b], [a, b])
        return lambda: fn(inputs)

    return Job(build, lambda r: (r,))


CASES = {"map": map_, "scalar_ops": scalar_ops, "call": call}
