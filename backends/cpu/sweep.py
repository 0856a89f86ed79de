"""Sweeps: `void sweep(tile, context)` makes several turns of a loop on one tile; see `symdiff.program.sweep`.

A task copies the context, because its pieces take the plane and the tile's bounds as run-time sizes, and borrows
memory for its planes: as many tasks run at once as there are threads, so the memory stays in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from backends.cpu.assembler import Function, Module, Value
from backends.cpu.body import body_weight
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import ALIGN, DEPTH, LOCKS, RECORD, RINGS, SLOT_BYTES, SLOTS, SWEEP_WORDS, TURNS, Layout
from backends.cpu.nest import emit_nest
from backends.emit import I64, POINTER
from symdiff.ir.dims import Extent
from symdiff.program.ir import ITEMSIZE, Buffer, Piece, Ring, Sweep
from symdiff.program.planes import PLANE, Plane, Planes, count, low, pitch
from symdiff.program.views import c_strides

_I1 = ir.IntType(1)
_COPY = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, _I1])


@dataclass(frozen=True, slots=True)
class SweepCode:
    """The task of a sweep; `first_word` is where its words stand in the context."""

    sweep: Sweep
    task: Function
    first_word: int

    @property
    def nanoseconds(self) -> float:
        """A rough cost of one point and one turn on one thread."""
        from backends.cpu.machine import machine

        return sum(body_weight(p.body) for p in self.sweep.pieces) / machine().lanes_f64


def copy(frame: Frame, target: Value, source: Value, n_bytes: Value) -> None:
    """Copy memory."""
    b = frame.builder
    function = b.module.declare("llvm.memcpy.p0.p0.i64", _COPY)
    b.call(function, [target, source, n_bytes, ir.Constant(_I1, 0)])


def takes(sweep: Sweep) -> bool:
    """Whether a tile copies what it needs of the start: along periodic axes points do not lie side by side."""
    return any(sweep.periodic[1:])


class _Words:
    """The layout of a task's own context: that of the program and, behind it, the plane and the tile."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.names: dict[str, int] = {}
        self.buffers: dict[Buffer, int] = {}
        self.words = layout.words

    def size_word(self, name: str) -> int:
        return self.names[name] if name in self.names else self.layout.size_word(name)

    def buffer_word(self, buffer: Buffer) -> int:
        return self.buffers[buffer] if buffer in self.buffers else self.layout.buffer_word(buffer)

    def add_name(self, name: str) -> None:
        if name not in self.names:
            self.names[name] = self.words
            self.words += 1

    def add_buffer(self, buffer: Buffer) -> None:
        if buffer not in self.buffers:
            self.buffers[buffer] = self.words
            self.words += 1


def emit_sweep(module: Module, sweep: Sweep, name: str, layout: Layout, first_word: int) -> SweepCode:
    """Emit the task of a sweep."""
    words = _Words(layout)
    words.add_name(PLANE)
    rank = len(sweep.domain)
    for a in range(1, rank):
        words.add_name(low(a))
        words.add_name(count(a))
    if rank == 3:
        for ring in sweep.rings:
            words.add_name(pitch(ring.buffer, False))
        for old, _ in sweep.states:
            words.add_name(pitch(old, True))
    planes = Planes(sweep, 1 << 20)
    functions = []
    for k, piece in enumerate(sweep.pieces):
        nest, used = planes.nest(piece)
        for plane in used:
            words.add_buffer(planes.buffer(plane))
        functions.append((emit_nest(module, nest, f"{name}_piece{k}", words, (), whole=True).function, used))
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    _Task(frame, sweep, first_word, words, planes, functions).run(function.args[0])
    frame.finish()
    return SweepCode(sweep, function, first_word)


