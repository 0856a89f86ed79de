"""What is installed: numba-cuda to compile, a driver with a GPU to run."""

from __future__ import annotations

import importlib.util
import os

from symdiff.ir.errors import CompileError


def require_numba_cuda() -> None:
    """Raise CompileError unless numba-cuda is installed."""
    if importlib.util.find_spec("numba_cuda") is None:
        raise CompileError(
            "target='cuda' compiles with numba-cuda, which is not installed: "
            "pip install 'symdiff[cuda]', or use target='cpu'."
        )


def is_simulated() -> bool:
    """Whether kernels run in numba-cuda's simulator, on the CPU: NUMBA_ENABLE_CUDASIM=1."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def require_gpu() -> None:
    """Raise CompileError unless kernels can run here."""
    from numba import cuda

    if cuda.is_available():
        return
    reason = " ".join(str(cuda.cuda_error() or "the driver found no GPU").split())
    raise CompileError(
        f"A function for target='cuda' was called, but there is no CUDA driver with a GPU ({reason}). Install NVIDIA's "
        "driver (numba-cuda comes with symdiff[cuda]) or use target='cpu'; inspect('ptx') works without a GPU."
    )
