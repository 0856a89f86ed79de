"""Whether a rule is linear in some of its inputs, as far as its graph shows.

A map is linear if what depends on the inputs is only added, and multiplied by other values, and if the output is zero
where the inputs are: 2 t + 1 is made of sums alone, and cos(x) does not depend on t at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from symdiff.ir.graph import LEAVES, depends_on, made_order
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise, Linear
from symdiff.ir.subgraph import Subgraph
from symdiff.ops.elementwise.values import is_literal

# Operations that are linear in each argument alone, and so in one only.
_PRODUCTS = frozenset({"mul", "matmul", "einsum"})
_SUMS = frozenset({"add", "sub", "neg", "cast"})
# Structured operations whose value is zero only where all their real arguments are.
_JOINS = frozenset({"concatenate", "sum", "set_row"})


def nonlinear_node(sub: Subgraph, linear: Sequence[int]) -> Node | None:
    """Return the first node of `sub` that is visibly not linear in the inputs `linear`, None if there is none."""
    slots = sub.input_nodes()
    moving = depends_on(sub.outputs, [slots[k] for k in linear])
    for node in made_order(sub.outputs):
        moved = [k for k, a in enumerate(node.args) if a in moving]
        if not moved or node in slots or node.op.name in _SUMS:
            continue
        match node.op.name:
            case name if name in _PRODUCTS:
                fine = len(moved) == 1
            case "div":
                fine = moved == [0]
            case "where":
                fine = 0 not in moved
            case _:
                fine = not isinstance(node.op, Elementwise)
        if not fine:
            return node
    return None


def lasting_output(sub: Subgraph, zeros: Collection[int]) -> Node | None:
    """Return the first output of `sub` that is not zero where the inputs `zeros` are, None if there is none.

    What is not known of an operation speaks for the rule: of a Python function of tangents zero is expected.
    """
    slots = sub.input_nodes()
    vanishing = _vanishing(sub.outputs, {slots[k] for k in zeros})
    return next((f for f in sub.outputs if f not in vanishing), None)


def is_zero_literal(node: Node) -> bool:
    """Whether `node` is made of literal zeros only."""
    return node in _vanishing([node], set())


def _vanishing(roots: Sequence[Node], zeros: set[Node]) -> set[Node]:
    """The nodes under `roots` that are zero where `zeros` are."""
    found = set(zeros)
    states: dict[Node, set[int]] = {}
    for node in made_order(roots, known=found):
        if node.op.name == "while_loop":
            states[node] = _vanishing_state(node, found)
        elif node.op.name == "item":
            if node.params["k"] in states[node.args[0]]:
                found.add(node)
        elif _vanishes(node, found):
            found.add(node)
    return found


def _vanishing_state(loop: Node, found: set[Node]) -> set[int]:
    """The values of a loop's state that are zero at the start, and after a turn from a state where they are."""
    body: Subgraph = loop.params["body"]
    slots, n = body.input_nodes(), len(body.outputs)
    outer = {s for s, a in zip(slots[n:], loop.args[n:], strict=True) if a in found}
    zeros = {k for k in range(n) if loop.args[k] in found}
    while True:
        inside = _vanishing(body.outputs, outer | {slots[k] for k in zeros})
        kept = {k for k in zeros if body.outputs[k] in inside}
        if kept == zeros:
            return zeros
        zeros = kept


def _vanishes(node: Node, found: set[Node]) -> bool:
    name, hits = node.op.name, [a in found for a in node.args]
    if is_literal(node, 0.0):
        return True
    if name == "data":
        return not np.any(node.params["array"].array)
    if name == "empty":  # room for rows that are all written before they are read
        return True
    if name in _PRODUCTS:
        return any(hits)
    if name in ("div", "custom"):
        return hits[0]
    if name == "where":
        return all(hits[1:])
    if isinstance(node.op, Linear) or name in _JOINS:
        return all(h for a, h in zip(node.args, hits, strict=True) if a.dtype == node.dtype)
    if isinstance(node.op, Elementwise):
        return name in _SUMS and all(hits)
    return any(h and a.op.name not in LEAVES - {"input"} for a, h in zip(node.args, hits, strict=True))


__all__ = ["is_zero_literal", "lasting_output", "nonlinear_node"]
