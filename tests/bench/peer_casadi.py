"""CasADi: SX graphs in its virtual machine, or as C code through a compiler."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

import casadi as ca
import numpy as np

from tests.bench.cases import WIDTH, Sizes, Straight
from tests.bench.measure import Job


def scalar_ops(p: Sizes, program: Straight, point: np.ndarray, options: Any = None) -> Job:
    """Buffers avoid the conversion of arguments at every call."""
    value, columns = np.empty(WIDTH), np.empty(WIDTH * WIDTH)

    def build() -> Any:
        x = ca.SX.sym("x", WIDTH)
        y = ca.vertcat(*program(ca.vertsplit(x), ca.sin, ca.exp))
        slopes = ca.densify(ca.jacobian(y, x))
        f = ca.Function("f", [x], [y, slopes], {"cse": True, **(options or {})})
        buffer: Any
        buffer, call = f.buffer()
        buffer.set_arg(0, memoryview(point.data))
        buffer.set_res(0, memoryview(value.data))
        buffer.set_res(1, memoryview(columns.data))

        def run(_held: Any = (f, buffer)) -> tuple[np.ndarray, np.ndarray]:
            call()
            return value, columns

        return run

    # Matrices are stored column by column.
    return Job(build, lambda r: (r[0], r[1].reshape(WIDTH, WIDTH).T))


def scalar_ops_c(p: Sizes, program: Straight, point: np.ndarray) -> Job:
    """C code and gcc -O2, in a folder that is left to the system to clear."""
    os.chdir(tempfile.mkdtemp(prefix="bench-casadi-"))
    settings = {"compiler": shutil.which("gcc") or "cc", "flags": "-O2"}
    return scalar_ops(p, program, point, {"jit": True, "compiler": "shell", "jit_options": settings})


def call(p: Sizes, x: Any, y: Any) -> Job:
    """A function of two columns."""

    def build() -> Any:
        a, b = ca.SX.sym("x", p["n"]), ca.SX.sym("y", p["n"])
        f = ca.Function("f", [a, b], [a * b + a - b])
        return lambda: f(x, y)

    return Job(build, lambda r: (np.asarray(r),))


CASES = {"scalar_ops": scalar_ops, "scalar_ops:c": scalar_ops_c, "call": call}
