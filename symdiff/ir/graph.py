"""Walks over graphs: iterative, each node once, never as a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from symdiff.ir.node import Node, here, make


def topological(roots: Iterable[Node], known: Iterable[Node] = ()) -> list[Node]:
    """Return every node under `roots` once, arguments before users, in a deterministic order.

    Nodes of `known` and what only they need are left out: a walk stops there.
    """
    order: list[Node] = []
    done = set(known)
    stack = [*roots]
    stack.reverse()
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        waiting = [a for a in node.args if a not in done]
        if waiting:
            # The first argument comes first; one that is waited for twice is skipped when it comes up again.
            waiting.reverse()
            stack += waiting
        else:
            stack.pop()
            done.add(node)
            order.append(node)
    return order


_number = attrgetter("number")


def made_order(roots: Iterable[Node], known: Iterable[Node] = ()) -> list[Node]:
    """Return the same nodes as `topological`, in the order in which they were made: a node is made after its arguments.

    Three times faster, but the order depends on what else the process has built; use it where order is free.
    """
    seen = set(known)
    found = [r for r in dict.fromkeys(roots) if r not in seen]
    seen.update(found)
    for node in found:  # grows while it is walked
        for arg in node.args:
            if arg not in seen:
                seen.add(arg)
                found.append(arg)
    found.sort(key=_number)
    return found


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
        for node in made_order(roots, known=memo):
            here.source = node.source
            args = tuple([memo[a] for a in node.args])
            memo[node] = rule(node if args == node.args else make(node.op, args, node.params))
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
    for node in made_order(roots):
        if any(a in active for a in node.args):
            active.add(node)
    return active


LEAVES = frozenset({"symbol", "const", "data", "size", "input", "iota"})


def count_ops(roots: Iterable[Node]) -> int:
    """Return the number of distinct operations: every node that is not a leaf or a mere item of a loop."""
    return sum(1 for n in made_order(roots) if n.op.name not in LEAVES and n.op.name != "item")
