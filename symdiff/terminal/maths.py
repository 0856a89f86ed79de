"""Maths: an expression as people write it on paper, in lines of Unicode.

Every node becomes a box of text from the boxes of its arguments. What has no two-dimensional form (views,
reductions over some axes, loops) is written in one line, as `str` writes it; so is everything that would not fit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symdiff.front import printing
from symdiff.front.latex import GREEK
from symdiff.front.layout import ATOM, POWER, PRODUCT, SUM, UNARY, Text
from symdiff.ir.graph import topological
from symdiff.ir.node import Node

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_LARGEST_TREE = 400  # nodes; the text of a shared subexpression is written wherever it is used
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_NAMES = {
    "gamma": "Γ", "gammaln": "log Γ", "digamma": "ψ", "sigmoid": "σ", "log2": "log₂", "log10": "log₁₀",
    "heaviside": "θ", "maximum": "max", "minimum": "min",
}  # fmt: skip
_SIGNS = {"le": " ≤ ", "ge": " ≥ ", "ne": " ≠ ", "eq": " = ", "and": " ∧ ", "or": " ∨ ", "mul": "·", "matmul": "·"}


@dataclass(frozen=True, slots=True)
class Box:
    """Lines of equal length; `base` is the line on which neighbours stand, `level` how tightly it binds."""

    lines: tuple[str, ...]
    base: int = 0
    level: int = ATOM

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.lines[0])

    @property
    def height(self) -> int:
        """The number of lines."""
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Maths:
    """An expression for a rich console: two-dimensional where that fits, else in lines.

    `name` stands before it with an equals sign; a name such as "df/dx" is set as a fraction.
    """

    node: Node
    name: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Print the lines, no one wider than the console."""
        from rich.text import Text as Line

        box = None if options.ascii_only else layout(self.node)
        if box is not None:
            if self.name:
                box = beside(_name(self.name), line(" = "), box)
            if box.width <= options.max_width:
                yield from (Line(text, no_wrap=True) for text in box.lines)
                return
        before = f"{self.name} = " if self.name else ""
        yield Line(before + str(self.node), overflow="fold")


def layout(root: Node) -> Box | None:
    r"""Return the box of an expression, None for one that is too large to be read as a formula.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> print("\n".join(text.rstrip() for text in layout(sd.exp(-x**2) / (1 + x)).lines))
      -x²
    e
    ─────
    1 + x
    """
    order = topological([root])
    sizes: dict[Node, int] = {}
    for node in order:
        sizes[node] = 1 + sum(sizes[a] for a in node.args)
        if sizes[node] > _LARGEST_TREE:
            return None
    boxes: dict[Node, Box] = {}
    texts: dict[Node, Text] = {}
    for node in order:
        texts[node] = printing.write(node, [texts[a] for a in node.args])
        args = [boxes[a] for a in node.args]
        boxes[node] = _cases(node, boxes) if node.op.name == "where" else _write(node, args, texts[node])
    return boxes[root]


def line(text: str, level: int = ATOM) -> Box:
    """Return a box of one line."""
    return Box((text,), 0, level)


def beside(*boxes: Box, level: int = ATOM) -> Box:
    """Set boxes side by side on a common base line."""
    above = max(b.base for b in boxes)
    below = max(b.height - b.base for b in boxes)
    rows = [""] * (above + below)
    for b in boxes:
        for k in range(len(rows)):
            inside = 0 <= k - above + b.base < b.height
            rows[k] += b.lines[k - above + b.base] if inside else " " * b.width
    return Box(tuple(rows), above, level)


def fraction(above: Box, below: Box) -> Box:
    """Set one box over another."""
    # The longest bar is read first: that of a fraction in a fraction must be shorter.
    nested = any("─" in text for text in (*above.lines, *below.lines))
    width = max(above.width, below.width) + 2 * nested
    rows = [text.center(width) for text in above.lines], [text.center(width) for text in below.lines]
    return Box((*rows[0], "─" * width, *rows[1]), above.height, POWER)


def power(base: Box, exponent: Box) -> Box:
    """Raise a box; whole numbers have characters of their own."""
    if exponent.height == 1 and re.fullmatch(r"-?\d+", exponent.lines[0]):
        raised = line(exponent.lines[0].translate(_RAISED))
        return beside(base, Box(raised.lines, 0), level=POWER) if base.height == 1 else _raise(base, raised)
    return _raise(base, exponent)


def _raise(base: Box, exponent: Box) -> Box:
    left, right = " " * base.width, " " * exponent.width
    rows = [left + text for text in exponent.lines] + [text + right for text in base.lines]
    return Box(tuple(rows), exponent.height + base.base, POWER)


