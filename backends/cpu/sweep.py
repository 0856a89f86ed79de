"""Sweeps: `void sweep(tile, context)` makes several turns of a loop on one tile; see `symdiff.program.sweep`.

A task copies the context, because its pieces take the plane and the tile's bounds as run-time sizes. At every step
along axis 0 every turn makes a few planes, a slab, in one visit of each piece: what the planes read in common is read
once, and comes from the cache where the turn before has just left it. Slabs at the ends are made plane by plane.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from backends.cpu.assembler import Builder, Function, Module, Value
from backends.cpu.body import body_weight
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import ALIGN, RECORD, Layout
from backends.cpu.nest import emit_nest, lanes_for
from backends.cpu.rings import Rings, copy, takes
from backends.cpu.visit import PHASE, emit_visit
from backends.emit import I64, POINTER
from symdiff.ir.dims import Extent
from symdiff.program.ir import Buffer, Piece, Sweep
from symdiff.program.planes import PLANE, Plane, Planes, count, low, pitch
from symdiff.program.reach import is_thin


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


@dataclass(frozen=True, slots=True)
class Visit:
    """The function of a piece on `n` planes next to each other, and the planes that it uses.

    On several planes it needs rows of at least as many points as it has `lanes`.
    """

    function: Function
    used: tuple[Plane, ...]
    n: int
    lanes: int


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
    words.add_name(PHASE)
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
    visits = []
    for k, piece in enumerate(sweep.pieces):
        found = []
        for n in (1,) if sweep.slab == 1 or is_thin(piece) else (1, sweep.slab):
            nest, used = planes.nest(piece, n)
            for plane in used:
                words.add_buffer(planes.buffer(plane))
            label = f"{name}_piece{k}_{n}"
            if n == 1:
                function = emit_nest(module, nest, label, words, (), whole=True).function
            else:
                function = emit_visit(module, nest, label, words)
            found.append(Visit(function, used, n, lanes_for(nest, module.machine)))
        visits.append(found)
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    _Task(frame, sweep, first_word, words, planes, visits).run(function.args[0])
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
        visits: Sequence[Sequence[Visit]],
    ):
        self.frame, self.sweep, self.words, self.planes, self.visits = frame, sweep, words, planes, visits
        self.first_word = first_word
        self.rank = len(sweep.domain)
        self.local = frame.alloca(I64, words.words)

    def _set(self, word: int, value: Value) -> None:
        b = self.frame.builder
        b.store(value, b.gep(self.local, [i64(word)], source_etype=I64))

    def run(self, tile: Value) -> None:
        frame = self.frame
        copy(frame, self.local, frame.context, i64(8 * self.words.layout.words))
        self.rings = Rings(frame, self.sweep, self.first_word, tile)
        self._walk()
        self.rings.release()

    def _walk(self) -> None:
        """Walk along axis 0: at every step, every turn does a slab of every piece."""
        frame, b, sweep = self.frame, self.frame.builder, self.sweep
        rings, (below, above) = self.rings, sweep.reach[0]
        late = _times(b, rings.last, sweep.lag)
        first = [p.delay - p.halo[0][0] for p in sweep.pieces]
        end = [p.delay + p.halo[0][1] for p in sweep.pieces]
        # The first turn begins furthest out, the last one latest: steps count from the earliest to the latest plane.
        start = frame.minimum(b.sub(i64(min(first)), _times(b, rings.last, below)), b.add(i64(min(first)), late))
        stop = frame.maximum(b.add(i64(max(end)), _times(b, rings.last, above)), b.add(i64(max(end)), late))
        if takes(sweep):
            taken = [rings.ring[new].taken_delay for _, new in sweep.states]
            start = frame.minimum(start, b.sub(i64(min(taken)), _times(b, rings.turns, below)))
            stop = frame.maximum(stop, b.add(i64(max(taken)), _times(b, rings.turns, above)))

        def step(tick: Value) -> None:
            if takes(sweep):
                rings.take(tick)
            frame.loop(i64(0), rings.turns, 1, lambda turn: self._turn(tick, turn))

        frame.loop(b.add(rings.lower[0], start), b.add(rings.upper[0], stop), sweep.slab, step)

    def _turn(self, tick: Value, turn: Value) -> None:
        b = self.frame.builder
        begun = b.sub(tick, _times(b, turn, self.sweep.lag))
        if self.sweep.recorded:
            self._recorded(turn)
        for piece, visits in zip(self.sweep.pieces, self.visits, strict=True):
            self._piece(piece, visits, b.sub(begun, i64(piece.delay)), turn)

    def _piece(self, piece: Piece, visits: Sequence[Visit], first: Value, turn: Value) -> None:
        """Make the planes of a piece from the first of a slab on: together if they are all there, or one by one."""
        frame, b = self.frame, self.frame.builder
        left = b.sub(self.rings.last, turn)
        bounds = [self._bounds(piece, a, left) for a in range(self.rank)]
        lo = frame.maximum(bounds[0][0], first)
        hi = frame.minimum(bounds[0][1], b.add(first, i64(self.sweep.slab)))
        some = functools.reduce(b.and_, (b.icmp_signed(">", end, start) for start, end in (*bounds[1:], (lo, hi))))

        def make() -> None:
            here, first_points = lo, [start for start, _ in bounds[1:]]
            for a, (start, end) in enumerate(bounds[1:], start=1):
                self._set(self.words.size_word(low(a)), start)
                self._set(self.words.size_word(count(a)), b.sub(end, start))
            single, *together = visits
            for v in together:
                start, end = bounds[-1]
                whole = b.icmp_signed("==", b.sub(hi, lo), i64(v.n))
                wide = b.icmp_signed(">=", b.sub(end, start), i64(v.lanes))
                fits = b.and_(whole, wide)
                phase = b.and_(b.sub(start, self.rings.origin[-1]), i64(v.lanes - 1))
                self._set(self.words.size_word(PHASE), phase)
                frame.when(fits, functools.partial(self._visit, v, lo, first_points, turn))
                here = b.select(fits, hi, lo)
            frame.loop(here, hi, 1, lambda plane: self._visit(single, plane, first_points, turn))

        frame.when(some, make)

    def _bounds(self, piece: Piece, axis: int, left: Value) -> tuple[Value, Value]:
        """The points that a piece computes along an axis when `left` turns are to follow."""
        frame, b = self.frame, self.frame.builder
        (below, above), (more, further) = piece.halo[axis], self.sweep.reach[axis]
        lo = b.sub(self.rings.lower[axis], b.add(_times(b, left, more), i64(below)))
        hi = b.add(self.rings.upper[axis], b.add(_times(b, left, further), i64(above)))
        first, end = piece.lower[axis], piece.upper[axis]
        if first is not None and end is not None:
            lo, hi = frame.maximum(lo, frame.extent(first)), frame.minimum(hi, frame.extent(end))
        return lo, hi

    def _visit(self, visit: Visit, plane: Value, first: Sequence[Value], turn: Value) -> None:
        b = self.frame.builder
        self._set(self.words.size_word(PLANE), plane)
        for p in visit.used:
            at, distance = self.rings.plane(p, plane, first, turn)
            self._set(self.words.buffer_word(self.planes.buffer(p)), at)
            if self.rank == 3:
                self._set(self.words.size_word(pitch(p.array, p.old)), distance)
        b.call(visit.function, [i64(0), self.local])

    def _recorded(self, turn: Value) -> None:
        """Let the buffers that run ahead be those of this turn."""
        b = self.frame.builder
        at = b.add(self.frame.word(self.first_word + RECORD), b.mul(turn, record_bytes(self.frame, self.sweep)))
        for buffer in self.sweep.recorded:
            self._set(self.words.buffer_word(buffer), at)
            at = b.add(at, rounded(self.frame, buffer.n_bytes))


def _times(b: Builder, a: Value, k: int) -> Value:
    return b.mul(a, i64(k))


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
