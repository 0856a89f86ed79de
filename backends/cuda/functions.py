"""Device functions for skeletons: emitted LLVM, inlined by numba-cuda through intrinsics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from llvmlite import ir
from numba.cuda.extending import intrinsic
from numba.types import Type, UniTuple, boolean, float32, float64, int64, void

from backends.cuda import special
from backends.cuda.body import GLOBAL_MEMORY, Body, from_bits, i64, to_bits
from backends.cuda.calls import LINES, CallFunctions, line_axes
from backends.cuda.geometry import WARP
from backends.cuda.libdevice import Calls
from backends.cuda.loop_functions import ARRIVED, GOES_ON, LoopFunctions, moved_buffers
from backends.cuda.skeletons import Functions
from backends.cuda.words import GO, RECORD, SCRATCH, STATUS, VECTOR_BYTES, Words
from backends.emit import F64, I8, I64, SCALAR, Lanes, emit_native
from symdiff.ir.dims import Extent
from symdiff.program.ir import Call, Loop, Nest

I32 = ir.IntType(32)
NUMBER: dict[str, Type] = {"float64": float64, "float32": float32, "int64": int64, "bool": int64}


def device(emit: Callable[..., ir.Value | None], signature: Any) -> Any:
    """Return a device function whose code `emit(context, builder, *args)` writes, arrays as their addresses."""

    def generate(context: Any, builder: ir.IRBuilder, given: Any, args: Sequence[ir.Value]) -> Any:
        values = [_address(context, builder, kind, a) for kind, a in zip(given.args, args, strict=True)]
        result = emit(context, builder, *values)
        return context.get_dummy_value() if result is None else result

    return _INTRINSICS[len(signature.args)](signature, generate)


def inlined(function: Callable[..., Any], signature: Any) -> Any:
    """Return a Python function as a device function, which needs no GPU to be compiled, as those of `cuda.jit` do."""

    def generate(context: Any, builder: ir.IRBuilder, given: Any, args: Sequence[ir.Value]) -> Any:
        result = context.compile_internal(builder, function, given, args)
        return context.get_dummy_value() if given.return_type == void else result

    return _INTRINSICS[len(signature.args)](signature, generate)


def _address(context: Any, builder: ir.IRBuilder, kind: Any, value: ir.Value) -> ir.Value:
    is_array = hasattr(kind, "ndim")
    return context.make_array(kind)(context, builder, value).data if is_array else value


# Numba looks at the number of arguments of an intrinsic, so there is one for each.
def _none(signature: Any, generate: Any) -> Any:
    return intrinsic(lambda typing: (signature, generate))


def _one(signature: Any, generate: Any) -> Any:
    return intrinsic(lambda typing, a: (signature, generate))


def _two(signature: Any, generate: Any) -> Any:
    return intrinsic(lambda typing, a, b: (signature, generate))


def _three(signature: Any, generate: Any) -> Any:
    return intrinsic(lambda typing, a, b, c: (signature, generate))


def _four(signature: Any, generate: Any) -> Any:
    return intrinsic(lambda typing, a, b, c, d: (signature, generate))


_INTRINSICS = (_none, _one, _two, _three, _four)


def tile_type() -> Any:
    """The type of a block's shared memory."""
    from numba.types import Array

    return Array(int64, 1, "C")


@functools.cache
def _special_functions() -> dict[str, Any]:
    """The functions of `special` in a namespace of their own, in which they call each other as device functions."""
    space = dict(vars(special))
    own = [f for f in space.values() if isinstance(f, FunctionType) and f.__module__ == special.__name__]
    for f in own:
        result = UniTuple(float64, 2) if "tuple" in str(f.__annotations__.get("return")) else float64
        signature = result(*[float64] * f.__code__.co_argcount)
        space[f.__name__] = inlined(_moved(f, space), signature)
    return space


def _moved(function: FunctionType, space: dict[str, Any]) -> FunctionType:
    return FunctionType(function.__code__, space, function.__name__)


def special_function(name: str) -> Any:
    """A function of `special.SPECIAL` as numba-cuda can compile it."""
    return _moved(special.SPECIAL[name], _special_functions())


def number(extent: Extent, layout: Words) -> Any:
    """Return the device function of words that gives an extent."""
    nothing = Nest((), (), (), (), ())
    words = UniTuple(int64, layout.count)
    return device(lambda c, b, w: Body(b, nothing, layout, unpack(b, w, layout.count)).extent(extent), int64(words))


