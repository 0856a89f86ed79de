"""fused: a matrix product and the map of its entries behind it as one kernel of ours: its epilogue.

    c = A @ B; h = tanh(c + b)   ->   every entry of c goes from a register through the map; c itself need not be kept

A library's product is faster by itself; what it writes has to be read and written again, which counts more where sums
are short.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.cuda.blas import is_for_library
from symdiff.ir.dims import Extent, evaluate, multiply, product
from symdiff.program.ir import Access, Call, Load, Loop, Member, Nest, Rows, Statement, walk
from symdiff.program.touches import touches

# Terms of a sum up to which our products with an epilogue are taken to be faster than a library's with a map behind:
# 2 k operations at 8e12 a second and not 5e13, or 16 bytes at 4.3e12.
_MOST_TERMS = 16


@dataclass(frozen=True, slots=True)
class Fused:
    """A product and the map of its entries; without `is_kept` nothing else reads the product."""

    call: Call
    nest: Nest
    is_kept: bool

    @property
    def parts(self) -> tuple[Call, Nest]:
        """The statements that this stands for."""
        return self.call, self.nest

    @property
    def rows(self) -> Rows:
        """The same as a statement of a program, all of whose arrays are in memory together."""
        members = tuple(Member(s, 1, False) for s in self.parts)
        local = () if self.is_kept else (self.call.operands[2].buffer,)
        return Rows(self.call.extents[0], members, local, 0)


def pays(fused: Fused, sizes: Mapping[str, int]) -> bool:
    """Whether one kernel of ours is faster than a library's product and a map."""
    return not is_for_library(fused.call, sizes) or evaluate(fused.call.extents[2], sizes) <= _MOST_TERMS


def fusions(statements: tuple[Statement, ...], apart: frozenset[int]) -> list[Fused]:
    """Find products and maps that are one kernel; the nests whose identities are in `apart` stay what they are."""
    every = [s for s in walk(statements) if isinstance(s, (Nest, Call))]
    uses = Counter(b for s in every for b in {t.buffer for t in touches(s)})
    loops = [s for s in walk(statements) if isinstance(s, Loop)]
    uses.update(b for s in loops for b in (s.flag, *(b for pair in s.swaps for b in pair)))
    found = []
    for block in (statements, *(part for s in loops for part in (s.cond, s.body))):
        for call, nest in itertools.pairwise(block):
            if isinstance(call, Call) and isinstance(nest, Nest) and id(nest) not in apart and _fits(call, nest):
                result = call.operands[2].buffer
                found.append(Fused(call, nest, result.kind != "temp" or uses[result] > 2))
    return found


def _fits(call: Call, nest: Nest) -> bool:
    """Whether a nest is a map of a product's entries that writes nothing that the product reads."""
    if call.name != "gemm" or nest.reductions or nest.serial or nest.zero:
        return False
    a, b, c = call.operands
    reads = [i.access for i in nest.body if isinstance(i, Load) and i.access.buffer is c.buffer]
    if not reads or not all(_is_entry(access, nest, call) for access in reads):
        return False
    for s in nest.stores:
        place = s.access
        if s.add or place.gathers or place.buffer in (a.buffer, b.buffer):
            return False
        if place.buffer is c.buffer and not _is_entry(place, nest, call):
            return False
    return True


def _is_entry(access: Access, nest: Nest, call: Call) -> bool:
    """Whether point number k of a nest is at entry number k of a product."""
    m, n, _, count = call.extents
    result = call.operands[2]
    if access.guards or access.gathers or access.offset != result.offset:
        return False
    axes = _axes((count, m, n), result.strides)
    if _axes(nest.space, access.strides) == axes:
        return True
    is_whole = axes == _axes((count, m, n), (multiply(m, n), n, 1))
    return is_whole and product(nest.space) == product((count, m, n)) and access.strides == (1,)


def _axes(extents: Sequence[Extent], strides: Sequence[Extent]) -> list[tuple[Extent, Extent]]:
    return [(d, s) for d, s in zip(extents, strides, strict=True) if d != 1]
