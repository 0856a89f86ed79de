"""lower: bring a program to nests and loops only: a library call becomes a nest, or an error that names it.

    gemm  C = A B   ->   for (s, i, j, k): C[s, i, j] = sum A[s, i, k] * B[s, k, j]

Keeps: what the program computes; a sum's terms are added in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backends.cuda.libdevice import lacking
from symdiff.ir.dims import Extent
from symdiff.program.ir import Access, Call, Load, Loop, Nest, Op, Program, Reduce, Statement
from symdiff.program.nests import normalise


def lower(program: Program) -> Program:
    """Return an equal program without library calls. Raises CompileError for a call without a kernel."""
    return replace(program, statements=_lowered(program.statements))


def _lowered(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    # Recursion depth is the nesting of loops in the user's program.
    out: list[Statement] = []
    for s in statements:
        match s:
            case Call(name="gemm"):
                out.append(_product(s))
            case Call():
                raise lacking(s.name)
            case Loop():
                out.append(replace(s, cond=_lowered(s.cond), body=_lowered(s.body)))
            case _:
                out.append(s)
    return tuple(out)


def _product(call: Call) -> Nest:
    a, b, c = call.operands
    body = (
        Load(_spread(a, (0, 1, 3)), call.dtype),
        Load(_spread(b, (0, 3, 2)), call.dtype),
        Op("mul", (0, 1), call.dtype),
    )
    total = Reduce("sum", 2, _spread(c, (0, 1, 2)), call.dtype)
    m, n, k, count = call.extents
    return normalise(Nest((count, m, n, k), body, (), (total,), (3,)))


def _spread(access: Access, axes: tuple[int, ...]) -> Access:
    """An operand over the loops (s, i, j, k): its stack, rows and columns along three of them."""
    strides: list[Extent] = [0, 0, 0, 0]
    for axis, stride in zip(axes, access.strides, strict=True):
        strides[axis] = stride
    return replace(access, strides=tuple(strides))
