"""Rules: pairs (pattern, result) of small graphs over pattern variables.

A rule is written with the same operators as any expression. Commutative operations match in both orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from symdiff.ir.graph import topological
from symdiff.ir.node import PRIMITIVES, Node, make

_COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "and", "or"})


def variable(name: str) -> Node:
    """Return a pattern variable: it matches any node, the same one everywhere in a rule."""
    return make(PRIMITIVES["symbol"], (), {"name": f"?{name}", "shape": (), "dtype": "float64"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Replace `pattern` by `result`; `why` says what is gained."""

    pattern: Node
    result: Node
    why: str


def match(pattern: Node, node: Node, found: dict[Node, Node]) -> bool:
    """Match `node`, entering the values of the variables in `found`. Depth is that of the pattern, a few levels."""
    if pattern.op.name == "symbol":
        if pattern not in found:
            found[pattern] = node
        return found[pattern] is node
    if pattern.op.name == "const":
        return node.op.name == "const" and float(node.params["value"]) == float(pattern.params["value"])
    if pattern.op is not node.op or len(pattern.args) != len(node.args):
        return False
    orders: Sequence[tuple[Node, ...]] = [node.args]
    if node.op.name in _COMMUTATIVE:
        orders = [node.args, node.args[::-1]]
    for args in orders:
        trial = dict(found)
        if all(match(p, a, trial) for p, a in zip(pattern.args, args, strict=True)):
            found.update(trial)
            return True
    return False


def rewriter(rules: Sequence[Rule]) -> Callable[[Node], Node]:
    """Return a function that applies the first matching rule to one node, again to its result, until none matches."""
    by_op: dict[str, list[Rule]] = {}
    for rule in rules:
        by_op.setdefault(rule.pattern.op.name, []).append(rule)

    def once(node: Node) -> Node:
        for rule in by_op.get(node.op.name, ()):
            found: dict[Node, Node] = {}
            if match(rule.pattern, node, found):
                new = _fill(rule.result, found)
                if new.shape == node.shape and new.dtype == node.dtype:
                    return new
        return node

    def rewrite(node: Node) -> Node:
        # log(1 + exp(x)) -> log1p(exp(x)) -> softplus(x): what one rule gives another may take.
        while (new := once(node)) is not node:
            node = new
        return node

    return rewrite


def _fill(result: Node, found: Mapping[Node, Node]) -> Node:
    """Return the result of a rule, made of new nodes that have the user's line and not that of the rule."""
    memo = dict(found)
    for node in topological([result], known=found):
        memo[node] = make(node.op, tuple(memo[a] for a in node.args), node.params)
    return memo[result]
