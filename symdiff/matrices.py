"""MatrixFunction: a compiled function with sparse matrices among its results.

The values of patterns are further outputs of one compiled function, next to the dense outputs; compressed products are
functions of their own. What depends on sizes, and on integer data that decide where entries are, is computed at the
first call with them and kept.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from symdiff.diff.sparse import SparseExpr
from symdiff.diff.sparse_plan import BandPlan, Mould, Structure
from symdiff.form import pack
from symdiff.function import Function
from symdiff.ir.errors import CompileError, DomainError, ShapeError
from symdiff.ir.interpret import concrete_shape
from symdiff.ir.node import Node

# Structures that are kept; each may be as large as its matrix.
_MOST = 8
# Buffers of one result that are kept for the next calls: one is written while the last result is still held.
_SPARE = 3

Build = Callable[[list[Node], list[Node]], Function]


class _Buffers:
    """Arrays for results, handed out again when nobody holds a view of them any more.

    Fresh memory costs a page fault for every 4 KiB: as long as computing the values that go there.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str):
        self._shape, self._dtype = shape, dtype
        self._known: list[np.ndarray] = []

    def take(self) -> np.ndarray:
        """Return an array that is in nobody's hands."""
        for _ in range(len(self._known)):
            try:
                array = self._known.pop(0)  # atomic: no other thread gets it
            except IndexError:
                break
            if sys.getrefcount(array) == 2:  # this name and the argument
                return array
            self._known.append(array)
        return np.empty(self._shape, self._dtype)

    def give(self, array: np.ndarray) -> None:
        """Take an array back; views of it may live on."""
        if len(self._known) < _SPARE:
            self._known.append(array)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """How to answer calls of certain shapes: the function to run and, for each output, what its values become.

    `buffers` are those of the function's own outputs. `data` are the integer arrays that the structure was computed
    for, by the position of the argument.
    """

    run: Function
    plans: tuple[Any, ...]
    moulds: tuple[Any, ...]
    buffers: tuple[_Buffers | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    data: tuple[tuple[int, np.ndarray], ...]

    def fits(self, args: Sequence[Any]) -> bool:
        """Whether the integer data are those of the structure."""
        return all(np.array_equal(args[k], known) for k, known in self.data)

    def compute(self, args: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the function's own outputs: dense ones in new arrays, values of matrices in buffers."""
        outputs = zip(self.buffers, self.shapes, self.run.outputs, strict=True)
        out = [np.empty(shape, f.dtype) if known is None else known.take() for known, shape, f in outputs]
        return self.run(*args, out=out) if out else []


class MatrixFunction:
    """A compiled function whose results contain SciPy sparse arrays. Make one with `sd.compile`.

    A sparse result owns its numbers; where they stand is shared with other results and read-only. Call `.copy()`
    before changing the structure in place.
    """

    def __init__(self, outputs: Sequence[Any], symbols: Sequence[Node], form: Any, build: Build):
        self.outputs, self.inputs, self._form = tuple(outputs), tuple(symbols), form
        self.names = tuple(s.params["name"] for s in symbols)
        self._build = build
        self._built: dict[tuple[str, ...], Function] = {}
        self._prepared: OrderedDict[Any, list[_Prepared]] = OrderedDict()
        # Compiled now, so that errors come now: the way that large sizes take.
        self._main = self._function(tuple(_first_way(f) for f in self.outputs))

    def __repr__(self) -> str:
        kinds = ", ".join(repr(f) for f in self.outputs if isinstance(f, SparseExpr))
        return f"{self._main!r} with {kinds}"

    def __call__(self, *args: Any, out: Any = None, **named: Any) -> Any:
        """Evaluate. A sparse output becomes a new `scipy.sparse.csr_array`.

        Raises: TypeError for a wrong number or kind of arguments, ShapeError for wrong shapes, naming the argument.
        """
        if out is not None:
            raise ShapeError("out= takes arrays, and a result is sparse; compile its .values to fill an array.")
        if named:
            args = tuple(self._main.arguments(args, named))
        if not all(type(a) is np.ndarray for a in args):
            args = tuple(self._main.bound(args)[0])
        prepared = self._find(args)
        results = prepared.compute(args)
        left = iter(results)
        values = []
        for plan, mould in zip(prepared.plans, prepared.moulds, strict=True):
            if plan is None:
                dense = next(left)
                values.append(dense if dense.ndim else dense.item())
            else:
                values.append(mould.matrix(plan.data(plan.products(args) if plan.products else next(left))))
        for buffers, array in zip(prepared.buffers, results, strict=True):
            if buffers is not None:
                buffers.give(array)
        return self._pack(values)

    def structure(self, *args: Any, **named: Any) -> Any:
        """Return where the sparse outputs have entries for these arguments: one `Structure`, or a list of them."""
        prepared = self._find(tuple(self._main.bound(tuple(self._main.arguments(args, named)))[0]))
        found: list[Structure] = [plan.structure for plan in prepared.plans if plan is not None]
        return found[0] if len(found) == 1 else found

    def inspect(self, what: str = "llvm") -> str:
        """Return the "graph", "program", "llvm", "asm" or "ptx" of the compiled part as text."""
        return self._main.inspect(what)

    def explain(self) -> Any:
        """Return what became of the compiled part."""
        return self._main.explain()

    def export(self, name: str, *args: Any, **options: Any) -> NoReturn:
        """Raise CompileError: C has no sparse matrices, but their entries are a vector."""
        raise CompileError(
            f"{name!r} has a sparse result, which C has no type for; compile and export its .values, the entries in "
            "the order of .rows and .cols."
        )

    @property
    def target(self) -> str:
        """Where it runs."""
        return self._main.target

    def _pack(self, values: list[Any]) -> Any:
        return pack(self._form, values)

    # --- what is computed once --------------------------------------------------

    def _find(self, args: tuple[np.ndarray, ...]) -> _Prepared:
        key = tuple([a.shape for a in args])
        for prepared in self._prepared.get(key, ()):
            if prepared.fits(args):
                return prepared
        arrays, sizes = self._main.bound(args)
        made = self._prepare(arrays, sizes)
        known = self._prepared.setdefault(key, [])
        known.insert(0, made)
        del known[_MOST:]
        self._prepared.move_to_end(key)
        if len(self._prepared) > _MOST:
            self._prepared.popitem(last=False)
        return made

    def _prepare(self, arrays: Sequence[np.ndarray], sizes: dict[str, int]) -> _Prepared:
        given = dict(zip(self.inputs, arrays, strict=True))
        asked = {s for f in self.outputs if isinstance(f, SparseExpr) for s in f.data_symbols}
        data = {s: given[s].copy() for s in self.inputs if s in asked}
        plans = [self._plan(f, sizes, data) if isinstance(f, SparseExpr) else None for f in self.outputs]
        ways = tuple("dense" if plan is None else _way(plan) for plan in plans)
        places = tuple((k, data[s]) for k, s in enumerate(self.inputs) if s in data)
        moulds = tuple(None if plan is None else Mould(plan.structure) for plan in plans)
        run = self._function(ways)
        shapes = tuple(concrete_shape(f.shape, sizes) for f in run.outputs)
        inside = [way for way in ways if way != "products"]
        buffers = tuple(
            None if way == "dense" else _Buffers(shape, f.dtype)
            for way, shape, f in zip(inside, shapes, run.outputs, strict=True)
        )
        return _Prepared(run, tuple(plans), moulds, buffers, shapes, places)

    def _plan(self, f: SparseExpr, sizes: dict[str, int], data: Mapping[Node, np.ndarray]) -> Any:
        if f.entries is not None:
            try:
                return f.plan(sizes, data)
            except DomainError:
                # Parts of the pattern can be empty where the function itself is not: sizes as small as a stencil.
                pass
        return f.compression.runner(sizes, data, self.inputs, self._build)

    def _function(self, ways: tuple[str, ...]) -> Function:
        if ways not in self._built:
            outputs: list[Node] = []
            for f, way in zip(self.outputs, ways, strict=True):
                if way == "dense":
                    outputs.append(f)
                elif way == "band":
                    outputs.append(f.band.values)
                elif way == "flat":
                    outputs.append(f.flat_values)
            self._built[ways] = self._build(outputs, list(self.inputs))
        return self._built[ways]


def _first_way(f: Any) -> str:
    if not isinstance(f, SparseExpr):
        return "dense"
    return "products" if f.entries is None else "flat" if f.band is None else "band"


def _way(plan: Any) -> str:
    return "products" if plan.products is not None else "band" if isinstance(plan, BandPlan) else "flat"
