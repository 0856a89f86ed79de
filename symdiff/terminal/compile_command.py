"""`symdiff compile`: a formula as an object file, a shared library, a header and an example for C."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from symdiff.compile import compile
from symdiff.diff.jacobian import gradient
from symdiff.export import Export
from symdiff.front.parser import parse
from symdiff.front.symbols import symbols
from symdiff.ir.errors import ParseError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node
from symdiff.terminal.derivatives import from_expression, parse_wrt


def run_compile(
    console: Any,
    text: str,
    name: str,
    folder: Path,
    arguments: str,
    wrt: str,
    with_gradient: bool,
    dtype: str,
    cpu: str | None,
    triple: str | None,
    library: bool,
    overwrite: bool,
) -> None:
    """Compile the formula `text` to files, and print what they are and how C calls them.

    The results are the value and, `with_gradient`, a derivative d_x for every symbol of `wrt`.
    """
    with from_expression():
        f = parse(text)
        inputs = parse_arguments(arguments, f)
        outputs: dict[str, Node] = {"value": f}
        if with_gradient or wrt:
            chosen = parse_wrt(wrt, f)
            outputs |= {f"d_{x}": g for x, g in zip(chosen, gradient(f, chosen), strict=True)}
        fn = compile(outputs, inputs, dtype=dtype)
        files = fn.export(name, folder, cpu=cpu, triple=triple, library=library, overwrite=overwrite)
    _report(console, f, files)


def parse_arguments(text: str, f: Node) -> list[Node]:
    """Read "x,y": the arguments in their order; without a text, the symbols of `f` by name. Raises ParseError.

    >>> [str(s) for s in parse_arguments("", parse("y*x"))], [str(s) for s in parse_arguments("y,t,x", parse("y*x"))]
    (['x', 'y'], ['y', 't', 'x'])
    """
    known = {s.params["name"]: s for s in sorted(free_symbols([f]), key=str)}
    names = text.replace(",", " ").split()
    if not names:
        return list(known.values())
    missing = [name for name in known if name not in names]
    if missing:
        raise ParseError(f"--arguments leaves out {', '.join(missing)}; name every symbol of the expression.")
    if len(set(names)) < len(names):
        raise ParseError(f"--arguments names one twice, got {text!r}.")
    return [known[name] if name in known else symbols(name) for name in names]


def _report(console: Any, f: Node, files: Export) -> None:
    from rich.table import Table

    from symdiff.terminal.maths import Maths

    console.print(Maths(f, "value"))
    console.print()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for meaning, path in (
        ("object file", files.object),
        ("shared library", files.library),
        ("header", files.header),
        ("example", files.example),
    ):
        if path is not None:
            table.add_row(meaning, str(path), f"{path.stat().st_size} bytes")
    console.print(table)
    console.print()
    # print, not the console, which would wrap what is to be copied.
    for line in (*(f"{d};" for d in files.declarations), "", f"cd {shlex.quote(str(files.example.parent))}"):
        print(line, file=console.file)
    print(files.command, file=console.file)
