"""Functions by their libdevice names: `exp` is `__nv_exp`, for float32 `__nv_expf`."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from backends.emit import F32, Lanes, element
from symdiff.ir.errors import CompileError
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.program.ir import Op

_FROM_SCIPY = "it is SciPy's on the CPU and has no CUDA form yet"
EXCEPTIONS: dict[str, str] = {
    "digamma": "libdevice has no digamma function",
    "lu": "the LU factorisation of solve, inv and det has no CUDA kernel yet",
    "lu_solve": "a solve with LU factors has no CUDA kernel yet",
    "triangular_solve": "substitution has no CUDA kernel yet",
    "banded_solve": "elimination along diagonals has no CUDA kernel yet",
    "adjugate": "the derivative of det has no CUDA kernel yet",
    "eigh": "symmetric eigenvalues have no CUDA kernel yet",
    "qr": "the QR factorisation has no CUDA kernel yet",
    "opaque": "it calls a Python function, and a GPU cannot",
    "cholesky": "the Cholesky factorisation has no CUDA kernel yet",
    "recurrence": "running sums and products have no CUDA kernel yet",
    "argsort": "sorting has no CUDA kernel yet",
    **{
        op.name: _FROM_SCIPY
        for op in ELEMENTWISE
        if op.native is not None and op.native.startswith("scipy.") and op.name != "digamma"
    },
}
"""Primitives that this target lacks, with the reason, which is also the text of the error."""

_PRIMITIVE_OF = {op.native: op.name for op in ELEMENTWISE if op.native is not None}


def lacking(primitive: str, line: str = "") -> CompileError:
    """The error for a primitive that this target cannot run."""
    reason = EXCEPTIONS.get(primitive, f"libdevice has no function for {primitive}")
    where = f" ({line})" if line else ""
    return CompileError(f"The primitive {primitive!r}{where} cannot run on target='cuda': {reason}; use target='cpu'.")


def line_of(op: Op) -> str:
    """The user's place that made an operation, "file:line"."""
    return f"{op.source[0].co_filename}:{op.source[1]}" if op.source else "unknown line"


def primitive_of(op: Op) -> str:
    """The name under which the user knows an operation."""
    return _PRIMITIVE_OF.get(op.name, op.name)


def call(lanes: Lanes, name: str, args: Sequence[ir.Value]) -> ir.Value:
    """Emit the call of the C function `name` on one lane. Raises KeyError for one that libdevice lacks."""
    from numba.cuda.libdevicefuncs import functions

    symbol = f"__nv_{name}{'f' if element(args[0].type) == F32 else ''}"
    if symbol not in functions:
        raise KeyError(symbol)
    module = lanes.builder.module
    function = module.globals.get(symbol)
    if function is None:
        kind = ir.FunctionType(args[0].type, [a.type for a in args])
        function = ir.Function(module, kind, symbol)
    return lanes.builder.call(function, args)
