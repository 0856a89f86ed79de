"""c_door: a compiled function of numbers as C calls it, within this process.

    double plain(double x0, ..., double xn)        double vector(int n, const double *x)

SciPy's LowLevelCallable takes the second form for several arguments. C has no exceptions: an index out of range gives
NaN. The calling thread does all the work, and calls may overlap: the context lies on the stack.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from backends.cpu.host import Library, build_object
from backends.cpu.layout import ALIGN, ARENA, STATUS, THREADS
from backends.cpu.machine import machine
from symdiff.ir.errors import CompileError
from symdiff.program.ir import Buffer

_LARGEST_ON_STACK = 32768


def c_functions(kernel: Any, names: Sequence[str], single: bool) -> tuple[Any, Any]:
    """Return both forms as functions of ctypes; each keeps its code alive.

    Raises: CompileError for a function of anything but float64 numbers, or with more than one result.
    """
    program, layout = kernel.program, kernel.layout
    for name, buffer in zip((*names, "the result"), (*program.inputs[: len(names)], program.outputs[0]), strict=True):
        if not _is_number(buffer):
            kind = f"{buffer.dtype}, {len(buffer.shape)} axes" if buffer.shape else buffer.dtype
            raise CompileError(
                f"A C function takes and gives float64 numbers, and {name!r} is of {kind}; call fn.address with a "
                "context, use fn in @numba.njit code, or fn.export for arrays."
            )
    if not single:
        raise CompileError("A C function gives one number; compile one of the outputs, not a list, tuple or dict.")
    calls_python = any(c is not None for c in getattr(kernel, "_callbacks", ()))
    if calls_python or layout.arena_bytes({}) > _LARGEST_ON_STACK:
        reason = "calls Python" if calls_python else f"needs {layout.arena_bytes({})} bytes of temporaries"
        raise CompileError(f"A function that {reason} cannot be called from C here; see fn.export.")
    library = Library(build_object(_text(kernel, len(names)), 2), ("memset",))
    double, table = ctypes.c_double, ctypes.POINTER(ctypes.c_double)
    plain = ctypes.CFUNCTYPE(double, *[double] * len(names))(library.address("plain"))
    vector = ctypes.CFUNCTYPE(double, ctypes.c_int, table)(library.address("vector"))
    for function in (plain, vector):
        function.keeps = (library, kernel)  # type: ignore[attr-defined]  # functions of ctypes take attributes
    return plain, vector


def _is_number(buffer: Buffer) -> bool:
    return buffer.shape == () and buffer.dtype == "float64"


def _text(kernel: Any, n: int) -> str:
    layout, data = kernel.layout, kernel.program.data
    first = ARENA + 1
    lines = [
        f"%c = alloca i64, i64 {layout.words}, align {ALIGN}",
        f"%cleared = call ptr @memset(ptr %c, i32 0, i64 {8 * layout.words})",
        "%result = alloca double",
        f"%arena = alloca i8, i64 {layout.arena_bytes({}) + 2 * ALIGN}, align {ALIGN}",
    ]

    def put(word: int, value: str) -> None:
        lines.append(f"%w{word} = getelementptr i64, ptr %c, i64 {word}")
        lines.append(f"store {value}, ptr %w{word}")

    put(THREADS, "i64 1")
    put(ARENA, "ptr %arena")
    for k in range(n):
        lines.append(f"%x{k} = getelementptr double, ptr %x, i64 {k}")
        put(first + k, f"ptr %x{k}")
    for k, array in enumerate(data):
        put(first + n + k, f"i64 {array.ctypes.data}")
    put(first + n + len(data), "ptr %result")
    code = "\n  ".join(lines)
    arguments = ", ".join(f"double %x{k}" for k in range(n))
    stores = "\n  ".join(
        f"%s{k} = getelementptr double, ptr %x, i64 {k}\n  store double %x{k}, ptr %s{k}" for k in range(n)
    )
    return f"""target triple = "{machine().triple}"
declare ptr @memset(ptr, i32, i64)
define internal double @run(ptr %x) {{
  {code}
  %entry = inttoptr i64 {kernel.address} to ptr
  call void %entry(ptr %c)
  %status.at = getelementptr i64, ptr %c, i64 {STATUS}
  %status = load i64, ptr %status.at
  %good = icmp eq i64 %status, 0
  %value = load double, ptr %result
  %out = select i1 %good, double %value, double 0x7FF8000000000000
  ret double %out
}}
define double @vector(i32 %n, ptr %x) {{
  %out = call double @run(ptr %x)
  ret double %out
}}
define double @plain({arguments}) {{
  %x = alloca double, i64 {max(n, 1)}
  {stores}
  %out = call double @run(ptr %x)
  ret double %out
}}
"""
