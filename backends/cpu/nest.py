"""Nests: one LLVM function each, `void nest(block, context)`, that runs one block of the outermost loop.

The innermost loop works on lanes; its last turn is masked, so a result never depends on its position. Values
that do not vary along it are computed once before it. Reductions keep their accumulators in registers when the
innermost loop is reduced, otherwise in memory. When the outermost loop is reduced too, every block has its own
partial result; blocks depend on sizes only and are combined in order, so the number of threads changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llvmlite import ir

from backends.cpu.assembler import Function, Module, Value
from backends.cpu.body import Body, body_weight, emission_order
from backends.cpu.calls import lanes
from backends.cpu.combine import COMBINE, emit_combine, identity, in_rows
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import Words
from backends.cpu.machine import Machine
from backends.cpu.memory import Memory, Point, mask_of
from backends.cpu.phases import for_assembler, wants_assembler
from backends.cpu.pieces import cut
from backends.emit import I32, I64, POINTER, Lanes, emit_native
from symdiff.ir.dims import Extent
from symdiff.program.ir import Access, Buffer, Nest, Reduce

# A block is about this many points: 128 KiB of float64, enough work to be worth handing to a thread.
BLOCK_POINTS = 16384
_FEWEST_POINTS, _BLOCK_NANOSECONDS = 1024, 30_000.0
# Partial results: blocks grow instead when there would be more.
MOST_BLOCKS = 256
MOST_ROW_BLOCKS = 32
# Accumulators per reduction, and rows that run together: hides the latency of an addition.
UNROLL = ROWS = 4
_SMALL_BODY = 12


@dataclass(frozen=True, slots=True)
class NestCode:
    """A nest with its generated functions; `partials` are scratch buffers for blocks of reductions.

    `combine(n_blocks, context)` puts the partial results of the blocks together. A nest that `accumulates` adds to
    what its reductions find in memory, whose rows have room for whole vectors.
    """

    nest: Nest
    function: Function
    partials: tuple[Buffer, ...]
    combine: Function | None = None
    accumulates: bool = False

    @property
    def in_rows(self) -> bool:
        """Whether a block's partial result is a row (the innermost loop is kept) and not a number."""
        return in_rows(self.nest)

    @property
    def most_blocks(self) -> int | None:
        """The largest number of blocks, where partial results limit it."""
        if not self.partials:
            return None
        return MOST_ROW_BLOCKS if self.in_rows else MOST_BLOCKS

    @property
    def nanoseconds(self) -> float:
        """A rough cost of one point on one thread, to decide whether threads pay."""
        return body_weight(self.nest.body) / self.function.module.machine.lanes_f64


def partial_buffers(nest: Nest, first_id: int) -> tuple[Buffer, ...]:
    """The scratch that a nest's blocks need: one number or one row per block and reduction."""
    if not nest.reductions or not nest.space or 0 not in nest.reduced:
        return ()
    shape: tuple[Extent, ...] = (MOST_ROW_BLOCKS, nest.space[-1]) if in_rows(nest) else (MOST_BLOCKS,)
    return tuple(Buffer(first_id + k, shape, r.dtype, "temp") for k, r in enumerate(nest.reductions))


def block_length(frame: Frame, nest: Nest, most: int | None) -> Value:
    """The number of turns of the outermost loop in a block: a function of sizes only."""
    inner = frame.maximum(frame.product(nest.space[1:]), i64(1))
    length = frame.maximum(frame.ceil_div(i64(_block_points(nest, frame.builder.module.machine)), inner), i64(1))
    if most is not None:
        length = frame.maximum(length, frame.ceil_div(frame.extent(nest.space[0]), i64(most)))
    return length


