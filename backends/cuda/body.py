"""Bodies: the straight-line code of a nest at one point, on one lane, in the LLVM text that NVVM reads.

NVVM reads pointers with the types of what they point to; buffers are global memory, address space 1.
No branches: where a guard or an index fails, entry 0 is read instead and the value is not used. The host gives
every buffer at least one entry for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llvmlite import ir

from backends.cuda.lacking import lacking, line_of, primitive_of
from backends.cuda.libdevice import MOST_INLINE, Calls
from backends.cuda.words import INDEX_OUT_OF_RANGE, STATUS, Words, extents_of, kept_axes, reduced_axes
from backends.emit import I8, I64, SCALAR, Lanes, emit_native
from symdiff.ir.dims import CeilDiv, Dim, Extent, product
from symdiff.program.ir import ITEMSIZE, Access, Affine, Buffer, Const, Guard, Instr, Load, Nest, Op, Reduce

GLOBAL_MEMORY, SHARED_MEMORY = 1, 3
_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}


def i64(value: int) -> ir.Constant:
    """A 64-bit integer constant."""
    return ir.Constant(I64, value)


class Body:
    """Emits a nest's code at the builder's place. `words` are the values of the words the host passes."""

    def __init__(self, builder: ir.IRBuilder, nest: Nest, layout: Words, words: Sequence[ir.Value]):
        self.builder, self.nest, self.layout, self.words = builder, nest, layout, words
        self.kept, self.reduced = kept_axes(nest), reduced_axes(nest)
        outlined = sum(isinstance(i, Op) for i in nest.body) > MOST_INLINE
        self.lanes = Lanes(builder, 1, Calls(outlined), llvm7=True)
        self._extents: dict[Extent, ir.Value] = {}
        self.bases: dict[Buffer, ir.Value] = {}
        # What is in registers of arrays that are read at the point itself.
        self.given: dict[Buffer, ir.Value] = {}
        self._values: dict[int, ir.Value] = {}
        # To how many entries the accesses of a point are aligned; 0 where nothing is known.
        self._alignment = 0

    # --- numbers ------------------------------------------------------------

    def extent(self, extent: Extent) -> ir.Value:
        """The value of an extent."""
        if isinstance(extent, int):
            return i64(extent)
        if extent not in self._extents:
            self._extents[extent] = self._polynomial(extent)
        return self._extents[extent]

    def _polynomial(self, dim: Dim) -> ir.Value:
        b = self.builder
        total: ir.Value = i64(0)
        for monomial, c in dim.terms:
            term: ir.Value = i64(c)
            for atom in monomial:
                term = b.mul(term, self._atom(atom))
            total = b.add(total, term)
        return total

    def _atom(self, atom: str | CeilDiv) -> ir.Value:
        if isinstance(atom, str):
            return self.words[self.layout.size(atom)]
        # Extents are never negative here, so the division rounds down.
        raised = self.builder.add(self.extent(atom.dim), i64(atom.step - 1))
        return self.builder.sdiv(raised, i64(atom.step))

    def indices(self, kept: ir.Value, reduced: ir.Value | None = None) -> list[ir.Value]:
        """The loop indices at a flat position among the kept axes and one among the reduced axes, last axis fastest."""
        out = self._split(kept, self.kept) | self._split(reduced, self.reduced)
        return [out[k] for k in range(len(self.nest.space))]

    def row(self, row: ir.Value, column: ir.Value) -> list[ir.Value]:
        """The loop indices of a map at a flat position among all axes but the last, and one along the last."""
        *outer, last = self.kept
        out = self._split(row, tuple(outer)) | {last: column}
        return [out[k] for k in range(len(self.nest.space))]

    def _split(self, flat: ir.Value | None, axes: tuple[int, ...]) -> dict[int, ir.Value]:
        out: dict[int, ir.Value] = {}
        for k in reversed(axes):
            if flat is None:
                out[k] = i64(0)
            elif k == axes[0]:
                out[k] = flat
            else:
                extent = self.extent(self.nest.space[k])
                out[k], flat = self.builder.urem(flat, extent), self.builder.udiv(flat, extent)
        return out

    def points(self, axes: tuple[int, ...]) -> ir.Value:
        """The number of points of some axes."""
        return self.extent(product(extents_of(self.nest, axes)))

    def chosen(self, values: Sequence[ir.Value], k: ir.Value) -> ir.Value:
        """Value number k."""
        out = values[0]
        for place, value in enumerate(values[1:], 1):
            out = self.builder.select(self.builder.icmp_signed("==", k, i64(place)), value, out)
        return out

    def affine(self, offset: Extent, coefs: Sequence[Extent], indices: Sequence[ir.Value]) -> ir.Value:
        """offset + sum(coefs * indices)."""
        b = self.builder
        total = self.extent(offset)
        for c, index in zip(coefs, indices, strict=True):
            if c != 0:
                total = b.add(total, index if c == 1 else b.mul(self.extent(c), index))
        return total

    def _valid(self, guards: Sequence[Guard], indices: Sequence[ir.Value]) -> ir.Value | None:
        """Whether all guards hold; None when there are none."""
        valid: ir.Value | None = None
        for g in guards:
            # One unsigned comparison: a negative number is a huge one.
            number = self.affine(g.offset, g.coefs, indices)
            inside = self.builder.icmp_unsigned("<", number, self.extent(g.limit))
            valid = inside if valid is None else self.builder.and_(valid, inside)
        return valid

    # --- memory -------------------------------------------------------------

    def address(self, buffer: Buffer, index: ir.Value) -> ir.Value:
        """The address of an entry."""
        if buffer not in self.bases:
            kind = I8 if buffer.dtype == "bool" else SCALAR[buffer.dtype]
            word = self.words[self.layout.buffer(buffer)]
            self.bases[buffer] = self.builder.inttoptr(word, ir.PointerType(kind, GLOBAL_MEMORY))
        return self.builder.gep(self.bases[buffer], [index])

    def _place(self, access: Access, indices: Sequence[ir.Value]) -> tuple[ir.Value, ir.Value | None]:
        """The position of an access and whether it is valid; position 0 where not. Reports indices out of range."""
        b = self.builder
        index = self.affine(access.offset, access.strides, indices)
        valid = self._valid(access.guards, indices)
        for g in access.gathers:
            value, extent = self._values[g.value], self.extent(g.extent)
            wrapped = b.select(b.icmp_signed("<", value, i64(0)), b.add(value, extent), value)
            legal = b.icmp_unsigned("<", wrapped, extent)
            bad = b.not_(legal) if valid is None else b.and_(valid, b.not_(legal))
            self._report(bad)
            index = b.add(index, b.mul(wrapped, self.extent(g.stride)))
            valid = legal if valid is None else b.and_(valid, legal)
        return (index if valid is None else b.select(valid, index, i64(0))), valid

    def _report(self, bad: ir.Value) -> None:
        b = self.builder
        with b.if_then(bad, likely=False):
            at = b.inttoptr(self.words[STATUS], ir.PointerType(I64, GLOBAL_MEMORY))
            b.store(i64(INDEX_OUT_OF_RANGE), at)

    def load(self, access: Access, indices: Sequence[ir.Value]) -> ir.Value:
        """Read an access; 0 where it is not valid."""
        if access.buffer in self.given:
            return self.given[access.buffer]
        b, dtype = self.builder, access.buffer.dtype
        index, valid = self._place(access, indices)
        value = b.load(self.address(access.buffer, index), align=self._aligned(access))
        if dtype == "bool":
            value = b.icmp_unsigned("!=", value, ir.Constant(I8, 0))
        return value if valid is None else b.select(valid, value, self.lanes.const(0, dtype))

    def store(self, value: ir.Value, access: Access, indices: Sequence[ir.Value]) -> None:
        """Write an access. Where an index is out of range the result is lost anyway: entry 0 takes the value."""
        if access.buffer.dtype == "bool":
            value = self.builder.zext(value, I8)
        index, _ = self._place(access, indices)
        self.builder.store(value, self.address(access.buffer, index), align=self._aligned(access))

    def _aligned(self, access: Access) -> int | None:
        """The bytes to which an access is known to be aligned, if to more than an entry."""
        straight = access.strides == (1,) and access.offset == 0 and not (access.guards or access.gathers)
        return self._alignment * ITEMSIZE[access.buffer.dtype] if straight and self._alignment else None

    # --- instructions -------------------------------------------------------

    def run_at(self, indices: Sequence[ir.Value]) -> Mapping[int, ir.Value]:
        """Emit the body and its stores at a point; returns the values of the instructions."""
        values = self._compute(indices)
        self._store(indices)
        return values

    def run_side_by_side(self, first: ir.Value, width: int) -> None:
        """Emit `width` neighbouring points of a nest of one axis, all reads before all writes.

        NVVM then makes one vector access of those that lie side by side, because the first is known to be aligned.
        """
        points = [[self.builder.add(first, i64(k))] for k in range(width)]
        computed = []
        for k, point in enumerate(points):
            self._alignment = width if k == 0 else 0
            computed.append(self._compute(point))
        for k, point in enumerate(points):
            self._alignment, self._values = width if k == 0 else 0, computed[k]
            self._store(point)
        self._alignment = 0

    def owner(self, indices: Sequence[ir.Value]) -> ir.Value:
        """The index to which a scatter adds a point."""
        self._compute(indices)
        (gather,) = self.nest.stores[0].access.gathers
        b, value = self.builder, self._values[gather.value]
        return b.select(b.icmp_signed("<", value, i64(0)), b.add(value, self.extent(gather.extent)), value)

    def _compute(self, indices: Sequence[ir.Value]) -> dict[int, ir.Value]:
        self._values = {}
        for k, instr in enumerate(self.nest.body):
            self._values[k] = self._instr(instr, indices)
        return self._values

    def _store(self, indices: Sequence[ir.Value]) -> None:
        for s in self.nest.stores:
            value = self._values[s.value]
            if s.add:
                value = emit_native("add", (self.load(s.access, indices), value), s.access.buffer.dtype, self.lanes)
            self.store(value, s.access, indices)

    def _instr(self, instr: Instr, indices: Sequence[ir.Value]) -> ir.Value:
        match instr:
            case Load():
                return self.load(instr.access, indices)
            case Affine():
                return self._guarded(self.affine(instr.offset, instr.coefs, indices), "int64", instr.guards, indices)
            case Const():
                return self._guarded(self.lanes.const(instr.value, instr.dtype), instr.dtype, instr.guards, indices)
            case Op():
                try:
                    return emit_native(instr.name, [self._values[a] for a in instr.args], instr.dtype, self.lanes)
                except KeyError:
                    raise lacking(primitive_of(instr), line_of(instr)) from None

    def _guarded(self, value: ir.Value, dtype: str, guards: Sequence[Guard], indices: Sequence[ir.Value]) -> ir.Value:
        valid = self._valid(guards, indices)
        return value if valid is None else self.builder.select(valid, value, self.lanes.const(0, dtype))

    # --- accumulators: one word of bits per reduction ---------------------------

    def combine(self, reduce: Reduce, x: ir.Value, y: ir.Value) -> ir.Value:
        """x and y, as bits, combined by a reduction."""
        both = (from_bits(self.builder, x, reduce.dtype), from_bits(self.builder, y, reduce.dtype))
        return to_bits(self.builder, emit_native(_COMBINE[reduce.op], both, reduce.dtype, self.lanes))

    def accumulate(self, acc: Sequence[ir.Value], kept: ir.Value, reduced: ir.Value) -> list[ir.Value]:
        """The accumulators after the point (kept, reduced)."""
        values = self.run_at(self.indices(kept, reduced))
        return [
            self.combine(r, x, to_bits(self.builder, values[r.value]))
            for r, x in zip(self.nest.reductions, acc, strict=True)
        ]

    def identity(self) -> list[ir.Value]:
        """The accumulators before the first point."""
        return [to_bits(self.builder, self.lanes.const(identity(r), r.dtype)) for r in self.nest.reductions]

    def write(self, acc: Sequence[ir.Value], kept: ir.Value) -> None:
        """Store the results of the reductions at a position among the kept axes."""
        indices = self.indices(kept)
        for r, bits in zip(self.nest.reductions, acc, strict=True):
            self.store(from_bits(self.builder, bits, r.dtype), r.access, indices)


def identity(reduce: Reduce) -> Any:
    """The neutral element of a reduction."""
    match reduce.op:
        case "sum":
            return 0
        case "prod":
            return 1
    low = reduce.op == "max"
    if reduce.dtype == "int64":
        return -(2**63) if low else 2**63 - 1
    return float("-inf") if low else float("inf")


def to_bits(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A number as a 64-bit word."""
    if isinstance(value.type, ir.DoubleType):
        return builder.bitcast(value, I64)
    if isinstance(value.type, ir.FloatType):
        return builder.zext(builder.bitcast(value, ir.IntType(32)), I64)
    return value if value.type == I64 else builder.zext(value, I64)


