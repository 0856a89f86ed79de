"""argsort: a stable merge sort of every line, on integer keys that order as the numbers do.

A float's bits order as integers if those of negative numbers are inverted below the sign; zero of either sign has
the key 0, and NaN the largest key of all, so it comes last. Runs are sorted by insertion, then merged without
branches (Knuth, The Art of Computer Programming 3, 5.2.4).
"""

from __future__ import annotations

from typing import Any

from backends.cpu.assembler import Value
from backends.cpu.calls import lanes
from backends.cpu.frame import Frame, i64
from backends.cpu.lines import each_line, while_
from backends.cpu.memory import Memory, Point
from backends.emit import F32, F64, I64, POINTER
from symdiff.program.ir import Access, Call

_RUN = 16
_LARGEST = 2**63 - 1


def emit_argsort(frame: Frame, call: Call) -> None:
    """Emit the sort; operands are the array and its order over (lines..., k), and three vectors of scratch."""
    sorter = _Sorter(frame, call)
    each_line(frame, call.extents[:-1], sorter.line)


class _Sorter:
    """Emits the sort of one line: keys and order move together between two pairs of vectors."""

    def __init__(self, frame: Frame, call: Call):
        self.frame, self.call = frame, call
        self.x, self.order = call.operands[:2]
        self.scratch = [self._place(a, []) for a in call.operands[2:]]
        self.n = frame.extent(call.extents[-1])
        # Where the numbers are, and where they go next: (keys, order) each.
        self.slots = [frame.alloca(POINTER) for _ in range(4)]

    def _place(self, access: Access, line: list[Value]) -> Value:
        """The address of a line that is contiguous."""
        memory = Memory(self.frame, lanes(self.frame.builder, 1))
        index = memory.affine(access.offset, access.strides[: len(line)], line)
        return self.frame.builder.gep(self.frame.base(access.buffer), [index], source_etype=I64)

    def line(self, indices: list[Value]) -> None:
        """Sort one line."""
        frame, b = self.frame, self.frame.builder
        result = self._place(self.order, indices)
        for slot, place in zip(self.slots, (self.scratch[0], result, *self.scratch[1:]), strict=True):
            b.store(place, slot)
        frame.loop(i64(0), self.n, 1, lambda i: self._open(indices, i))
        frame.loop(i64(0), self.n, _RUN, self._sort_run)
        width = frame.alloca(I64)
        b.store(i64(_RUN), width)
        while_(
            frame,
            lambda: b.icmp_signed("<", b.load(width, typ=I64), self.n),
            lambda: self._pass(width),
        )
        order = b.load(self.slots[1], typ=POINTER)
        moved = b.icmp_unsigned("!=", b.ptrtoint(order, I64), b.ptrtoint(result, I64))
        frame.when(
            moved,
            lambda: frame.loop(i64(0), self.n, 1, lambda i: self._put(result, i, self._get(order, i))),
        )

    def _get(self, base: Value, i: Value) -> Value:
        return self.frame.builder.load(self.frame.builder.gep(base, [i], source_etype=I64), typ=I64)

    def _put(self, base: Value, i: Value, value: Value) -> None:
        self.frame.builder.store(value, self.frame.builder.gep(base, [i], source_etype=I64))

    def _bases(self) -> list[Value]:
        return [self.frame.builder.load(slot, typ=POINTER) for slot in self.slots]

    # --- keys -----------------------------------------------------------------

    def _open(self, line: list[Value], i: Value) -> None:
        memory = Memory(self.frame, lanes(self.frame.builder, 1))
        keys, order = self._bases()[:2]
        self._put(keys, i, self._key(memory.load(self.x, Point([*line, i]))))
        self._put(order, i, i)

    def _key(self, x: Any) -> Value:
        b = self.frame.builder
        if x.type == I64:
            return x
        if x.type not in (F32, F64):
            return b.zext(x, I64)
        wide = b.fpext(x, F64) if x.type == F32 else x
        bits = b.bitcast(wide, I64)
        folded = b.select(b.icmp_signed("<", bits, i64(0)), b.xor(bits, i64(_LARGEST)), bits)
        zero = b.fcmp_ordered("==", wide, F64(0.0))
        nan = b.fcmp_unordered("uno", wide, wide)
        return b.select(nan, i64(_LARGEST), b.select(zero, i64(0), folded))

    # --- runs -----------------------------------------------------------------

    def _sort_run(self, start: Value) -> None:
        frame, b = self.frame, self.frame.builder
        keys, order = self._bases()[:2]
        stop = frame.minimum(b.add(start, i64(_RUN)), self.n)
        at = frame.alloca(I64)

        def insert(i: Value) -> None:
            key, number = self._get(keys, i), self._get(order, i)
            b.store(i, at)

            def before() -> tuple[Value, Value]:
                j = b.load(at, typ=I64)
                return j, frame.maximum(b.sub(j, i64(1)), start)

            def is_larger() -> Value:
                j, left = before()
                return b.and_(b.icmp_signed(">", j, start), b.icmp_signed(">", self._get(keys, left), key))

            def move() -> None:
                j, left = before()
                self._put(keys, j, self._get(keys, left))
                self._put(order, j, self._get(order, left))
                b.store(left, at)

            while_(frame, is_larger, move)
            j = b.load(at, typ=I64)
            self._put(keys, j, key)
            self._put(order, j, number)

        frame.loop(b.add(start, i64(1)), stop, 1, insert)

    # --- merging --------------------------------------------------------------

    def _pass(self, width: Value) -> None:
        """Merge neighbouring runs of `width` into the other pair of vectors, exchange the pairs, double the width."""
        frame, b = self.frame, self.frame.builder
        bases = self._bases()
        size = b.load(width, typ=I64)
        low = frame.alloca(I64)
        b.store(i64(0), low)

        def merge() -> None:
            start = b.load(low, typ=I64)
            middle = frame.minimum(b.add(start, size), self.n)
            stop = frame.minimum(b.add(middle, size), self.n)
            self._merge(bases, start, middle, stop)
            b.store(stop, low)

        while_(frame, lambda: b.icmp_signed("<", b.load(low, typ=I64), self.n), merge)
        for slot, base in zip(self.slots, (*bases[2:], *bases[:2]), strict=True):
            b.store(base, slot)
        b.store(b.add(size, size), width)

    def _merge(self, bases: list[Value], start: Value, middle: Value, stop: Value) -> None:
        frame, b = self.frame, self.frame.builder
        keys, order, new_keys, new_order = bases
        left, right, out = (frame.alloca(I64) for _ in range(3))
        for slot, value in ((left, start), (right, middle), (out, start)):
            b.store(value, slot)

        def both() -> Value:
            more = b.icmp_signed("<", b.load(left, typ=I64), middle)
            return b.and_(more, b.icmp_signed("<", b.load(right, typ=I64), stop))

        def smaller() -> None:
            i, j, k = (b.load(slot, typ=I64) for slot in (left, right, out))
            a, c = self._get(keys, i), self._get(keys, j)
            # Of equal keys the left one goes first: the sort is stable.
            take = b.icmp_signed("<", c, a)
            self._put(new_keys, k, b.select(take, c, a))
            self._put(new_order, k, self._get(order, b.select(take, j, i)))
            step = b.zext(take, I64)
            b.store(b.add(j, step), right)
            b.store(b.add(i, b.sub(i64(1), step)), left)
            b.store(b.add(k, i64(1)), out)

        while_(frame, both, smaller)
        for slot, end in ((left, middle), (right, stop)):
            self._rest(bases, slot, end, out)

    def _rest(self, bases: list[Value], slot: Value, end: Value, out: Value) -> None:
        frame, b = self.frame, self.frame.builder
        first, to = b.load(slot, typ=I64), b.load(out, typ=I64)

        def move(i: Value) -> None:
            k = b.add(to, b.sub(i, first))
            for source, target in zip(bases[:2], bases[2:], strict=True):
                self._put(target, k, self._get(source, i))

        frame.loop(first, end, 1, move)
        b.store(b.add(to, b.sub(end, first)), out)
