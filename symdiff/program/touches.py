"""touches: which memory a statement reads and writes, and whether two statements may change places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symdiff.ir.dims import Shape
from symdiff.program.ir import Access, Buffer, Call, Load, Loop, Nest, Statement, walk


@dataclass(frozen=True, slots=True)
class Touch:
    """An access of a buffer over a space; `access` is None where all of the buffer may be meant."""

    buffer: Buffer
    writes: bool
    space: Shape = ()
    access: Access | None = None
    reduces: bool = False

    def meets(self, other: Touch) -> bool:
        """Whether the two, of one buffer, may concern the same entry and one of them writes."""
        if not (self.writes or other.writes):
            return False
        a, b = self._span(), other._span()
        return a is None or b is None or (a[0] <= b[1] and b[0] <= a[1])

    def _span(self) -> tuple[int, int] | None:
        """The first and last entry, where they are known numbers; None stands for the whole buffer."""
        if self.access is None or self.access.gathers or not isinstance(self.access.offset, int):
            return None
        low = high = self.access.offset
        for stride, extent in zip(self.access.strides, self.space, strict=True):
            if stride == 0:
                continue
            if not isinstance(stride, int) or not isinstance(extent, int):
                return None
            low, high = low + min(0, stride * (extent - 1)), high + max(0, stride * (extent - 1))
        return low, high


def touches(statement: Statement) -> list[Touch]:
    """Return all accesses of a statement."""
    match statement:
        case Nest():
            return list(_of_nest(statement))
        case Call(name="gemm"):
            m, n, k, count = statement.extents
            spaces = ((count, m, k), (count, k, n), (count, m, n))
            return [
                Touch(a.buffer, j == 2, space, a)
                for j, (a, space) in enumerate(zip(statement.operands, spaces, strict=True))
            ]
        case Call():
            # LAPACK overwrites what it gets.
            return [Touch(a.buffer, True) for a in statement.operands]
        case _:
            return [Touch(b, True) for b in _of_loops(statement)]


def _of_nest(nest: Nest) -> Iterator[Touch]:
    yield from (Touch(b, True) for b in nest.zero)
    for instr in nest.body:
        if isinstance(instr, Load):
            yield Touch(instr.access.buffer, False, nest.space, instr.access)
    for s in nest.stores:
        yield Touch(s.access.buffer, True, nest.space, s.access)
    for r in nest.reductions:
        yield Touch(r.access.buffer, True, nest.space, r.access, reduces=True)


def _of_loops(statement: Statement) -> dict[Buffer, None]:
    """Every buffer that a loop touches, or exchanges."""
    found: dict[Buffer, None] = {}
    for s in walk((statement,)):
        if isinstance(s, Loop):
            found |= dict.fromkeys([s.flag, *(b for pair in s.swaps for b in pair)])
        elif isinstance(s, (Nest, Call)):
            found |= dict.fromkeys(t.buffer for t in touches(s))
    return found


def conflict(a: Sequence[Touch], b: Sequence[Touch]) -> list[tuple[Touch, Touch]]:
    """Return the pairs of accesses that fix the order of two statements."""
    of: dict[Buffer, list[Touch]] = {}
    for y in b:
        of.setdefault(y.buffer, []).append(y)
    return [(x, y) for x in a for y in of.get(x.buffer, ()) if x.meets(y)]
