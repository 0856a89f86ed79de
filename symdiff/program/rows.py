"""rows: let statements over the same rows share blocks of them.

    m = sum(X * w, 1); g = f(m); s = sum(X * g, 0)   ->   for blocks of rows: m, g, s of the block

What one statement writes of a block, and what two of them read of it, is then in cache; what only they use needs no
more memory than a block. Sums over the rows are formed block by block (`backends.cpu.rows`), in an order that depends
on sizes only.  Needs: the statements of a schedule.  Keeps: every value, sums over rows to rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from symdiff.ir.dims import Dim, Extent, divide, is_at_least, multiply, product
from symdiff.program.ir import ITEMSIZE, Buffer, Call, Loop, Member, Nest, Program, Rows, Statement
from symdiff.program.memory import inside
from symdiff.program.merge import merge, pruned
from symdiff.program.nests import outermost
from symdiff.program.touches import Touch, conflict, touches

# Fewer rows than this, where their number is known, are one block anyway.
_FEWEST_ROWS = 256
# A product that sums over the rows has a partial result for every part of them: matrices of up to this many entries.
_LARGEST_SUM = 2**16
# Looking at all pairs of accesses takes too long for longer programs, which are scalar graphs.
_MOST_INSTRUCTIONS = 4000


def in_rows(program: Program) -> Program:
    """Return the program with statements that share rows put together."""
    statements = _in_bodies(program.statements, merge)
    users: Counter[Buffer] = Counter()
    _count(statements, users)
    return replace(program, statements=tuple(_in_bodies(statements, lambda run: merge(_grouped(run, users)))))


def _count(statements: Iterable[Statement], users: Counter[Buffer]) -> None:
    """Count the statements that use each buffer; a loop that exchanges buffers is one more."""
    for s in statements:
        if isinstance(s, Loop):
            users.update({s.flag, *(b for pair in s.swaps for b in pair)})
            _count((*s.cond, *s.body), users)
        elif isinstance(s, (Nest, Call)):
            users.update({t.buffer for t in touches(s)})
        else:
            users.update({b for b in inside(s) if isinstance(b, Buffer)})


def _in_bodies(
    statements: Sequence[Statement], change: Callable[[Sequence[Statement]], list[Statement]]
) -> list[Statement]:
    """Change every body: the program's and those of its loops; recursion goes to the nesting of loops."""
    out: list[Statement] = []
    run: list[Statement] = []
    for s in statements:
        if isinstance(s, (Nest, Call, Loop)):
            run.append(replace(s, body=tuple(_in_bodies(s.body, change))) if isinstance(s, Loop) else s)
        else:
            out += [*_changed(run, change), s]
            run = []
    return out + _changed(run, change)


def _changed(statements: list[Statement], change: Callable[[Sequence[Statement]], list[Statement]]) -> list[Statement]:
    long = sum(len(s.body) for s in statements if isinstance(s, Nest)) > _MOST_INSTRUCTIONS
    return statements if long else change(statements)


def _grouped(statements: Sequence[Statement], users: Counter[Buffer]) -> list[Statement]:
    extents = list(dict.fromkeys(_extents(statements)))
    if not extents:
        return list(statements)
    every = [(s, touches(s)) for s in statements]
    out: list[Statement] = []
    # Work to be done, last first.
    stack = [every]
    while stack:
        part = stack.pop()
        groups = [_Group(e).collect(part) for e in extents]
        best = max(groups, key=lambda g: g.shared, default=None)
        if best is None or best.shared == 0:
            out += [s for s, _ in part]
        elif best.before:
            stack += [best.after, best.inside, best.before]
        else:
            out.append(best.rows(users))
            stack.append(best.after)
    return out


def _extents(statements: Iterable[Statement]) -> Iterator[Extent]:
    """The numbers of rows that there may be."""
    for s in statements:
        if isinstance(s, Nest) and s.space and not s.serial:
            candidates: Sequence[Extent] = s.space[:-1] or s.space
        elif isinstance(s, Call) and s.name == "gemm":
            candidates = (s.extents[0], s.extents[2])
        else:
            continue
        for e in candidates:
            if (isinstance(e, Dim) and len(e.terms) == 1) or (isinstance(e, int) and e >= _FEWEST_ROWS):
                yield e


_Touched = tuple[Statement, list[Touch]]


