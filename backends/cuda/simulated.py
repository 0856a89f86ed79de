"""Device functions of a nest for the CUDA simulator: the body is interpreted with the primitives' own NumPy values.

Memory is looked up by address among the arrays that the host allocated, so an access outside a buffer is an
IndexError and not a wrong number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.body import identity
from backends.cuda.skeletons import Functions
from backends.cuda.words import INDEX_OUT_OF_RANGE, STATUS, Words, kept_axes, reduced_axes
from symdiff.ir.dims import Extent, evaluate
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.program.ir import Access, Affine, Const, Guard, Load, Nest, Op

_PRIMITIVE = {op.native: op for op in ELEMENTWISE if op.native is not None}
_COMBINE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}

Word = Sequence[int]
Indices = Sequence[int]


def interpreted(nest: Nest, memory: Mapping[int, np.ndarray]) -> Functions:
    """Return the device functions of a nest; `memory` has the bytes at every address."""
    point = _Point(nest, memory)
    reductions = nest.reductions

    def run(i: int, words: Word) -> None:
        point.run(point.indices(i, None, words), words)

    def start() -> tuple[int, ...]:
        return tuple(_bits(identity(r), r.dtype) for r in reductions)

    def accumulate(acc: Word, kept: int, reduced: int, words: Word) -> tuple[int, ...]:
        values = point.run(point.indices(kept, reduced, words), words)
        return combine(acc, tuple(_bits(values[r.value], r.dtype) for r in reductions))

    def combine(x: Word, y: Word) -> tuple[int, ...]:
        with np.errstate(all="ignore"):
            return tuple(
                _bits(_COMBINE[r.op](_number(a, r.dtype), _number(b, r.dtype)), r.dtype)
                for r, a, b in zip(reductions, x, y, strict=True)
            )

    def save(table: Any, place: int, acc: Word) -> None:
        for k, word in enumerate(acc):
            table[place * len(acc) + k] = word

    def fetch(table: Any, place: int) -> tuple[int, ...]:
        n = len(reductions)
        return tuple(int(table[place * n + k]) for k in range(n))

    def write(acc: Word, kept: int, words: Word) -> None:
        indices = point.indices(kept, None, words)
        for r, word in zip(reductions, acc, strict=True):
            point.store(_number(word, r.dtype), r.access, indices, words, {})

    return Functions(run, start, accumulate, combine, save, fetch, write)


class _Point:
    """Interprets a nest at one point. Holds no state: simulated threads share it."""

    def __init__(self, nest: Nest, memory: Mapping[int, np.ndarray]):
        self.nest, self.memory = nest, memory
        self.layout = Words.of(nest)

    def extent(self, extent: Extent, words: Word) -> int:
        return evaluate(extent, {name: words[self.layout.size(name)] for name in self.layout.sizes})

    def indices(self, kept: int, reduced: int | None, words: Word) -> list[int]:
        out = [0] * len(self.nest.space)
        for flat, axes in ((kept, kept_axes(self.nest)), (reduced, reduced_axes(self.nest))):
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
        for s in self.nest.stores:
            value = values[s.value]
            if s.add:
                value = self.load(s.access, indices, words, values) + value
            self.store(value, s.access, indices, words, values)
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
        return np.asarray(_PRIMITIVE[op.name].evaluate(params, *args)).astype(op.dtype)[()]


def _bits(value: Any, dtype: str) -> int:
    number = np.asarray(value, dtype)
    return int(number.view("int32" if dtype == "float32" else "int64")) if dtype != "bool" else int(number)


def _number(word: int, dtype: str) -> Any:
    if dtype == "bool":
        return np.bool_(word)
    return np.asarray(word, "int32" if dtype == "float32" else "int64").view(dtype)[()]