def _block_points(nest: Nest, here: Machine) -> int:
    """The points of a block: fewer where each takes long and none is summed, so that threads end together.

    100 000 points in 7 blocks keep one of two threads idle for an eighth of the time.
    """
    if nest.reductions:
        return BLOCK_POINTS
    nanoseconds = body_weight(nest.body) / here.lanes_f64
    points = BLOCK_POINTS
    while points > _FEWEST_POINTS and points * nanoseconds > _BLOCK_NANOSECONDS:
        points //= 2
    return points


def emit_nest(
    module: Module, nest: Nest, name: str, layout: Words, partials: tuple[Buffer, ...], whole: bool = False
) -> NestCode:
    """Emit the function of a nest, for one block of its outermost loop or, if `whole`, for all of it."""
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    code = NestCode(nest, function, partials)
    _Emitter(frame, code).run(function.args[0], whole)
    frame.finish()
    if not partials:
        return code
    return replace(code, combine=emit_combine(module, nest, partials, f"{name}_combine", layout))


def emit_range(module: Module, nest: Nest, name: str, layout: Words) -> NestCode:
    """Emit `void nest(start, stop, context)`: some turns of the outermost loop; sums over it add to what is there."""
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[2], layout)
    code = NestCode(nest, function, (), accumulates=bool(nest.reductions) and 0 in nest.reduced)
    _Emitter(frame, code).run_range(function.args[0], function.args[1])
    frame.finish()
    return code


