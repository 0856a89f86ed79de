"""Words: what a nest's kernel gets from the host, one tuple of 64-bit integers.

    word 0 address of the status · then sizes · then buffer addresses

The tuple is passed by value: the words of a launch lie in the constant memory of the kernel's parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symdiff.ir.dims import Extent, Shape, size_names
from symdiff.ir.errors import CompileError
from symdiff.program.ir import Access, Affine, Buffer, Const, Guard, Load, Nest

STATUS = 0
# What the status says after a call.
INDEX_OUT_OF_RANGE = 1
# CUDA passes 32764 bytes of parameters from compute capability 7.0 on.
MOST_WORDS = 4000


@dataclass(frozen=True, slots=True)
class Words:
    """Which word of a nest's tuple holds which size and which buffer's address."""

    sizes: tuple[str, ...]
    buffers: tuple[Buffer, ...]

    @staticmethod
    def of(nest: Nest) -> Words:
        """Lay out the words of a nest. Raises CompileError if one kernel cannot take so many."""
        accesses = list(_accesses(nest))
        sizes = size_names(tuple(_extents(nest, accesses)))
        words = Words(tuple(sorted(sizes)), tuple(dict.fromkeys(a.buffer for a in accesses)))
        if words.count > MOST_WORDS:
            raise CompileError(
                f"One kernel would read and write {len(words.buffers)} arrays, target='cuda' passes at most "
                f"{MOST_WORDS}; put scalars into one array, or use target='cpu'."
            )
        return words

    @property
    def count(self) -> int:
        """The length of the tuple."""
        return 1 + len(self.sizes) + len(self.buffers)

    def size(self, name: str) -> int:
        """The word of a run-time size."""
        return 1 + self.sizes.index(name)

    def buffer(self, buffer: Buffer) -> int:
        """The word of a buffer's address."""
        return 1 + len(self.sizes) + self.buffers.index(buffer)


def kept_axes(nest: Nest) -> tuple[int, ...]:
    """The axes of a nest that its reductions keep: all if there is none."""
    return tuple(k for k in range(len(nest.space)) if not nest.reductions or k not in nest.reduced)


def reduced_axes(nest: Nest) -> tuple[int, ...]:
    """The axes over which a nest reduces."""
    return tuple(k for k in range(len(nest.space)) if nest.reductions and k in nest.reduced)


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