def brackets(box: Box, least: int = ATOM + 1, pair: str = "()") -> Box:
    """Put brackets around a box that binds less than `least`."""
    if box.level >= least:
        return box
    if box.height == 1:
        return line(f"{pair[0]}{box.lines[0]}{pair[1]}")
    n = box.height - 2
    left, right = ("│" * (n + 2),) * 2 if pair == "││" else (f"⎛{'⎜' * n}⎝", f"⎞{'⎟' * n}⎠")
    return Box(tuple(a + text + b for a, text, b in zip(left, box.lines, right, strict=True)), box.base)


def _name(text: str) -> Box:
    above, slash, below = text.partition("/")
    return fraction(_symbol(above), _symbol(below)) if slash else _symbol(above)


def _symbol(name: str) -> Box:
    """Set a name: Greek letters, a trailing number as a subscript."""
    match = re.fullmatch(r"(.*?)_?(\d+)", name)
    base, below = (match[1], match[2]) if match and match[1] else (name, "")
    if base in GREEK:
        size = "CAPITAL" if base[0].isupper() else "SMALL"
        base = unicodedata.lookup(f"GREEK {size} LETTER {base.upper().replace('LAMBDA', 'LAMDA')}")
    return line(base + below.translate(_LOWERED))


def _infix(node: Node, args: list[Box]) -> Box:
    name = node.op.name
    sign, level, left, right = printing.INFIX[name]
    if name == "mul":
        right = PRODUCT  # on paper a·(b·c) is a·b·c
    last = args[1]
    if level in (SUM, PRODUCT) and last.lines[last.base].lstrip().startswith("-"):
        last = brackets(last)  # two signs in a row do not read as mathematics
    return beside(brackets(args[0], left), line(_SIGNS.get(name, sign)), brackets(last, right), level=level)


def _cases(node: Node, boxes: dict[Node, Box]) -> Box:
    """Set a choice; a choice in the second branch adds its rows."""
    pairs: list[tuple[Box, Box]] = []
    last = node
    while last.op.name == "where":
        condition, yes, last = last.args
        pairs.append((boxes[yes], beside(line("if "), boxes[condition])))
    pairs.append((boxes[last], line("otherwise")))
    widest = max(value.width for value, _ in pairs)
    rows = [beside(value, line(" " * (widest - value.width + 2)), condition) for value, condition in pairs]
    lines = [text for row in rows for text in row.lines]
    width, middle = max(map(len, lines)), len(lines) // 2
    braces = ["⎧"] + ["⎪"] * (len(lines) - 2) + ["⎩"]
    if len(lines) > 2:
        braces[middle] = "⎨"
    return Box(tuple(f"{b} {text:<{width}}" for b, text in zip(braces, lines, strict=True)), middle, 0)


_AROUND: dict[str, Callable[[Box], Box]] = {
    "exp": lambda x: _raise(line("e"), x),
    "exp2": lambda x: _raise(line("2"), x),
    "sqrt": lambda x: beside(line("√"), brackets(x), level=UNARY) if x.width > 1 else line(f"√{x.lines[0]}", UNARY),
    "abs": lambda x: brackets(x, pair="││"),
    "neg": lambda x: beside(line("-" if x.height == 1 else "- "), brackets(x, PRODUCT), level=UNARY),
    "not": lambda x: beside(line("¬"), brackets(x, UNARY), level=UNARY),
}


def _write(node: Node, args: list[Box], text: Text) -> Box:
    """Set one node from the boxes of its arguments; `text` is what `str` writes."""
    name = node.op.name
    if name in _AROUND:
        return _AROUND[name](args[0])
    if name == "div":
        return fraction(*args)
    if name == "pow":
        return power(brackets(args[0], ATOM), args[1])
    if name in printing.INFIX:
        return _infix(node, args)
    if name == "symbol":
        return _symbol(text.text)
    if name == "const":
        number = {"pi": "π", "E": "e", "-pi": "-π", "-E": "-e", "inf": "∞", "-inf": "-∞"}.get(text.text, text.text)
        return line(number, text.level)
    if name == "cast" and node.dtype.startswith("float"):
        return args[0]
    if name == "sum" and len(node.params["axes"]) == node.args[0].ndim:
        return beside(line("∑ "), brackets(args[0], PRODUCT), level=PRODUCT)
    if node.params or name in ("iota", "data", "size"):
        return line(text.text, text.level)
    inner = args[0]
    for a in args[1:]:
        inner = beside(inner, line(", "), a)
    return beside(line(_NAMES.get(name, name)), brackets(inner))
