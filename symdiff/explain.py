"""explain: what became of a function on its way to code: operations after each pass, statements, memory, code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symdiff.ir.dims import Extent, product, shape_text
from symdiff.ir.graph import count_ops
from symdiff.ir.node import Node
from symdiff.passes import PIPELINE, optimise
from symdiff.program.ir import Access, ITEMSIZE, Load, Loop, Nest, Program, Statement, Sweep


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement: what it does over which space, and per point its instructions and bytes read and written."""

    what: str
    space: str
    points: Extent
    instructions: int
    read: int
    written: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a function. Prints as text, and as a table where rich is used.

    `operations` holds (pass, operations left); `temporaries` the bytes of all temporaries as a formula of the
    run-time sizes; `code` what the target says of its code, such as its size. `ratio` is, for several outputs, the
    number of operations of all of them over that of the first alone, both after all passes: for a function and its
    gradient what the gradient adds. It is None for one output, and where the first takes no operations.
    """

    title: str
    operations: tuple[tuple[str, int], ...]
    statements: tuple[StatementRow, ...]
    n_temporaries: int
    temporaries: Extent
    code: Mapping[str, str]
    ratio: float | None = None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.title
        yield "operations: " + ", ".join(f"{n} {name}" for name, n in self.operations)
        if self.ratio is not None:
            yield self._cost()
        for s in self.statements:
            work = f"{s.instructions} instructions, {s.read} bytes read, {s.written} written a point"
            yield f"{s.what} over {s.space}: {work}" if s.instructions else f"{s.what} over {s.space}"
        if self.statements:
            yield f"temporaries: {self.n_temporaries}, {self.temporaries} bytes"
        yield from (f"{key}: {value}" for key, value in self.code.items())

    def _cost(self) -> str:
        return f"all outputs: {self.ratio:.3g} x the operations of the first output alone"

    def __rich__(self) -> Any:
        from rich import box
        from rich.console import Group
        from rich.table import Table

        def table(*columns: str) -> Table:
            out = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
            for name in columns:
                out.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
            return out

        passes = table("pass", ">operations")
        for name, n in self.operations:
            passes.add_row(name, str(n))
        rows = table("statement", "space", ">instructions", ">bytes read", ">bytes written")
        for s in self.statements:
            rows.add_row(
                s.what, s.space, *(str(n) if s.instructions else "" for n in (s.instructions, s.read, s.written))
            )
        facts = table("", "")
        if self.statements:
            facts.add_row("temporaries", f"{self.n_temporaries}, {self.temporaries} bytes")
        for key, value in self.code.items():
            facts.add_row(key, value)
        cost = [self._cost()] if self.ratio is not None else []
        return Group(self.title, passes, *cost, *([rows] if self.statements else []), facts)


def explain(title: str, outputs: Sequence[Node], program: Program | None, code: Mapping[str, str]) -> Explanation:
    """Return the explanation of a function with these outputs; `program` is None where nothing is compiled."""
    operations = [("as written", count_ops(outputs))]
    nodes = list(outputs)
    if program is not None:
        for one in PIPELINE:
            nodes = optimise(nodes, [one])
            operations.append((f"after {one.__name__}", count_ops(nodes)))
    statements = tuple(_rows(program.statements, "")) if program is not None else ()
    temps = program.temps if program is not None else ()
    total: Extent = 0
    for t in temps:
        total = t.n_bytes + total
    first = count_ops(nodes[:1])
    ratio = count_ops(nodes) / first if len(nodes) > 1 and first else None
    return Explanation(title, tuple(operations), statements, len(temps), total, dict(code), ratio)


def _rows(statements: Sequence[Statement], indent: str) -> Iterator[StatementRow]:
    # Recursion depth is the nesting of loops in the user's program.
    for s in statements:
        match s:
            case Nest():
                yield _nest_row(s, indent)
            case Loop():
                yield StatementRow(f"{indent}while", "(turns)", 0, 0, 0, 0)
                yield from _rows((*s.cond, *s.body), indent + "  ")
            case Sweep():
                yield from _rows((s.loop,), indent)
            case _:
                yield StatementRow(f"{indent}{s.name}", shape_text(s.extents), product(s.extents), 0, 0, 0)


def _nest_row(nest: Nest, indent: str) -> StatementRow:
    reduced = "".join(f" {op}" for op in dict.fromkeys(r.op for r in nest.reductions))
    what = f"{indent}{'serial ' if nest.serial else ''}for{reduced}"
    reads = [i.access for i in nest.body if isinstance(i, Load)]
    return StatementRow(
        what,
        shape_text(nest.space),
        product(nest.space),
        len(nest.body),
        _bytes(reads),
        _bytes([s.access for s in nest.stores]),
    )


def _bytes(accesses: Sequence[Access]) -> int:
    """Bytes that move at a point; what stays the same along all loops stays in a register."""
    return sum(ITEMSIZE[a.buffer.dtype] for a in accesses if a.gathers or any(s != 0 for s in a.strides))
