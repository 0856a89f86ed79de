"""Device functions for skeletons, as emitted LLVM."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from backends.cuda.body import GLOBAL_MEMORY, SHARED_MEMORY, Body, from_bits, i64, to_bits
from backends.cuda.calls import LINES, CallFunctions, line_axes
from backends.cuda.device_functions import Piece, call, device, new_module, pack, type_of, unpack
from backends.cuda.fused import Fused
from backends.cuda.geometry import WARP
from backends.cuda.kinds import STEP, Kind, boolean, float32, float64, int64, tile, tuple_of, void, words
from backends.cuda.libdevice import Calls
from backends.cuda.loop_functions import ARRIVED, GOES_ON, LoopFunctions, moved_buffers
from backends.cuda.skeletons import Functions
from backends.cuda.templates import inlined
from backends.cuda.words import GO, RECORD, SCRATCH, STATUS, VECTOR_BYTES, Words
from backends.emit import F64, I8, I64, SCALAR, Lanes, emit_native
from symdiff.ir.dims import Extent
from symdiff.program.ir import Call, Loop, Nest

I32 = ir.IntType(32)
NUMBER: dict[str, Kind] = {"float64": float64, "float32": float32, "int64": int64, "bool": int64}


def number(extent: Extent, layout: Words) -> Any:
    """Return the device function of words that gives an extent."""
    nothing = Nest((), (), (), (), ())
    return device(lambda b, w: Body(b, nothing, layout, all_words(b, w, layout.count)).extent(extent), int64(words))


def emitted(nest: Nest, layout: Words, width: int, start: Extent = 0) -> Functions:
    """Return the device functions of a nest; `layout` is that of the kernel they are for.

    Partial results stand in the scratch from word `start` on.
    """
    n = len(nest.reductions)
    acc = tuple_of(n)

    def body(b: ir.IRBuilder, w: ir.Value | None = None) -> Body:
        return Body(b, nest, layout, [] if w is None else all_words(b, w, layout.count))

    def run(b: ir.IRBuilder, kept: ir.Value, reduced: ir.Value, w: ir.Value) -> None:
        at = body(b, w)
        at.run_at(at.indices(kept, reduced))

    def run_row(b: ir.IRBuilder, row: ir.Value, column: ir.Value, w: ir.Value) -> None:
        at = body(b, w)
        at.run_at(at.row(row, column))

    def is_aligned(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        bits: ir.Value = i64(0)
        for x in layout.buffers:
            bits = b.or_(bits, word(b, w, layout.buffer(x)))
        return b.icmp_unsigned("==", b.and_(bits, i64(VECTOR_BYTES - 1)), i64(0))

    def n_points(axes: str) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
            at = body(b, w)
            return at.points(getattr(at, axes))

        return emit

    def n_columns(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        at = body(b, w)
        return at.points(at.kept[-1:])

    def owner(b: ir.IRBuilder, kept: ir.Value, reduced: ir.Value, w: ir.Value) -> ir.Value:
        at = body(b, w)
        return at.owner(at.indices(kept, reduced))

    def accumulate(b: ir.IRBuilder, before: ir.Value, kept: ir.Value, reduced: ir.Value, w: ir.Value) -> ir.Value:
        return pack(b, body(b, w).accumulate(unpack(b, before, n), kept, reduced))

    def combine(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        pairs = zip(nest.reductions, unpack(b, x, n), unpack(b, y, n), strict=True)
        return pack(b, [body(b).combine(r, p, q) for r, p, q in pairs])

    def across(b: ir.IRBuilder, total: ir.Value) -> ir.Value:
        distance = WARP // 2
        while distance:
            total = combine(b, total, pack(b, [_from_below(b, word, distance) for word in unpack(b, total, n)]))
            distance //= 2
        return total

    def put(b: ir.IRBuilder, table: ir.Value, place: ir.Value, total: ir.Value) -> None:
        for slot, bits in zip(_slots(b, table, place, n), unpack(b, total, n), strict=True):
            b.store(bits, slot)

    def take(b: ir.IRBuilder, table: ir.Value, place: ir.Value) -> ir.Value:
        return pack(b, [b.load(slot) for slot in _slots(b, table, place, n)])

    def clear(b: ir.IRBuilder, turn: ir.Value, i: ir.Value, w: ir.Value) -> None:
        at = body(b, w)
        address = at.chosen([at.words[layout.buffer(x)] for x in nest.zero], turn)
        b.store(ir.Constant(I8, 0), b.gep(b.inttoptr(address, ir.PointerType(I8, GLOBAL_MEMORY)), [i]))

    def n_clear(b: ir.IRBuilder, turn: ir.Value, w: ir.Value) -> ir.Value:
        at = body(b, w)
        return at.chosen([at.extent(x.n_bytes) for x in nest.zero], turn)

    def partial(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        return b.gep(scratch(b, w), [body(b, w).extent(start)])

    return Functions(
        n_kept=device(n_points("kept"), int64(words)),
        n_reduced=device(n_points("reduced"), int64(words)),
        n_columns=device(n_columns, int64(words)),
        run=device(run, void(int64, int64, words)),
        run_row=device(run_row, void(int64, int64, words)),
        run_wide=device(lambda b, i, w: body(b, w).run_side_by_side(i, width), void(int64, words)),
        is_aligned=device(is_aligned, boolean(words)),
        owner=device(owner, int64(int64, int64, words)),
        clear=device(clear, void(int64, int64, words)),
        n_clear=device(n_clear, int64(int64, words)),
        identity=device(lambda b: pack(b, body(b).identity()), acc()),
        accumulate=device(accumulate, acc(acc, int64, int64, words)),
        combine=device(combine, acc(acc, acc)),
        across=device(across, acc(acc)),
        save=device(lambda b, t, place, total: put(b, shared(b, t), place, total), void(tile, int64, acc)),
        fetch=device(lambda b, t, place: take(b, shared(b, t), place), acc(tile, int64)),
        keep=device(lambda b, w, place, total: put(b, partial(b, w), place, total), void(words, int64, acc)),
        recall=device(lambda b, w, place: take(b, partial(b, w), place), acc(words, int64)),
        write=device(lambda b, total, kept, w: body(b, w).write(unpack(b, total, n), kept), void(acc, int64, words)),
    )


def emitted_call(call: Call, layout: Words, epilogue: Fused | None = None) -> CallFunctions:
    """Return the device functions of a library call; the entries of a product go through its epilogue."""
    number = NUMBER[call.dtype]
    kind = SCALAR[call.dtype]

    def body(b: ir.IRBuilder, w: ir.Value) -> Body:
        at = Body(b, Nest(call.extents, (), (), (), ()), layout, all_words(b, w, layout.count))
        at.kept, at.reduced = line_axes(call)
        return at

    def extent(k: int) -> Any:
        return device(lambda b, w: body(b, w).extent(call.extents[k]), int64(words))

    def slot(b: ir.IRBuilder, at: Body, k: int, i: ir.Value) -> ir.Value:
        access = call.operands[k]
        return at.address(access.buffer, b.add(at.extent(access.offset), i))

    def get(k: int) -> Any:
        dtype = call.operands[k].buffer.dtype

        def emit(b: ir.IRBuilder, w: ir.Value, i: ir.Value) -> ir.Value:
            value = b.load(slot(b, body(b, w), k, i))
            return b.zext(value, I64) if dtype == "bool" else value

        return device(emit, NUMBER[dtype](words, int64))

    def put(k: int) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value, i: ir.Value, value: ir.Value) -> None:
            b.store(value, slot(b, body(b, w), k, i))

        return device(emit, void(words, int64, NUMBER[call.operands[k].buffer.dtype]))

    def n_lines(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        at = body(b, w)
        return at.points(at.kept)

    def place(k: int) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value, line: ir.Value, i: ir.Value) -> ir.Value:
            at = body(b, w)
            return at.affine(0, call.operands[k].strides, at.indices(line, i))

        return device(emit, int64(words, int64, int64))

    def cell(k: int) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value, *indices: ir.Value) -> ir.Value:
            return body(b, w).affine(0, call.operands[k].strides, indices)

        return device(emit, int64(words, int64, int64, int64))

    def finish(b: ir.IRBuilder, w: ir.Value, s: ir.Value, i: ir.Value, j: ir.Value, x: ir.Value) -> None:
        at = body(b, w)
        if epilogue is None or epilogue.is_kept:
            b.store(x, slot(b, at, 2, at.affine(0, call.operands[2].strides, (s, i, j))))
        if epilogue is not None:
            point = Body(b, epilogue.nest, layout, at.words)
            point.given[call.operands[2].buffer] = x
            m, n = (at.extent(e) for e in call.extents[:2])
            point.run_at(point.indices(b.add(b.mul(b.add(b.mul(s, m), i), n), j)))

    def put_number(b: ir.IRBuilder, table: ir.Value, i: ir.Value, value: ir.Value) -> None:
        b.store(to_bits(b, value), b.gep(table, [i]))

    def get_number(b: ir.IRBuilder, table: ir.Value, i: ir.Value) -> ir.Value:
        return from_bits(b, b.load(b.gep(table, [i])), call.dtype)

    def note_word(b: ir.IRBuilder, w: ir.Value, i: ir.Value, x: ir.Value) -> None:
        b.store(x, b.gep(scratch(b, w), [i]))

    def key(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        if call.dtype in ("int64", "bool"):
            return x
        wide = b.fpext(x, F64) if kind != F64 else x
        return b.bitcast(wide, I64)

    def root(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return emit_native("sqrt", [x], call.dtype, Lanes(b, 1, Calls(False), llvm7=True))

    operands = range(len(call.operands))
    is_by_line = call.name in LINES
    return CallFunctions(
        n_lines=device(n_lines, int64(words)),
        extents=tuple(extent(k) for k in range(len(call.extents))),
        get=tuple(get(k) for k in operands),
        put=tuple(put(k) for k in operands),
        place=tuple(place(k) for k in operands if is_by_line),
        cell=tuple(cell(k) for k in operands if call.name == "gemm"),
        finish=device(finish, void(words, int64, int64, int64, number)),
        share=device(lambda b, t, i, x: put_number(b, shared(b, t), i, x), void(tile, int64, number)),
        shared=device(lambda b, t, i: get_number(b, shared(b, t), i), number(tile, int64)),
        note=device(lambda b, w, i, x: put_number(b, scratch(b, w), i, x), void(words, int64, number)),
        noted=device(lambda b, w, i: get_number(b, scratch(b, w), i), number(words, int64)),
        note_word=device(note_word, void(words, int64, int64)),
        noted_word=device(lambda b, w, i: b.load(b.gep(scratch(b, w), [i])), int64(words, int64)),
        root=device(root, number(number)),
        number=device(lambda b, x: x if kind == F64 else b.fptrunc(x, kind), number(float64)),
        bits=device(key, int64(number)),
        kind=np.dtype(call.dtype).type,
    )


def emitted_loop(loop: Loop, layout: Words) -> LoopFunctions:
    """Return the device functions of a loop that is one kernel."""
    moved = [layout.buffer(b) for b in moved_buffers(loop)]

    def record(b: ir.IRBuilder, w: ir.Value, k: int) -> ir.Value:
        first = b.inttoptr(word(b, w, RECORD), ir.PointerType(I64, GLOBAL_MEMORY))
        return b.gep(first, [i64(k)])

    def arrive(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        return b.atomic_rmw("add", record(b, w, ARRIVED), i64(1), "monotonic")

    def arrived(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        # Read by an atomic addition of nothing: a plain load might be made once, before the loop that waits.
        return b.atomic_rmw("add", record(b, w, ARRIVED), i64(0), "monotonic")

    def report(b: ir.IRBuilder, w: ir.Value, goes_on: ir.Value, turns: ir.Value) -> None:
        values = [goes_on, turns, *(word(b, w, place) for place in moved)]
        for k, value in enumerate(values):
            b.store(value, record(b, w, GOES_ON + k))

    def flag(one: Loop) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
            return b.zext(b.load(flag_address(b, w, one)), I64)

        return device(emit, int64(words))

    def settle(one: Loop) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value) -> None:
            status = b.load(b.inttoptr(word(b, w, STATUS), ir.PointerType(I64, GLOBAL_MEMORY)))
            with b.if_then(b.icmp_signed("!=", status, i64(0))):
                b.store(ir.Constant(I8, 0), flag_address(b, w, one))

        return device(emit, void(words))

    def flag_address(b: ir.IRBuilder, w: ir.Value, one: Loop) -> ir.Value:
        return b.inttoptr(word(b, w, layout.buffer(one.flag)), ir.PointerType(I8, GLOBAL_MEMORY))

    def exchange(one: Loop) -> Any:
        def emit(b: ir.IRBuilder, w: ir.Value) -> ir.Value:
            for x, y in one.swaps:
                i, j = layout.buffer(x), layout.buffer(y)
                at_x, at_y = word(b, w, i), word(b, w, j)
                b.store(at_y, _word(b, w, i))
                b.store(at_x, _word(b, w, j))
            return w

        return device(emit, words(words))

    return LoopFunctions(
        arrive=device(arrive, int64(words)),
        arrived=device(arrived, int64(words)),
        report=device(report, void(words, int64, int64)),
        flag=flag,
        settle=settle,
        exchange=exchange,
    )


def emitted_kernel(step: Any, name: str, tile_words: int, layout: Words) -> Piece:
    """Return a kernel of words that gives a step the block's shared memory, and minds the go flag."""
    module = new_module()
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * (1 + layout.count)), "self")
    memory = ir.GlobalVariable(module, ir.ArrayType(I64, max(tile_words, 1)), f"{name}_tile", SHARED_MEMORY)
    memory.linkage, memory.initializer = "internal", ir.Constant(memory.value_type, ir.Undefined)
    memory.align = VECTOR_BYTES
    b = ir.IRBuilder(kernel.append_basic_block())
    turn, *given = kernel.args
    # They become registers once all that is called has been inlined.
    held = b.alloca(ir.ArrayType(I64, layout.count))
    w = b.bitcast(held, type_of(words))
    for k, value in enumerate(given):
        b.store(value, _word(b, w, k))
    up = b.load(b.inttoptr(word(b, w, GO), ir.PointerType(I8, GLOBAL_MEMORY)))
    with b.if_then(b.icmp_unsigned("!=", up, ir.Constant(I8, 0))):
        t = b.addrspacecast(memory, ir.PointerType(memory.value_type))
        call(b, "step", STEP, [turn, w, b.bitcast(t, type_of(tile))])
    b.ret_void()
    return Piece(str(module), {"step": inlined(step, STEP)})


