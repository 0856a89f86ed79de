"""The methods that make an expression of a derivative, by name: what a comparison compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symdiff.diff.forward import jvp_nodes
from symdiff.diff.jacobian import jacobian
from symdiff.diff.reverse import vjp_nodes
from symdiff.diff.symbolic import diff
from symdiff.ir.node import Node, const
from symdiff.passes.tidy import tidy

# From a function and symbols to one expression for each symbol.
Rule = Callable[[Node, Sequence[Node]], list[Node]]


def _symbolic(f: Node, symbols: Sequence[Node]) -> list[Node]:
    return [diff(f, x) if x.shape == () else tidy([jacobian(f, x, mode="forward")])[0] for x in symbols]


def _forward(f: Node, symbols: Sequence[Node]) -> list[Node]:
    one = [const(1.0, x.dtype) for x in symbols]
    return [
        jvp_nodes([f], [x], [c])[0] if x.shape == () else jacobian(f, x, mode="forward")
        for x, c in zip(symbols, one, strict=True)
    ]


def _reverse(f: Node, symbols: Sequence[Node]) -> list[Node]:
    if f.shape == ():
        return vjp_nodes([f], symbols, [const(1.0, f.dtype)])
    return jacobian(f, list(symbols), mode="reverse")


RULES: Mapping[str, Rule] = {"symbolic": _symbolic, "forward": _forward, "reverse": _reverse}
