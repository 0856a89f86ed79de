"""assembler: LLVM text, written line by line.

`llvmlite.ir` builds an object for every instruction and renders it afterwards: 40 us an instruction, more than
LLVM needs to compile it. This builder has the same method names, so `backends.emit` works with either, and
costs a tenth. Types and constants are still llvmlite's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from backends.cpu.machine import Machine

_type_texts: dict[ir.Type, str] = {}


def type_text(kind: ir.Type) -> str:
    """The text of a type."""
    text = _type_texts.get(kind)
    if text is None:
        text = _type_texts[kind] = str(kind)
    return text


class Value:
    """A named value: a type and how it is referred to."""

    __slots__ = ("ref", "type")

    def __init__(self, kind: ir.Type, ref: str):
        self.type, self.ref = kind, ref

    def get_reference(self) -> str:
        """How it is written as an operand."""
        return self.ref


class Block:
    """A basic block: lines of text and phi nodes, which get their arguments later."""

    __slots__ = ("lines", "name")

    def __init__(self, name: str):
        self.name = name
        self.lines: list[Any] = []


class Phi(Value):
    """A value that depends on where control came from."""

    __slots__ = ("incoming",)

    def __init__(self, kind: ir.Type, ref: str):
        super().__init__(kind, ref)
        self.incoming: list[tuple[Any, Block]] = []

    def add_incoming(self, value: Any, block: Block) -> None:
        """Enter the value that comes from a block."""
        self.incoming.append((value, block))

    def __str__(self) -> str:
        cases = ", ".join(f"[{v.get_reference()}, %{b.name}]" for v, b in self.incoming)
        return f"{self.ref} = phi {type_text(self.type)} {cases}"


class Module:
    """Functions and external objects by name, in order, for the processor `machine`."""

    def __init__(self, name: str, machine: Machine):
        self.name, self.machine = name, machine
        self.globals: dict[str, Function | External | Reserved | Data] = {}
        # Functions that are declared here and written in assembly, by name.
        self.assembly: dict[str, str] = {}

    def __str__(self) -> str:
        head = f'; ModuleID = "{self.name}"\ntarget triple = "{self.machine.triple}"\n\n'
        if self.assembly:
            text = "\\0A".join("\n".join(self.assembly.values()).split("\n"))
            head += f'module asm "{text}"\n\n'
        return head + "\n".join(str(g) for g in self.globals.values())

    def declare(self, name: str, signature: ir.FunctionType) -> Function:
        """Return the function of a name, declared at its first use."""
        found = self.globals.get(name)
        if found is None:
            found = Function(self, signature, name)
        assert isinstance(found, Function)
        return found

    def externals(self) -> list[str]:
        """The names that somebody else defines, without LLVM's own."""
        own = self.assembly
        return [n for n, g in self.globals.items() if g.is_external and not n.startswith("llvm.") and n not in own]


class External(Value):
    """An object of another library, such as PyFloat_Type."""

    __slots__ = ("name",)
    is_external = True

    def __init__(self, module: Module, name: str):
        super().__init__(ir.PointerType(), f'@"{name}"')
        self.name = name
        module.globals[name] = self

    def __str__(self) -> str:
        return f"{self.ref} = external global i8"


class Reserved(Value):
    """Memory of the module, aligned to a cache line."""

    __slots__ = ("name", "size")
    is_external = False

    def __init__(self, module: Module, name: str, size: int):
        super().__init__(ir.PointerType(), f'@"{name}"')
        self.name, self.size = name, size
        module.globals[name] = self

    def __str__(self) -> str:
        return f"{self.ref} = internal global [{self.size} x i8] zeroinitializer, align 64"


