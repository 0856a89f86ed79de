"""wrapper: the C function around the entry point of a program.

It checks the sizes, lays out the context of `backends.cpu.layout` on its stack, takes memory for the temporaries and
calls the entry point on the calling thread. It keeps no state, so threads may call it at the same time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from backends.cpu.assembler import Builder, Data, Function, Module, Value
from backends.cpu.export.interface import ERROR, INDEX, MEMORY, OK, SIZE, Argument, Interface
from backends.cpu.frame import i64
from backends.cpu.layout import ALIGN, ARENA, INDEX_OUT_OF_RANGE, STATUS, THREADS, Layout
from backends.emit import F32, F64, I8, I32, I64, POINTER
from symdiff.ir.dims import CeilDiv, Extent
from symdiff.ir.errors import CompileError
from symdiff.program.ir import Program
from symdiff.program.requirements import InRange, NotEmpty, Requirement, Tall

# Temporaries up to this many bytes lie on the stack.
LARGEST_ON_STACK = 16384
_BY_VALUE = {"float64": F64, "float32": F32, "int64": I64, "bool": I8}
_ENTRY = "entry"


def memory_of(layout: Layout) -> Extent | None:
    """The bytes of a program's temporaries where they lie on the stack; None where malloc gives them."""
    fixed = all(isinstance(e, int) for slot in layout.slots for e in slot.sizes)
    size = layout.arena_bytes({}) if fixed else LARGEST_ON_STACK + 1
    return size if size <= LARGEST_ON_STACK else None


def emit_wrapper(module: Module, program: Program, layout: Layout, interface: Interface) -> None:
    """Add the C function of a program to its module; the entry point becomes internal.

    Raises: CompileError if the code has a function of this name.
    """
    if interface.name in module.globals:
        raise CompileError(f"{interface.name!r} is a name inside the generated code; choose another.")
    kinds = [POINTER if a.by_address else _BY_VALUE[a.dtype] for a in interface.arguments]
    function = Function(module, ir.FunctionType(I32, kinds), interface.name)
    entry = module.globals[_ENTRY]
    assert isinstance(entry, Function)
    entry.internal = True
    _Wrapper(module, function, program, layout, interface).emit(entry)


