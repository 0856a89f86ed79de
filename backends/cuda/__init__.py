"""The CUDA target: programs become numba-cuda skeletons around emitted bodies, compiled to PTX."""

from __future__ import annotations

from backends.cuda.kernel import Kernel

__all__ = ["Kernel"]
