"""memory: which temporary buffers can use the same memory, one after another.

A buffer lives from the first statement that touches it to the last one. In a loop it lives for a part of a turn if
every touch is in that loop and the first of a turn writes it; otherwise for the whole loop. Buffers that a loop
exchanges live together, for the address of each may be in the word of the other. Two buffers may share memory if
their lives do not meet, or meet in one nest that reads an entry of the one and writes the same entry of the other.

Needs: statements run one after another; what a target runs together is one statement.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

from symdiff.ir.dims import CeilDiv, Dim, Extent, evaluate
from symdiff.program.ir import Buffer, Call, Load, Loop, Nest, Program, Rows, Statement

# Extents are compared as if every run-time size were this; a slot is as large as its largest buffer in any case.
_TYPICAL = 1000
# A body of up to this many instructions is taken to load all before it stores anything.
_SHORT = 32
# Slots that are looked at for a buffer: thousands may live at a time.
_TRIED = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """Memory that buffers use one after another: as many bytes as the largest of `sizes`."""

    buffers: tuple[Buffer, ...]
    sizes: tuple[Extent, ...]

    def n_bytes(self, sizes: Mapping[str, int]) -> int:
        """The bytes for these run-time sizes."""
        return max(evaluate(e, sizes) for e in self.sizes)

    def __str__(self) -> str:
        size = str(self.sizes[0]) if len(self.sizes) == 1 else f"max({', '.join(map(str, self.sizes))})"
        return f"{' '.join(map(str, self.buffers))}: {size} bytes"


@dataclass(slots=True)
class _Life:
    """First and last statement, as numbers; whether the first one writes without having read."""

    first: int
    last: int
    fresh: bool


@dataclass(slots=True)
class Lives:
    """When temporary buffers live: `spans` in numbers of statements, and the ids (read, written) of one nest."""

    spans: dict[Buffer, tuple[int, int]]
    handovers: set[tuple[int, int]]

    def meet(self, a: Buffer, b: Buffer) -> bool:
        """Whether two buffers need memory at the same time."""
        (first_a, last_a), (first_b, last_b) = self.spans[a], self.spans[b]
        if last_a == first_b and (a.id, b.id) in self.handovers:
            return False
        if last_b == first_a and (b.id, a.id) in self.handovers:
            return False
        return first_a <= last_b and first_b <= last_a


def lives(program: Program, scratch: Sequence[tuple[Nest | Rows, tuple[Buffer, ...]]] = ()) -> Lives:
    """Return when the temporaries of a program live, and the scratch of its nests and rows. Linear in its accesses."""
    return _Lives(program, scratch).run()


def slots(program: Program, scratch: Sequence[tuple[Nest | Rows, tuple[Buffer, ...]]] = ()) -> tuple[Slot, ...]:
    """Return memory for every temporary that is touched: large ones first, each in the smallest slot that is free.

    Method: greedy colouring by size (Pisarchyk & Lee 2020, section 3.2), in whole buffers.
    """
    found = lives(program, scratch)
    typical = dict.fromkeys({name for b in found.spans for name in _names(b)}, _TYPICAL)
    weight = {b: evaluate(b.n_bytes, typical) for b in found.spans}
    held: list[_Held] = []
    for b in sorted(found.spans, key=lambda b: (-weight[b], b.id)):
        # The last slots are the smallest ones.
        for slot in reversed(held[-_TRIED:]):
            if slot.take(b, found.spans[b], found):
                break
        else:
            held.append(_Held([found.spans[b]], [b]))
    return tuple(_slot(s.buffers) for s in sorted(held, key=lambda s: s.buffers[0].id))


@dataclass(slots=True)
class _Held:
    """A slot and the spans in which it is used, both in the order of time."""

    spans: list[tuple[int, int]]
    buffers: list[Buffer]

    def take(self, b: Buffer, span: tuple[int, int], found: Lives) -> bool:
        """Take a buffer in if it meets none of those that are there."""
        at = bisect.bisect(self.spans, span)
        # Spans here meet at their ends at most, so they are in the order of their ends too.
        start, stop = at, at
        while start > 0 and self.spans[start - 1][1] >= span[0]:
            start -= 1
        while stop < len(self.spans) and self.spans[stop][0] <= span[1]:
            stop += 1
        for k in range(start, stop):
            first, last = self.spans[k]
            if (first < span[1] and span[0] < last) or found.meet(b, self.buffers[k]):
                return False
        self.spans.insert(at, span)
        self.buffers.insert(at, b)
        return True


def _slot(buffers: Sequence[Buffer]) -> Slot:
    sizes = list(dict.fromkeys(b.n_bytes for b in buffers))
    kept = [a for k, a in enumerate(sizes) if not any(_covers(b, a) for j, b in enumerate(sizes) if j != k)]
    return Slot(tuple(buffers), tuple(kept))


def _covers(a: Extent, b: Extent) -> bool:
    """Whether a >= b for all sizes >= 0: no coefficient of a - b is negative."""
    rest = a - b
    if isinstance(rest, int):
        return rest >= 0
    return all(c > 0 and not any(isinstance(x, CeilDiv) for x in m) for m, c in rest.terms)


def _names(b: Buffer) -> Iterable[str]:
    return b.n_bytes.names if isinstance(b.n_bytes, Dim) else ()


class _Lives:
    """Numbers the statements of a program and finds the lives of its buffers."""

    def __init__(self, program: Program, scratch: Sequence[tuple[Nest | Rows, tuple[Buffer, ...]]]):
        self.program = program
        self.scratch = {id(s): buffers for s, buffers in scratch}
        self.temps = {*program.temps, *(b for _, buffers in scratch for b in buffers)}
        self.now = 0
        self.pairs: list[tuple[int, Buffer, Buffer]] = []
        self.groups: list[list[Buffer]] = []
        # How deep in loops, and in which, all touches of a buffer are.
        self.scope: dict[Buffer, tuple[int, ...]] = {}
        self._find_scopes(program.statements, ())

    def run(self) -> Lives:
        found = self._visit(self.program.statements, ())
        spans = {b: (t.first, t.last) for b, t in found.items()}
        together = _join(self.groups)
        for group in together:
            first, last = min(spans[b][0] for b in group), max(spans[b][1] for b in group)
            spans |= dict.fromkeys(group, (first, last))
        moved = {b for group in together for b in group}
        handovers = {
            (a.id, b.id)
            for at, a, b in self.pairs
            if spans[a][1] == at == spans[b][0] and a not in moved and b not in moved
        }
        return Lives(spans, handovers)

    def _find_scopes(self, statements: Iterable[Statement], path: tuple[int, ...]) -> None:
        # Recursion depth is the nesting of loops in the user's program.
        for s in statements:
            if isinstance(s, Loop):
                inside = (*path, id(s))
                self._find_scopes((*s.cond, *s.body), inside)
                touched: Iterable[Buffer] = (s.flag, *(b for pair in s.swaps for b in pair))
                self._narrow(touched, inside)
            else:
                self._narrow((b for b, _ in self._touched(s)), path)

    def _narrow(self, buffers: Iterable[Buffer], path: tuple[int, ...]) -> None:
        for b in buffers:
            known = self.scope.get(b, path)
            if known != path:
                k = 0
                while k < min(len(known), len(path)) and known[k] == path[k]:
                    k += 1
                known = known[:k]
            self.scope[b] = known

    def _visit(self, statements: Iterable[Statement], path: tuple[int, ...]) -> dict[Buffer, _Life]:
        found: dict[Buffer, _Life] = {}
        for s in statements:
            if isinstance(s, Loop):
                _append(found, self._loop(s, (*path, id(s))))
                continue
            self.now += 1
            _append(found, {b: _Life(self.now, self.now, fresh) for b, fresh in self._touched(s)})
            if isinstance(s, Nest):
                self.pairs += [(self.now, a, b) for a, b in _handovers(s) if a in self.temps and b in self.temps]
            elif not isinstance(s, Call):
                self.groups.append([b for b, _ in self._touched(s)])
        return found

    def _loop(self, loop: Loop, path: tuple[int, ...]) -> dict[Buffer, _Life]:
        start = self.now + 1
        found = self._visit(loop.cond, path)
        self._touch(found, [loop.flag])
        _append(found, self._visit(loop.body, path))
        for pair in loop.swaps:
            self._touch(found, pair)
            self.groups.append([b for b in pair if b in self.temps])
        for b, life in found.items():
            inside = self.scope[b][: len(path)] == path
            if not (inside and life.fresh):
                life.first, life.last = start, self.now
        return found

    def _touch(self, found: dict[Buffer, _Life], buffers: Iterable[Buffer]) -> None:
        self.now += 1
        _append(found, {b: _Life(self.now, self.now, False) for b in buffers if b in self.temps})

    def _touched(self, s: Statement) -> Iterator[tuple[Buffer, bool]]:
        """Yield the temporaries of a statement that is no loop, and whether it writes them without reading them."""
        read: set[Buffer]
        written: set[Buffer]
        match s:
            case Nest():
                read = {i.access.buffer for i in s.body if isinstance(i, Load)}
                read |= {x.access.buffer for x in s.stores if x.add or x.access.gathers} - {*s.zero}
                written = {x.access.buffer for x in s.stores} | {r.access.buffer for r in s.reductions}
                written |= {
                    *s.zero,
                    *self.scratch.get(id(s), ()),
                }
            case Call(name="gemm"):
                read = {a.buffer for a in s.operands[:-1]}
                written = {s.operands[-1].buffer}
            case Call():
                read, written = {a.buffer for a in s.operands}, set()
            case _:
                found = list(inside(s))
                read = {x for x in found if isinstance(x, Buffer)}
                written = {b for x in found if isinstance(x, Nest) for b in self.scratch.get(id(x), ())}
                written |= {*self.scratch.get(id(s), ())}
        yield from ((b, b not in read) for b in read | written if b in self.temps)


def _append(found: dict[Buffer, _Life], later: Mapping[Buffer, _Life]) -> None:
    for b, life in later.items():
        if b in found:
            found[b].first, found[b].last = min(found[b].first, life.first), max(found[b].last, life.last)
        else:
            found[b] = life


def _handovers(nest: Nest) -> Iterator[tuple[Buffer, Buffer]]:
    """Yield (a, b) where the nest writes entries of b and reads a only at the entry that it writes.

    A point then reads its entry before it writes it, and no other point touches it: on any lanes and threads.
    """
    if len(nest.body) > _SHORT or nest.serial or any(d == 1 for d in nest.space):
        return
    loads = [i.access for i in nest.body if isinstance(i, Load)]
    others = [*(r.access.buffer for r in nest.reductions), *nest.zero]
    for s in nest.stores:
        to = s.access
        once = sum(x.access.buffer == to.buffer for x in nest.stores) == 1 and to.buffer not in others
        if s.add or to.gathers or to.guards or not once or any(c == 0 for c in to.strides):
            continue
        place = (to.offset, to.strides, (), ())
        for a in dict.fromkeys(x.buffer for x in loads):
            same = all((x.offset, x.strides, x.guards, x.gathers) == place for x in loads if x.buffer == a)
            if same and a.dtype == to.buffer.dtype and a not in others and a != to.buffer:
                yield a, to.buffer


def _join(groups: Sequence[Sequence[Buffer]]) -> list[set[Buffer]]:
    """Return the unions of groups that have members in common."""
    found: dict[Buffer, set[Buffer]] = {}
    for group in groups:
        union = set(group).union(*(found[b] for b in group if b in found))
        found |= dict.fromkeys(union, union)
    return list({id(union): union for union in found.values()}.values())


def inside(statement: object) -> Iterator[Buffer | Nest]:
    """Yield the buffers and the nests anywhere in a statement of a kind that is not known here."""
    stack = [statement]
    while stack:
        item = stack.pop()
        if isinstance(item, (Buffer, Nest)):
            yield item
        if isinstance(item, (tuple, list)):
            stack.extend(item)
        elif is_dataclass(item) and not isinstance(item, Buffer):
            stack.extend(getattr(item, f.name) for f in fields(item))