def _word(b: ir.IRBuilder, w: ir.Value, k: int) -> ir.Value:
    return b.gep(b.bitcast(w, ir.PointerType(I64)), [i64(k)])


def word(b: ir.IRBuilder, w: ir.Value, k: int) -> ir.Value:
    """Word k of a kernel's words."""
    return b.load(_word(b, w, k))


def all_words(b: ir.IRBuilder, w: ir.Value, n: int) -> list[ir.Value]:
    """A kernel's words; NVVM drops what is not used."""
    return [word(b, w, k) for k in range(n)]


def shared(b: ir.IRBuilder, t: ir.Value) -> ir.Value:
    """The address of a block's shared memory, as words."""
    return b.bitcast(t, ir.PointerType(I64))


def scratch(b: ir.IRBuilder, words: ir.Value) -> ir.Value:
    """The address of the scratch, as words."""
    return b.inttoptr(word(b, words, SCRATCH), ir.PointerType(I64, GLOBAL_MEMORY))


def _slots(b: ir.IRBuilder, table: ir.Value, place: ir.Value, n: int) -> list[ir.Value]:
    first = b.mul(place, i64(n))
    return [b.gep(table, [b.add(first, i64(k))]) for k in range(n)]


def _from_below(b: ir.IRBuilder, word: ir.Value, distance: int) -> ir.Value:
    """The word of the thread that is so many behind in the warp, all of whose threads come here together.

    NVVM IR specification, "Warp shuffle": (threads, mode 2: down, value, distance, last lane), 32 bits at a time.
    """
    kind = ir.FunctionType(ir.LiteralStructType([I32, ir.IntType(1)]), [I32] * 5)
    name = "llvm.nvvm.shfl.sync.i32"
    shuffle = b.module.globals.get(name) or ir.Function(b.module, kind, name)
    everyone, down, last = (ir.Constant(I32, x) for x in (-1, 2, WARP - 1))
    halves = [b.trunc(word, I32), b.trunc(b.lshr(word, i64(32)), I32)]
    moved = [b.call(shuffle, [everyone, down, half, ir.Constant(I32, distance), last]) for half in halves]
    low, high = (b.zext(b.extract_value(m, 0), I64) for m in moved)
    return b.or_(b.shl(high, i64(32)), low)