class _Task:
    """Emits the task of one sweep."""

    def __init__(
        self,
        frame: Frame,
        sweep: Sweep,
        first_word: int,
        words: _Words,
        planes: Planes,
        functions: Sequence[tuple[Function, tuple[Plane, ...]]],
    ):
        self.frame, self.sweep, self.words, self.planes, self.functions = frame, sweep, words, planes, functions
        self.first_word = first_word
        self.rank = len(sweep.domain)
        self.new = dict(sweep.states)
        self.ring = {r.buffer: r for r in sweep.rings}
        self.local = frame.alloca(I64, words.words)

    # --- shorthands ---------------------------------------------------------------

    def _word(self, k: int) -> Value:
        return self.frame.word(self.first_word + k)

    def _set(self, word: int, value: Value) -> None:
        b = self.frame.builder
        b.store(value, b.gep(self.local, [i64(word)], source_etype=I64))

    def _pointer(self, address: Value) -> Value:
        return self.frame.builder.inttoptr(address, POINTER)

    def _times(self, a: Value, k: int) -> Value:
        return self.frame.builder.mul(a, i64(k))

    def _both(self, *conditions: Value) -> Value:
        out = conditions[0]
        for c in conditions[1:]:
            out = self.frame.builder.and_(out, c)
        return out

    def _global(self, buffer: Buffer) -> Value:
        """The address of a whole array in this sweep."""
        return self.frame.word(self.frame.layout.buffer_word(buffer))

    # --- the tile -------------------------------------------------------------------

    def run(self, tile: Value) -> None:
        frame, b = self.frame, self.frame.builder
        copy(frame, self.local, frame.context, i64(8 * self.words.layout.words))
        self.turns = self._word(TURNS)
        self._place(tile)
        lock = self._borrow()
        self._walk()
        b.release(i64(0), lock)

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
        row = b.and_(b.add(extents[-1], i64(7)), i64(-8))
        self.row = row
        self.plane = row if self.rank == 2 else b.mul(row, extents[1])
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
            size = self._times(self.plane, ITEMSIZE[ring.buffer.dtype])
            turn = self._times(size, ring.planes)
            begin = at
            at = b.add(at, b.mul(self._word(DEPTH), turn))
            self.places[ring.buffer] = (begin, turn, at)
            if takes(self.sweep):
                at = b.add(at, self._times(size, ring.taken))
        return lock

    def _walk(self) -> None:
        """Walk along axis 0: at every step, every turn does one plane of every piece."""
        frame, b, sweep = self.frame, self.frame.builder, self.sweep
        (below, above) = sweep.reach[0]
        late = self._times(self.last, sweep.lag)
        first = [p.delay - p.halo[0][0] for p in sweep.pieces]
        end = [p.delay + p.halo[0][1] for p in sweep.pieces]
        # The first turn begins furthest out, the last one latest: steps count from the earliest to the latest plane.
        start = frame.minimum(b.sub(i64(min(first)), self._times(self.last, below)), b.add(i64(min(first)), late))
        stop = frame.maximum(b.add(i64(max(end)), self._times(self.last, above)), b.add(i64(max(end)), late))
        if takes(sweep):
            rings = [self.ring[new] for _, new in sweep.states]
            taken = [r.taken_delay for r in rings]
            start = frame.minimum(start, b.sub(i64(min(taken)), self._times(self.turns, below)))
            stop = frame.maximum(stop, b.add(i64(max(taken)), self._times(self.turns, above)))

        def step(tick: Value) -> None:
            if takes(sweep):
                for old, new in sweep.states:
                    self._take(tick, old, self.ring[new])
            frame.loop(i64(0), self.turns, 1, lambda turn: self._turn(tick, turn))

        frame.loop(b.add(self.lower[0], start), b.add(self.upper[0], stop), 1, step)

    def _turn(self, tick: Value, turn: Value) -> None:
        frame, b = self.frame, self.frame.builder
        left = b.sub(self.last, turn)
        begun = b.sub(tick, self._times(turn, self.sweep.lag))
        if self.sweep.recorded:
            self._recorded(turn)
        for piece, (function, used) in zip(self.sweep.pieces, self.functions, strict=True):
            plane = b.sub(begun, i64(piece.delay))
            lo, hi = self._bounds(piece, 0, left)
            inside = self._both(b.icmp_signed(">=", plane, lo), b.icmp_signed("<", plane, hi))
            frame.when(inside, lambda p=piece, f=function, u=used, g=plane: self._piece(p, f, u, g, turn, left))  # type: ignore[misc]

    def _bounds(self, piece: Piece, axis: int, left: Value) -> tuple[Value, Value]:
        """The points that a piece computes along an axis when `left` turns are to follow."""
        frame, b = self.frame, self.frame.builder
        (below, above), (more, further) = piece.halo[axis], self.sweep.reach[axis]
        lo = b.sub(self.lower[axis], b.add(self._times(left, more), i64(below)))
        hi = b.add(self.upper[axis], b.add(self._times(left, further), i64(above)))
        first, end = piece.lower[axis], piece.upper[axis]
        if first is not None and end is not None:
            lo, hi = frame.maximum(lo, frame.extent(first)), frame.minimum(hi, frame.extent(end))
        return lo, hi

    def _piece(
        self, piece: Piece, function: Function, used: Sequence[Plane], plane: Value, turn: Value, left: Value
    ) -> None:
        frame, b = self.frame, self.frame.builder
        counts, lows = [], []
        for a in range(1, self.rank):
            lo, hi = self._bounds(piece, a, left)
            lows.append(lo)
            counts.append(b.sub(hi, lo))
        some = self._both(*(b.icmp_signed(">", n, i64(0)) for n in counts))

        def call() -> None:
            self._set(self.words.size_word(PLANE), plane)
            for a, (lo, n) in enumerate(zip(lows, counts, strict=True), start=1):
                self._set(self.words.size_word(low(a)), lo)
                self._set(self.words.size_word(count(a)), n)
            for p in used:
                at, distance = self._plane(p, plane, turn)
                self._set(self.words.buffer_word(self.planes.buffer(p)), at)
                if self.rank == 3:
                    self._set(self.words.size_word(pitch(p.array, p.old)), distance)
            b.call(function, [i64(0), self.local])

        frame.when(some, call)

    # --- addresses ---------------------------------------------------------------------

    def _plane(self, p: Plane, plane: Value, turn: Value) -> tuple[Value, Value]:
        """The address that entry 0 of a plane of a swept array would have, and the distance of its rows."""
        b = self.frame.builder
        index = b.add(plane, i64(p.offset))
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
        b = self.frame.builder
        number = b.urem(b.sub(index, self.origin[0]), i64(planes))
        elements = b.sub(b.mul(number, self.plane), self.bias)
        return b.add(begin, self._times(elements, ITEMSIZE[array.dtype]))

    def _recorded(self, turn: Value) -> None:
        """Let the buffers that run ahead be those of this turn."""
        b = self.frame.builder
        at = b.add(self._word(RECORD), b.mul(turn, record_bytes(self.frame, self.sweep)))
        for buffer in self.sweep.recorded:
            self._set(self.words.buffer_word(buffer), at)
            at = b.add(at, rounded(self.frame, buffer.n_bytes))

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

    def _take(self, tick: Value, old: Buffer, ring: Ring) -> None:
        """Copy a plane of the start, going round at the sides."""
        frame, b = self.frame, self.frame.builder
        size = ITEMSIZE[old.dtype]
        plane = b.sub(tick, i64(ring.taken_delay))
        lo, hi = self._range(old, 0)
        steps = c_strides(old.shape)

        def rows() -> None:
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

        frame.when(self._both(b.icmp_signed(">=", plane, lo), b.icmp_signed("<", plane, hi)), rows)

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


def rounded(frame: Frame, n_bytes: Extent) -> Value:
    """A size in whole cache lines."""
    b = frame.builder
    return b.and_(b.add(frame.extent(n_bytes), i64(ALIGN - 1)), i64(-ALIGN))


def record_bytes(frame: Frame, sweep: Sweep) -> Value:
    """The memory that one turn's recorded buffers take."""
    total: Value = i64(0)
    for buffer in sweep.recorded:
        total = frame.builder.add(total, rounded(frame, buffer.n_bytes))
    return total
