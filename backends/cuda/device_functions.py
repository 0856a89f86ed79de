"""Device functions: pieces of kernels as LLVM text, and the module that puts the pieces of some kernels together.

A piece does not know what it will be called, nor what is called by it: its own name is `self`, and those of others are
roles. Pieces that are equal but for what they call are therefore one text: see `templates`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from backends.cuda.kinds import Kind, Signature
from backends.emit import F32, F64, I8, I64

TRIPLE = "nvptx64-nvidia-cuda"
# NVVM IR specification, "Data Layout".
_LAYOUT = (
    "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-i128:128:128-f32:32:32-f64:64:64-v16:16:16-v32:32:32-"
    "v64:64:64-v128:128:128-n16:32:64"
)
_NOTES = re.compile(r"(, ![\w.]+ !\d+)+$")
_NAME = re.compile(r'@"?([^"(\s]+)"?')


_TYPES: dict[str, ir.Type] = {
    "void": ir.VoidType(), "boolean": ir.IntType(1), "int64": I64, "float64": F64, "float32": F32,
    "voidptr": ir.PointerType(I8),
}  # fmt: skip


def type_of(kind: Kind) -> ir.Type:
    """What a kind is in LLVM."""
    return ir.ArrayType(_TYPES[kind.name], kind.count) if kind.count else _TYPES[kind.name]


def _function_type(signature: Signature) -> ir.FunctionType:
    flat = [_TYPES[k.name] for k in signature.given for _ in range(k.count or 1)]
    return ir.FunctionType(type_of(signature.result), flat)


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of a function called `self`, and the functions that its roles stand for."""

    text: str
    roles: Mapping[str, DeviceFunction]


@dataclass(frozen=True, eq=False, slots=True)
class DeviceFunction:
    """A function of kernels, made when it is first needed. Functions that are not `inline` are called."""

    signature: Signature
    write: Callable[[], Piece]
    inline: bool = True


def device(emit: Callable[..., ir.Value | None], signature: Signature, **roles: DeviceFunction) -> DeviceFunction:
    """A device function whose code `emit(builder, *given)` writes."""

    def write() -> Piece:
        module = new_module()
        function = ir.Function(module, _function_type(signature), "self")
        builder = ir.IRBuilder(function.append_basic_block())
        flat, given = list(function.args), []
        for kind in signature.given:
            taken = flat[: kind.count or 1]
            del flat[: len(taken)]
            given.append(pack(builder, taken) if kind.count else taken[0])
        result = emit(builder, *given)
        if result is None:
            builder.ret_void()
        else:
            builder.ret(result)
        return Piece(str(module), roles | called_by_name(module))

    return DeviceFunction(signature, write)


def new_module() -> ir.Module:
    """An empty module for a GPU."""
    module = ir.Module()
    module.triple, module.data_layout = TRIPLE, _LAYOUT
    return module


def called_by_name(module: ir.Module) -> dict[str, DeviceFunction]:
    """The functions of `special` that emitted code calls."""
    from backends.cuda.special import SPECIAL
    from backends.cuda.templates import special_function

    return {f.name: special_function(f.name) for f in module.functions if f.name in SPECIAL and f.is_declaration}


def call(builder: ir.IRBuilder, role: str, signature: Signature, given: Sequence[ir.Value]) -> ir.Value:
    """Emit a call of a role."""
    module = builder.module
    function = module.globals.get(role) or ir.Function(module, _function_type(signature), role)
    flat = [x for kind, v in zip(signature.given, given, strict=True) for x in _flat(builder, kind, v)]
    return builder.call(function, flat)


def _flat(builder: ir.IRBuilder, kind: Kind, value: ir.Value) -> list[ir.Value]:
    return unpack(builder, value, kind.count) if kind.count else [value]


def unpack(builder: ir.IRBuilder, value: ir.Value, n: int) -> list[ir.Value]:
    """The entries of a tuple of n numbers."""
    return [builder.extract_value(value, k) for k in range(n)]


def pack(builder: ir.IRBuilder, numbers: Sequence[ir.Value]) -> ir.Value:
    """A tuple of numbers."""
    out: ir.Value = ir.Constant(ir.ArrayType(numbers[0].type if numbers else I64, len(numbers)), ir.Undefined)
    for k, number in enumerate(numbers):
        out = builder.insert_value(out, number, k)
    return out


# --- modules ----------------------------------------------------------------------------


class Assembly:
    """One module of LLVM text for NVVM, to which kernels are added with all that they call."""

    def __init__(self) -> None:
        self._declared: dict[str, str] = {}
        self._defined: dict[str, str] = {}
        self._names: dict[DeviceFunction, str] = {}
        self._kernels: list[str] = []

    def add(self, name: str, kernel: Piece) -> None:
        """Add a kernel: a piece that takes 64-bit words."""
        self._add(name, kernel, "")
        head = self._defined[name].partition("\n")[0]
        types = ", ".join("i64" for _ in range(head.count("i64 ")))
        self._kernels.append(f'!{{void ({types})* @"{name}", !"kernel", i32 1}}')

    def _add(self, name: str, piece: Piece, linkage: str) -> None:
        # Depth is the nesting of skeletons, and of loops in the user's program.
        names = {role: self._name(role, f) for role, f in piece.roles.items()}
        own = {"self": name}
        for start, block in _blocks(piece.text):
            symbol = _symbol(start)
            # What a piece brings along beside itself has a name that says what it is.
            renamed = _NAME.sub(lambda m: f'@"{(own.get(m[1]) or names.get(m[1]) or m[1])}"', block)
            if start.startswith("declare"):
                if symbol not in names:
                    self._declared[symbol] = renamed
            elif symbol == "self":
                self._defined[name] = renamed.replace("define ", f"define {linkage}", 1)
            else:
                assert self._defined.setdefault(symbol, renamed) == renamed, f"two texts for {symbol}"

    def _name(self, role: str, function: DeviceFunction) -> str:
        if function not in self._names:
            name = self._names[function] = f"{role}.{len(self._names)}"
            self._add(name, function.write(), "internal ")
            head, _, body = self._defined[name].partition("\n")
            attribute = "alwaysinline" if function.inline else "noinline"
            self._defined[name] = f"{head} {attribute}\n{body}"
        return self._names[function]

    def __str__(self) -> str:
        declared = [text for symbol, text in self._declared.items() if symbol not in self._defined]
        marks = ", ".join(f"!{k}" for k in range(1, len(self._kernels) + 1))
        notes = [f"!{k} = {text}" for k, text in enumerate(self._kernels, 1)]
        version = ["!nvvmir.version = !{!0}", "!0 = !{i32 2, i32 0, i32 3, i32 2}"]
        parts = [
            f'target triple = "{TRIPLE}"', f'target datalayout = "{_LAYOUT}"', *declared, *self._defined.values(),
            f"!nvvm.annotations = !{{{marks}}}", *version, *notes,
        ]  # fmt: skip
        return "\n".join(parts) + "\n"


def _symbol(start: str) -> str:
    found = _NAME.search(start)
    assert found is not None
    return found[1]


def _blocks(text: str) -> Iterable[tuple[str, str]]:
    """The declarations, variables and functions of a module: the first line, and all."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(("declare", "@")):
            yield line, line
        elif line.startswith("define"):
            body = [line]
            while body[-1] != "}":
                # Notes on instructions refer to the module's own list, which is not kept.
                body.append(_NOTES.sub("", next(lines)))
            yield line, "\n".join(body)
