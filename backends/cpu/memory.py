"""Loads and stores of lanes: contiguous, broadcast or strided, masked, guarded, gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from backends.cpu.frame import Frame, i64
from backends.cpu.layout import INDEX_OUT_OF_RANGE, STATUS
from backends.emit import I8, I32, I64, POINTER, SCALAR, Lanes, element
from symdiff.ir.dims import Extent, constant_term
from symdiff.program.ir import ITEMSIZE, Access, Guard


@dataclass(slots=True)
class Point:
    """Where a body is evaluated: one index per loop, the innermost one the first of the lanes; `mask` for a tail."""

    indices: Sequence[Any]
    mask: Any | None = None


class Memory:
    """Emits accesses of one function at a given number of lanes."""

    def __init__(self, frame: Frame, lanes: Lanes):
        self.frame, self.lanes = frame, lanes

    def affine(self, offset: Extent, coefs: Sequence[Extent], indices: Sequence[Any]) -> Any:
        """offset + sum(coefs * indices), of the first lane."""
        b, frame = self.frame.builder, self.frame
        total = frame.extent(offset)
        for c, index in zip(coefs, indices, strict=True):
            if c != 0:
                total = b.add(total, index if c == 1 else b.mul(frame.extent(c), index))
        return total

    def numbers(self, offset: Extent, coefs: Sequence[Extent], point: Point) -> Any:
        """The affine number in every lane."""
        b, lanes = self.frame.builder, self.lanes
        first = lanes.splat(self.affine(offset, coefs, point.indices))
        if lanes.width == 1 or not coefs or coefs[-1] == 0:
            return first
        steps = ir.Constant(first.type, [i64(k) for k in range(lanes.width)])
        if coefs[-1] == 1:
            return b.add(first, steps)
        return b.add(first, b.mul(steps, lanes.splat(self.frame.extent(coefs[-1]))))

    def guard(self, guards: Sequence[Guard], point: Point) -> Any | None:
        """The lanes in which all guards hold; None when there are none."""
        b, lanes = self.frame.builder, self.lanes
        valid: Any | None = None
        for g in guards:
            number = self.numbers(g.offset, g.coefs, point)
            # One unsigned comparison: a negative number is a huge one.
            inside = b.icmp_unsigned("<", number, lanes.splat(self.frame.extent(g.limit)))
            valid = inside if valid is None else b.and_(valid, inside)
        return valid

    def _both(self, a: Any | None, c: Any | None) -> Any | None:
        return a if c is None else c if a is None else self.frame.builder.and_(a, c)

    def load(self, access: Access, point: Point, gathered: Sequence[Any] = ()) -> Any:
        """Read an access; lanes outside the guards get 0."""
        dtype = access.buffer.dtype
        mask = self._both(self.guard(access.guards, point), point.mask)
        last = access.strides[-1] if access.strides else 0
        if self.lanes.width > 1 and gathered and last in (0, 1) and all(g.uniform for g in access.gathers):
            value = self._row_load(access, point, gathered, mask)
        elif gathered or (self.lanes.width > 1 and last not in (0, 1)):
            value = self._scattered_load(access, point, gathered, mask)
        elif self.lanes.width > 1 and access.strides and access.strides[-1] == 1:
            value = self._run_load(access, point, mask)
        else:
            value = self._single_load(access, point, access.guards)
        return self._to_bool(value) if dtype == "bool" else value

    def _address(self, access: Access, index: Any) -> Any:
        memory = _memory_type(access.buffer.dtype)
        return self.frame.builder.gep(self.frame.base(access.buffer), [index], source_etype=memory)

    def _run_address(self, access: Access, point: Point) -> Any:
        """The address of the first lane: of its row, then of the point, then a distance that fits an instruction."""
        b, constant = self.frame.builder, constant_term(access.offset)
        row = self.affine(access.offset - constant, access.strides[:-1], point.indices[:-1])
        at, kind = self.frame.base(access.buffer), _memory_type(access.buffer.dtype)
        for step in (row, point.indices[-1], i64(constant)):
            if not (isinstance(step, ir.Constant) and step.constant == 0):
                at = b.gep(at, [step], source_etype=kind)
        return at

    def _single_load(self, access: Access, point: Point, guards: Sequence[Guard]) -> Any:
        """One number for all lanes. Guards that vary over the lanes choose afterwards; the address is kept legal."""
        b, memory = self.frame.builder, _memory_type(access.buffer.dtype)
        index = self.affine(access.offset, access.strides, point.indices)
        size = ITEMSIZE[access.buffer.dtype]
        if not guards:
            return self.lanes.splat(b.load(self._address(access, index), typ=memory, align=size))
        valid = self.guard(guards, point)
        assert valid is not None
        some = self._any(valid)
        value = b.load(self._address(access, b.select(some, index, i64(0))), typ=memory, align=size)
        return b.select(valid, self.lanes.splat(value), _zero(self._vector(memory)))

    def _any(self, valid: Any) -> Any:
        if self.lanes.width == 1:
            return valid
        bits = self.frame.builder.bitcast(valid, ir.IntType(self.lanes.width))
        return self.frame.builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    def _vector(self, memory: ir.Type) -> ir.Type:
        return ir.VectorType(memory, self.lanes.width) if self.lanes.width > 1 else memory

    def _run_load(self, access: Access, point: Point, mask: Any | None) -> Any:
        b, memory = self.frame.builder, _memory_type(access.buffer.dtype)
        kind = self._vector(memory)
        at = self._run_address(access, point)
        size = ITEMSIZE[access.buffer.dtype]
        if mask is None:
            return b.load(at, typ=kind, align=size)
        return self._call(
            f"llvm.masked.load.{_kind_text(kind)}.p0", kind, [at, ir.Constant(I32, size), mask, _zero(kind)]
        )

    def _row_load(self, access: Access, point: Point, gathered: Sequence[Any], mask: Any | None) -> Any:
        """Read from a row that is chosen at run time; its entries are side by side, or one for all lanes."""
        b, memory = self.frame.builder, _memory_type(access.buffer.dtype)
        row, legal = self._row(access, gathered)
        kind = self._vector(memory)
        index = b.add(self.affine(access.offset, access.strides, point.indices), row)
        # A row out of range may not exist: something harmless is read instead, and the run reports it.
        at = b.select(legal, self._address(access, index), self.frame.alloca(kind))
        size = ITEMSIZE[access.buffer.dtype]
        if not access.strides or access.strides[-1] == 0:
            value = self.lanes.splat(b.load(at, typ=memory, align=size))
            return value if mask is None else b.select(mask, value, _zero(kind))
        if mask is None:
            return b.load(at, typ=kind, align=size)
        return self._call(
            f"llvm.masked.load.{_kind_text(kind)}.p0", kind, [at, ir.Constant(I32, size), mask, _zero(kind)]
        )

    def _row(self, access: Access, gathered: Sequence[Any]) -> tuple[Any, Any]:
        """Return the offset of the chosen row, and whether it is in range; if not, that is reported."""
        b, frame = self.frame.builder, self.frame
        offset, legal = i64(0), None
        for g, value in zip(access.gathers, gathered, strict=True):
            number = b.extract_element(value, ir.Constant(I32, 0))
            extent = frame.extent(g.extent)
            wrapped = b.select(b.icmp_signed("<", number, i64(0)), b.add(number, extent), number)
            inside = b.icmp_unsigned("<", wrapped, extent)
            legal = self._both(legal, inside)
            offset = b.add(offset, b.mul(wrapped, frame.extent(g.stride)))
        frame.when(b.not_(legal), lambda: b.store(i64(INDEX_OUT_OF_RANGE), frame.word_address(STATUS)))
        return offset, legal

    def _scattered_load(self, access: Access, point: Point, gathered: Sequence[Any], mask: Any | None) -> Any:
        b, lanes, memory = self.frame.builder, self.lanes, _memory_type(access.buffer.dtype)
        index, mask = self._gather_index(access, point, gathered, mask)
        out: Any = ir.Constant(self._vector(memory), None) if lanes.width > 1 else _zero(memory)
        if lanes.width == 1:
            if mask is None:
                return b.load(self._address(access, index), typ=memory)
            slot = self.frame.alloca(memory)
            b.store(out, slot)
            self.frame.when(mask, lambda: b.store(b.load(self._address(access, index), typ=memory), slot))
            return b.load(slot, typ=memory)
        pointers = self._addresses(access, index)
        size = ITEMSIZE[access.buffer.dtype]
        kind = self._vector(memory)
        on = mask if mask is not None else lanes.const(1, "bool")
        name = f"llvm.masked.gather.{_kind_text(kind)}.v{lanes.width}p0"
        return self._call(name, kind, [pointers, ir.Constant(I32, size), on, _zero(kind)])

    def _addresses(self, access: Access, index: Any) -> Any:
        b, lanes = self.frame.builder, self.lanes
        base = b.ptrtoint(self.frame.base(access.buffer), I64)
        size = lanes.splat(i64(ITEMSIZE[access.buffer.dtype]))
        where = b.add(lanes.splat(base), b.mul(index, size))
        return b.inttoptr(where, ir.VectorType(POINTER, lanes.width))

    def _gather_index(
        self, access: Access, point: Point, gathered: Sequence[Any], mask: Any | None
    ) -> tuple[Any, Any | None]:
        """Return the index in every lane and the lanes in which it may be used; indices out of range are reported."""
        b, frame = self.frame.builder, self.frame
        index = self.numbers(access.offset, access.strides, point)
        for g, value in zip(access.gathers, gathered, strict=True):
            extent = self.lanes.splat(frame.extent(g.extent))
            negative = b.icmp_signed("<", value, _zero(value.type))
            wrapped = b.select(negative, b.add(value, extent), value)
            legal = b.icmp_unsigned("<", wrapped, extent)
            bad = b.not_(legal) if mask is None else b.and_(mask, b.not_(legal))
            frame.when(self._any(bad), lambda: b.store(i64(INDEX_OUT_OF_RANGE), frame.word_address(STATUS)))
            # Even entry 0 may not exist: nothing is read or written where an index is out of range.
            mask = self._both(mask, legal)
            index = b.add(index, b.mul(wrapped, self.lanes.splat(frame.extent(g.stride))))
        return index, mask

    def store(self, value: Any, access: Access, point: Point, gathered: Sequence[Any] = ()) -> None:
        """Write an access."""
        b, lanes = self.frame.builder, self.lanes
        size = ITEMSIZE[access.buffer.dtype]
        if access.buffer.dtype == "bool":
            value = b.zext(value, self._vector(I8))
        if lanes.width > 1 and access.strides and access.strides[-1] == 1 and not gathered:
            at = self._run_address(access, point)
            if point.mask is None:
                b.store(value, at, align=size)
            else:
                name = f"llvm.masked.store.{_kind_text(value.type)}.p0"
                self._call(name, ir.VoidType(), [value, at, ir.Constant(I32, size), point.mask])
            return
        if lanes.width > 1 and gathered and access.strides[-1] == 1 and all(g.uniform for g in access.gathers):
            self._row_store(value, access, point, gathered)
            return
        index, mask = self._gather_index(access, point, gathered, point.mask)
        if lanes.width == 1:
            if mask is None:
                b.store(value, self._address(access, index), align=size)
            else:
                self.frame.when(mask, lambda: b.store(value, self._address(access, index), align=size))
            return
        pointers = self._addresses(access, index)
        on = mask if mask is not None else lanes.const(1, "bool")
        name = f"llvm.masked.scatter.{_kind_text(value.type)}.v{lanes.width}p0"
        self._call(name, ir.VoidType(), [value, pointers, ir.Constant(I32, size), on])

    def store_run(self, values: Any, access: Access, point: Point) -> None:
        """Write a vector of any length to consecutive addresses, the first being the access's own."""
        at = self._address(access, self.affine(access.offset, access.strides, point.indices))
        self.frame.builder.store(values, at, align=ITEMSIZE[access.buffer.dtype])

    def _row_store(self, value: Any, access: Access, point: Point, gathered: Sequence[Any]) -> None:
        """Write to a row that is chosen at run time; nothing is written where it is out of range."""
        row, legal = self._row(access, gathered)
        b = self.frame.builder
        index = b.add(self.affine(access.offset, access.strides, point.indices), row)
        size = ITEMSIZE[access.buffer.dtype]

        def run() -> None:
            at = self._address(access, index)
            if point.mask is None:
                b.store(value, at, align=size)
            else:
                name = f"llvm.masked.store.{_kind_text(value.type)}.p0"
                self._call(name, ir.VoidType(), [value, at, ir.Constant(I32, size), point.mask])

        self.frame.when(legal, run)

    def _to_bool(self, value: Any) -> Any:
        return self.frame.builder.icmp_unsigned("!=", value, _zero(value.type))

    def _call(self, name: str, result: ir.Type, args: Sequence[Any]) -> Any:
        signature = ir.FunctionType(result, [a.type for a in args])
        builder = self.frame.builder
        return builder.call(builder.module.declare(name, signature), args)


def mask_of(frame: Frame, wide: Lanes, i: Any, stop: Any) -> Any:
    """The lanes, of which the first stands for index i, that are before `stop`."""
    lane = ir.Constant(ir.VectorType(I64, wide.width), [i64(k) for k in range(wide.width)])
    return frame.builder.icmp_signed("<", lane, wide.splat(frame.builder.sub(stop, i)))


def _memory_type(dtype: str) -> ir.Type:
    """Bools are stored as bytes."""
    return I8 if dtype == "bool" else SCALAR[dtype]


def _zero(kind: ir.Type) -> ir.Constant:
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, None)
    return ir.Constant(kind, 0 if isinstance(kind, ir.IntType) else 0.0)


def _kind_text(kind: ir.Type) -> str:
    scalar = element(kind)
    text = f"i{scalar.width}" if isinstance(scalar, ir.IntType) else {"double": "f64", "float": "f32"}[str(scalar)]
    return f"v{kind.count}{text}"
