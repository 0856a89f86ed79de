"""estimate: what the statements of a program move and compute for given sizes, and what a run cannot be faster than."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symdiff.ir.dims import evaluate
from symdiff.program.ir import ITEMSIZE, Access, Buffer, Call, Load, Nest, Program, Statement


@dataclass(frozen=True, slots=True)
class Estimate:
    """The least seconds of a statement, or of a program: by the memory it moves, and by the arithmetic it does.

    `n_bytes` move; `place` is where they are by the size of all that the program uses, such as "L2" or "memory".
    """

    memory: float
    arithmetic: float
    n_bytes: int
    place: str
    tile: str = ""

    @property
    def seconds(self) -> float:
        """The larger of both: they go on at the same time."""
        return max(self.memory, self.arithmetic)

    @property
    def bound(self) -> str:
        """Which of both is the limit."""
        return "memory" if self.memory >= self.arithmetic else "arithmetic"


def traffic(s: Statement, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Return the bytes that a nest or a call reads and writes, every entry once."""
    match s:
        case Nest():
            reads = [i.access for i in s.body if isinstance(i, Load)]
            writes = [*(x.access for x in s.stores), *(r.access for r in s.reductions)]
            return _bytes(reads, s, sizes), _bytes(writes, s, sizes)
        case Call():
            held = [evaluate(a.buffer.n_bytes, sizes) for a in s.operands]
            return sum(held[:-1]), held[-1] if held else 0
    return 0, 0


def _bytes(accesses: Iterable[Access], nest: Nest, sizes: Mapping[str, int]) -> int:
    """Bytes of the entries that accesses touch: no more than the points they differ at, nor than the buffer has."""
    found: dict[Buffer, int] = {}
    for a in dict.fromkeys(accesses):
        extents = [d for d, c in zip(nest.space, a.strides, strict=True) if c != 0 or a.gathers]
        entries = math.prod(evaluate(d, sizes) for d in extents)
        found[a.buffer] = found.get(a.buffer, 0) + entries * ITEMSIZE[a.buffer.dtype]
    return sum(min(n, evaluate(b.n_bytes, sizes)) for b, n in found.items())


def compulsory(program: Program, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Return the bytes of all inputs and of all outputs: what any schedule reads and writes at least."""
    held = [sum(evaluate(b.n_bytes, sizes) for b in some) for some in (program.inputs, program.outputs)]
    return held[0], held[1]
