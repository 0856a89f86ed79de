"""memory: where everything of a call lies: one piece of device memory, in which temporaries use slots in turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from symdiff.ir.dims import evaluate
from symdiff.program.ir import Program
from symdiff.program.memory import Slot

# What cudaMalloc aligns to; vectors and the copies of a GPU want no more.
ALIGN = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """The places of a call for given sizes, in bytes from the beginning of its memory.

    `control`, `scratch` and `record` are places, `offsets` and `n_bytes` are by the id of a buffer; results have
    `shapes`.
    """

    sizes: Mapping[str, int]
    shapes: tuple[tuple[int, ...], ...]
    offsets: Mapping[int, int]
    n_bytes: Mapping[int, int]
    control: int
    control_bytes: int
    scratch: int
    scratch_bytes: int
    record: int
    record_bytes: int
    total: int


def plan(
    program: Program, memory: Sequence[Slot], control_bytes: int, scratch_bytes: int, record_bytes: int,
    sizes: Mapping[str, int], elsewhere: Collection[int],
) -> Plan:  # fmt: skip
    """Lay out a call; the buffers `elsewhere`, by id, have memory of their own, or memory that the caller holds."""
    used = (*program.inputs, *program.outputs, *program.temps)
    n_bytes = {b.id: evaluate(b.n_bytes, sizes) for b in used}
    offsets, total = {}, 0

    def take(n: int) -> int:
        nonlocal total
        place = total
        # At least one entry, which bodies may read where a guard fails.
        total += -(-max(n, 8) // ALIGN) * ALIGN
        return place

    control, scratch = take(control_bytes), take(scratch_bytes)
    record = take(record_bytes) if record_bytes else 0
    for b in (*program.inputs, *program.outputs):
        if b.id not in elsewhere:
            offsets[b.id] = take(n_bytes[b.id])
    for slot in memory:
        place = take(slot.n_bytes(sizes))
        offsets |= {b.id: place for b in slot.buffers}
    shapes = tuple(tuple(evaluate(d, sizes) for d in b.shape) for b in program.outputs)
    places = control, control_bytes, scratch, scratch_bytes, record, record_bytes
    return Plan(dict(sizes), shapes, offsets, n_bytes, *places, total)
