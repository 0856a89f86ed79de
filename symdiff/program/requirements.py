"""requirements: what a graph asks of the run-time sizes, checked before a program runs.

    x[2:5] of n entries needs 5 <= n      max over an axis of n entries needs 1 <= n

Generated code reads memory without looking at bounds, so these must hold first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from symdiff.ir.dims import Dim, Extent, Shape, evaluate
from symdiff.ir.errors import DomainError, UnknownSymbolError
from symdiff.ir.graph import made_order
from symdiff.ir.node import Node, brief
from symdiff.ir.primitive import Elementwise
from symdiff.ir.subgraph import Subgraph


@dataclass(frozen=True, slots=True)
class InRange:
    """`count` indices from `start` on, `step` apart, lie in [0, extent); `count` itself is not negative."""

    start: Extent
    step: int
    count: Extent
    extent: Extent
    line: str = field(compare=False)

    def check(self, sizes: Mapping[str, int]) -> None:
        """Raise DomainError if it does not hold for these sizes."""
        start, count, extent = (evaluate(e, sizes) for e in (self.start, self.count, self.extent))
        last = start + (count - 1) * self.step
        if count < 0 or (count > 0 and not (0 <= start < extent and 0 <= last < extent)):
            raise DomainError(
                f"A slice ({self.line}) of {count} entries from {start} in steps of {self.step} is out of range for an "
                f"axis of extent {extent}; slices of run-time sizes are not clipped."
            )

    def __str__(self) -> str:
        return f"require {self.count} indices {self.start}, {self.start} + {self.step} ... in [0, {self.extent})"


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """The axis that `what` (max or min) reduces has an entry."""

    what: str
    extent: Extent
    line: str = field(compare=False)

    def check(self, sizes: Mapping[str, int]) -> None:
        """Raise DomainError if it does not hold for these sizes."""
        if evaluate(self.extent, sizes) <= 0:
            raise DomainError(
                f"{self.what} ({self.line}) over an empty axis, of extent {self.extent} = 0, has no value."
            )

    def __str__(self) -> str:
        return f"require {self.extent} > 0 for {self.what}"


@dataclass(frozen=True, slots=True)
class Tall:
    """The matrices that `what` factors have at least as many rows as columns."""

    what: str
    rows: Extent
    columns: Extent
    line: str = field(compare=False)

    def check(self, sizes: Mapping[str, int]) -> None:
        """Raise DomainError if it does not hold for these sizes."""
        rows, columns = evaluate(self.rows, sizes), evaluate(self.columns, sizes)
        if rows < columns:
            raise DomainError(
                f"{self.what} ({self.line}) of a matrix of {self.rows} = {rows} rows and {self.columns} = {columns} "
                "columns needs at least as many rows as columns."
            )

    def __str__(self) -> str:
        return f"require {self.rows} >= {self.columns} for {self.what}"


Requirement = InRange | NotEmpty | Tall


def requirements(roots: Iterable[Node], inputs: Iterable[Node]) -> tuple[Requirement, ...]:
    """Return what the nodes under `roots` ask of run-time sizes, inside loops too, each once.

    Raises: UnknownSymbolError for a size that the shape of no input gives.
    """
    given = {name for x in inputs for d in x.shape if isinstance(d, Dim) and str(d).isidentifier() for name in d.names}
    found: dict[Requirement, None] = {}
    plain: set[Shape] = {()}
    stack = [list(roots)]
    while stack:
        for node in made_order(stack.pop()):
            if not node.params and node.shape in plain and (not node.shape or isinstance(node.op, Elementwise)):
                continue  # most nodes of a large graph ask nothing
            if not any(isinstance(d, Dim) for d in node.shape):
                plain.add(node.shape)
            dims = [d for d in (*node.shape, node.params.get("dim")) if isinstance(d, Dim)]
            missing = {name for d in dims for name in d.names - given}
            if missing:
                raise UnknownSymbolError(
                    f"{brief(node)} ({node.line}) has the run-time size {min(missing)!r}, which the shape of no input "
                    "gives; add an input with an axis of that size."
                )
            found |= dict.fromkeys(_of(node))
            stack += [list(sub.outputs) for sub in node.params.values() if isinstance(sub, Subgraph)]
    return tuple(found)


def _of(node: Node) -> Iterator[Requirement]:
    if node.op.name in ("slice", "embed"):
        (arg,) = node.args
        small, large = (node, arg) if node.op.name == "slice" else (arg, node)
        p = node.params
        for start, step, count, extent in zip(p["starts"], p["steps"], small.shape, large.shape, strict=True):
            is_whole = start == 0 and step == 1 and count == extent
            if any(isinstance(e, Dim) for e in (start, count, extent)) and not is_whole:
                yield InRange(start, step, count, extent, node.line)
    elif node.op.name in ("max", "min"):
        for axis in node.params["axes"]:
            extent = node.args[0].shape[axis]
            if isinstance(extent, Dim):
                yield NotEmpty(node.op.name, extent, node.line)
    elif node.op.name == "qr":
        rows, columns = node.args[0].shape[-2:]
        if rows != columns and any(isinstance(e, Dim) for e in (rows, columns)):
            yield Tall("qr", rows, columns, node.line)
