"""threads: `parallel_for` on Numba's threading layer, compiled once and called by generated code by address."""

from __future__ import annotations

import os
from typing import Any

# GNU OpenMP's threads spin for milliseconds at a barrier; on a busy machine that takes the processor from the very
# thread they wait for. Read when the library loads, so it is set before Numba comes, unless the user has a wish.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import numba as nb  # noqa: E402
from llvmlite import ir  # noqa: E402
from numba.core import types  # noqa: E402
from numba.extending import intrinsic  # noqa: E402

from backends.emit import I64  # noqa: E402


@intrinsic
def _run_task(typing_context: Any, task: Any, k: Any, context: Any) -> Any:
    """Call task(k, context), both given as addresses."""
    signature = types.void(types.int64, types.int64, types.int64)

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64, I64]).as_pointer()
        builder.call(builder.inttoptr(args[0], kind), [args[1], args[2]])
        return _context.get_dummy_value()

    return signature, generate


@nb.njit("void(i8,i8,i8)", parallel=True, cache=True, nogil=True)
def _parallel_for(task: int, n: int, context: int) -> None:
    for k in nb.prange(n):
        _run_task(task, k, context)


@nb.cfunc("void(i8,i8,i8)", cache=True)
def parallel_for(task: int, n: int, context: int) -> None:
    """Run task(k, context) for k in range(n) on Numba's threads."""
    _parallel_for(task, n, context)
