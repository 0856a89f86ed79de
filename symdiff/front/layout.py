"""Lay a graph out as text: one line, or named common subexpressions where the tree would be huge.

Every node is written once, from the texts of its arguments, so printing is iterative and linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symdiff.ir.graph import LEAVES
from symdiff.ir.node import Node

# Levels of binding as in Python's grammar: an operand is bracketed when it binds less than its place needs.
OR, AND, NOT, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(1, 13)

LONGEST_TREE = 5000
DEEPEST_TREE = 400
LONGEST_TERM = 100
MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text and how tightly it binds."""

    text: str
    level: int = ATOM


@dataclass(frozen=True, slots=True)
class Layout:
    """Named lines (name, text), the text of the result, and the number of lines left out."""

    lines: list[tuple[str, str]]
    result: str
    n_hidden: int


Write = Callable[[Node, list[Text]], Text]


def shown(node: Node) -> tuple[Node, ...]:
    """The arguments that a text shows: of a solution or a user's function not how its value is found."""
    match node.op.name:
        case "custom":
            return node.args[1 : node.params["k"] + 1]
        case "opaque":
            return node.args[1:]
    return node.args


def _shown_order(root: Node) -> list[Node]:
    """The nodes that are shown, arguments before users."""
    order, done, stack = [], set(), [root]
    while stack:
        node = stack[-1]
        waiting = [a for a in shown(node) if a not in done]
        if node in done or not waiting:
            stack.pop()
            if node not in done:
                done.add(node)
                order.append(node)
        else:
            stack += reversed(waiting)
    return order


def lay_out(root: Node, write: Write, name: Callable[[int], str]) -> Layout:
    """Write `root`: in one piece when its tree is short, with names `name(0)`, `name(1)`, … otherwise."""
    order = _shown_order(root)
    if _is_short(root, order):
        texts: dict[Node, Text] = {}
        for node in order:
            texts[node] = write(node, [texts[a] for a in shown(node)])
        return Layout([], texts[root].text, 0)
    return _with_names(root, order, write, name)


def _is_short(root: Node, order: list[Node]) -> bool:
    """Whether the tree form is short and flat; counted without building it."""
    length: dict[Node, int] = {}
    depth: dict[Node, int] = {}
    for node in order:
        length[node] = min(len(node.op.name) + 4 + sum(length[a] for a in shown(node)), LONGEST_TREE + 1)
        depth[node] = 1 + max((depth[a] for a in shown(node)), default=0)
    return length[root] <= LONGEST_TREE and depth[root] <= DEEPEST_TREE


def _with_names(root: Node, order: list[Node], write: Write, name: Callable[[int], str]) -> Layout:
    n_uses: dict[Node, int] = {}
    for node in order:
        for a in shown(node):
            n_uses[a] = n_uses.get(a, 0) + 1
    texts: dict[Node, Text] = {}
    lines: list[tuple[str, str]] = []
    n_lines = 0
    for node in order:
        text = write(node, [texts[a] for a in shown(node)])
        if node is not root and node.op.name not in LEAVES and (n_uses[node] > 1 or len(text.text) > LONGEST_TERM):
            label = name(n_lines)
            if n_lines < MOST_LINES:
                lines.append((label, text.text))
            n_lines += 1
            text = Text(label)
        texts[node] = text
    return Layout(lines, texts[root].text, n_lines - len(lines))
