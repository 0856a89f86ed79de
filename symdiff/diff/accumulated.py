"""Which node's accumulated derivative is wrong, where every primitive's own rule is right.

Forwards, the tangent that reaches each node is compared with the slope of the node's value along the same
direction; backwards, from the result to the symbols, the cotangent of each node with the slope of the result when the
node alone is moved. The first that differs is where a mode puts right rules together wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symdiff.diff.along import Line, random_line
from symdiff.diff.exact import FAINT, distance, exact_derivative
from symdiff.diff.finite import Values
from symdiff.diff.forward import push
from symdiff.diff.parting import Parting, name_of
from symdiff.diff.reverse import vjp_nodes
from symdiff.diff.rounding import rounding_error
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import LEAVES, depends_on, made_order, substitute
from symdiff.ir.interpret import interpret
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ops.index import zeros_like

# Every node costs five values of the graph with 200 digits.
_MOST = 150
_SEED = 19


def first_wrong_accumulation(f: Node, values: Values, symbols: list[Node]) -> Parting | None:
    """Return the first node whose accumulated tangent or cotangent is wrong; None for graphs of more than 150 nodes.

    Cost: ten values of the graph with 200 digits for each node.
    """
    active = depends_on([f], symbols)
    nodes = [n for n in made_order([f]) if n in active and n.dtype.startswith("float") and n.op.name not in LEAVES]
    if len(nodes) > _MOST:
        return None
    line = random_line(f, values, symbols, _SEED)
    for found in (*_tangents(line, nodes), *_cotangents(line, nodes)):
        return found
    return None


def _tangents(line: Line, nodes: list[Node]) -> Iterator[Parting]:
    try:
        pushed = push(nodes, dict(zip(line.symbols, line.directions, strict=True)))
    except DerivativeError:
        return  # the method is left out of the comparison with this error
    moves = {x: x + line.t * v for x, v in zip(line.symbols, line.directions, strict=True)}
    for node, tangent in zip(nodes, pushed, strict=True):
        (moved,) = substitute([node], moves)
        wrong = _wrong(zeros_like(node) if tangent is None else tangent, moved, line.values, line.t)
        if wrong is not None:
            yield _parting(node, "forward mode", "the tangent that reaches it", wrong)
            return


def _cotangents(line: Line, nodes: list[Node]) -> Iterator[Parting]:
    bar = const(1.0, line.f.dtype) if line.weight is None else line.weight
    rng = np.random.default_rng(_SEED)
    for node in (*reversed(nodes), *line.symbols):
        move = make(PRIMITIVES["symbol"], (), {"name": "move of a node", "shape": node.shape, "dtype": node.dtype})
        shape = np.shape(interpret([node], line.values)[0])
        values = {**line.values, move: rng.uniform(0.3, 0.9, shape).astype(node.dtype)}
        try:
            (pulled,) = vjp_nodes([line.f], [node], [bar])
        except DerivativeError:
            return  # as above
        product = pulled * move
        product = PRIMITIVES["sum"](product, axes=tuple(range(product.ndim))) if product.ndim else product
        (moved,) = substitute([line.f], {node: node + line.t * move})
        wrong = _wrong(product, line.weighted(moved), values, line.t)
        if wrong is not None:
            yield _parting(node, "reverse mode", "the cotangent that comes back to it", wrong)
            return


def _wrong(graph: Node, moved: Node, values: Values, t: Node) -> tuple[tuple[int, ...], Any, Any] | None:
    """Return (index, value, exact value) of the first entry that is further from the exact one than rounding takes."""
    got = np.asarray(interpret([graph], values)[0])
    exact = exact_derivative(moved, values, t)
    with np.errstate(all="ignore"):
        error = distance(got, exact.low, exact.high)
        wrong = ~(error <= rounding_error([graph], values)[0] + FAINT)
    if not np.any(wrong):
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return index, got[index].item(), exact.value[index]


def _parting(node: Node, mode: str, what: str, wrong: tuple[tuple[int, ...], Any, Any]) -> Parting:
    import mpmath

    index, got, exact = wrong
    text = (
        f"{name_of(node)}: {what} in {mode} is {got!r} along a random direction, values to 50 digits give "
        f"{mpmath.nstr(mpmath.mpf(exact), 17)}; every primitive's rule is right alone"
    )
    return Parting(node, "accumulation", index, got, exact, (), text)
