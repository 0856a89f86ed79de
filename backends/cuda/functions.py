"""Device functions of a nest for skeletons: emitted LLVM, inlined by numba-cuda through intrinsics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.cuda.extending import intrinsic
from numba.types import UniTuple, int64, void

from backends.cuda.body import Body, i64
from backends.cuda.skeletons import Functions
from backends.cuda.words import Words
from backends.emit import I64
from symdiff.program.ir import Nest


def emitted(nest: Nest) -> Functions:
    """Return the device functions of a nest."""
    layout = Words.of(nest)
    n = len(nest.reductions)
    acc = UniTuple(int64, n)

    def body(builder: ir.IRBuilder, words: ir.Value | None = None) -> Body:
        values = [] if words is None else unpack(builder, words, layout.count)
        return Body(builder, nest, layout, values)

    def emit_run(builder: ir.IRBuilder, i: ir.Value, words: ir.Value) -> None:
        at = body(builder, words)
        at.run_at(at.indices(i))

    def emit_accumulate(
        builder: ir.IRBuilder, before: ir.Value, kept: ir.Value, reduced: ir.Value, words: ir.Value
    ) -> ir.Value:
        return pack(builder, body(builder, words).accumulate(unpack(builder, before, n), kept, reduced))

    def emit_combine(builder: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        pairs = zip(nest.reductions, unpack(builder, x, n), unpack(builder, y, n), strict=True)
        return pack(builder, [body(builder).combine(r, a, b) for r, a, b in pairs])

    def emit_write(builder: ir.IRBuilder, total: ir.Value, kept: ir.Value, words: ir.Value) -> None:
        body(builder, words).write(unpack(builder, total, n), kept)

    def emit_save(builder: ir.IRBuilder, table: ir.Value, place: ir.Value, total: ir.Value) -> None:
        for slot, word in zip(slots(builder, table, place), unpack(builder, total, n), strict=True):
            builder.store(word, slot)

    def emit_fetch(builder: ir.IRBuilder, table: ir.Value, place: ir.Value) -> ir.Value:
        return pack(builder, [builder.load(slot) for slot in slots(builder, table, place)])

    def slots(builder: ir.IRBuilder, data: ir.Value, place: ir.Value) -> list[ir.Value]:
        first = builder.mul(place, i64(n))
        return [builder.gep(data, [builder.add(first, i64(k))]) for k in range(n)]

    words = UniTuple(int64, layout.count)

    @intrinsic
    def run(_typing: Any, i: Any, w: Any) -> Any:
        return void(int64, words), _generator(emit_run)

    @intrinsic
    def identity(_typing: Any) -> Any:
        return acc(), _generator(lambda builder: pack(builder, body(builder).identity()))

    @intrinsic
    def accumulate(_typing: Any, before: Any, kept: Any, reduced: Any, w: Any) -> Any:
        return acc(acc, int64, int64, words), _generator(emit_accumulate)

    @intrinsic
    def combine(_typing: Any, x: Any, y: Any) -> Any:
        return acc(acc, acc), _generator(emit_combine)

    @intrinsic
    def save(_typing: Any, table: Any, place: Any, total: Any) -> Any:
        return void(table, int64, acc), _generator(emit_save, table)

    @intrinsic
    def fetch(_typing: Any, table: Any, place: Any) -> Any:
        return acc(table, int64), _generator(emit_fetch, table)

    @intrinsic
    def write(_typing: Any, total: Any, kept: Any, w: Any) -> Any:
        return void(acc, int64, words), _generator(emit_write)

    return Functions(run, identity, accumulate, combine, save, fetch, write)


def _generator(emit: Callable[..., ir.Value | None], table: Any = None) -> Callable[..., Any]:
    """Make Numba's code generator from ours; a first argument of array type `table` becomes its address."""

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, args: Sequence[ir.Value]) -> Any:
        if table is not None:
            args = [context.make_array(table)(context, builder, args[0]).data, *args[1:]]
        result = emit(builder, *args)
        return context.get_dummy_value() if result is None else result

    return generate


def unpack(builder: ir.IRBuilder, value: ir.Value, n: int) -> list[ir.Value]:
    """The entries of a tuple of n words."""
    return [builder.extract_value(value, k) for k in range(n)]


def pack(builder: ir.IRBuilder, words: Sequence[ir.Value]) -> ir.Value:
    """A tuple of words."""
    out: ir.Value = ir.Constant(ir.ArrayType(I64, len(words)), ir.Undefined)
    for k, word in enumerate(words):
        out = builder.insert_value(out, word, k)
    return out
