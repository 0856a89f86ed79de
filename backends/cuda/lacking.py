"""lacking: what this target cannot run, and how it says so."""

from __future__ import annotations

from symdiff.ir.errors import CompileError
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.program.ir import Op

EXCEPTIONS: dict[str, str] = {"opaque": "it calls a Python function, and a GPU cannot"}
"""Primitives that this target lacks, with the reason, which is also the text of the error."""

_PRIMITIVE_OF = {op.native: op.name for op in ELEMENTWISE if op.native is not None}


def lacking(primitive: str, line: str = "") -> CompileError:
    """The error for a primitive that this target cannot run."""
    reason = EXCEPTIONS.get(primitive, f"libdevice has no function for {primitive}")
    where = f" ({line})" if line else ""
    return CompileError(f"The primitive {primitive!r}{where} cannot run on target='cuda': {reason}; use target='cpu'.")


def line_of(op: Op) -> str:
    """The user's place that made an operation, "file:line"."""
    return f"{op.source[0].co_filename}:{op.source[1]}" if op.source else "unknown line"


def primitive_of(op: Op) -> str:
    """The name under which the user knows an operation."""
    return _PRIMITIVE_OF.get(op.name, op.name)
