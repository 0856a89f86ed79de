"""split: cut a long straight-line body into functions of bounded size.

LLVM's time grows faster than linearly with the size of a function. A body of more than `LONGEST` instructions
becomes a chain of functions; what one computes and a later one needs goes through a frame of slots in memory,
which are used again when their value is dead. Literals, indices and plain loads are repeated instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdiff.program.ir import Affine, Const, Instr, Load, Nest, Op, Store

LONGEST = 3000
CHUNK = 300


@dataclass(frozen=True, slots=True)
class Split:
    """The chunks of a body as tuples of groups (see `pack`), and the slot of every value that crosses.

    Values in `repeated` are computed again in every chunk that needs them. The chunks `assembled` are not LLVM's and
    write `direct`; the stores `late` follow after all chunks (see `phases`).
    """

    chunks: tuple[tuple[tuple[int, ...], ...], ...]
    slots: dict[int, int]
    n_slots: int
    repeated: frozenset[int]
    assembled: frozenset[int] = frozenset()
    direct: tuple[Store, ...] = ()
    late: tuple[Store, ...] = ()

    @property
    def awaited(self) -> list[int]:
        """The values that the stores at the end need: what is stored, and where."""
        return [v for s in self.late for v in (s.value, *(g.value for g in s.access.gathers))]


def is_repeated(instr: Instr) -> bool:
    """Whether a value is computed again in every chunk that needs it."""
    return isinstance(instr, (Const, Affine)) or (isinstance(instr, Load) and not instr.access.gathers)


def operands(instr: Instr) -> tuple[int, ...]:
    """The body values that an instruction reads."""
    if type(instr) is Op:
        return instr.args
    return tuple(g.value for g in instr.access.gathers) if isinstance(instr, Load) else ()


def split(nest: Nest, order: Sequence[tuple[int, ...]]) -> Split | None:
    """Return how to cut the body of a nest, or None if it is short enough."""
    if len(nest.body) <= LONGEST:
        return None
    repeated = frozenset(k for k, instr in enumerate(nest.body) if is_repeated(instr))
    # The place of a store that gathers may be known in another chunk than its value.
    late = tuple(s for s in nest.stores if s.access.gathers)
    return slots_of(nest, Split(tuple(cut_evenly(order, CHUNK)), {}, 0, repeated, late=late))


def slots_of(nest: Nest, plan: Split) -> Split:
    """Return the plan with a slot for every value that a later chunk needs, or what follows after the last one."""
    chunks = plan.chunks
    where = {k: c for c, chunk in enumerate(chunks) for group in chunk for k in group}
    last: dict[int, int] = {}
    for k, c in where.items():
        # Chunks come in order, so what stands last is the last.
        last |= dict.fromkeys(operands(nest.body[k]), c)
    # The sums of a nest are formed after its last chunk.
    last |= dict.fromkeys([*(r.value for r in nest.reductions), *plan.awaited], len(chunks))
    slots: dict[int, int] = {}
    free: list[int] = []
    ends: list[list[int]] = [[] for _ in range(len(chunks) + 1)]
    n_slots = 0
    for c, chunk in enumerate(chunks):
        # A slot is free again in the chunk after the last use of its value.
        free += ends[c - 1] if c else []
        for group in chunk:
            for k in group:
                if last.get(k, c) > where[k] and k not in plan.repeated:
                    if not free:
                        free.append(n_slots)
                        n_slots += 1
                    slots[k] = free.pop()
                    ends[last[k]].append(slots[k])
    return replace(plan, slots=slots, n_slots=n_slots)


def cut_evenly(order: Sequence[tuple[int, ...]], length: int) -> list[tuple[tuple[int, ...], ...]]:
    """Return the groups in order, in chunks of about `length` instructions."""
    chunks: list[tuple[tuple[int, ...], ...]] = []
    current: list[tuple[int, ...]] = []
    size = 0
    for group in order:
        current.append(group)
        size += len(group)
        if size >= length:
            chunks.append(tuple(current))
            current, size = [], 0
    return [*chunks, tuple(current)] if current else chunks
