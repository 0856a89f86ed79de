"""CasADi: SX graphs in its virtual machine, or as C code through a compiler."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

import casadi as ca
import numpy as np

from symdiff.bench.cases import WIDTH, Sizes, Straight
from symdiff.bench.measure import Job


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


def sparse_hessian(p: Sizes, point: np.ndarray, kind: Any = ca.SX) -> Job:
    """The lower triangle, found and coloured by CasADi, into a buffer."""

    def build() -> Any:
        x = kind.sym("x", p["n"])
        lower = ca.tril(ca.hessian(100 * ca.sumsqr(x[1:] - x[:-1] ** 2) + ca.sumsqr(1 - x[:-1]), x)[0])
        f = ca.Function("f", [x], [lower])
        values = np.empty(lower.nnz())
        buffer: Any
        buffer, call = f.buffer()
        buffer.set_arg(0, memoryview(point.data))
        buffer.set_res(0, memoryview(values.data))

        def run(_held: Any = (f, buffer)) -> np.ndarray:
            call()
            return values

        return run

    # Column by column: an entry of the diagonal, the one below it, and so on.
    return Job(build, lambda v: (v[0::2], v[1::2]))


def sparse_hessian_mx(p: Sizes, point: np.ndarray) -> Job:
    """The same with MX graphs, whose operations are on whole arrays."""
    return sparse_hessian(p, point, ca.MX)


def call(p: Sizes, x: Any, y: Any) -> Job:
    """A function of two columns."""

    def build() -> Any:
        a, b = ca.SX.sym("x", p["n"]), ca.SX.sym("y", p["n"])
        f = ca.Function("f", [a, b], [a * b + a - b])
        return lambda: f(x, y)

    return Job(build, lambda r: (np.asarray(r),))


CASES = {
    "scalar_ops": scalar_ops,
    "scalar_ops:c": scalar_ops_c,
    "sparse_hessian": sparse_hessian,
    "sparse_hessian:mx": sparse_hessian_mx,
    "call": call,
}
