"""grid: numba's `cuda` for code that runs in kernels: thread and block numbers, shared memory, barriers.

In the simulator it is that of the kernel that runs; numba-cuda puts it there for functions of one module only.
"""

from __future__ import annotations

from typing import Any

from backends.cuda.simulator import is_simulated


class _Running:
    def __getattr__(self, name: str) -> Any:
        from numba.cuda.simulator.kernel import _get_kernel_context

        return getattr(_get_kernel_context(), name)


def _cuda() -> Any:
    if is_simulated():
        return _Running()
    from numba import cuda

    return cuda


cuda = _cuda()
