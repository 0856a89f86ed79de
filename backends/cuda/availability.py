"""What is installed: numba-cuda, to compile."""

from __future__ import annotations

import importlib.util

from symdiff.ir.errors import CompileError


def require_numba_cuda() -> None:
    """Raise CompileError unless numba-cuda is installed."""
    if importlib.util.find_spec("numba_cuda") is None:
        raise CompileError(
            "target='cuda' compiles with numba-cuda, which is not installed: "
            "pip install 'symdiff[cuda]', or use target='cpu'."
        )