class Data(Value):
    """Constant bytes of the module, aligned to a cache line."""

    __slots__ = ("content", "name")
    is_external = False

    def __init__(self, module: Module, name: str, content: bytes):
        super().__init__(ir.PointerType(), f'@"{name}"')
        self.name, self.content = name, content
        module.globals[name] = self

    def __str__(self) -> str:
        text = "".join(f"\\{byte:02x}" for byte in self.content)
        return f'{self.ref} = private unnamed_addr constant [{len(self.content)} x i8] c"{text}", align 64'


class Function(Value):
    """A function: a declaration until it has blocks."""

    __slots__ = ("args", "attributes", "blocks", "internal", "module", "n_names", "name", "signature")

    def __init__(self, module: Module, signature: ir.FunctionType, name: str, internal: bool = False):
        super().__init__(ir.PointerType(), f'@"{name}"')
        self.module, self.signature, self.name, self.internal = module, signature, name, internal
        self.args = [Value(kind, f"%a{k}") for k, kind in enumerate(signature.args)]
        self.attributes: list[str] = []
        self.blocks: list[Block] = []
        self.n_names = 0
        module.globals[name] = self

    @property
    def is_external(self) -> bool:
        """Whether somebody else defines it."""
        return not self.blocks

    def append_basic_block(self, name: str) -> Block:
        """Add a block at the end."""
        block = Block(f"{name}.{len(self.blocks)}")
        self.blocks.append(block)
        return block

    def __str__(self) -> str:
        result = type_text(self.signature.return_type)
        if self.is_external:
            kinds = ", ".join(map(type_text, self.signature.args))
            return f"declare {result} {self.ref}({kinds}) {' '.join(self.attributes)}"
        args = ", ".join(f"{type_text(a.type)} {a.ref}" for a in self.args)
        scope = "internal " if self.internal else ""
        attributes = " ".join([*self.attributes, *self.module.machine.attributes])
        lines = [f"define {scope}{result} {self.ref}({args}) {attributes} {{"]
        for block in self.blocks:
            lines.append(f"{block.name}:")
            lines += ["  " + (line if type(line) is str else str(line)) for line in block.lines]
        return "\n".join([*lines, "}\n"])


_I1 = ir.IntType(1)
_POINTER = ir.PointerType()
_SIGNED = {"<": "slt", "<=": "sle", ">": "sgt", ">=": "sge", "==": "eq", "!=": "ne"}
_UNSIGNED = {"<": "ult", "<=": "ule", ">": "ugt", ">=": "uge", "==": "eq", "!=": "ne"}
_REAL = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne", "uno": "no"}


def _lanes_of(kind: ir.Type, scalar: ir.Type) -> ir.Type:
    return ir.VectorType(scalar, kind.count) if isinstance(kind, ir.VectorType) else scalar


def _plain(op: str) -> Callable[..., Value]:
    def method(self: Builder, a: Any, b: Any, flags: Sequence[str] = ()) -> Value:
        return self._binary(op, a, b, flags)

    method.__doc__ = f"The LLVM instruction {op}."
    return method


def _conversion(op: str) -> Callable[..., Value]:
    def method(self: Builder, a: Any, kind: ir.Type) -> Value:
        return self._convert(op, a, kind)

    method.__doc__ = f"The LLVM conversion {op}."
    return method


