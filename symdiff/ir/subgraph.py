"""Subgraphs: the bodies of loops, as parameters of a node.

A body is closed: it reads only its own inputs, the nodes `input[level, k]`. The level is one more than that
of the loops inside, so equal loops are equal nodes whatever names the user chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from symdiff.ir.dims import Shape
from symdiff.ir.graph import LEAVES, depends_on, made_order, substitute, topological
from symdiff.ir.node import PRIMITIVES, Node, make


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Outputs as a function of `inputs`, the (shape, dtype) of the nodes `input[level, 0…]`."""

    inputs: tuple[tuple[Shape, str], ...]
    outputs: tuple[Node, ...]
    level: int

    def input_nodes(self) -> list[Node]:
        """The nodes that stand for the inputs inside."""
        return [input_node(self.level, k, shape, dtype) for k, (shape, dtype) in enumerate(self.inputs)]

    def call(self, args: Sequence[Node]) -> list[Node]:
        """Return the outputs with `args` in place of the inputs."""
        return substitute(self.outputs, dict(zip(self.input_nodes(), args, strict=True)))


def input_node(level: int, k: int, shape: Shape, dtype: str) -> Node:
    """Return input `k` of a body at `level`."""
    return make(PRIMITIVES["input"], (), {"level": level, "k": k, "shape": shape, "dtype": dtype})


def level_of(roots: Iterable[Node]) -> int:
    """Return 1 + the level of the loops under `roots`."""
    levels = [sub.level for node in topological(roots) for sub in node.params.values() if isinstance(sub, Subgraph)]
    return 1 + max(levels, default=0)


def trace(
    bodies: Sequence[Callable[..., Sequence[Node]]], like: Sequence[Node], lazy: bool = False
) -> tuple[list[Subgraph], list[Node]]:
    """Turn Python functions of nodes like `like` into closed subgraphs that share their inputs.

    Returns the subgraphs and the outer nodes they read; these become inputs after the state. Everything in a
    body that does not depend on the state is computed once, outside; if `lazy`, only what was there before.
    """
    marks = [
        make(PRIMITIVES["symbol"], (), {"name": f"\0state{_fresh()}", "shape": n.shape, "dtype": n.dtype}) for n in like
    ]
    newest = max((m.number for m in marks), default=0)
    outputs = [list(body(*marks)) for body in bodies]
    flat = [n for group in outputs for n in group]
    inside = depends_on(flat, marks)
    if lazy:
        inside |= {n for n in made_order(flat) if n.number > newest and n.op.name not in LEAVES}
    captured: dict[Node, None] = {}
    for node in topological(flat):
        if node in inside:
            captured |= dict.fromkeys(a for a in node.args if a not in inside and a.op.name not in ("const", "iota"))
    captured |= dict.fromkeys(
        n for n in flat if n not in inside and n.op.name not in LEAVES - {"symbol", "data", "input"}
    )
    level = level_of(flat)
    outer = list(captured)
    inputs = tuple((n.shape, n.dtype) for n in [*marks, *outer])
    slots = [input_node(level, k, shape, dtype) for k, (shape, dtype) in enumerate(inputs)]
    closed = substitute(flat, dict(zip([*marks, *outer], slots, strict=True)))
    subgraphs = []
    for group in outputs:
        subgraphs.append(Subgraph(inputs, tuple(closed[: len(group)]), level))
        closed = closed[len(group) :]
    return subgraphs, outer


_counter = 0


def _fresh() -> int:
    global _counter
    _counter += 1
    return _counter
