"""The CPU target: programs become machine code through LLVM, on Numba's threads."""

from __future__ import annotations

from backends.cpu.kernel import Kernel

__all__ = ["Kernel"]
