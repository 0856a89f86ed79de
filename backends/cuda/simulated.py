"""Device functions of a nest for the CUDA simulator: the body is interpreted with the primitives' own NumPy values.

Memory is looked up by address among the arrays that the host allocated, so an access outside a buffer is an
IndexError and not a wrong number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.body import identity
from backends.cuda.calls import CallFunctions, line_axes
from backends.cuda.fused import Fused
from backends.cuda.loop_functions import GOES_ON, LoopFunctions, moved_buffers
from backends.cuda.skeletons import Functions
from backends.cuda.words import (
    GO,
    INDEX_OUT_OF_RANGE,
    RECORD,
    SCRATCH,
    STATUS,
    VECTOR_BYTES,
    Words,
    kept_axes,
    reduced_axes,
)
from symdiff.ir.dims import Extent, evaluate
from symdiff.ir.errors import CompileError
from symdiff.ops.bits import bit_and, bit_xor, shift_right
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.program.ir import Access, Affine, Call, Const, Guard, Load, Loop, Nest, Op

_PRIMITIVE = {op.native: op for op in (*ELEMENTWISE, bit_and, bit_xor, shift_right) if op.native is not None}
_COMBINE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}

Word = Sequence[int]
Indices = Sequence[int]


def number(extent: Extent, layout: Words, memory: Mapping[int, np.ndarray]) -> Any:
    """Return the device function of words that gives an extent."""
    point = Point(Nest((), (), (), (), ()), layout, memory)
    return lambda words: point.extent(extent, words)


def interpreted(
    nest: Nest, layout: Words, width: int, memory: Mapping[int, np.ndarray], start: Extent = 0
) -> Functions:
    """Return the device functions of a nest; `memory` has the bytes at every address.

    Partial results stand in the scratch from word `start` on.
    """
    point = Point(nest, layout, memory)
    reductions = nest.reductions
    n = len(reductions)

    def run(kept: int, reduced: int, words: Word) -> None:
        point.run(point.indices(kept, reduced, words), words)

    def run_row(row: int, column: int, words: Word) -> None:
        point.run(point.indices(row * n_columns(words) + column, 0, words), words)

    def run_wide(i: int, words: Word) -> None:
        for k in range(width):
            run(i + k, 0, words)

    def n_columns(words: Word) -> int:
        return point.points(point.kept[-1:], words)

    def clear(turn: int, i: int, words: Word) -> None:
        memory[words[layout.buffer(nest.zero[turn])]][i] = 0

    def n_clear(turn: int, words: Word) -> int:
        return point.extent(nest.zero[turn].n_bytes, words)

    def before() -> tuple[int, ...]:
        return tuple(as_bits(identity(r), r.dtype) for r in reductions)

    def accumulate(acc: Word, kept: int, reduced: int, words: Word) -> tuple[int, ...]:
        values = point.run(point.indices(kept, reduced, words), words)
        return combine(acc, tuple(as_bits(values[r.value], r.dtype) for r in reductions))

    def combine(x: Word, y: Word) -> tuple[int, ...]:
        with np.errstate(all="ignore"):
            return tuple(
                as_bits(_COMBINE[r.op](as_number(a, r.dtype), as_number(b, r.dtype)), r.dtype)
                for r, a, b in zip(reductions, x, y, strict=True)
            )

    def save(table: Any, place: int, acc: Word) -> None:
        for k, word in enumerate(acc):
            table[place * n + k] = word

    def fetch(table: Any, place: int) -> tuple[int, ...]:
        return tuple(int(table[place * n + k]) for k in range(n))

    def partial(words: Word) -> np.ndarray:
        return memory[words[SCRATCH]].view("int64")[point.extent(start, words) :]

    def write(acc: Word, kept: int, words: Word) -> None:
        indices = point.indices(kept, None, words)
        for r, word in zip(reductions, acc, strict=True):
            point.store(as_number(word, r.dtype), r.access, indices, words, {})

    return Functions(
        n_kept=lambda words: point.points(point.kept, words),
        n_reduced=lambda words: point.points(point.reduced, words),
        n_columns=n_columns,
        run=run,
        run_row=run_row,
        run_wide=run_wide,
        is_aligned=lambda words: all(words[layout.buffer(b)] % VECTOR_BYTES == 0 for b in layout.buffers),
        owner=lambda kept, reduced, words: point.owner(point.indices(kept, reduced, words), words),
        clear=clear,
        n_clear=n_clear,
        identity=before,
        accumulate=accumulate,
        combine=combine,
        across=lambda acc: acc,  # a warp of one thread
        save=save,
        fetch=fetch,
        keep=lambda words, place, acc: save(partial(words), place, acc),
        recall=lambda words, place: fetch(partial(words), place),
        write=write,
    )


def interpreted_call(
    call: Call, layout: Words, memory: Mapping[int, np.ndarray], epilogue: Fused | None = None
) -> CallFunctions:
    """Return the device functions of a library call; `memory` has the bytes at every address."""
    point = Point(Nest(call.extents, (), (), (), ()), layout, memory)
    point.kept, point.reduced = line_axes(call)
    operands = range(len(call.operands))

    def extent(k: int) -> Any:
        return lambda words: point.extent(call.extents[k], words)

    def array(k: int, words: Word) -> np.ndarray:
        buffer = call.operands[k].buffer
        return memory[words[layout.buffer(buffer)]].view(buffer.dtype)

    def index(k: int, words: Word, i: int) -> int:
        return _inside(point.extent(call.operands[k].offset, words) + i)

    def get(k: int) -> Any:
        return lambda words, i: array(k, words)[index(k, words, i)]

    def put(k: int) -> Any:
        def put(words: Word, i: int, value: Any) -> None:
            array(k, words)[index(k, words, i)] = value

        return put

    def place(k: int) -> Any:
        strides = call.operands[k].strides
        return lambda words, line, i: point.affine(0, strides, point.indices(line, i, words), words)

    def cell(k: int) -> Any:
        return lambda words, *indices: point.affine(0, call.operands[k].strides, indices, words)

    def finish(words: Word, s: int, i: int, j: int, x: Any) -> None:
        put(2)(words, cell(2)(words, s, i, j), x)
        if epilogue is not None:
            m, n = (point.extent(e, words) for e in call.extents[:2])
            after = Point(epilogue.nest, layout, memory)
            after.run(after.indices((s * m + i) * n + j, None, words), words)

    def scratch(words: Word) -> np.ndarray:
        return memory[words[SCRATCH]].view("int64")

    def write(table: np.ndarray, i: int, value: Any) -> None:
        table[_inside(i)] = as_bits(value, call.dtype)

    def note_word(words: Word, i: int, value: int) -> None:
        scratch(words)[_inside(i)] = value

    def bits(x: Any) -> int:
        return int(np.float64(x).view("int64")) if call.dtype.startswith("float") else int(x)

    kind = np.dtype(call.dtype)
    return CallFunctions(
        extents=tuple(extent(k) for k in range(len(call.extents))),
        n_lines=lambda words: point.points(point.kept, words),
        get=tuple(get(k) for k in operands),
        put=tuple(put(k) for k in operands),
        place=tuple(place(k) for k in operands),
        cell=tuple(cell(k) for k in operands),
        finish=finish,
        share=write,
        shared=lambda tile, i: as_number(int(tile[_inside(i)]), call.dtype),
        note=lambda words, i, value: write(scratch(words), i, value),
        noted=lambda words, i: as_number(int(scratch(words)[_inside(i)]), call.dtype),
        note_word=note_word,
        noted_word=lambda words, i: int(scratch(words)[_inside(i)]),
        root=np.sqrt,
        number=kind.type,
        bits=bits,
        kind=kind,
    )


def _inside(i: int) -> int:
    if i < 0:
        raise IndexError(f"an array is read or written at {i}")
    return i


class Point:
    """Interprets a nest at one point. Holds no state: simulated threads share it."""

    def __init__(self, nest: Nest, layout: Words, memory: Mapping[int, np.ndarray]):
        self.nest, self.layout, self.memory = nest, layout, memory
        self.kept, self.reduced = kept_axes(nest), reduced_axes(nest)

    def extent(self, extent: Extent, words: Word) -> int:
        return evaluate(extent, {name: words[self.layout.size(name)] for name in self.layout.sizes})

    def points(self, axes: tuple[int, ...], words: Word) -> int:
        return math.prod(self.extent(self.nest.space[k], words) for k in axes)

    def indices(self, kept: int, reduced: int | None, words: Word) -> list[int]:
        out = [0] * len(self.nest.space)
        for flat, axes in ((kept, self.kept), (reduced, self.reduced)):
            if axes and flat is not None:
                shape = tuple(self.extent(self.nest.space[k], words) for k in axes)
                for k, index in zip(axes, np.unravel_index(int(flat), shape), strict=True):
                    out[k] = int(index)
        return out

    def affine(self, offset: Extent, coefs: Sequence[Extent], indices: Indices, words: Word) -> int:
        steps = (self.extent(c, words) * i for c, i in zip(coefs, indices, strict=True))
        return self.extent(offset, words) + sum(steps)

    def valid(self, guards: Sequence[Guard], indices: Indices, words: Word) -> bool:
        return all(0 <= self.affine(g.offset, g.coefs, indices, words) < self.extent(g.limit, words) for g in guards)

    def run(self, indices: Indices, words: Word) -> dict[int, Any]:
        """Run the body and its stores; returns the values of the instructions."""
        values = self.compute(indices, words)
        for s in self.nest.stores:
            value = values[s.value]
            if s.add:
                value = self.load(s.access, indices, words, values) + value
            self.store(value, s.access, indices, words, values)
        return values

    def owner(self, indices: Indices, words: Word) -> int:
        """The index to which a scatter adds a point."""
        (gather,) = self.nest.stores[0].access.gathers
        index, extent = int(self.compute(indices, words)[gather.value]), self.extent(gather.extent, words)
        return index + extent if index < 0 else index

    def compute(self, indices: Indices, words: Word) -> dict[int, Any]:
        """Run the body; returns the values of the instructions."""
        values: dict[int, Any] = {}
        for k, instr in enumerate(self.nest.body):
            match instr:
                case Load():
                    values[k] = self.load(instr.access, indices, words, values)
                case Affine():
                    ok = self.valid(instr.guards, indices, words)
                    values[k] = np.int64(self.affine(instr.offset, instr.coefs, indices, words) if ok else 0)
                case Const():
                    ok = self.valid(instr.guards, indices, words)
                    values[k] = np.dtype(instr.dtype).type(instr.value if ok else 0)
                case Op():
                    values[k] = _evaluate(instr, [values[a] for a in instr.args])
        return values

    def load(self, access: Access, indices: Indices, words: Word, values: Mapping[int, Any]) -> Any:
        """Read an access; 0 where it is not valid."""
        place = self._place(access, indices, words, values)
        array = self._array(access, words)
        return array.dtype.type(0) if place is None else array[place]

    def store(self, value: Any, access: Access, indices: Indices, words: Word, values: Mapping[int, Any]) -> None:
        """Write an access that is valid."""
        place = self._place(access, indices, words, values)
        if place is not None:
            self._array(access, words)[place] = value

    def _array(self, access: Access, words: Word) -> np.ndarray:
        return self.memory[words[self.layout.buffer(access.buffer)]].view(access.buffer.dtype)

    def _place(self, access: Access, indices: Indices, words: Word, values: Mapping[int, Any]) -> int | None:
        if not self.valid(access.guards, indices, words):
            return None
        place = self.affine(access.offset, access.strides, indices, words)
        for g in access.gathers:
            extent = self.extent(g.extent, words)
            index = int(values[g.value])
            if not -extent <= index < extent:
                self.memory[words[STATUS]].view("int64")[0] = INDEX_OUT_OF_RANGE
                return None
            place += (index + extent if index < 0 else index) * self.extent(g.stride, words)
        if place < 0:
            raise IndexError(f"{access.buffer} is read or written at {place}")
        return place


def _evaluate(op: Op, args: Sequence[Any]) -> Any:
    params = {"dtype": op.dtype} if op.name == "cast" else {}
    with np.errstate(all="ignore"):
        if op.name.startswith("scipy."):
            import scipy.special

            function = getattr(scipy.special, op.name.removeprefix("scipy."))
            return np.asarray(function(*args), op.dtype)[()]
        return np.asarray(_PRIMITIVE[op.name].evaluate(params, *args)).astype(op.dtype)[()]


def as_bits(value: Any, dtype: str) -> int:
    """A number as a word."""
    number = np.asarray(value, dtype)
    return int(number.view("int32" if dtype == "float32" else "int64")) if dtype != "bool" else int(number)


def as_number(word: int, dtype: str) -> Any:
    """The number in a word."""
    if dtype == "bool":
        return np.bool_(word)
    return np.asarray(word, "int32" if dtype == "float32" else "int64").view(dtype)[()]


def interpreted_loop(loop: Loop, layout: Words, memory: Mapping[int, np.ndarray]) -> LoopFunctions:
    """Return the device functions of a loop that is one kernel; the simulator has one block, which waits for itself."""

    def report(words: Word, goes_on: int, turns: int) -> None:
        values = [goes_on, turns, *(words[layout.buffer(b)] for b in moved_buffers(loop))]
        memory[words[RECORD]].view("int64")[GOES_ON : GOES_ON + len(values)] = values

    def flag(one: Loop) -> Any:
        return lambda words: memory[words[layout.buffer(one.flag)]][0]

    def settle(one: Loop) -> Any:
        def settle(words: Word) -> None:
            if memory[words[STATUS]].view("int64")[0]:
                memory[words[layout.buffer(one.flag)]][0] = 0

        return settle

    def exchange(one: Loop) -> Any:
        def exchange(words: Word) -> tuple[int, ...]:
            out = list(words)
            for x, y in one.swaps:
                i, j = layout.buffer(x), layout.buffer(y)
                out[i], out[j] = out[j], out[i]
            return tuple(out)

        return exchange

    def alone(words: Word) -> int:
        # The simulator runs blocks one after the other: the first one would wait for ever.
        raise CompileError("In CUDA's simulator a loop in one kernel has one block, which waits for no others.")

    return LoopFunctions(alone, alone, report, flag, settle, exchange)


def go_is_up(memory: Mapping[int, np.ndarray]) -> Any:
    """Return the device function that tells whether a kernel's go flag is up."""
    return lambda words: memory[words[GO]][0] != 0