class _Wrapper:
    """Emits one C function."""

    def __init__(self, module: Module, function: Function, program: Program, layout: Layout, interface: Interface):
        self.module, self.function, self.program, self.layout = module, function, program, layout
        self.given: list[tuple[Argument, Value]] = list(zip(interface.arguments, function.args, strict=True))
        self.sizes = {name: function.args[k] for k, name in enumerate(program.sizes)}
        self.b = Builder(function, function.append_basic_block("head"))

    def emit(self, entry: Function) -> None:
        """Emit the function."""
        b = self.b
        context = b.alloca(I64, i64(self.layout.words), align=8)
        words = self._buffers()
        stack = memory_of(self.layout)
        on_stack = b.alloca(I8, i64(int(stack) + 2 * ALIGN), align=ALIGN) if stack is not None else None
        self._check_sizes()
        memory = self._allocated() if on_stack is None else on_stack
        start = b.and_(b.add(b.ptrtoint(memory, I64), i64(ALIGN - 1)), i64(-ALIGN))
        head = [i64(0)] * ARENA
        head[THREADS] = i64(1)
        known = [*head, start, *self.sizes.values(), *words]
        # The other words are for the code itself, which finds zeros there.
        for k, word in enumerate([*known, *[i64(0)] * (self.layout.words - len(known))]):
            b.store(word, b.gep(context, [i64(k)], source_etype=I64))
        b.call(entry, [context])
        if on_stack is None:
            b.call(self.module.declare("free", ir.FunctionType(ir.VoidType(), [POINTER])), [memory])
        status = b.load(b.gep(context, [i64(STATUS)], source_etype=I64), typ=I64)
        bad = b.icmp_signed("==", status, i64(INDEX_OUT_OF_RANGE))
        b.ret(b.select(bad, ir.Constant(I32, INDEX), ir.Constant(I32, OK)))

    def _buffers(self) -> list[Value]:
        """The addresses of inputs, literal arrays and outputs, in their order in the context."""
        addresses = {
            role: [self._address(a, v) for a, v in self.given if a.role == role] for role in ("input", "output")
        }
        literals = []
        for k, array in enumerate(self.program.data):
            content = np.ascontiguousarray(array).tobytes()
            # Something to point to: the address of an array without entries is read, though not used.
            data = Data(self.module, f"{self.function.name}.data{k}", content or bytes(1))
            literals.append(self.b.ptrtoint(data, I64))
        return [*addresses["input"], *literals, *addresses["output"]]

    def _address(self, argument: Argument, value: Value) -> Value:
        b = self.b
        if argument.by_address:
            return b.ptrtoint(value, I64)
        slot = b.alloca(value.type, align=8)
        b.store(value, slot)
        return b.ptrtoint(slot, I64)

    # --- sizes --------------------------------------------------------------

    def _check_sizes(self) -> None:
        wrong = [self.b.icmp_signed("<", size, i64(0)) for size in self.sizes.values()]
        wrong += [self._is_violated(r) for r in self.program.requirements]
        for condition in wrong:
            self._return_if(condition, SIZE)

    def _return_if(self, condition: Value, status: int) -> None:
        b, function = self.b, self.function
        leave, stay = function.append_basic_block("leave"), function.append_basic_block("stay")
        b.cbranch(condition, leave, stay)
        b.position_at_end(leave)
        b.ret(ir.Constant(I32, status))
        b.position_at_end(stay)

    def _is_violated(self, requirement: Requirement) -> Value:
        b = self.b
        match requirement:
            case NotEmpty():
                return b.icmp_signed("<=", self.extent(requirement.extent), i64(0))
            case Tall():
                return b.icmp_signed("<", self.extent(requirement.rows), self.extent(requirement.columns))
            case InRange():
                start, count, extent = (
                    self.extent(e) for e in (requirement.start, requirement.count, requirement.extent)
                )
                last = b.add(start, b.mul(b.sub(count, i64(1)), i64(requirement.step)))
                # One unsigned comparison: a negative number is a huge one.
                outside = b.or_(b.icmp_unsigned(">=", start, extent), b.icmp_unsigned(">=", last, extent))
                some = b.icmp_signed(">", count, i64(0))
                return b.or_(b.icmp_signed("<", count, i64(0)), b.and_(some, outside))

    def extent(self, extent: Extent) -> Any:
        """The value of a polynomial in the run-time sizes."""
        if isinstance(extent, int):
            return i64(extent)
        b = self.b
        total: Any = i64(0)
        for monomial, c in extent.terms:
            term: Any = i64(c)
            for atom in monomial:
                if isinstance(atom, CeilDiv):
                    # Extents are not negative once the sizes are checked, so the division rounds down.
                    factor = b.sdiv(b.add(self.extent(atom.dim), i64(atom.step - 1)), i64(atom.step))
                else:
                    factor = self.sizes[atom]
                term = b.mul(term, factor)
            total = b.add(total, term)
        return total

    def _allocated(self) -> Value:
        b = self.b
        total: Any = i64(2 * ALIGN)
        for slot in self.layout.slots:
            size: Value = i64(0)
            for extent in map(self.extent, slot.sizes):
                size = b.select(b.icmp_signed(">", extent, size), extent, size)
            total = b.add(total, b.and_(b.add(size, i64(ALIGN - 1)), i64(-ALIGN)))
        memory = b.call(self.module.declare("malloc", ir.FunctionType(POINTER, [I64])), [total])
        self._return_if(b.icmp_unsigned("==", b.ptrtoint(memory, I64), i64(0)), MEMORY)
        return memory


def emit_texts(module: Module, name: str, texts: tuple[str, ...]) -> None:
    """Add `const char *name_error(int status)`, which gives the text of a status."""
    function = Function(module, ir.FunctionType(POINTER, [I32]), name + ERROR)
    b = Builder(function, function.append_basic_block("head"))
    places = [
        Data(module, f"{name}.text{k}", text.encode() + b"\0") for k, text in enumerate((*texts, "unknown status"))
    ]
    chosen: Value = places[-1]
    for k, place in enumerate(places[:-1]):
        chosen = b.select(b.icmp_signed("==", function.args[0], ir.Constant(I32, k)), place, chosen)
    b.ret(chosen)
