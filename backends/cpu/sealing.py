"""sealing: what a call of a compiled program has to know, taken from its kernel; see `backends.cpu.sealed`."""

from __future__ import annotations

from backends.cpu.body import body_weight
from backends.cpu.codegen import PARALLEL_NANOSECONDS
from backends.cpu.gemm import NANOSECONDS
from backends.cpu.kernel import LONG_NANOSECONDS, Kernel
from backends.cpu.machine import machine
from backends.cpu.sealed import Seal, Work, keep
from symdiff.program.ir import Call, Loop, Nest, Rows, Statement, walk

_ENDLESS = float("inf")


def seal(key: str, kernel: Kernel) -> None:
    """Keep a kernel under the key of a graph, if it can be told by numbers and code alone."""
    keep(key, seal_of(kernel), kernel.code)


def seal_of(kernel: Kernel) -> Seal | None:
    """Return what a call has to know, or None for a program that comes with more than that."""
    program, layout = kernel.program, kernel.layout
    calls_python = any(isinstance(s, Call) and s.callback is not None for s in walk(program.statements))
    known = all(isinstance(s, (Nest, Call, Loop, Rows)) for s in walk(program.statements))
    if program.data or program.requirements or calls_python or not known:
        return None
    return Seal(
        program.sizes,
        tuple((b.dtype, b.shape) for b in program.outputs),
        tuple(s.sizes for s in layout.slots),
        layout.words,
        # Of rows, whose members follow, the longest member decides about threads.
        tuple(_work(s) for s in walk(program.statements) if not isinstance(s, Rows)),
        PARALLEL_NANOSECONDS,
        LONG_NANOSECONDS,
    )


def _work(s: Statement) -> Work:
    if isinstance(s, Nest):
        return s.space, body_weight(s.body) / machine().lanes_f64, not s.serial
    if isinstance(s, Call) and s.name == "gemm":
        return s.extents, NANOSECONDS, True
    return (), _ENDLESS, False
