"""The context of a call: one table of 64-bit words that every function of a program gets.

    word 0 address of parallel_for, or 0 · 1 status · 2 threads · 3 arena · then sizes · then buffer addresses

Temporary buffers lie in the arena, in slots that several of them use one after another (`symdiff.program.memory`), each
aligned to a cache line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symdiff.program.ir import Buffer, Nest, Program
from symdiff.program.memory import Slot, slots

PARALLEL_FOR, STATUS, THREADS, ARENA = range(4)
_HEAD = 4
ALIGN = 64
# What `STATUS` says after a call.
OK, INDEX_OUT_OF_RANGE, CALLBACK_FAILED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each size and buffer of a program stands in the context; `scratch` is memory of the generated code."""

    sizes: tuple[str, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    slots: tuple[Slot, ...]
    words: int

    @staticmethod
    def of(program: Program, scratch: Sequence[tuple[Nest, tuple[Buffer, ...]]]) -> Layout:
        """Lay out a program with the scratch buffers that the code of its nests needs."""
        n_temps = len(program.temps) + sum(len(buffers) for _, buffers in scratch)
        n_buffers = len(program.inputs) + len(program.outputs) + n_temps
        memory = slots(program, scratch)
        return Layout(program.sizes, program.inputs, program.outputs, memory, _HEAD + len(program.sizes) + n_buffers)

    def size_word(self, name: str) -> int:
        """The word that holds a run-time size."""
        return _HEAD + self.sizes.index(name)

    def buffer_word(self, buffer: Buffer) -> int:
        """The word that holds a buffer's address; buffers are numbered from 0 without gaps."""
        return _HEAD + len(self.sizes) + buffer.id

    def arena_bytes(self, sizes: Mapping[str, int]) -> int:
        """The memory that the temporary buffers need for these sizes."""
        return sum(-(-s.n_bytes(sizes) // ALIGN) * ALIGN for s in self.slots)
