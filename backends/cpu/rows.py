"""rows: statements that go through the rows together, block by block (`symdiff.program.rows`).

The rows are cut into parts, which are what threads take, and a part into blocks that fit the cache; both depend on
sizes only. A part has a context of its own: in it a buffer that is local to a block is at an address from which the
block's rows fall into the same few kilobytes again and again, and sums over rows go to the part's own partial results.
In the end the parts' results are combined in order, so the number of threads changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from llvmlite import ir

from backends.cpu import gemm
from backends.cpu.assembler import Function, Module, Value
from backends.cpu.calls import lanes
from backends.cpu.combine import COMBINE, identity
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import OK, STATUS, Layout
from backends.cpu.lines import while_
from backends.cpu.memory import Memory, Point, mask_of
from backends.cpu.nest import NestCode, emit_range
from backends.emit import F64, I64, POINTER, emit_native
from symdiff.ir.dims import Extent, ceil_div, divide, multiply, product
from symdiff.program.ir import ITEMSIZE, Access, Buffer, Call, Member, Nest, Reduce, Rows
from symdiff.program.log_products import MOST_TERMS, with_log_products
from symdiff.program.views import c_strides

# What a block may hold: it stays in the second-level cache of any processor of the last ten years.
BLOCK_BYTES = 160 * 1024
# Nanoseconds of work in a part, and the most parts: each has partial results, to be combined in the end.
_PART, MOST_PARTS = 25_000.0, 32
# Rows of a part and of a block come in multiples of this.
_STEP = 8
# BLAS packs the other operand again for every block, which so many rows outweigh.
_LEAST_OF_PRODUCTS = 192
# Rows of partial results have room for whole vectors.
_PAD = 16


@dataclass(frozen=True, slots=True)
class Partial:
    """The results of the parts for one reduction: `access` over the space of its nest, as the reduction sees it."""

    reduce: Reduce
    space: tuple[Extent, ...]
    kept: tuple[int, ...]
    access: Access

    @property
    def entries(self) -> Extent:
        """The numbers that one part has."""
        return product(self.access.buffer.shape[1:])


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows whose sums go to partial results."""

    rows: Rows
    members: tuple[Member, ...]
    partials: tuple[Partial, ...]


@dataclass(frozen=True, slots=True)
class RowsCode:
    """The functions of rows: `task(part, context)`, and `combine(n_parts, context)` if anything is summed."""

    prepared: Prepared
    task: Function
    combine: Function | None
    codes: tuple[NestCode | None, ...]

    @property
    def has_products(self) -> bool:
        """Whether BLAS is called."""
        return None in self.codes


@dataclass(frozen=True, slots=True)
class Cut:
    """How rows are cut: `n` parts of `part` rows, in blocks of `block` rows; `work` in nanoseconds."""

    n: Value
    part: Value
    block: Value
    work: Value


def prepare(rows: Rows, first_id: int) -> Prepared:
    """Return the rows with scratch buffers, numbered from `first_id` on, for the parts' sums."""
    members: list[Member] = []
    partials: list[Partial] = []
    for m in rows.members:
        if not m.sums:
            members.append(m)
        elif isinstance(m.statement, Nest):
            nest = m.statement
            found = [
                _partial(r, nest.space, nest.reduced, first_id + len(partials) + k)
                for k, r in enumerate(nest.reductions)
            ]
            partials += found
            new = tuple(replace(r, access=p.access) for r, p in zip(nest.reductions, found, strict=True))
            new_nest = replace(nest, reductions=new)
            is_line = len(nest.space) == 1 and m.factor == 1
            members.append(replace(m, statement=with_log_products(new_nest) if is_line else new_nest))
        else:
            call = m.statement
            r = Reduce("sum", 0, call.operands[2], call.dtype)
            p = _partial(r, (1, *call.extents[:2]), (0,), first_id + len(partials))
            partials.append(p)
            members.append(replace(m, statement=replace(call, operands=(*call.operands[:2], p.access))))
    return Prepared(rows, tuple(members), tuple(partials))


