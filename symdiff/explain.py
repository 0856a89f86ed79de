"""explain: what became of a function on its way to code: passes, statements, memory, and how near to the limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from symdiff.ir.dims import Extent, evaluate, multiply, product, shape_text
from symdiff.ir.graph import LEAVES, count_ops, made_order
from symdiff.ir.node import Node
from symdiff.passes import PIPELINE, optimise
from symdiff.program.estimate import Estimate
from symdiff.program.ir import ITEMSIZE, Access, Load, Loop, Nest, Program, Rows, Statement, Sweep
from symdiff.program.memory import Slot, slots

# Operations that only say how memory is read.
_VIEWS = frozenset({"broadcast_to", "transpose", "slice", "reshape", "while_loop"})


@dataclass(frozen=True, slots=True)
class PassRow:
    """What a pass left: operations, and the bytes of their results if each were written to memory."""

    name: str
    operations: int
    n_bytes: Extent


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement: what it does over which space, and per point its instructions and bytes read and written.

    `estimate` is the least that it takes for the sizes of a run; in a loop, a turn of it.
    """

    what: str
    space: str
    points: Extent
    instructions: int
    read: int
    written: int
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was timed: its sizes, the seconds of the fastest of `count` runs, and the least it could take.

    `limit` is None where loops or routines of libraries do what cannot be counted beforehand. `count` is 0 where
    nothing can run: without a GPU.
    """

    sizes: Mapping[str, int]
    seconds: float
    count: int
    limit: Estimate | None

    @property
    def fraction(self) -> float | None:
        """The part of the limit that was reached."""
        return None if self.limit is None or self.count == 0 else self.limit.seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a function. Prints as text, and as a table where rich is used.

    `passes` holds what each pass left; `slots` the memory of temporaries, several of which use one slot one after
    another; `temporaries` the bytes they would take apart, as a formula of the run-time sizes; `apart` and `reused`
    are both as numbers, for the sizes of the run or where sizes are fixed; `code` what the target says of its code,
    such as its size. `ratio` is, for several outputs, the number of operations of all of them over that of the first
    alone, both after all passes: for a function and its gradient what the gradient adds. It is None for one output,
    and where the first takes no operations.
    """

    title: str
    passes: tuple[PassRow, ...]
    statements: tuple[StatementRow, ...]
    n_temporaries: int
    temporaries: Extent
    slots: tuple[Slot, ...]
    code: Mapping[str, str]
    ratio: float | None = None
    apart: int | None = None
    reused: int | None = None
    run: Run | None = None

    @property
    def operations(self) -> tuple[tuple[str, int], ...]:
        """The operations that each pass left, as pairs (pass, operations)."""
        return tuple((p.name, p.operations) for p in self.passes)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.title
        for p in self.passes:
            yield f"{p.name}: {p.operations} operations, {p.n_bytes} bytes of results"
        if self.ratio is not None:
            yield self._cost()
        for s in self.statements:
            work = f": {s.instructions} instructions, {s.read} bytes read, {s.written} written a point"
            least = f"; {_estimate_text(s.estimate)}" if s.estimate is not None else ""
            yield f"{s.what} over {s.space}{work if s.instructions else ''}{least}"
        yield from (f"{key}: {value}" for key, value in self._facts())

    def _cost(self) -> str:
        return f"all outputs: {self.ratio:.3g} x the operations of the first output alone"

    def _facts(self) -> Iterator[tuple[str, str]]:
        if self.statements:
            yield "temporaries", f"{self.n_temporaries}, {self.temporaries} bytes"
            for s in self.slots:
                yield "memory of", str(s)
        if self.reused is not None:
            yield "peak", f"{self.reused:,} bytes with reuse, {self.apart:,} without"
        yield from self.code.items()
        if self.run is not None:
            yield from _run_facts(self.run, bool(self.statements))

    def __rich__(self) -> Any:
        from rich import box
        from rich.console import Group
        from rich.table import Table

        def table(*columns: str) -> Table:
            out = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
            for name in columns:
                out.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
            return out

        passes = table("pass", ">operations", ">bytes of results")
        for p in self.passes:
            passes.add_row(p.name, str(p.operations), str(p.n_bytes))
        rows = table("statement", "space", ">instructions", ">bytes read", ">bytes written", ">at least", "by", "block")
        for s in self.statements:
            counts = (str(n) if s.instructions else "" for n in (s.instructions, s.read, s.written))
            e = s.estimate
            least = ("", "", "") if e is None else (_seconds(e.seconds), e.bound, e.tile)
            rows.add_row(s.what, s.space, *counts, *least)
        facts = table("", "")
        for key, value in self._facts():
            facts.add_row(key, value)
        cost = [self._cost()] if self.ratio is not None else []
        return Group(self.title, passes, *cost, *([rows] if self.statements else []), facts)


