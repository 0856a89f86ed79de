"""The CPU target: programs become machine code through LLVM, on threads of our own.

`Kernel` is looked up when it is first used: a stored function runs without what compiles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.cpu.kernel import Kernel as Kernel

__all__ = ["Kernel"]


def __getattr__(name: str) -> Any:
    if name != "Kernel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from backends.cpu.kernel import Kernel

    return Kernel