def _partial(r: Reduce, space: tuple[Extent, ...], reduced: tuple[int, ...], number: int) -> Partial:
    kept = tuple(k for k in range(len(space)) if k not in reduced)
    extents = [space[k] for k in kept]
    if extents:
        extents[-1] = multiply(ceil_div(extents[-1], _PAD), _PAD)
    else:
        extents = [_PAD]
    buffer = Buffer(number, (MOST_PARTS, *extents), r.dtype, "temp")
    steps = dict(zip(kept, c_strides(buffer.shape)[1:], strict=False))
    return Partial(r, space, kept, Access(buffer, 0, tuple(steps.get(k, 0) for k in range(len(space)))))


def cut_of(frame: Frame, code: Prepared, weights: list[float]) -> Cut:
    """Cut the rows; `weights` are the nanoseconds of one point of every member."""
    b, rows = frame.builder, code.rows
    work: Value = ir.Constant(F64, 0.0)
    for m, weight in zip(code.members, weights, strict=True):
        points = m.statement.space if isinstance(m.statement, Nest) else m.statement.extents
        work = b.fadd(work, b.fmul(b.sitofp(frame.product(points), F64), ir.Constant(F64, weight)))
    extent = frame.extent(rows.extent)
    wanted = b.fptosi(b.fmul(work, ir.Constant(F64, 1.0 / _PART)), I64)
    wanted = frame.minimum(frame.maximum(wanted, i64(1)), i64(MOST_PARTS))
    least = i64(_LEAST_OF_PRODUCTS if any(isinstance(m.statement, Call) for m in code.members) else _STEP)
    part = frame.maximum(_whole_steps(frame, frame.ceil_div(extent, wanted)), least)
    fitting = b.sdiv(i64(BLOCK_BYTES), frame.maximum(frame.extent(rows.row_bytes), i64(1)))
    block = frame.minimum(frame.maximum(b.and_(fitting, i64(-_STEP)), least), part)
    most = MOST_TERMS * b.module.machine.lanes_f64 // _STEP * _STEP
    block = frame.minimum(block, i64(most))
    return Cut(frame.ceil_div(extent, part), part, block, work)


def _whole_steps(frame: Frame, count: Value) -> Value:
    b = frame.builder
    return b.and_(b.add(count, i64(_STEP - 1)), i64(-_STEP))


def weights_of(codes: tuple[NestCode | None, ...]) -> list[float]:
    """The nanoseconds of one point of every member."""
    return [gemm.NANOSECONDS if c is None else c.nanoseconds for c in codes]


def emit_rows(module: Module, code: Prepared, name: str, layout: Layout) -> RowsCode:
    """Emit the functions of rows."""
    codes = tuple(
        emit_range(module, m.statement, f"{name}_{k}", layout) if isinstance(m.statement, Nest) else None
        for k, m in enumerate(code.members)
    )
    calls = [
        c.function if c is not None else gemm.emit_rows_of_gemm(module, m, f"{name}_{k}", layout)
        for k, (m, c) in enumerate(zip(code.members, codes, strict=True))
    ]
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    _task(frame, layout, code, codes, calls, function.args[0])
    frame.finish()
    return RowsCode(code, function, _emit_combine(module, code, f"{name}_combine", layout), codes)


