"""Walks over graphs: iterative, each node once, never as a tree."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from symdiff.ir.node import Node, here, make


def topological(roots: Iterable[Node], known: Container[Node] = ()) -> list[Node]:
    """Return every node under `roots` once, arguments before users, in a deterministic order.

    Nodes of `known` and what only they need are left out: a walk stops there.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, int]] = []
    for root in roots:
        if root in seen or root in known:
            continue
        seen.add(root)
        stack.append((root, 0))
        while stack:
            node, k = stack.pop()
            args = node.args
            n = len(args)
            while k < n and (args[k] in seen or args[k] in known):
                k += 1
            if k < n:
                stack.append((node, k + 1))
                seen.add(args[k])
                stack.append((args[k], 0))
            else:
                order.append(node)
    return order


def rebuild(node: Node, args: Sequence[Node]) -> Node:
    """Return `node` on other arguments, through the primitive so that dtypes and shapes are checked again."""
    new = tuple(args)
    if new == node.args:
        return node
    return make(node.op, new, node.params)


def transform(roots: Sequence[Node], rule: Callable[[Node], Node], memo: dict[Node, Node] | None = None) -> list[Node]:
    """Return `roots` with `rule` applied to every node, innermost first.

    `rule` sees a node whose arguments are already transformed. `memo` maps nodes to their replacements and may
    hold given ones (a substitution). Keeps the user's source lines.
    """
    memo = {} if memo is None else memo
    saved = here.source
    try:
        for node in topological(roots, known=dict(memo)):
            here.source = node.source
            memo[node] = rule(rebuild(node, [memo[a] for a in node.args]))
    finally:
        here.source = saved
    return [memo[r] for r in roots]


def substitute(roots: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """Return `roots` with nodes replaced by others."""
    return transform(roots, lambda node: node, dict(replacements))


def free_symbols(roots: Iterable[Node]) -> list[Node]:
    """Return the symbols under `roots`, in the order in which they are met."""
    return [n for n in topological(roots) if n.op.name == "symbol"]


def depends_on(roots: Iterable[Node], leaves: Iterable[Node]) -> set[Node]:
    """Return the nodes under `roots` whose value depends on one of `leaves`."""
    active = set(leaves)
    for node in topological(roots):
        if any(a in active for a in node.args):
            active.add(node)
    return active


LEAVES = frozenset({"symbol", "const", "data", "size", "input", "iota"})


def count_ops(roots: Iterable[Node]) -> int:
    """Return the number of distinct operations: every node that is not a leaf or a mere item of a loop."""
    return sum(1 for n in topological(roots) if n.op.name not in LEAVES and n.op.name != "item")
