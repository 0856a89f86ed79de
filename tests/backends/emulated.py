"""Where kernels for CUDA run without a GPU: numba-cuda's simulator, or threads of this machine. A process has one.

The simulator runs skeletons as Python around interpreted bodies; threads run what is compiled: see `cuda_threads`.
"""

from __future__ import annotations

import os
from typing import Any

from backends.cuda.geometry import Geometry

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
THREADS = os.environ.get("SYMDIFF_CUDA_THREADS") == "1"
RUNS = SIMULATED or THREADS


def small_geometry() -> Geometry:
    """Few threads and blocks, so that all loops turn more than once."""
    if SIMULATED:
        from backends.cuda.geometry import SIMULATED as small

        return small
    from tests.backends.cuda_threads import GEOMETRY

    return GEOMETRY


def device_class() -> Any:
    """The class of the device, whose methods launch kernels."""
    if SIMULATED:
        from backends.cuda.simulator import Simulator

        return Simulator
    from backends.cuda.device import Gpu

    return Gpu