def _run_facts(run: Run, compiled: bool) -> Iterator[tuple[str, str]]:
    sizes = ", ".join(f"{name} = {n}" for name, n in run.sizes.items())
    limit = run.limit
    if limit is None and compiled:
        yield "limit", "only of single statements: the turns of loops and the work of library routines are not known"
    elif limit is not None:
        parts = f"{limit.n_bytes:,} bytes from {limit.place} {_seconds(limit.memory)}"
        yield "limit", f"{limit.bound}: {parts}, arithmetic {_seconds(limit.arithmetic)}"
    if run.count == 0:
        yield "not run", f"there is no GPU here; times are the least that one takes ({sizes})"
        return
    runs = "first run" if run.count == 1 else f"fastest of {run.count} runs"
    reached = "" if run.fraction is None else f", {run.fraction:.0%} of the limit"
    yield runs, f"{_seconds(run.seconds)}{reached}" + (f" ({sizes})" if sizes else "")


def _estimate_text(e: Estimate) -> str:
    block = f", in blocks of {e.tile}" if e.tile else ""
    return f"at least {_seconds(e.seconds)} by {e.bound}{block}"


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def explain(
    title: str,
    outputs: Sequence[Node],
    kernel: Any,
    program: Program | None,
    timed: tuple[tuple[bool, ...], Mapping[str, int], float, int] | None = None,
) -> Explanation:
    """Return the explanation of a function with these outputs; `program` is None where nothing is compiled.

    `timed` tells of a run: the arguments mapped, the sizes, the seconds and the number of runs.
    """
    facts: dict[str, str] = kernel.facts() if hasattr(kernel, "facts") else {}
    estimates: Mapping[int, Estimate] = {}
    run = None
    if timed is not None:
        _, sizes, seconds, count = timed
        limit = None
        if hasattr(kernel, "estimates"):
            limit, estimates = kernel.estimates(sizes)
        run = Run(dict(sizes), seconds, count, limit)
    nodes = list(outputs)
    passes = [PassRow("as written", count_ops(nodes), count_bytes(nodes))]
    if program is None:
        return Explanation(title, tuple(passes), (), 0, 0, (), facts, _ratio(nodes), run=run)
    program = getattr(kernel, "program", program)  # where a target has chosen loops to sweep in tiles
    for one in PIPELINE:
        nodes = optimise(nodes, [one])
        passes.append(PassRow(f"after {one.__name__}", count_ops(nodes), count_bytes(nodes)))
    total: Extent = 0
    for t in program.temps:
        total = t.n_bytes + total
    memory = slots(program)
    out = Explanation(
        title, tuple(passes), tuple(_rows(program.statements, "", estimates)), len(program.temps), total, memory,
        facts, _ratio(nodes), run=run,
    )  # fmt: skip
    return _with_bytes(out, program, {} if run is None else run.sizes)


def _with_bytes(e: Explanation, program: Program, sizes: Mapping[str, int]) -> Explanation:
    """Enter the bytes for known sizes."""
    if not sizes.keys() >= set(program.sizes):
        return e
    reused = sum(s.n_bytes(sizes) for s in e.slots)
    return replace(e, apart=evaluate(e.temporaries, sizes), reused=reused)


def count_bytes(roots: Sequence[Node]) -> Extent:
    """Return the bytes of all results if every operation wrote its own; views are none."""
    total: Extent = 0
    for n in made_order(roots):
        if n.op.name not in LEAVES and n.op.name not in _VIEWS:
            total = multiply(product(n.shape), ITEMSIZE[n.dtype]) + total
    return total


def _ratio(nodes: Sequence[Node]) -> float | None:
    first = count_ops(nodes[:1])
    return count_ops(nodes) / first if len(nodes) > 1 and first else None


def _rows(statements: Sequence[Statement], indent: str, known: Mapping[int, Estimate]) -> Iterator[StatementRow]:
    # Recursion depth is the nesting of loops in the user's program.
    for s in statements:
        match s:
            case Nest():
                yield _nest_row(s, indent, known.get(id(s)))
            case Loop():
                yield StatementRow(f"{indent}while", "(turns)", 0, 0, 0, 0)
                yield from _rows((*s.cond, *s.body), indent + "  ", known)
            case Rows():
                yield StatementRow(
                    f"{indent}rows in blocks", shape_text((s.extent,)), s.extent, 0, 0, 0, known.get(id(s))
                )
                yield from _rows([m.statement for m in s.members], indent + "  ", known)
            case Sweep():
                yield StatementRow(f"{indent}sweep", "(turns)", 0, 0, 0, 0, known.get(id(s)))
                yield from _rows((s.loop,), indent + "  ", known)
            case _:
                space = shape_text(s.extents)
                yield StatementRow(f"{indent}{s.name}", space, product(s.extents), 0, 0, 0, known.get(id(s)))


def _nest_row(nest: Nest, indent: str, estimate: Estimate | None) -> StatementRow:
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
        estimate,
    )


def _bytes(accesses: Sequence[Access]) -> int:
    """Bytes that move at a point; what stays the same along all loops stays in a register."""
    return sum(ITEMSIZE[a.buffer.dtype] for a in accesses if a.gathers or any(s != 0 for s in a.strides))