@dataclass(slots=True)
class _Group:
    """Statements that share the rows of `extent`, what comes before them and what after."""

    extent: Extent
    before: list[_Touched] = field(default_factory=list)
    members: list[tuple[Member, list[Touch]]] = field(default_factory=list)
    inside: list[_Touched] = field(default_factory=list)
    after: list[_Touched] = field(default_factory=list)
    shared: int = 0

    def collect(self, statements: Sequence[_Touched]) -> _Group:
        """Sort the statements, in order, into before, inside and after."""
        for s, touched in statements:
            held = any(conflict(t, touched) for _, t in self.after)
            # Python functions that are called keep their order.
            held = held or (not isinstance(s, Nest) and any(not isinstance(o, Nest) for o, _ in self.after))
            member = None if held else self._member(s)
            if member is not None:
                self.members.append((member, touches(member.statement)))
                self.inside.append((s, touched))
            elif held or any(conflict(t, touched) for _, t in self.members):
                self.after.append((s, touched))
            else:
                self.before.append((s, touched))
        self.shared = self._count_shared() if len(self.members) > 1 else 0
        return self

    def _member(self, s: Statement) -> Member | None:
        """The statement as a member, if it can be cut into rows and needs of earlier ones its own rows only."""
        for member in _as_members(s, self.extent):
            touched = touches(member.statement)
            pairs = [(m, x, y) for m, t in self.members for x, y in conflict(t, touched)]
            if all(self._own_rows(m, x) and self._own_rows(member, y) for m, x, y in pairs):
                return member
        return None

    def _own_rows(self, member: Member, touch: Touch) -> bool:
        """Whether row i of a statement stays within row i of the buffer."""
        size = divide(product(touch.buffer.shape), self.extent)
        access = touch.access
        if size is None or access is None or access.gathers or access.guards or (touch.reduces and member.sums):
            return False
        steps = list(zip(access.strides, touch.space, strict=True))
        axis = _row_axis(member, touch)
        if axis is None or multiply(member.factor, steps[axis][0]) != size:
            return False
        last = access.offset
        for k, (stride, extent) in enumerate(steps):
            if not is_at_least(stride, 0):
                return False
            last = multiply(stride, (member.factor if k == axis else extent) + -1) + last
        return is_at_least(access.offset, 0) and is_at_least(size, last + 1)

    def _count_shared(self) -> int:
        """The number of arrays whose rows several members use."""
        uses: Counter[Buffer] = Counter()
        for member, touched in self.members:
            uses.update({t.buffer for t in touched if self._row_size(member, t) is not None})
        return sum(n > 1 for n in uses.values())

    def _row_size(self, member: Member, touch: Touch) -> Extent | None:
        """The entries of a buffer that belong to a row, if its rows are those of the group."""
        axis = _row_axis(member, touch)
        if axis is None or touch.access is None or touch.access.strides[axis] == 0:
            return None
        return divide(product(touch.buffer.shape), self.extent)

    def rows(self, users: Counter[Buffer]) -> Statement:
        """Return the group as a statement."""
        inside: Counter[Buffer] = Counter()
        for _, touched in self.members:
            inside.update({t.buffer for t in touched})
        merged = merge([m.statement for m, _ in self.members])
        if len(merged) == 1:
            return merged[0]
        known: dict[Statement, Member] = {m.statement: m for m, _ in self.members}
        members = [(m, touches(m.statement)) for m in (self._of_merged(s, known) for s in merged)]
        sizes: dict[Buffer, Extent] = {}
        written: set[Buffer] = set()
        read: set[Buffer] = set()
        spread: set[Buffer] = set()
        for member, touched in members:
            read |= {t.buffer for t in touched if not t.writes}
            spread |= {t.buffer for t in touched if not self._own_rows(member, t)}
            spread |= {t.buffer for t in touched if not t.writes and t.buffer not in written}
            written |= {t.buffer for t in touched if t.writes}
            for t in touched:
                size = self._row_size(member, t)
                if size is not None:
                    sizes[t.buffer] = multiply(size, ITEMSIZE[t.buffer.dtype])
        own = [b for b in sizes if b.kind == "temp" and inside[b] == users[b] and b not in spread]
        unread = {b for b in own if b not in read}
        total: Extent = 0
        for buffer, size in sizes.items():
            total = total if buffer in unread else size + total
        kept = tuple(
            replace(m, statement=pruned(m.statement, unread)) if isinstance(m.statement, Nest) else m
            for m, _ in members
        )  # fmt: skip
        return Rows(self.extent, kept, tuple(b for b in own if b in read), total)

    def _of_merged(self, s: Statement, known: Mapping[Statement, Member]) -> Member:
        if s in known:
            return known[s]
        assert isinstance(s, Nest)
        factor = divide(s.space[0], self.extent)
        assert factor is not None
        return Member(s, factor, bool(s.reductions) and 0 in s.reduced)


def _row_axis(member: Member, touch: Touch) -> int | None:
    """The axis of an access's space that runs over the rows."""
    if isinstance(member.statement, Nest):
        return 0
    x, y, z = member.statement.operands
    places = {x: 2, y: 1} if member.sums else {x: 1, z: 1}
    return places.get(touch.access) if touch.access is not None else None


def _as_members(s: Statement, extent: Extent) -> Iterator[Member]:
    """Every way to cut a statement into rows."""
    match s:
        case Nest() if not s.serial and not s.zero and s.space and not any(x.add for x in s.stores):
            axes = [k for k, e in enumerate(s.space) if e == extent and k < max(len(s.space) - 1, 1)]
            for nest in [s, *(outermost(s, k) for k in axes if k > 0)]:
                factor = divide(nest.space[0], extent)
                if factor is not None:
                    yield Member(nest, factor, bool(nest.reductions) and 0 in nest.reduced)
        # Both operands of a square, which are one access, need other rows of it: see `_row_axis`.
        case Call(name="gemm") if s.extents[3] == 1 and s.operands[0] != s.operands[1]:
            m, n, k, _ = s.extents
            if m == extent:
                yield Member(s, 1, False)
            sums = product((m, n))
            if k == extent and isinstance(sums, int) and sums <= _LARGEST_SUM:
                yield Member(s, 1, True)