class _Emitter:
    """Emits the loops of one nest."""

    def __init__(self, frame: Frame, code: NestCode):
        self.frame, self.code, self.nest = frame, code, code.nest
        target = frame.builder.module.machine
        if wants_assembler(code.nest, target):
            target = for_assembler(target) or target
        width = 1 if code.nest.serial or not code.nest.space else lanes_for(code.nest, target)
        order = emission_order(code.nest, target)
        self.body = Body(frame, code.nest, width, order, cut(frame, code.nest, width, code.function.name, order))
        self.lanes = self.body.lanes
        self.accumulators: list[list[Value]] = []
        self.block: Value = i64(0)

    def run(self, block: Value, whole: bool) -> None:
        nest, frame = self.nest, self.frame
        self.block = block
        if not nest.space:
            self.body.run_at(Point(()), {})
            self._reduce_scalars()
            return
        if whole:
            self._loops(0, [], i64(0), frame.extent(nest.space[0]))
            return
        length = block_length(frame, nest, self.code.most_blocks)
        start = frame.builder.mul(block, length)
        stop = frame.minimum(frame.builder.add(start, length), frame.extent(nest.space[0]))
        if self.code.partials and self.code.in_rows:
            self._fill_row(())
        self.run_range(start, stop)

    def run_range(self, start: Value, stop: Value) -> None:
        """Emit the turns [start, stop) of the outermost loop."""
        in_one = bool(self.nest.reductions) and len(self.nest.reduced) == len(self.nest.space)
        if in_one:
            self._open()
        self._loops(0, [], start, stop)
        if in_one:
            self._close((), range(UNROLL))

    def _reduce_scalars(self) -> None:
        """A reduction over axes of extent 1 only: the value itself."""
        for r in self.nest.reductions:
            self.body.memory.store(self.body.value(r.value), r.access, Point(()))

    def _loops(self, depth: int, outer: list[Value], start: Value, stop: Value) -> None:
        """Emit the loop at `depth`; recursion goes to the rank of the space."""
        nest, frame, b = self.nest, self.frame, self.frame.builder
        last = len(nest.space) - 1
        if depth == last:
            self._innermost([outer], start, stop)
            return
        if depth == last - 1 and self._in_groups():
            many = b.add(start, b.and_(b.sub(stop, start), i64(-ROWS)))
            frame.loop(start, many, ROWS, lambda i: self._rows(outer, [i, *(b.add(i, i64(k)) for k in range(1, ROWS))]))
            frame.loop(many, stop, 1, lambda i: self._rows(outer, [i]))
            return

        def turn(i: Value) -> None:
            indices = [*outer, i]
            opens = bool(nest.reductions) and depth not in nest.reduced and depth + 1 in nest.reduced
            if opens and not self.code.in_rows:
                self._open()
            elif opens and not self.code.accumulates:
                self._fill_row(indices)
            self._loops(depth + 1, indices, i64(0), frame.extent(nest.space[depth + 1]))
            if opens and not self.code.in_rows:
                self._close(indices, range(UNROLL))

        frame.loop(start, stop, 1, turn)

    def _in_groups(self) -> bool:
        """Whether several turns of the loop around the innermost one run together.

        Sums along rows then have one accumulator a row, and additions of one row hide the latency of another's;
        sums down columns read and write the row of sums once for several rows.
        """
        around = len(self.nest.space) - 2
        shape_fits = self.code.in_rows == (around in self.nest.reduced)
        return bool(self.nest.reductions) and shape_fits and len(self.nest.body) <= _SMALL_BODY and self.lanes.width > 1

    def _rows(self, outer: list[Value], rows: list[Value]) -> None:
        indices = [[*outer, i] for i in rows]
        if not self.code.in_rows:
            self._open()
        self._innermost(indices, i64(0), self.frame.extent(self.nest.space[-1]))
        if not self.code.in_rows:
            for k, row in enumerate(indices):
                self._close(row, [k])

    # --- the innermost loop ---------------------------------------------------

    def _innermost(self, outers: list[list[Value]], start: Value, stop: Value) -> None:
        """Emit the innermost loop, for one turn of those around it or for several at once."""
        frame, b, width = self.frame, self.frame.builder, self.lanes.width
        fixed = [self.body.hoist(outer) for outer in outers]

        def turn(i: Value, stop: Value | None = None, slot: int = 0) -> None:
            mask = None if stop is None else self._mask(i, stop)
            self._turn([Point([*outer, i], mask) for outer in outers], fixed, slot)

        if width == 1:
            frame.loop(start, stop, 1, turn)
            return
        span = b.sub(stop, start)
        here = start
        # Rows in groups have one accumulator each: grouped or left over, a row is summed in the same order.
        grouped = len(self.nest.space) > 1 and self._in_groups()
        if self.accumulators and len(self.nest.body) <= _SMALL_BODY and not grouped:
            here = b.add(start, b.and_(span, i64(-width * UNROLL)))

            def turns(i: Value) -> None:
                for k in range(UNROLL):
                    turn(b.add(i, i64(k * width)), slot=k)

            frame.loop(start, here, width * UNROLL, turns)
        whole = b.add(start, b.and_(span, i64(-width)))
        if not self.body.is_large:
            frame.loop(here, whole, width, turn)
            frame.when(b.icmp_signed("<", whole, stop), lambda: turn(whole, stop))
        else:
            # One copy of a large body, always masked: half the code to compile.
            frame.loop(here, stop, width, lambda i: turn(i, stop))

    def _mask(self, i: Value, stop: Value) -> Value:
        return mask_of(self.frame, self.lanes, i, stop)

    def _turn(self, points: list[Point], fixed: list[dict[int, Value]], slot: int) -> None:
        b = self.frame.builder
        sums: list[Value | None] = [None] * len(self.nest.reductions)
        for row, (point, values) in enumerate(zip(points, fixed, strict=True)):
            self.body.run_at(point, values)
            for j, r in enumerate(self.nest.reductions):
                value = self.body.value(r.value)
                if self.code.in_rows:
                    access, place = self._row(j, r, point)
                    before = sums[j]
                    sums[j] = self._combine(
                        r, self.body.memory.load(access, place) if before is None else before, value
                    )
                    continue
                if point.mask is not None:
                    value = b.select(point.mask, value, self.lanes.const(identity(r), r.dtype))
                at = self.accumulators[j][slot + row]
                b.store(self._combine(r, b.load(at, typ=value.type), value), at)
        for j, (r, total) in enumerate(zip(self.nest.reductions, sums, strict=True)):
            if total is not None:
                access, place = self._row(j, r, points[0])
                self.body.memory.store(total, access, place)

    def _combine(self, r: Reduce, x: Value, y: Value) -> Value:
        wide = self._lanes_of(x)
        if r.op == "log1p":
            y = emit_native("add", (y, emit_native("mul", (x, y), r.dtype, wide)), r.dtype, wide)
        return emit_native(COMBINE[r.op], (x, y), r.dtype, wide)

    def _pairwise(self, r: Reduce, values: list[Value]) -> Value:
        while len(values) > 1:
            pairs = [self._combine(r, x, y) for x, y in zip(values[::2], values[1::2], strict=False)]
            values = pairs + ([values[-1]] if len(values) % 2 else [])
        return values[0]

    def _lanes_of(self, x: Value) -> Lanes:
        return self.lanes if isinstance(x.type, ir.VectorType) else lanes(self.frame.builder, 1)

    # --- accumulators in registers -------------------------------------------

    def _open(self) -> None:
        b = self.frame.builder
        if not self.accumulators:
            for r in self.nest.reductions:
                kind = self.lanes.type(r.dtype)
                self.accumulators.append([self.frame.alloca(kind) for _ in range(UNROLL)])
        for r, slots in zip(self.nest.reductions, self.accumulators, strict=True):
            for slot in slots:
                b.store(self.lanes.const(identity(r), r.dtype), slot)

    def _close(self, indices: Sequence[Value], slots: Sequence[int]) -> None:
        """Combine accumulators and lanes pairwise, and write the result."""
        b = self.frame.builder
        for j, (r, held) in enumerate(zip(self.nest.reductions, self.accumulators, strict=True)):
            values = [b.load(held[k], typ=self.lanes.type(r.dtype)) for k in slots]
            total = self._pairwise(r, values)
            if r.op == "log1p":
                # From here on the logarithms are added (`symdiff.program.log_products`).
                total, r = emit_native("log1p", (total,), r.dtype, self.lanes), replace(r, op="sum")
            if self.lanes.width > 1:
                total = self._pairwise(
                    r, [b.extract_element(total, ir.Constant(I32, k)) for k in range(self.lanes.width)]
                )
            one = Memory(self.frame, lanes(b, 1))
            if self.code.partials:
                one.store(total, Access(self.code.partials[j], 0, (1,)), Point([self.block]))
                continue
            place = Point([*indices, *[i64(0)] * (len(self.nest.space) - len(indices))])
            if self.code.accumulates:
                total = self._combine(r, one.load(r.access, place), total)
            one.store(total, r.access, place)

    # --- accumulators in memory ------------------------------------------------

    def _row(self, j: int, r: Reduce, point: Point) -> tuple[Access, Point]:
        if self.code.partials:
            row = self.code.partials[j]
            return Access(row, 0, (row.shape[1], 1)), Point([self.block, point.indices[-1]], point.mask)
        return r.access, Point(point.indices) if self.code.accumulates else point

    def _fill_row(self, indices: Sequence[Value]) -> None:
        frame, width = self.frame, self.lanes.width
        rank = len(self.nest.space)
        stop = frame.extent(self.nest.space[-1])
        outer = [*indices, *[i64(0)] * (rank - 1 - len(indices))]

        def fill(i: Value) -> None:
            point = Point([*outer, i], self._mask(i, stop) if width > 1 else None)
            for j, r in enumerate(self.nest.reductions):
                access, place = self._row(j, r, point)
                self.body.memory.store(self.lanes.const(identity(r), r.dtype), access, place)

        frame.loop(i64(0), stop, width, fill)


def lanes_for(nest: Nest, target: Machine) -> int:
    """Lanes for the widest real number in the nest: twice as many when all are float32.

    Indices then take two registers; a gather is as fast that way, and functions are twice as fast.
    """
    dtypes = {i.dtype for i in nest.body}
    return target.lanes_f64 * (2 if "float32" in dtypes and "float64" not in dtypes else 1)
