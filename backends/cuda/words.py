"""Words: what a kernel gets from the host, one tuple of 64-bit integers.

    address of the status · of the go flag · of the scratch · of a loop's record · then sizes · then buffer addresses

The tuple is passed by value: the words of a launch lie in the constant memory of the kernel's parameters. A kernel
whose go flag is down does nothing: turns of a loop are launched before it is known whether the loop goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from symdiff.ir.dims import Extent, Shape, size_names
from symdiff.ir.errors import CompileError
from symdiff.program.ir import Access, Affine, Buffer, Call, Const, Guard, Instr, Load, Loop, Nest, walk

STATUS, GO, SCRATCH, RECORD = 0, 1, 2, 3
_FIXED = 4
# What the status says after a call.
INDEX_OUT_OF_RANGE = 1
# CUDA passes 32764 bytes of parameters from compute capability 7.0 on.
MOST_WORDS = 4000
# Bytes of one vector access.
VECTOR_BYTES = 16


@dataclass(frozen=True, slots=True)
class Words:
    """Which word of a kernel's tuple holds which size and which buffer's address."""

    sizes: tuple[str, ...]
    buffers: tuple[Buffer, ...]

    @staticmethod
    def of(*statements: Nest | Call | Loop) -> Words:
        """Lay out the words of some statements. Raises CompileError if one kernel cannot take so many."""
        sizes: set[str] = set()
        buffers: dict[Buffer, None] = {}
        for s in walk(statements):
            match s:
                case Nest():
                    accesses = list(_accesses(s))
                    sizes |= size_names(tuple(_extents(s, accesses)))
                    buffers |= dict.fromkeys([*s.zero, *(a.buffer for a in accesses)])
                case Call():
                    extents = [e for a in s.operands for e in (a.offset, *a.strides, *a.buffer.shape)]
                    sizes |= size_names((*s.extents, *extents))
                    buffers |= dict.fromkeys(a.buffer for a in s.operands)
                case Loop():
                    buffers |= dict.fromkeys([s.flag, *(b for pair in s.swaps for b in pair)])
        words = Words(tuple(sorted(sizes)), tuple(buffers))
        if words.count > MOST_WORDS:
            raise CompileError(
                f"One kernel would read and write {len(words.buffers)} arrays, target='cuda' passes at most "
                f"{MOST_WORDS}; put scalars into one array, or use target='cpu'."
            )
        return words

    @property
    def count(self) -> int:
        """The length of the tuple."""
        return _FIXED + len(self.sizes) + len(self.buffers)

    def filled(self, sizes: Mapping[str, int], addresses: Mapping[int, int]) -> list[int]:
        """The words of a launch, the first ones 0; addresses are by the id of a buffer."""
        return [0] * _FIXED + [sizes[name] for name in self.sizes] + [addresses[b.id] for b in self.buffers]

    def size(self, name: str) -> int:
        """The word of a run-time size."""
        return _FIXED + self.sizes.index(name)

    def buffer(self, buffer: Buffer) -> int:
        """The word of a buffer's address."""
        return _FIXED + len(self.sizes) + self.buffers.index(buffer)


def kept_axes(nest: Nest) -> tuple[int, ...]:
    """The axes of a nest whose points are independent of each other: what reductions keep, all of a map."""
    if nest.serial:
        return _apart(nest)
    return tuple(k for k in range(len(nest.space)) if not nest.reductions or k not in nest.reduced)


def reduced_axes(nest: Nest) -> tuple[int, ...]:
    """The axes over which a nest reduces, or which a serial one goes through in order."""
    kept = kept_axes(nest)
    return tuple(k for k in range(len(nest.space)) if k not in kept)


def is_scatter(nest: Nest) -> bool:
    """Whether a serial nest adds values at one index: points with different indices are independent."""
    adds = [s for s in nest.stores if s.add]
    return len(nest.stores) == len(adds) == 1 and len(adds[0].access.gathers) == 1


def _apart(nest: Nest) -> tuple[int, ...]:
    """The axes of a scatter that its index does not go through and that move the place: no two points of them meet."""
    if not is_scatter(nest):
        return ()
    (store,) = nest.stores
    behind = {store.access.gathers[0].value}
    for k in range(len(nest.body) - 1, -1, -1):
        instr = nest.body[k]
        if k in behind:
            behind |= set(getattr(instr, "args", ()))
            behind |= {g.value for g in instr.access.gathers} if isinstance(instr, Load) else set()
    moved = {axis for k in behind for axis, c in enumerate(_coefs(nest.body[k])) if c != 0}
    strides = store.access.strides
    return tuple(k for k in range(len(nest.space)) if k not in moved and strides[k] != 0)


def _coefs(instr: Instr) -> tuple[Extent, ...]:
    """A number for every axis, 0 if the instruction does not depend on it."""
    match instr:
        case Load():
            guards, rows = instr.access.guards, [instr.access.strides]
        case Affine():
            guards, rows = instr.guards, [instr.coefs]
        case _:
            return ()
    rows += [g.coefs for g in guards]
    return tuple(next((c for c in column if c != 0), 0) for column in zip(*rows, strict=True))


def extents_of(nest: Nest, axes: tuple[int, ...]) -> Shape:
    """The extents of some axes of a nest."""
    return tuple(nest.space[k] for k in axes)


def _accesses(nest: Nest) -> Iterator[Access]:
    for instr in nest.body:
        if isinstance(instr, Load):
            yield instr.access
    yield from (s.access for s in nest.stores)
    yield from (r.access for r in nest.reductions)


def _extents(nest: Nest, accesses: list[Access]) -> Iterator[Extent]:
    """Every extent that a nest's code computes with."""
    yield from nest.space
    yield from (b.n_bytes for b in nest.zero)
    guards: list[Guard] = []
    for a in accesses:
        yield a.offset
        yield from a.strides
        guards += a.guards
        for gather in a.gathers:
            yield gather.stride
            yield gather.extent
    for instr in nest.body:
        if isinstance(instr, Affine):
            yield instr.offset
            yield from instr.coefs
        if isinstance(instr, (Affine, Const)):
            guards += instr.guards
    for g in guards:
        yield g.offset
        yield g.limit
        yield from g.coefs