def _task(
    frame: Frame, layout: Layout, code: Prepared, codes: tuple[NestCode | None, ...], calls: list[Function], part: Value
) -> None:
    b, rows = frame.builder, code.rows
    cut = cut_of(frame, code, weights_of(codes))
    first = b.mul(part, cut.part)
    last = frame.minimum(b.add(first, cut.part), frame.extent(rows.extent))
    own = frame.alloca(I64, layout.words)

    def word(context: Value, k: int) -> Value:
        return b.gep(context, [i64(k)], source_etype=I64)

    frame.loop(
        i64(0), i64(layout.words), 1,
        lambda i: b.store(
            b.load(b.gep(frame.context, [i], source_etype=I64), typ=I64), b.gep(own, [i], source_etype=I64)
        ),
    )  # fmt: skip
    for p in code.partials:
        size = b.mul(frame.extent(p.entries), i64(ITEMSIZE[p.reduce.dtype]))
        at = b.add(frame.word(layout.buffer_word(p.access.buffer)), b.mul(part, size))
        b.store(at, word(own, layout.buffer_word(p.access.buffer)))
        _fill(frame, p, at)

    def block(start: Value) -> None:
        stop = frame.minimum(b.add(start, cut.block), last)
        for buffer in rows.local:
            # Row `start` comes where the part's first row would be.
            size = divide(buffer.n_bytes, rows.extent)
            assert size is not None
            back = b.mul(b.sub(start, first), frame.extent(size))
            base = frame.word(layout.buffer_word(buffer))
            b.store(b.sub(base, back), word(own, layout.buffer_word(buffer)))
        for m, function in zip(code.members, calls, strict=True):
            factor = frame.extent(m.factor)
            b.call(function, [b.mul(start, factor), b.mul(stop, factor), own])

    _in_steps(frame, first, last, cut.block, block)
    status = b.load(word(own, STATUS), typ=I64)
    frame.when(b.icmp_signed("!=", status, i64(OK)), lambda: b.store(status, word(frame.context, STATUS)))


def _in_steps(frame: Frame, first: Value, last: Value, step: Value, body: Callable[[Value], None]) -> None:
    """for start in range(first, last, step): body(start)."""
    b = frame.builder
    here = frame.alloca(I64)
    b.store(first, here)

    def turn() -> None:
        start = b.load(here, typ=I64)
        body(start)
        b.store(b.add(start, step), here)

    while_(frame, lambda: b.icmp_signed("<", b.load(here, typ=I64), last), turn)


def _fill(frame: Frame, p: Partial, address: Value) -> None:
    """Write the neutral element into all numbers of a part."""
    b, r = frame.builder, p.reduce
    wide = lanes(b, b.module.machine.lanes_f64)
    at = b.inttoptr(address, POINTER)
    kind = wide.const(identity(r), r.dtype)
    size = ITEMSIZE[r.dtype]
    frame.loop(
        i64(0), frame.extent(p.entries), wide.width,
        lambda i: b.store(kind, b.gep(at, [b.mul(i, i64(size))], source_etype=ir.IntType(8)), align=size),
    )  # fmt: skip


def _emit_combine(module: Module, code: Prepared, name: str, layout: Layout) -> Function | None:
    """Emit the function that combines the results of the parts, in order."""
    if not code.partials:
        return None
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    for p in code.partials:
        _combine(frame, p, function.args[0])
    frame.finish()
    return function


def _combine(frame: Frame, p: Partial, n_parts: Value) -> None:
    """Emit the loops over the kept axes; recursion goes to their number."""
    b, r = frame.builder, p.reduce
    vector = bool(p.kept) and r.access.strides[p.kept[-1]] == 1
    wide = lanes(b, b.module.machine.lanes_f64 if vector else 1)
    memory = Memory(frame, wide)
    part = Access(p.access.buffer, 0, (p.entries, *p.access.strides))
    slot = frame.alloca(wide.type(r.dtype))

    def entry(indices: dict[int, Value]) -> None:
        point = [indices.get(k, i64(0)) for k in range(len(p.space))]
        b.store(wide.const(identity(r), r.dtype), slot)

        def add(k: Value) -> None:
            x, y = b.load(slot, typ=wide.type(r.dtype)), memory.load(part, Point([k, *point]))
            b.store(emit_native(COMBINE[r.op], (x, y), r.dtype, wide), slot)

        frame.loop(i64(0), n_parts, 1, add)
        mask = mask_of(frame, wide, indices[p.kept[-1]], frame.extent(p.space[p.kept[-1]])) if vector else None
        memory.store(b.load(slot, typ=wide.type(r.dtype)), r.access, Point(point, mask))

    def loops(depth: int, indices: dict[int, Value]) -> None:
        if depth == len(p.kept):
            entry(indices)
            return
        axis = p.kept[depth]
        step = wide.width if depth == len(p.kept) - 1 else 1
        frame.loop(i64(0), frame.extent(p.space[axis]), step, lambda i: loops(depth + 1, {**indices, axis: i}))

    loops(0, {})
