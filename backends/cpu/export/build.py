"""build: programs become one object file that needs nothing of Python's.

Calls of BLAS become loops of our own. LAPACK, SciPy's special functions and Python functions have no counterpart in
the C library; a program that calls them is refused by their names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backends.cpu.assembler import Module
from backends.cpu.codegen import codegen
from backends.cpu.export.header import header, status_texts
from backends.cpu.export.interface import Interface
from backends.cpu.export.products import plain_products
from backends.cpu.export.wrapper import emit_texts, emit_wrapper, memory_of
from backends.cpu.host import build_object
from backends.cpu.machine import Machine
from symdiff.ir.dims import Extent
from symdiff.ir.errors import CompileError
from symdiff.program.ir import Call, Nest, Op, Program, Statement, walk

# Above this many operations LLVM's passes take longer than the program is worth.
_LARGE = 20_000
VECTOR_MATHS = "_ZGV"


@dataclass(frozen=True, slots=True)
class Built:
    """An object file and its header; `links` are the linker's options for what it calls."""

    code: bytes
    header: str
    links: tuple[str, ...]


def build(interfaces: Sequence[Interface], programs: Sequence[Program], target: Machine) -> Built:
    """Compile programs to one object file with the functions of their interfaces.

    Raises: CompileError, naming what a program calls that C does not have.
    """
    name = interfaces[0].name
    memory: list[Extent | None] = []
    modules: list[Module] = []
    externals: set[str] = set()
    requirements: dict[str, None] = {}
    for interface, given in zip(interfaces, programs, strict=True):
        _refuse_python(name, given)
        program = plain_products(given)
        module, layout = codegen(program, target)
        _refuse_libraries(name, program, module.externals())
        emit_wrapper(module, program, layout, interface)
        requirements |= dict.fromkeys(str(r) for r in program.requirements)
        memory.append(memory_of(layout))
        modules.append(module)
        externals |= set(module.externals())
    statuses = status_texts([r.removeprefix("require ") for r in requirements])
    emit_texts(modules[0], name, statuses)
    links = (*(["-lmvec"] if any(e.startswith(VECTOR_MATHS) for e in externals) else []), "-lm")
    operations = sum(len(s.body) for p in programs for s in walk(p.statements) if isinstance(s, Nest))
    effort = 2 if operations <= _LARGE else 0
    code = build_object([_text(m, f"part{k}.") for k, m in enumerate(modules)], effort, target)
    return Built(code, header(interfaces, statuses, memory, target, " ".join(links)), links)


def _text(module: Module, prefix: str) -> str:
    """The text of a module. Functions in assembly get a prefix: LLVM renames what two modules have, but not those."""
    names = list(module.assembly)
    # A function and its labels, which begin with .L and its name.
    found = [(re.compile(rf"(?<!\w)(\.L)?{re.escape(name)}(?!\d)"), rf"\g<1>{prefix}{name}") for name in names]
    for name, (pattern, new) in zip(names, found, strict=True):
        module.assembly[name] = pattern.sub(new, module.assembly[name])
    text = str(module)
    for name in names:
        text = text.replace(f'@"{name}"', f'@"{prefix}{name}"')
    return text


def _refuse_python(name: str, program: Program) -> None:
    callbacks = [s.callback.name for s in walk(program.statements) if isinstance(s, Call) and s.callback is not None]
    if callbacks:
        raise CompileError(
            f"{name!r} calls the Python function {callbacks[0]!r}, which an exported function cannot; write it with "
            "symdiff's functions instead of sd.opaque."
        )


def _refuse_libraries(name: str, program: Program, externals: Sequence[str]) -> None:
    """Raise CompileError for a routine of a library that comes with SciPy."""
    # The number of BLAS's threads is set around a routine; the routine is what the user has asked for.
    for symbol in sorted(externals, key=lambda s: s.startswith("openblas.")):
        room, dot, routine = symbol.partition(".")
        if not dot or re.match(r"\W", room):
            continue
        if room == "scipy":
            raise CompileError(
                f"{name!r} calls SciPy's {routine} ({_line(program.statements, symbol)}), which an exported function "
                "cannot: C has no such function. Write it with others, or call the function from Python."
            )
        callers = sorted({s.name for s in walk(program.statements) if isinstance(s, Call)} - {"gemm"})
        raise CompileError(
            f"{name!r} calls {room.upper()}'s {routine} for {', '.join(callers)}, which an exported function cannot: "
            "it is linked to the C library only. Write small systems out, or call the function from Python."
        )


def _line(statements: tuple[Statement, ...], native: str) -> str:
    """The user's line of a native operation."""
    for s in walk(statements):
        for instr in s.body if isinstance(s, Nest) else ():
            if isinstance(instr, Op) and instr.name == native and instr.source:
                return f"{instr.source[0].co_filename}:{instr.source[1]}"
    return "unknown line"
