"""numba_door: compiled functions inside the user's own `@numba.njit` code.

    fn = sd.compile(x * y, [x, y])

    @numba.njit
    def total(a, b): return fn(a, b) + 1.0

Numba asks an object that it does not know for `_numba_type_`; a `Function` answers with the type of the `njit`
function made here, so nothing has to be registered and Numba is imported by its user. The generated code fills the
context of `backends.cpu.layout` and jumps to the entry point: no Python object, no lock, the calling thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.types.containers import BaseTuple, Tuple
from numba.extending import intrinsic
from numba.np import arrayobj

from backends.cpu.layout import ALIGN, ARENA, PARALLEL_FOR, STATUS, Layout
from backends.emit import I8, I64
from symdiff.ir.dims import CeilDiv, Dim, Extent, shape_text
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.program.ir import Buffer, Program
from symdiff.program.requirements import NotEmpty, Tall

_NUMBERS = {"float64": types.float64, "float32": types.float32, "int64": types.int64, "bool": types.boolean}
_FROM = {
    "float64": (types.Float, types.Integer, types.Boolean),
    "float32": (types.Float, types.Integer, types.Boolean),
    "int64": (types.Integer, types.Boolean),
    "bool": (types.Boolean,),
}
_LARGEST_ON_STACK = 32768
# Numba's code refers to machine code by address and says nothing when it goes away, so what it has seen stays.
_kept: list[Any] = []


def njit(kernel: Any, names: Sequence[str], single: bool) -> Any:
    """Return the `njit` function of a kernel: one argument per input; several results come as a tuple."""
    entry = _Entry(kernel.address, kernel.program, kernel.layout, tuple(names), single)

    @intrinsic
    def call(_typing_context: Any, packed: Any) -> Any:
        """Call the entry point with a tuple of arguments."""
        return entry.result_type(packed)(packed), entry.generate

    @numba.njit
    def compiled(*args: Any) -> Any:
        return call(args)

    _kept.append((kernel, compiled))
    return compiled


@dataclass(frozen=True, slots=True)
class _Entry:
    """What Numba has to know of a compiled program."""

    address: int
    program: Program
    layout: Layout
    names: tuple[str, ...]
    single: bool

    def result_type(self, packed: Any) -> Any:
        """The Numba type of the result. Raises Numba's TypingError for arguments that do not fit."""
        given = tuple(packed.types) if isinstance(packed, BaseTuple) else ()
        if len(given) != len(self.names):
            raise TypingError(
                f"The function takes {len(self.names)} arguments ({', '.join(self.names)}), got {len(given)}."
            )
        for name, kind, buffer in zip(self.names, given, self.program.inputs, strict=False):
            _check_type(name, kind, buffer)
        results = [_type_of(b) for b in self.program.outputs]
        return results[0] if self.single else Tuple(results)

    def generate(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        """Emit the call."""
        kinds = signature.args[0].types
        values = [builder.extract_value(args[0], k) for k in range(len(kinds))]
        return _Call(self, context, builder).emit(values, kinds, signature.return_type)


def _check_type(name: str, kind: Any, buffer: Buffer) -> None:
    wanted = f"{buffer.dtype} array of shape {shape_text(buffer.shape)}" if buffer.shape else f"{buffer.dtype} number"
    if not buffer.shape:
        if not isinstance(kind, _FROM[buffer.dtype]):
            raise TypingError(
                f"The argument {name!r} is a {wanted}, got {kind}; inside njit call it for one point at a time."
            )
    elif not (
        isinstance(kind, types.Array)
        and kind.dtype == _NUMBERS[buffer.dtype]
        and kind.ndim == len(buffer.shape)
        and kind.layout == "C"
    ):
        raise TypingError(f"The argument {name!r} is a C-contiguous {wanted}, got {kind}; use np.ascontiguousarray.")


def _type_of(buffer: Buffer) -> Any:
    number = _NUMBERS[buffer.dtype]
    return types.Array(number, len(buffer.shape), "C") if buffer.shape else number


class _Call:
    """Emits one call into a function that Numba compiles."""

    def __init__(self, entry: _Entry, context: Any, builder: Any):
        self.entry, self.context, self.b = entry, context, builder
        self.sizes: dict[str, Any] = {}

    def emit(self, values: Sequence[Any], kinds: Sequence[Any], result: Any) -> Any:
        entry, b = self.entry, self.b
        program, layout = entry.program, entry.layout
        inputs = [
            self._array(name, v, k, buffer) if buffer.shape else self._number(v, k, buffer)
            for name, v, k, buffer in zip(entry.names, values, kinds, program.inputs, strict=False)
        ]
        self._check_sizes(values, kinds)
        outputs = [self._output(buffer) for buffer in program.outputs]
        arena, close = self._arena()
        data = [_constant(a.__array_interface__["data"][0]) for a in program.data]
        words = [_constant(0)] * (ARENA + 1)
        words[ARENA] = arena
        words += [self.sizes[name] for name in program.sizes]
        words += [*inputs, *data, *(address for address, _ in outputs)]
        table = cgutils.alloca_once(b, I64, size=layout.words)
        for k, word in enumerate(words):
            b.store(word, b.gep(table, [_constant(k)]))
        for k in range(layout.words - layout.n_sweep_words, layout.words):
            b.store(_constant(0), b.gep(table, [_constant(k)]))
        assert (PARALLEL_FOR, STATUS) == (0, 1)
        code = self.context.add_dynamic_addr(b, entry.address, info="symdiff")
        signature = ir.FunctionType(ir.VoidType(), [I64.as_pointer()])
        b.call(b.bitcast(code, signature.as_pointer()), [table])
        close()
        status = b.load(b.gep(table, [_constant(STATUS)]))
        self._raise_if(b.icmp_signed("!=", status, _constant(0)), DomainError, "An index is out of range for its axis.")
        results = [value() for _, value in outputs]
        return results[0] if entry.single else self.context.make_tuple(b, result, results)

    # --- arguments and results ------------------------------------------------

    def _number(self, value: Any, kind: Any, buffer: Buffer) -> Any:
        number = self.context.cast(self.b, value, kind, _NUMBERS[buffer.dtype])
        return self._slot(self.b.zext(number, I8) if buffer.dtype == "bool" else number)

    def _slot(self, value: Any) -> Any:
        return self.b.ptrtoint(cgutils.alloca_once_value(self.b, value), I64)

    def _array(self, name: str, value: Any, kind: Any, buffer: Buffer) -> Any:
        b = self.b
        array = self.context.make_array(kind)(self.context, b, value)
        for extent, got in zip(buffer.shape, cgutils.unpack_tuple(b, array.shape), strict=True):
            if isinstance(extent, Dim) and str(extent).isidentifier():
                got = self.sizes.setdefault(str(extent), got)
        return b.ptrtoint(array.data, I64)

    def _check_sizes(self, values: Sequence[Any], kinds: Sequence[Any]) -> None:
        """Compare every extent with what the sizes say, once all are known; then what the program asks of them."""
        b, program = self.b, self.entry.program
        for name, value, kind, buffer in zip(self.entry.names, values, kinds, program.inputs, strict=False):
            if not buffer.shape:
                continue
            array = self.context.make_array(kind)(self.context, b, value)
            for extent, got in zip(buffer.shape, cgutils.unpack_tuple(b, array.shape), strict=True):
                wrong = b.icmp_signed("!=", got, self._extent(extent))
                text = f"The argument {name!r} has shape {shape_text(buffer.shape)}, got an array of another shape."
                self._raise_if(wrong, ShapeError, text)
        for need in program.requirements:
            if isinstance(need, NotEmpty):
                text = f"{need.what} ({need.line}) over an empty axis has no value."
                self._raise_if(b.icmp_signed("<=", self._extent(need.extent), _constant(0)), DomainError, text)
                continue
            if isinstance(need, Tall):
                text = f"{need.what} ({need.line}) needs matrices with at least as many rows as columns."
                few = b.icmp_signed("<", self._extent(need.rows), self._extent(need.columns))
                self._raise_if(few, DomainError, text)
                continue
            start, count, extent = (self._extent(e) for e in (need.start, need.count, need.extent))
            last = b.add(start, b.mul(b.sub(count, _constant(1)), _constant(need.step)))
            outside = [b.icmp_unsigned(">=", index, extent) for index in (start, last)]
            some = b.icmp_signed(">", count, _constant(0))
            bad = b.or_(b.and_(some, b.or_(*outside)), b.icmp_signed("<", count, _constant(0)))
            self._raise_if(
                bad, DomainError, f"A slice ({need.line}) is out of range for an axis of extent {need.extent}."
            )

    def _output(self, buffer: Buffer) -> tuple[Any, Callable[[], Any]]:
        """The address of a result, and the function that reads it after the call."""
        b = self.b
        if not buffer.shape:
            kind = I8 if buffer.dtype == "bool" else self.context.get_value_type(_NUMBERS[buffer.dtype])
            slot = cgutils.alloca_once(b, kind)

            def read() -> Any:
                value = b.load(slot)
                return b.trunc(value, ir.IntType(1)) if buffer.dtype == "bool" else value

            return b.ptrtoint(slot, I64), read
        shape = [self._extent(e) for e in buffer.shape]
        array = arrayobj._empty_nd_impl(self.context, b, _type_of(buffer), shape)
        return b.ptrtoint(array.data, I64), array._getvalue

    def _arena(self) -> tuple[Any, Callable[[], None]]:
        """Aligned memory for the temporaries, and what ends its life."""
        b = self.b
        total: Any = _constant(2 * ALIGN)
        for slot in self.entry.layout.slots:
            size: Any = _constant(0)
            for extent in map(self._extent, slot.sizes):
                size = b.select(b.icmp_signed(">", extent, size), extent, size)
            total = b.add(total, b.and_(b.add(size, _constant(ALIGN - 1)), _constant(-ALIGN)))
        fixed = all(isinstance(e, int) for slot in self.entry.layout.slots for e in slot.sizes)
        n_bytes = self.entry.layout.arena_bytes({}) + 2 * ALIGN if fixed else _LARGEST_ON_STACK + 1
        if n_bytes <= _LARGEST_ON_STACK:
            start, close = cgutils.alloca_once(b, I8, size=n_bytes), _nothing
        else:
            malloc = cgutils.get_or_insert_function(b.module, ir.FunctionType(_BYTES, [I64]), "malloc")
            free = cgutils.get_or_insert_function(b.module, ir.FunctionType(ir.VoidType(), [_BYTES]), "free")
            start = b.call(malloc, [total])
            self._raise_if(b.icmp_unsigned("==", b.ptrtoint(start, I64), _constant(0)), MemoryError, "no memory left")

            def close() -> None:
                b.call(free, [start])

        return b.and_(b.add(b.ptrtoint(start, I64), _constant(ALIGN - 1)), _constant(-ALIGN)), close

    # --- sizes ------------------------------------------------------------------

    def _extent(self, extent: Extent) -> Any:
        """The value of a polynomial in the run-time sizes."""
        if isinstance(extent, int):
            return _constant(extent)
        b = self.b
        total: Any = _constant(0)
        for monomial, c in extent.terms:
            term: Any = _constant(c)
            for atom in monomial:
                if isinstance(atom, CeilDiv):
                    raised = b.add(self._extent(atom.dim), _constant(atom.step - 1))
                    factor = b.sdiv(raised, _constant(atom.step))
                else:
                    factor = self.sizes[atom]
                term = b.mul(term, factor)
            total = b.add(total, term)
        return total

    def _raise_if(self, condition: Any, error: type[Exception], text: str) -> None:
        with self.b.if_then(condition, likely=False):
            self.context.call_conv.return_user_exc(self.b, error, (text,))


_BYTES = I8.as_pointer()


def _constant(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


def _nothing() -> None:
    """The stack frees itself."""
