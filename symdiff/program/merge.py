"""merge: make one nest of several over the same space, where each needs of the others its own point only.

    for i: t[i] = f(x[i]);  for i: y[i] = g(t[i])   ->   for i: t[i] = f(x[i]); y[i] = g(the same)

Scheduling puts them apart where a number was computed in between. What one nest wrote is handed on in a register,
common parts are computed once, and every loop saved is code that need not be compiled.
Needs: the statements of a schedule.  Keeps: every value, bit for bit.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from symdiff.program.ir import Access, Affine, Buffer, Const, Instr, Load, Nest, Op, Reduce, Statement, Store
from symdiff.program.touches import Touch, conflict, touches

# Longer bodies are compiled in another way, and registers run out before.
_LONGEST = 120
# How far back a partner is looked for.
_WINDOW = 24


def merge(statements: Sequence[Statement]) -> list[Statement]:
    """Merge the nests of one body, none of whose statements are inside others."""
    out: list[tuple[Statement, list[Touch]]] = []
    for s in statements:
        touched = touches(s)
        place = _partner(out, s, touched) if isinstance(s, Nest) else None
        if place is None:
            out.append((s, touched))
        else:
            k, nest = place
            out[k] = (nest, touches(nest))
    return [s for s, _ in out]


def _partner(earlier: list[tuple[Statement, list[Touch]]], nest: Nest, touched: list[Touch]) -> tuple[int, Nest] | None:
    """The last nest before this one that it can be merged into, with the outcome."""
    for k in reversed(range(max(0, len(earlier) - _WINDOW), len(earlier))):
        other, theirs = earlier[k]
        pairs = conflict(theirs, touched)
        if isinstance(other, Nest) and all(_same_point(x, y) for x, y in pairs):
            merged = _merged(other, nest)
            if merged is not None:
                return k, merged
        if pairs:
            return None
    return None


def _same_point(x: Touch, y: Touch) -> bool:
    """Whether both concern, at every point, the one entry that only this point concerns."""
    a = x.access
    if x.reduces or y.reduces or a is None or a != y.access or a.gathers or a.guards:
        return False
    return all(stride != 0 for stride, extent in zip(a.strides, x.space, strict=True) if extent != 1)


def _merged(a: Nest, b: Nest) -> Nest | None:
    plain = not (a.serial or b.serial or a.zero or b.zero)
    same = a.space == b.space and (not a.reductions or not b.reductions or a.reduced == b.reduced)
    if not plain or not same or len(a.body) + len(b.body) > _LONGEST:
        return None
    body = _Body()
    values: list[int] = []
    for instr in a.body:
        values.append(body.add(instr, values))
    a_stores = [_restored(s, values) for s in a.stores]
    held = {s.access: s.value for s in a_stores}
    new: list[int] = []
    for instr in b.body:
        known = held.get(instr.access) if isinstance(instr, Load) and not instr.access.gathers else None
        new.append(body.add(instr, new) if known is None else known)
    b_stores = [_restored(s, new) for s in b.stores]
    overwritten = {s.access for s in b_stores}
    stores = (*(s for s in a_stores if s.access not in overwritten), *b_stores)
    reductions = (*(replace(r, value=values[r.value]) for r in a.reductions),
                  *(replace(r, value=new[r.value]) for r in b.reductions))  # fmt: skip
    reduced = a.reduced if a.reductions else b.reduced
    return Nest(a.space, tuple(body.instrs), stores, reductions, reduced)


def _restored(s: Store, numbers: Sequence[int]) -> Store:
    return replace(s, value=numbers[s.value], access=_moved(s.access, numbers))


def _moved(access: Access, numbers: Sequence[int]) -> Access:
    if not access.gathers:
        return access
    return replace(access, gathers=tuple(replace(g, value=numbers[g.value]) for g in access.gathers))


def renumbered(instr: Instr, numbers: Sequence[int]) -> Instr:
    """Return an instruction that reads other body values."""
    match instr:
        case Load():
            return replace(instr, access=_moved(instr.access, numbers))
        case Op():
            return replace(instr, args=tuple(numbers[a] for a in instr.args))
        case Affine() | Const():
            return instr


@dataclass(slots=True)
class _Body:
    """Instructions, each once."""

    instrs: list[Instr]
    numbers: dict[Instr, int]

    def __init__(self) -> None:
        self.instrs, self.numbers = [], {}

    def add(self, instr: Instr, numbers: Sequence[int]) -> int:
        instr = renumbered(instr, numbers)
        number = self.numbers.get(instr)
        if number is None:
            number = self.numbers[instr] = len(self.instrs)
            self.instrs.append(instr)
        return number


def pruned(nest: Nest, unread: Container[Buffer] = ()) -> Nest:
    """Return the nest without stores to buffers that nothing reads, and without what nothing uses."""
    stores = tuple(s for s in nest.stores if s.access.buffer not in unread)
    needed = {s.value for s in stores} | {r.value for r in nest.reductions}
    needed |= {g.value for s in stores for g in s.access.gathers}
    for k in reversed(range(len(nest.body))):
        if k in needed:
            needed |= _operands(nest.body[k])
    numbers: list[int] = []
    body: list[Instr] = []
    for k, instr in enumerate(nest.body):
        numbers.append(len(body))
        if k in needed:
            body.append(renumbered(instr, numbers))
    moved = tuple(_restored(s, numbers) for s in stores)
    reductions: tuple[Reduce, ...] = tuple(replace(r, value=numbers[r.value]) for r in nest.reductions)
    return replace(nest, body=tuple(body), stores=moved, reductions=reductions)


def _operands(instr: Instr) -> set[int]:
    if isinstance(instr, Op):
        return set(instr.args)
    return {g.value for g in instr.access.gathers} if isinstance(instr, Load) else set()