def from_bits(builder: ir.IRBuilder, word: ir.Value, dtype: str) -> ir.Value:
    """The number of a dtype in a 64-bit word."""
    match dtype:
        case "float64":
            return builder.bitcast(word, SCALAR[dtype])
        case "float32":
            return builder.bitcast(builder.trunc(word, ir.IntType(32)), SCALAR[dtype])
        case "int64":
            return word
        case _:
            return builder.trunc(word, SCALAR[dtype])


def body_module(nest: Nest) -> ir.Module:
    """Return the body as a module of its own, to look at and to check: what the skeleton's loops surround.

    void run(kept, reduced, words, acc) adds a point to the accumulators; void write(kept, words, acc) stores them.
    """
    module = ir.Module("body")
    module.triple = "nvptx64-nvidia-cuda"
    layout = Words.of(nest)
    table, nothing = ir.PointerType(I64), ir.VoidType()
    run = ir.Function(module, ir.FunctionType(nothing, [I64, I64, table, table]), "run")
    body, acc, slots = _opened(run, nest, layout, run.args[2], run.args[3])
    if nest.reductions:
        for slot, value in zip(slots, body.accumulate(acc, run.args[0], run.args[1]), strict=True):
            body.builder.store(value, slot)
    else:
        body.run_at(body.indices(run.args[0], run.args[1]))
    body.builder.ret_void()
    if nest.reductions:
        write = ir.Function(module, ir.FunctionType(nothing, [I64, table, table]), "write")
        body, acc, _ = _opened(write, nest, layout, write.args[1], write.args[2])
        body.write(acc, write.args[0])
        body.builder.ret_void()
    return module


def _opened(
    function: ir.Function, nest: Nest, layout: Words, words: ir.Value, acc: ir.Value
) -> tuple[Body, list[ir.Value], list[ir.Value]]:
    """Begin a function: the body, and the values and addresses of the accumulators."""
    b = ir.IRBuilder(function.append_basic_block())
    slots = [b.gep(acc, [i64(k)]) for k in range(len(nest.reductions))]
    values = [b.load(slot) for slot in slots]
    return Body(b, nest, layout, [b.load(b.gep(words, [i64(k)])) for k in range(layout.count)]), values, slots
