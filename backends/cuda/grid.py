"""grid: numba's `cuda` for code that runs in kernels: thread and block numbers, shared memory, barriers.

In the simulator it is that of the kernel that runs; numba-cuda puts it there for functions of one module only. Where
skeletons are compiled, `templates` puts numba's own in its place.
"""

from __future__ import annotations

from typing import Any


class _Running:
    def __getattr__(self, name: str) -> Any:
        from numba.cuda.simulator.kernel import _get_kernel_context

        return getattr(_get_kernel_context(), name)


cuda: Any = _Running()
