"""lower: bring a program to what this target has kernels for, or raise an error that names what it lacks.

Nests over the same points become one kernel. Library calls keep the operands that kernels use; buffers that nothing
uses then are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backends.cuda.batches import batched
from backends.cuda.fused import fusions
from backends.cuda.lacking import lacking
from backends.cuda.steps import CALLS, Joined, operands_used
from symdiff.program.ir import Buffer, Call, Loop, Nest, Program, Rows, Statement, walk
from symdiff.program.rows import in_rows
from symdiff.program.touches import touches


def lower(program: Program) -> tuple[Program, list[Joined]]:
    """Return an equal program of nests, loops and known calls, and which of them can be one kernel together.

    Raises CompileError for a call without a kernel.
    """
    grouped = in_rows(program).statements
    statements = _lowered(grouped)
    used: set[Buffer] = set()
    for s in walk(statements):
        if isinstance(s, Loop):
            used |= {s.flag, *(b for pair in s.swaps for b in pair)}
        elif isinstance(s, (Nest, Call)):
            used |= {t.buffer for t in touches(s)}
    found = [b for s in walk(grouped) if isinstance(s, Rows) and (b := batched(s)) is not None]
    nests = frozenset(id(nest) for b in found for nest in b.nests)
    lowered = replace(program, statements=statements, temps=tuple(b for b in program.temps if b in used))
    return lowered, [*found, *fusions(statements, nests)]


def _lowered(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    # Recursion depth is the nesting of loops in the user's program.
    out: list[Statement] = []
    for s in statements:
        match s:
            case Call() if s.name not in CALLS:
                raise lacking(s.name)
            case Call():
                out.append(replace(s, operands=s.operands[: operands_used(s)]))
            case Rows():
                # One by one, where there are too few rows to share.
                out += _lowered([m.statement for m in s.members])
            case Loop():
                out.append(replace(s, cond=_lowered(s.cond), body=_lowered(s.body)))
            case _:
                out.append(s)
    return tuple(out)