class Builder:
    """Writes instructions at the end of a block."""

    def __init__(self, function: Function, block: Block):
        self.function, self.block = function, block

    @property
    def module(self) -> Module:
        """The module of the function."""
        return self.function.module

    def position_at_end(self, block: Block) -> None:
        """Go on at the end of another block."""
        self.block = block

    def _value(self, kind: ir.Type, text: str) -> Value:
        function = self.function
        function.n_names += 1
        ref = f"%v{function.n_names}"
        self.block.lines.append(f"{ref} = {text}")
        return Value(kind, ref)

    def _binary(self, op: str, a: Any, b: Any, flags: Sequence[str] = ()) -> Value:
        kind = a.type
        word = f"{op} {flags[0]}" if flags else op
        return self._value(kind, f"{word} {type_text(kind)} {a.get_reference()}, {b.get_reference()}")

    def _convert(self, op: str, a: Any, kind: ir.Type) -> Value:
        return self._value(kind, f"{op} {type_text(a.type)} {a.get_reference()} to {type_text(kind)}")

    def _compare(self, text: str, a: Any, b: Any) -> Value:
        return self._value(
            _lanes_of(a.type, _I1), f"{text} {type_text(a.type)} {a.get_reference()}, {b.get_reference()}"
        )

    add = _plain("add")
    sub = _plain("sub")
    mul = _plain("mul")
    sdiv = _plain("sdiv")
    srem = _plain("srem")
    urem = _plain("urem")
    fadd = _plain("fadd")
    fsub = _plain("fsub")
    fmul = _plain("fmul")
    fdiv = _plain("fdiv")
    xor = _plain("xor")
    and_ = _plain("and")
    or_ = _plain("or")
    ashr = _plain("ashr")
    zext = _conversion("zext")
    sext = _conversion("sext")
    trunc = _conversion("trunc")
    fptosi = _conversion("fptosi")
    sitofp = _conversion("sitofp")
    uitofp = _conversion("uitofp")
    fpext = _conversion("fpext")
    fptrunc = _conversion("fptrunc")
    bitcast = _conversion("bitcast")
    ptrtoint = _conversion("ptrtoint")
    inttoptr = _conversion("inttoptr")

    def neg(self, a: Any) -> Value:
        """-a for integers."""
        return self._binary("sub", ir.Constant(a.type, None if isinstance(a.type, ir.VectorType) else 0), a)

    def not_(self, a: Any) -> Value:
        """Every bit of an integer inverted."""
        ones = ir.Constant(_I1, 1)
        lanes = isinstance(a.type, ir.VectorType)
        return self._binary("xor", a, ir.Constant(a.type, [ones] * a.type.count) if lanes else ones)

    def fneg(self, a: Any) -> Value:
        """-a for floats."""
        return self._value(a.type, f"fneg {type_text(a.type)} {a.get_reference()}")

    def icmp_signed(self, sign: str, a: Any, b: Any) -> Value:
        """Compare signed integers."""
        return self._compare(f"icmp {_SIGNED[sign]}", a, b)

    def icmp_unsigned(self, sign: str, a: Any, b: Any) -> Value:
        """Compare unsigned integers."""
        return self._compare(f"icmp {_UNSIGNED[sign]}", a, b)

    def fcmp_ordered(self, sign: str, a: Any, b: Any) -> Value:
        """Compare floats; false if one is NaN."""
        return self._compare(f"fcmp o{_REAL[sign]}", a, b)

    def fcmp_unordered(self, sign: str, a: Any, b: Any) -> Value:
        """Compare floats; true if one is NaN."""
        return self._compare(f"fcmp u{_REAL[sign]}", a, b)

    def select(self, c: Any, a: Any, b: Any) -> Value:
        """Choose a where c, else b."""
        kind = type_text(a.type)
        return self._value(
            a.type,
            f"select {type_text(c.type)} {c.get_reference()}, {kind} {a.get_reference()}, {kind} {b.get_reference()}",
        )

    def load(self, at: Any, typ: ir.Type, align: int | None = None) -> Value:
        """Read memory."""
        aligned = f", align {align}" if align else ""
        return self._value(typ, f"load {type_text(typ)}, ptr {at.get_reference()}{aligned}")

    def store(self, value: Any, at: Any, align: int | None = None) -> None:
        """Write memory."""
        aligned = f", align {align}" if align else ""
        self.block.lines.append(
            f"store {type_text(value.type)} {value.get_reference()}, ptr {at.get_reference()}{aligned}"
        )

    def exchange(self, at: Any, value: Any) -> Value:
        """Write memory and return what was there, as one step; what others wrote before they released is seen."""
        kind = type_text(value.type)
        return self._value(
            value.type, f"atomicrmw xchg ptr {at.get_reference()}, {kind} {value.get_reference()} acquire"
        )

    def release(self, value: Any, at: Any) -> None:
        """Write memory after everything that was written before."""
        number, place = value.get_reference(), at.get_reference()
        self.block.lines.append(f"store atomic {type_text(value.type)} {number}, ptr {place} release, align 8")

    def gep(self, base: Any, indices: Sequence[Any], source_etype: ir.Type) -> Value:
        """An address, counted in elements."""
        (index,) = indices
        text = f"getelementptr {type_text(source_etype)}, ptr {base.get_reference()}, i64 {index.get_reference()}"
        return self._value(_POINTER, text)

    def alloca(self, kind: ir.Type, count: Any = None, align: int | None = None) -> Value:
        """Memory on the stack."""
        size = f", i64 {count.get_reference()}" if count is not None else ""
        aligned = f", align {align}" if align else ""
        return self._value(_POINTER, f"alloca {type_text(kind)}{size}{aligned}")

    def call(self, function: Any, args: Sequence[Any], signature: ir.FunctionType | None = None) -> Value:
        """Call a function, or an address with the given signature."""
        signature = signature if signature is not None else function.signature
        result = signature.return_type
        operands = ", ".join(f"{type_text(a.type)} {a.get_reference()}" for a in args)
        text = f"call {type_text(result)} {function.get_reference()}({operands})"
        if isinstance(result, ir.VoidType):
            self.block.lines.append(text)
            return Value(result, "")
        return self._value(result, text)

    def insert_element(self, vector: Any, value: Any, at: Any) -> Value:
        """A vector with one lane replaced."""
        text = f"{type_text(vector.type)} {vector.get_reference()}, {type_text(value.type)} {value.get_reference()}"
        return self._value(vector.type, f"insertelement {text}, i32 {at.get_reference()}")

    def extract_element(self, vector: Any, at: Any) -> Value:
        """One lane of a vector."""
        text = f"extractelement {type_text(vector.type)} {vector.get_reference()}, i32 {at.get_reference()}"
        return self._value(vector.type.element, text)

    def splat(self, scalar: Any, width: int) -> Value:
        """A scalar in all lanes."""
        kind = ir.VectorType(scalar.type, width)
        text = type_text(kind)
        first = self._value(
            kind, f"insertelement {text} poison, {type_text(scalar.type)} {scalar.get_reference()}, i32 0"
        )
        return self._value(kind, f"shufflevector {text} {first.ref}, {text} poison, <{width} x i32> zeroinitializer")

    def shuffle(self, a: Any, b: Any, lanes: Sequence[int]) -> Value:
        """The chosen lanes of two vectors of one type, those of `b` counted on from those of `a`."""
        text, chosen = type_text(a.type), ", ".join(f"i32 {k}" for k in lanes)
        kind = ir.VectorType(a.type.element, len(lanes))
        mask = f"<{len(lanes)} x i32> <{chosen}>"
        return self._value(kind, f"shufflevector {text} {a.get_reference()}, {text} {b.get_reference()}, {mask}")

    def phi(self, kind: ir.Type) -> Phi:
        """A value that depends on where control came from."""
        self.function.n_names += 1
        phi = Phi(kind, f"%v{self.function.n_names}")
        self.block.lines.append(phi)
        return phi

    def branch(self, block: Block) -> None:
        """Go to a block."""
        self.block.lines.append(f"br label %{block.name}")

    def cbranch(self, condition: Any, yes: Block, no: Block) -> None:
        """Go to one of two blocks."""
        self.block.lines.append(f"br i1 {condition.get_reference()}, label %{yes.name}, label %{no.name}")

    def ret(self, value: Any) -> None:
        """Return a value."""
        self.block.lines.append(f"ret {type_text(value.type)} {value.get_reference()}")

    def ret_void(self) -> None:
        """Return nothing."""
        self.block.lines.append("ret void")
