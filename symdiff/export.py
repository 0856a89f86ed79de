"""export: a compiled function as files for C: an object file, a shared library, a header, an example."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdiff.form import Nested
from symdiff.ir.errors import CompileError
from symdiff.ir.graph import count_ops
from symdiff.ir.node import Node, brief
from symdiff.passes import optimise
from symdiff.program.schedule import schedule

if TYPE_CHECKING:
    from symdiff.foreign import Foreign

# Formulas of more operations are not written into headers.
_MOST_OPERATIONS = 60


@dataclass(frozen=True, slots=True)
class Export:
    """The files of an exported function, its C declarations, and the command that builds the example."""

    object: Path
    library: Path | None
    header: Path
    example: Path
    declarations: tuple[str, ...]
    command: str

    def __str__(self) -> str:
        files = [p.name for p in (self.object, self.library, self.header, self.example) if p is not None]
        return "\n".join([f"{', '.join(files)} in {self.object.parent}", *self.declarations, self.command])


Lift = Callable[[tuple[bool, ...]], tuple[list[Node], list[Node]]]


def export(
    fn: Foreign,
    form: Any,
    lift: Lift,
    name: str,
    folder: str | Path,
    cpu: str | None,
    triple: str | None,
    library: bool,
    overwrite: bool,
) -> Export:
    """Write the files of a compiled function with results of this form; see `Function.export`.

    `lift` maps the outputs over a leading axis of the chosen inputs.
    """
    from backends.cpu import export as c
    from backends.cpu.targets import target

    if fn.target != "cpu":
        raise CompileError(f"A function for target={fn.target!r} cannot be exported; compile it with target='cpu'.")
    c.check_name(name)
    there = target(cpu, triple)
    folder = Path(folder)
    shared = f"lib{name}.so"
    written = [f"{name}.o", f"{name}.h", f"{name}_example.c"]
    c.check_folder(folder, [*written, *([shared] if library else [])], overwrite)
    cc = c.compiler(there) if library else ["cc"]
    assert fn.program is not None  # every function for the CPU has one
    names = _result_names(form, len(fn.outputs))
    programs = [fn.program]
    interfaces = [c.interface(name, fn.program, fn.names, names, _formulas(names, fn.outputs))]
    if fn.inputs and all(x.shape == () for x in fn.inputs):
        outputs, symbols = lift((True,) * len(fn.inputs))
        mapped = schedule(optimise(outputs), symbols)
        programs.append(mapped)
        text = f"{name} at every one of n points, by vector functions, which may round otherwise in the last digits."
        interfaces.append(c.interface(name + c.MAP, mapped, fn.names, names, [text], dict.fromkeys(mapped.sizes, "n")))
    built = c.build(interfaces, programs, there)
    example = f"{name}_example"
    command = shlex.join([*cc, f"{example}.c", f"{name}.o", "-o", example, *built.links])
    texts = (built.code, built.header.encode(), c.example(interfaces, programs, command).encode())
    # What is not defined here has to be in the libraries: said now, and not by the program that loads this one.
    link = [*cc, "-shared", f"{name}.o", "-o", shared, f"-Wl,-soname,{shared}", "-Wl,-z,defs", *built.links]
    c.write(folder, dict(zip(written, texts, strict=True)), {shared: link} if library else {})
    made, header, shown = (folder / n for n in written)
    declarations = tuple(i.declaration for i in interfaces)
    return Export(made, folder / shared if library else None, header, shown, declarations, command)


def _formulas(names: Sequence[str], outputs: Sequence[Node]) -> list[str]:
    """The outputs in words: a large graph as its outermost operation."""
    small = count_ops(outputs) <= _MOST_OPERATIONS
    return [f"{name} = {f if small else brief(f)}" for name, f in zip(names, outputs, strict=True)]


def _result_names(form: Any, n: int) -> list[str]:
    """Names for the results: the keys of a dict, else result, or result0, result1 and so on."""
    return [f"result{k}" for k in range(n)] if form in ("list", "tuple") else list(_names_in(form, ""))


def _names_in(form: Any, prefix: str) -> Iterator[str]:
    """Recursion goes to the depth of nesting."""
    if isinstance(form, Nested):
        is_dict = not isinstance(form.outer, str)
        keys = [str(key) for key in form.outer] if is_dict else [str(k) for k in range(len(form.items))]
        for key, item in zip(keys, form.items, strict=True):
            yield from _names_in(item, f"{prefix}_{key}" if prefix else key if is_dict else f"result{key}")
    elif isinstance(form, tuple):
        yield from map(str, form)
    else:
        yield prefix or "result"
