"""blas: matrix products by cuBLAS, where it is installed; kernels of ours do them where it is not.

NVIDIA's library itself, by its C interface, wherever it was installed from: as a wheel (`nvidia-cublas`, which CuPy,
PyTorch, JAX and nvmath-python bring along), with conda or with the toolkit.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Mapping
from ctypes import POINTER, c_double, c_float, c_int, c_int64, c_void_p
from typing import Any

from symdiff.ir.dims import Extent, evaluate
from symdiff.ir.errors import CompileError
from symdiff.program.ir import ITEMSIZE, Call

# cublasOperation_t of cublas_api.h.
_NORMAL, _TRANSPOSED = 0, 1
# Multiplications below which a launch of the library costs more than the product.
LEAST_WORK = 32**3
_ROUTINES = {
    "float64": ("cublasDgemmStridedBatched_64", c_double),
    "float32": ("cublasSgemmStridedBatched_64", c_float),
}


class Blas:
    """cuBLAS: `functions` are its C functions by name. Threads have handles of their own, one for each device."""

    def __init__(self, functions: Mapping[str, Any]):
        self._functions = functions
        self._held = threading.local()

    def gemm(
        self, call: Call, sizes: Mapping[str, int], addresses: Mapping[int, int], device: int, stream: int
    ) -> None:
        """Start C = A B for every matrix of a stack, rows in memory one after another.

        To cuBLAS, whose matrices lie column by column, these are the transposes: C' = B' A'.
        Raises: CompileError with the library's status if it refuses.
        """
        m, n, k, count = (evaluate(e, sizes) for e in call.extents)
        if m * n * count == 0:
            return
        routine, kind = _ROUTINES[call.dtype]
        (at_a, of_a), (at_b, of_b), (at_c, _) = (_place(call, j, sizes, addresses) for j in range(3))
        step_a, step_b, step_c = (evaluate(o.strides[0], sizes) for o in call.operands)
        one, zero = kind(1.0), kind(0.0)
        handle = self._handle(device, stream)
        self._call(
            routine, handle, of_b[0], of_a[0], n, m, k, ctypes.byref(one),
            at_b, max(of_b[1], 1), step_b, at_a, max(of_a[1], 1), step_a, ctypes.byref(zero), at_c, max(n, 1), step_c,
            count,
        )  # fmt: skip

    def _handle(self, device: int, stream: int) -> int:
        handles = self._held.__dict__.setdefault("handles", {})
        if device not in handles:
            out = c_void_p()
            self._call("cublasCreate_v2", ctypes.byref(out))
            handles[device] = out.value
        self._call("cublasSetStream_v2", handles[device], stream)
        return int(handles[device])

    def _call(self, name: str, *args: Any) -> None:
        status = self._functions[name](*args)
        if status != 0:
            raise CompileError(f"cuBLAS refused {name.partition('_')[0]} with status {status}.")


def _place(call: Call, k: int, sizes: Mapping[str, int], addresses: Mapping[int, int]) -> tuple[int, tuple[int, int]]:
    """The address of an operand, and (operation, leading dimension) that make its transpose of what lies there."""
    access = call.operands[k]
    start = addresses[access.buffer.id] + ITEMSIZE[access.buffer.dtype] * evaluate(access.offset, sizes)
    _, row, column = access.strides
    lies_by_row = column == 1
    leading: Extent = row if lies_by_row else column
    return start, (_NORMAL if lies_by_row else _TRANSPOSED, evaluate(leading, sizes))


def pays(call: Call, sizes: Mapping[str, int]) -> bool:
    """Whether a product is one for the library."""
    m, n, k, count = (evaluate(e, sizes) for e in call.extents)
    return call.dtype in _ROUTINES and m * n * k * count >= LEAST_WORK


def is_for_library(call: Call, sizes: Mapping[str, int]) -> bool:
    """Whether a product is one for the library, which is there."""
    return pays(call, sizes) and blas() is not None


@functools.cache
def blas() -> Blas | None:
    """Return cuBLAS; None where it is not installed."""
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        path = load_nvidia_dynamic_lib("cublas").abs_path
    except DynamicLibNotFoundError:
        return None
    library = ctypes.CDLL(path)
    functions: dict[str, Any] = {
        "cublasCreate_v2": [POINTER(c_void_p)],
        "cublasSetStream_v2": [c_void_p, c_void_p],
    }
    size, matrix = c_int64, [c_void_p, c_int64, c_int64]
    for name, _ in _ROUTINES.values():
        # cuBLAS before release 12 has no functions with sizes of 64 bits.
        if not hasattr(library, name):
            return None
        scalar = c_void_p
        functions[name] = [c_void_p, c_int, c_int, size, size, size, scalar, *matrix, *matrix, scalar, *matrix, size]
    found = {}
    for name, types in functions.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, c_int
        found[name] = function
    return Blas(found)