def emitted(nest: Nest, layout: Words, width: int, start: Extent = 0) -> Functions:
    """Return the device functions of a nest; `layout` is that of the kernel they are for.

    Partial results stand in the scratch from word `start` on.
    """
    n = len(nest.reductions)
    acc, words, tile = UniTuple(int64, n), UniTuple(int64, layout.count), tile_type()

    def body(context: Any, b: ir.IRBuilder, w: ir.Value | None = None) -> Body:
        return Body(b, nest, layout, [] if w is None else unpack(b, w, layout.count), context)

    def run(c: Any, b: ir.IRBuilder, kept: ir.Value, reduced: ir.Value, w: ir.Value) -> None:
        at = body(c, b, w)
        at.run_at(at.indices(kept, reduced))

    def run_row(c: Any, b: ir.IRBuilder, row: ir.Value, column: ir.Value, w: ir.Value) -> None:
        at = body(c, b, w)
        at.run_at(at.row(row, column))

    def is_aligned(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        bits: ir.Value = i64(0)
        for x in layout.buffers:
            bits = b.or_(bits, b.extract_value(w, layout.buffer(x)))
        return b.icmp_unsigned("==", b.and_(bits, i64(VECTOR_BYTES - 1)), i64(0))

    def n_points(axes: str) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
            at = body(c, b, w)
            return at.points(getattr(at, axes))

        return emit

    def n_columns(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        at = body(c, b, w)
        return at.points(at.kept[-1:])

    def owner(c: Any, b: ir.IRBuilder, kept: ir.Value, reduced: ir.Value, w: ir.Value) -> ir.Value:
        at = body(c, b, w)
        return at.owner(at.indices(kept, reduced))

    def accumulate(
        c: Any, b: ir.IRBuilder, before: ir.Value, kept: ir.Value, reduced: ir.Value, w: ir.Value
    ) -> ir.Value:
        return pack(b, body(c, b, w).accumulate(unpack(b, before, n), kept, reduced))

    def combine(c: Any, b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        pairs = zip(nest.reductions, unpack(b, x, n), unpack(b, y, n), strict=True)
        return pack(b, [body(c, b).combine(r, p, q) for r, p, q in pairs])

    def across(c: Any, b: ir.IRBuilder, total: ir.Value) -> ir.Value:
        distance = WARP // 2
        while distance:
            total = combine(c, b, total, pack(b, [_from_below(b, word, distance) for word in unpack(b, total, n)]))
            distance //= 2
        return total

    def put(b: ir.IRBuilder, table: ir.Value, place: ir.Value, total: ir.Value) -> None:
        for slot, word in zip(_slots(b, table, place, n), unpack(b, total, n), strict=True):
            b.store(word, slot)

    def take(b: ir.IRBuilder, table: ir.Value, place: ir.Value) -> ir.Value:
        return pack(b, [b.load(slot) for slot in _slots(b, table, place, n)])

    def clear(c: Any, b: ir.IRBuilder, turn: ir.Value, i: ir.Value, w: ir.Value) -> None:
        at = body(c, b, w)
        address = at.chosen([at.words[layout.buffer(x)] for x in nest.zero], turn)
        b.store(ir.Constant(I8, 0), b.gep(b.inttoptr(address, ir.PointerType(I8, GLOBAL_MEMORY)), [i]))

    def n_clear(c: Any, b: ir.IRBuilder, turn: ir.Value, w: ir.Value) -> ir.Value:
        at = body(c, b, w)
        return at.chosen([at.extent(x.n_bytes) for x in nest.zero], turn)

    def partial(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        return b.gep(scratch(b, w), [body(c, b, w).extent(start)])

    return Functions(
        n_kept=device(n_points("kept"), int64(words)),
        n_reduced=device(n_points("reduced"), int64(words)),
        n_columns=device(n_columns, int64(words)),
        run=device(run, void(int64, int64, words)),
        run_row=device(run_row, void(int64, int64, words)),
        run_wide=device(lambda c, b, i, w: body(c, b, w).run_side_by_side(i, width), void(int64, words)),
        is_aligned=device(is_aligned, boolean(words)),
        owner=device(owner, int64(int64, int64, words)),
        clear=device(clear, void(int64, int64, words)),
        n_clear=device(n_clear, int64(int64, words)),
        identity=device(lambda c, b: pack(b, body(c, b).identity()), acc()),
        accumulate=device(accumulate, acc(acc, int64, int64, words)),
        combine=device(combine, acc(acc, acc)),
        across=device(across, acc(acc)),
        save=device(lambda c, b, t, place, total: put(b, t, place, total), void(tile, int64, acc)),
        fetch=device(lambda c, b, t, place: take(b, t, place), acc(tile, int64)),
        keep=device(lambda c, b, w, place, total: put(b, partial(c, b, w), place, total), void(words, int64, acc)),
        recall=device(lambda c, b, w, place: take(b, partial(c, b, w), place), acc(words, int64)),
        write=device(
            lambda c, b, total, kept, w: body(c, b, w).write(unpack(b, total, n), kept), void(acc, int64, words)
        ),
    )


def emitted_call(call: Call, layout: Words) -> CallFunctions:
    """Return the device functions of a library call."""
    words, tile, number = UniTuple(int64, layout.count), tile_type(), NUMBER[call.dtype]
    kind = SCALAR[call.dtype]

    def body(context: Any, b: ir.IRBuilder, w: ir.Value) -> Body:
        at = Body(b, Nest(call.extents, (), (), (), ()), layout, unpack(b, w, layout.count), context)
        at.kept, at.reduced = line_axes(call)
        return at

    def extent(k: int) -> Any:
        return device(lambda c, b, w: body(c, b, w).extent(call.extents[k]), int64(words))

    def slot(b: ir.IRBuilder, at: Body, k: int, i: ir.Value) -> ir.Value:
        access = call.operands[k]
        return at.address(access.buffer, b.add(at.extent(access.offset), i))

    def get(k: int) -> Any:
        dtype = call.operands[k].buffer.dtype

        def emit(c: Any, b: ir.IRBuilder, w: ir.Value, i: ir.Value) -> ir.Value:
            value = b.load(slot(b, body(c, b, w), k, i))
            return b.zext(value, I64) if dtype == "bool" else value

        return device(emit, NUMBER[dtype](words, int64))

    def put(k: int) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value, i: ir.Value, value: ir.Value) -> None:
            b.store(value, slot(b, body(c, b, w), k, i))

        return device(emit, void(words, int64, NUMBER[call.operands[k].buffer.dtype]))

    def n_lines(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        at = body(c, b, w)
        return at.points(at.kept)

    def place(k: int) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value, line: ir.Value, i: ir.Value) -> ir.Value:
            at = body(c, b, w)
            return at.affine(0, call.operands[k].strides, at.indices(line, i))

        return device(emit, int64(words, int64, int64))

    def cell(k: int) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value, *indices: ir.Value) -> ir.Value:
            return body(c, b, w).affine(0, call.operands[k].strides, indices)

        return device(emit, int64(words, int64, int64, int64))

    def put_number(b: ir.IRBuilder, table: ir.Value, i: ir.Value, value: ir.Value) -> None:
        b.store(to_bits(b, value), b.gep(table, [i]))

    def get_number(b: ir.IRBuilder, table: ir.Value, i: ir.Value) -> ir.Value:
        return from_bits(b, b.load(b.gep(table, [i])), call.dtype)

    def note_word(c: Any, b: ir.IRBuilder, w: ir.Value, i: ir.Value, x: ir.Value) -> None:
        b.store(x, b.gep(scratch(b, w), [i]))

    def key(c: Any, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        if call.dtype in ("int64", "bool"):
            return x
        wide = b.fpext(x, F64) if kind != F64 else x
        return b.bitcast(wide, I64)

    def root(c: Any, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return emit_native("sqrt", [x], call.dtype, Lanes(b, 1, Calls(c, False), llvm7=True))

    operands = range(len(call.operands))
    is_by_line = call.name in LINES
    return CallFunctions(
        n_lines=device(n_lines, int64(words)),
        extents=tuple(extent(k) for k in range(len(call.extents))),
        get=tuple(get(k) for k in operands),
        put=tuple(put(k) for k in operands),
        place=tuple(place(k) for k in operands if is_by_line),
        cell=tuple(cell(k) for k in operands if call.name == "gemm"),
        share=device(lambda c, b, t, i, x: put_number(b, t, i, x), void(tile, int64, number)),
        shared=device(lambda c, b, t, i: get_number(b, t, i), number(tile, int64)),
        note=device(lambda c, b, w, i, x: put_number(b, scratch(b, w), i, x), void(words, int64, number)),
        noted=device(lambda c, b, w, i: get_number(b, scratch(b, w), i), number(words, int64)),
        note_word=device(note_word, void(words, int64, int64)),
        noted_word=device(lambda c, b, w, i: b.load(b.gep(scratch(b, w), [i])), int64(words, int64)),
        root=device(root, number(number)),
        number=device(lambda c, b, x: x if kind == F64 else b.fptrunc(x, kind), number(float64)),
        bits=device(key, int64(number)),
        kind=number,
    )


def emitted_loop(loop: Loop, layout: Words) -> LoopFunctions:
    """Return the device functions of a loop that is one kernel."""
    words, tile = UniTuple(int64, layout.count), tile_type()
    moved = [layout.buffer(b) for b in moved_buffers(loop)]

    def record(b: ir.IRBuilder, w: ir.Value, k: int) -> ir.Value:
        first = b.inttoptr(b.extract_value(w, RECORD), ir.PointerType(I64, GLOBAL_MEMORY))
        return b.gep(first, [i64(k)])

    def arrive(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        return b.atomic_rmw("add", record(b, w, ARRIVED), i64(1), "monotonic")

    def arrived(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        # Read by an atomic addition of nothing: a plain load might be made once, before the loop that waits.
        return b.atomic_rmw("add", record(b, w, ARRIVED), i64(0), "monotonic")

    def report(c: Any, b: ir.IRBuilder, w: ir.Value, goes_on: ir.Value, turns: ir.Value) -> None:
        values = [goes_on, turns, *(b.extract_value(w, place) for place in moved)]
        for k, value in enumerate(values):
            b.store(value, record(b, w, GOES_ON + k))

    def flag(one: Loop) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
            return b.zext(b.load(flag_address(b, w, one)), I64)

        return device(emit, int64(words))

    def settle(one: Loop) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value) -> None:
            status = b.load(b.inttoptr(b.extract_value(w, STATUS), ir.PointerType(I64, GLOBAL_MEMORY)))
            with b.if_then(b.icmp_signed("!=", status, i64(0))):
                b.store(ir.Constant(I8, 0), flag_address(b, w, one))

        return device(emit, void(words))

    def flag_address(b: ir.IRBuilder, w: ir.Value, one: Loop) -> ir.Value:
        return b.inttoptr(b.extract_value(w, layout.buffer(one.flag)), ir.PointerType(I8, GLOBAL_MEMORY))

    def exchange(one: Loop) -> Any:
        def emit(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
            for x, y in one.swaps:
                i, j = layout.buffer(x), layout.buffer(y)
                at_x, at_y = b.extract_value(w, i), b.extract_value(w, j)
                w = b.insert_value(b.insert_value(w, at_y, i), at_x, j)
            return w

        return device(emit, words(words))

    return LoopFunctions(
        step=lambda f: inlined(f, void(int64, words, tile)),
        part=lambda f: inlined(f, words(words, tile)),
        barrier=lambda f: inlined(f, void(words)),
        arrive=device(arrive, int64(words)),
        arrived=device(arrived, int64(words)),
        report=device(report, void(words, int64, int64)),
        flag=flag,
        settle=settle,
        exchange=exchange,
    )


def goes_on(layout: Words) -> Any:
    """Return the device function that tells whether a kernel's go flag is up."""
    words = UniTuple(int64, layout.count)

    def emit(c: Any, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        address = b.inttoptr(b.extract_value(w, GO), ir.PointerType(I8, GLOBAL_MEMORY))
        return b.zext(b.load(address), I64)

    return device(emit, int64(words))


def scratch(b: ir.IRBuilder, words: ir.Value) -> ir.Value:
    """The address of the scratch, as words."""
    return b.inttoptr(b.extract_value(words, SCRATCH), ir.PointerType(I64, GLOBAL_MEMORY))


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


def unpack(builder: ir.IRBuilder, value: ir.Value, n: int) -> list[ir.Value]:
    """The entries of a tuple of n words."""
    return [builder.extract_value(value, k) for k in range(n)]


def pack(builder: ir.IRBuilder, words: Sequence[ir.Value]) -> ir.Value:
    """A tuple of words."""
    out: ir.Value = ir.Constant(ir.ArrayType(I64, len(words)), ir.Undefined)
    for k, word in enumerate(words):
        out = builder.insert_value(out, word, k)
    return out
