"""Where a tile of a sweep is, and the memory in which it keeps its planes: the rings.

As many tasks run at once as there are threads, and each borrows memory that no other has, so that it stays in the
cache. Of every array and turn a ring holds the planes of axis 0 that are still read; plane g is at g modulo their
number. Rows are as long as in the deepest sweep, in whole cache lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from llvmlite import ir

from backends.cpu.assembler import Value
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import ALIGN, DEPTH, LOCKS, RINGS, SLOT_BYTES, SLOTS, SWEEP_WORDS, TURNS
from backends.emit import I64, POINTER
from symdiff.program.ir import ITEMSIZE, Buffer, Ring, Sweep
from symdiff.program.planes import Plane
from symdiff.program.views import c_strides

_I1 = ir.IntType(1)
_COPY = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, _I1])


def copy(frame: Frame, target: Value, source: Value, n_bytes: Value) -> None:
    """Copy memory."""
    b = frame.builder
    function = b.module.declare("llvm.memcpy.p0.p0.i64", _COPY)
    b.call(function, [target, source, n_bytes, ir.Constant(_I1, 0)])


def takes(sweep: Sweep) -> bool:
    """Whether a tile copies what it needs of the start: along periodic axes points do not lie side by side."""
    return any(sweep.periodic[1:])


class Rings:
    """Emits the place of a tile and the addresses of its planes."""

    def __init__(self, frame: Frame, sweep: Sweep, first_word: int, tile: Value):
        self.frame, self.sweep, self.first_word = frame, sweep, first_word
        self.rank = len(sweep.domain)
        self.new = dict(sweep.states)
        self.ring = {r.buffer: r for r in sweep.rings}
        self.turns = self._word(TURNS)
        self._place(tile)
        self._lock = self._borrow()

    def release(self) -> None:
        """Give the memory back."""
        self.frame.builder.release(i64(0), self._lock)

    def _word(self, k: int) -> Value:
        return self.frame.word(self.first_word + k)

    def _pointer(self, address: Value) -> Value:
        return self.frame.builder.inttoptr(address, POINTER)

    def _times(self, a: Value, k: int) -> Value:
        return self.frame.builder.mul(a, i64(k))

    def _global(self, buffer: Buffer) -> Value:
        """The address of a whole array in this sweep."""
        return self.frame.word(self.frame.layout.buffer_word(buffer))

    def _place(self, tile: Value) -> None:
        """Find the tile's points, the first point that it keeps anything of, and the size of its planes."""
        frame, b = self.frame, self.frame.builder
        self.lower: list[Value] = [i64(0)] * self.rank
        self.upper: list[Value] = [i64(0)] * self.rank
        for a in range(self.rank - 1, -1, -1):
            start, extent = (frame.extent(x) for x in self.sweep.domain[a])
            width = self._word(SWEEP_WORDS + a)
            n = frame.ceil_div(extent, width)
            self.lower[a] = b.add(start, b.mul(b.srem(tile, n), width))
            self.upper[a] = frame.minimum(b.add(self.lower[a], width), b.add(start, extent))
            tile = b.sdiv(tile, n)
        self.last = b.sub(self.turns, i64(1))
        # Of the deepest sweep: the memory is cut the same way for all.
        before = b.sub(self._word(DEPTH), i64(1))
        self.origin, extents = [], []
        for a in range(self.rank):
            (below, above), (under, over) = self.sweep.reach[a], self.sweep.margin[a]
            self.origin.append(b.sub(self.lower[a], b.add(self._times(before, below), i64(under))))
            more = b.add(self._times(before, below + above), i64(under + over))
            extents.append(b.add(self._word(SWEEP_WORDS + a), more))
        self.row = row = b.and_(b.add(extents[-1], i64(7)), i64(-8))
        self.plane_size = row if self.rank == 2 else b.mul(row, extents[1])
        self.bias = self.origin[-1] if self.rank == 2 else b.add(b.mul(self.origin[1], row), self.origin[2])

    def _borrow(self) -> Value:
        """Take memory that no other task has, and place the rings in it."""
        frame, b = self.frame, self.frame.builder
        locks, n = self._pointer(self._word(LOCKS)), self._word(SLOTS)
        slot = frame.alloca(I64)
        b.store(i64(0), slot)
        look, taken = (frame.function.append_basic_block(x) for x in ("look", "taken"))
        b.branch(look)
        b.position_at_end(look)
        k = b.load(slot, typ=I64)
        lock = b.gep(locks, [self._times(k, ALIGN // 8)], source_etype=I64)
        was = b.exchange(lock, i64(1))
        b.store(b.srem(b.add(k, i64(1)), n), slot)
        b.cbranch(b.icmp_signed("==", was, i64(0)), taken, look)
        b.position_at_end(taken)
        at = b.add(self._word(RINGS), b.mul(k, self._word(SLOT_BYTES)))
        self.places: dict[Buffer, tuple[Value, Value, Value]] = {}
        for ring in self.sweep.rings:
            size = self._times(self.plane_size, ITEMSIZE[ring.buffer.dtype])
            turn = self._times(size, ring.planes)
            begin = at
            at = b.add(at, b.mul(self._word(DEPTH), turn))
            self.places[ring.buffer] = (begin, turn, at)
            if takes(self.sweep):
                at = b.add(at, self._times(size, ring.taken))
        return lock

    # --- addresses ---------------------------------------------------------------------

    def plane(self, p: Plane, plane: Value, first: Sequence[Value], turn: Value) -> tuple[Value, Value]:
        """The address of a point on a plane, `first` along the axes 1, 2, …, and the distance of its rows."""
        b = self.frame.builder
        at, row = self._plane(p, b.add(plane, i64(p.offset)), turn)
        point = first[0] if self.rank == 2 else b.add(b.mul(first[0], row), first[1])
        return b.add(at, self._times(point, ITEMSIZE[p.array.dtype])), row

    def _plane(self, p: Plane, index: Value, turn: Value) -> tuple[Value, Value]:
        """The address that point 0 of a plane would have."""
        b = self.frame.builder
        array = self.new[p.array] if p.old else p.array
        first = b.icmp_signed("==", turn, i64(0))
        final = b.icmp_signed("==", turn, self.last)
        if p.old:
            inside = self._in_ring(array, index, b.sub(turn, i64(1)))
            if takes(self.sweep):
                _, _, taken = self.places[array]
                ring = self.ring[array]
                return b.select(first, self._in(taken, array, index, ring.taken), inside), self.row
            return self._either(first, p.array, index, inside)
        inside = self._in_ring(array, index, turn)
        if array in self.new.values():
            return self._either(final, p.array, index, inside)
        return inside, self.row

    def _either(self, outside: Value, array: Buffer, index: Value, inside: Value) -> tuple[Value, Value]:
        """A plane of the whole array, or of a ring."""
        b, steps = self.frame.builder, c_strides(array.shape)
        wrapped = self._wrapped(index, 0)
        size = b.mul(wrapped, b.mul(self.frame.extent(steps[0]), i64(ITEMSIZE[array.dtype])))
        row = self.frame.extent(steps[1]) if self.rank == 3 else self.row
        return b.select(outside, b.add(self._global(array), size), inside), b.select(outside, row, self.row)

    def _in_ring(self, array: Buffer, index: Value, turn: Value) -> Value:
        b = self.frame.builder
        begin, size, _ = self.places[array]
        return self._in(b.add(begin, b.mul(turn, size)), array, index, self.ring[array].planes)

    def _in(self, begin: Value, array: Buffer, index: Value, planes: int) -> Value:
        """The address that entry 0 of a plane would have in a ring."""
        b = self.frame.builder
        number = b.urem(b.sub(index, self.origin[0]), i64(planes))
        elements = b.sub(b.mul(number, self.plane_size), self.bias)
        return b.add(begin, self._times(elements, ITEMSIZE[array.dtype]))

    # --- periodic axes --------------------------------------------------------------------

    def _wrapped(self, index: Value, axis: int) -> Value:
        """The point inside the array that a point beyond a periodic side repeats."""
        if not self.sweep.periodic[axis]:
            return index
        b = self.frame.builder
        start, period = (self.frame.extent(x) for x in self.sweep.domain[axis])
        rest = b.srem(b.sub(index, start), period)
        return b.add(b.select(b.icmp_signed("<", rest, i64(0)), b.add(rest, period), rest), start)

    def _range(self, array: Buffer, axis: int) -> tuple[Value, Value]:
        """The points of the start that a tile needs."""
        frame, b = self.frame, self.frame.builder
        below, above = self.sweep.reach[axis]
        lo = b.sub(self.lower[axis], self._times(self.turns, below))
        hi = b.add(self.upper[axis], self._times(self.turns, above))
        if not self.sweep.periodic[axis]:
            lo, hi = frame.maximum(lo, i64(0)), frame.minimum(hi, frame.extent(array.shape[axis]))
        return lo, hi

    def take(self, tick: Value) -> None:
        """Copy the planes of the start that come into reach at a step."""
        b = self.frame.builder
        for old, new in self.sweep.states:
            ring = self.ring[new]
            first = b.sub(tick, i64(ring.taken_delay))
            lo, hi = self._range(old, 0)
            lo, hi = self.frame.maximum(lo, first), self.frame.minimum(hi, b.add(first, i64(self.sweep.slab)))
            self.frame.loop(lo, hi, 1, partial(self._take, old=old, ring=ring))

    def _take(self, plane: Value, old: Buffer, ring: Ring) -> None:
        """Copy a plane of the start, going round at the sides."""
        frame, b = self.frame, self.frame.builder
        size, steps = ITEMSIZE[old.dtype], c_strides(old.shape)
        source = b.mul(self._wrapped(plane, 0), self._times(frame.extent(steps[0]), size))
        source = b.add(self._global(old), source)
        _, _, taken = self.places[ring.buffer]
        target = self._in(taken, ring.buffer, plane, ring.taken)
        if self.rank == 2:
            self._take_row(old, source, target)
            return
        first, end = self._range(old, 1)

        def row(j: Value) -> None:
            here = b.mul(self._wrapped(j, 1), self._times(frame.extent(steps[1]), size))
            there = b.mul(j, self._times(self.row, size))
            self._take_row(old, b.add(source, here), b.add(target, there))

        frame.loop(first, end, 1, row)

    def _take_row(self, old: Buffer, source: Value, target: Value) -> None:
        """Copy a row: runs of one period, each from the same place."""
        frame, b = self.frame, self.frame.builder
        axis, size = self.rank - 1, ITEMSIZE[old.dtype]
        lo, hi = self._range(old, axis)

        def run(shift: Value, first: Value, end: Value) -> None:
            to = self._pointer(b.add(target, self._times(first, size)))
            at = self._pointer(b.add(source, self._times(b.sub(first, shift), size)))
            copy(frame, to, at, self._times(b.sub(end, first), size))

        if not self.sweep.periodic[axis]:
            run(i64(0), lo, hi)
            return
        start, period = (frame.extent(x) for x in self.sweep.domain[axis])

        def turn(k: Value) -> None:
            shift = b.mul(k, period)
            begin = b.add(start, shift)
            run(shift, frame.maximum(lo, begin), frame.minimum(hi, b.add(begin, period)))

        below = self._floor_div(b.sub(lo, start), period)
        frame.loop(below, b.add(self._floor_div(b.sub(b.sub(hi, i64(1)), start), period), i64(1)), 1, turn)

    def _floor_div(self, a: Value, n: Value) -> Value:
        b = self.frame.builder
        rest = b.srem(a, n)
        return b.sub(b.sdiv(a, n), b.select(b.icmp_signed("<", rest, i64(0)), i64(1), i64(0)))
