"""renamed: the same expressions with other names of run-time sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symdiff.ir.dims import CeilDiv, Dim, Extent, ceil_div, multiply
from symdiff.ir.graph import made_order
from symdiff.ir.node import Node, here, make
from symdiff.ir.subgraph import Subgraph


def renamed(roots: Sequence[Node], names: Mapping[str, str]) -> list[Node]:
    """Return `roots` with run-time sizes renamed, in symbols, parameters and the bodies of loops.

    Assumes: no other size has one of the new names. Keeps the user's source lines.
    """
    memo: dict[Node, Node] = {}
    saved = here.source
    try:
        for node in made_order(roots):
            here.source = node.source
            params = {key: _value(value, names) for key, value in node.params.items()}
            memo[node] = make(node.op, tuple([memo[a] for a in node.args]), params)
    finally:
        here.source = saved
    return [memo[r] for r in roots]


def _value(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case Dim():
            return _extent(value, names)
        case tuple():
            return tuple([_value(v, names) for v in value])
        case Subgraph():
            return Subgraph(_value(value.inputs, names), tuple(renamed(value.outputs, names)), value.level)
        case _:
            return value


def _extent(extent: Extent, names: Mapping[str, str]) -> Extent:
    if isinstance(extent, int):
        return extent
    out: Extent = 0
    for monomial, c in extent.terms:
        term: Extent = c
        for atom in monomial:
            if isinstance(atom, CeilDiv):
                factor = ceil_div(_extent(atom.dim, names), atom.step)
            else:
                factor = Dim((((names.get(atom, atom),), 1),))
            term = multiply(term, factor)
        out = term + out
    return out


__all__ = ["renamed"]
