"""plain_products: products of matrices as loops of the program's own, for code that has no BLAS to call.

    gemm (stack, rows, columns, inner) -> for (stack, row, inner, column): sum over inner

With the columns innermost, a row of the result stays in the cache while rows of the right factor are added to it. A
right factor that lies column by column is summed along them instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symdiff.program.ir import Access, Call, Load, Loop, Nest, Op, Program, Reduce, Rows, Statement


def plain_products(program: Program) -> Program:
    """Return the program with loops in place of its calls of gemm."""
    return replace(program, statements=_plain(program.statements))


def _plain(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Recursion goes to the nesting of loops."""
    out: list[Statement] = []
    for s in statements:
        match s:
            case Call(name="gemm"):
                out.append(_product(s))
            case Rows() if any(isinstance(m.statement, Call) for m in s.members):
                out.extend(_plain([m.statement for m in s.members]))
            case Loop():
                out.append(replace(s, cond=_plain(s.cond), body=_plain(s.body)))
            case _:
                out.append(s)
    return tuple(out)


def _product(call: Call) -> Nest:
    rows, columns, inner, stack = call.extents
    x, y, z = call.operands
    by_rows = y.strides[2] == 1
    # The axes of the three operands: (stack, row, inner), (stack, inner, column), (stack, row, column).
    axes = {"x": (0, 1, 2), "y": (0, 2, 3), "z": (0, 1, 3)}

    def place(operand: Access, mine: tuple[int, ...]) -> Access:
        along = dict(zip(mine, operand.strides, strict=True))
        strides = tuple(along.get(k, 0) for k in range(4))
        return replace(operand, strides=strides if by_rows else (*strides[:2], strides[3], strides[2]))

    body = (Load(place(x, axes["x"]), call.dtype), Load(place(y, axes["y"]), call.dtype), Op("mul", (0, 1), call.dtype))
    space = (stack, rows, inner, columns) if by_rows else (stack, rows, columns, inner)
    result = Reduce("sum", 2, place(z, axes["z"]), call.dtype)
    return Nest(space, body, (), (result,), (2 if by_rows else 3,))
