"""sd.parse: read mathematics from text, in SymPy's or NumPy's spelling, without ever executing it.

A pushdown parser over a whitelist of tokens: numbers, names, operators, brackets, commas, known functions.
Rejected alternative: Python's `ast`, whose parser and tree recurse (200 brackets or a sum of some thousand
terms is its limit, in version-dependent ways); this one keeps its own stack, takes linear time and is bounded
by the limits below.
"""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from symdiff.front.symbols import array
from symdiff.front.vocabulary import CONSTANTS, FUNCTIONS, suggest
from symdiff.ir.errors import DTypeError, ParseError, SymdiffError
from symdiff.ir.node import PRIMITIVES, Node, as_node, const

MAX_LENGTH = 100_000
MAX_DEPTH = 1000
MAX_DIGITS = 400

TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W0-9]\w*)|(?P<operator>\*\*|<=|>=|==|!=|//|<<|>>|[-+*/%@<>&|^~(),]))"
)
ASSIGNMENT = re.compile(r"\s*(?P<name>[^\W0-9]\w*)\s*=(?!=)")

# Python's levels; ** is the only one that groups from the right.
BINARY = {
    "or": 1, "and": 2, "<": 4, "<=": 4, ">": 4, ">=": 4, "==": 4, "!=": 4, "|": 5, "^": 6, "&": 7,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10, "@": 10, "**": 12,
}  # fmt: skip
UNARY = {"not": 3, "-": 11, "+": 11, "~": 11}
PRIMITIVE = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "@": "matmul", "**": "pow", "<": "lt", "<=": "le",
    ">": "gt", ">=": "ge", "==": "eq", "!=": "ne", "&": "and", "and": "and", "|": "or", "or": "or", "^": "xor",
}  # fmt: skip
LOGIC = frozenset({"&", "|", "^", "and", "or"})

Value = Any  # a Python number (a literal without dtype yet), a Node, a tuple of values, or a _Chain


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class _Chain:
    """a < b, which a following < c turns into (a < b) & (b < c)."""

    node: Node
    last: Value


@dataclass(slots=True)
class _Frame:
    """One open bracket: the pending operators and values, and the finished arguments before a comma."""

    function: str | None
    at: int
    operators: list[tuple[str, int, int, int]] = field(default_factory=list)  # text, level, number of operands, place
    values: list[Value] = field(default_factory=list)
    done: list[Value] = field(default_factory=list)


def parse(
    text: str,
    symbols: Mapping[str, Any] | Iterable[Node] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Node:
    """Read an expression; unknown names become scalar symbols, unless `symbols` lists the names allowed.

    `functions` adds names that the text may call; they take and return expressions and numbers. The text is one
    expression, or lines `name = expression` and a last one, as `str` prints large expressions.
    Raises ParseError with the place and a hint for anything else; nothing in the text is ever executed.

    >>> print(parse("sin(x)*y**2 + Piecewise((x, x > 0), (0, True))"))
    sin(x)*y**2 + where(x > 0, x, 0)
    """
    if not isinstance(text, str):
        raise ParseError(f"parse takes a string, got {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise ParseError(f"The text has {len(text)} characters; parse takes at most {MAX_LENGTH}.")
    return _Parser(text, _table(symbols), {**FUNCTIONS, **(functions or {})}).parse()


def _table(symbols: Mapping[str, Any] | Iterable[Node] | None) -> dict[str, Value] | None:
    if symbols is None:
        return None
    if isinstance(symbols, Mapping):
        return {name: as_node(value) for name, value in symbols.items()}
    if isinstance(symbols, Node):
        symbols = [symbols]
    table: dict[str, Value] = {}
    for node in symbols:
        if not isinstance(node, Node) or node.op.name != "symbol":
            raise DTypeError(f"parse takes symbols, or a mapping from names to expressions, got {node!r}.")
        table[node.params["name"]] = node
    return table


class _Parser:
    """The state of one reading: the text, the names, and a stack of open brackets."""

    def __init__(self, text: str, names: dict[str, Value] | None, functions: Mapping[str, Callable[..., Any]]):
        self.text, self.functions = text, functions
        self.names: dict[str, Value] = dict(names or {})
        self.closed = names is not None

    def parse(self) -> Node:
        start = 0
        while (match := ASSIGNMENT.match(self.text, start)) is not None:
            end = self.text.find("\n", match.end())
            if end < 0:
                self.fail("The last line is an expression without '='", match.end() - 1)
            name = match["name"]
            self.check_name(name, match.start("name"))
            self.names[name] = self.expression(match.end(), end)
            start = end
        value = self.expression(start, len(self.text))
        value = self.scalar(value, start)
        return value if isinstance(value, Node) else const(float(value))

    def fail(self, what: str, at: int) -> NoReturn:
        before, after = self.text[max(0, at - 30) : at], self.text[at : at + 30]
        excerpt = f"{before}<here>{after}".encode("unicode_escape").decode()
        raise ParseError(f"{what} (position {at}: {excerpt}).") from None

    def tokens(self, start: int, end: int) -> Iterator[_Token]:
        at = start
        while at < end:
            match = TOKEN.match(self.text, at, end)
            if match is None or match.lastgroup is None:
                rest = self.text[at:end]
                if not rest.strip():
                    return
                self.reject(at + len(rest) - len(rest.lstrip()))
            kind = match.lastgroup
            yield _Token(kind, match[kind], match.start(kind))
            at = match.end()

    def reject(self, at: int) -> NoReturn:
        c = self.text[at]
        hints = {
            ".": "attributes are not part of the language",
            "[": "subscripts and lists are not part of the language",
            "'": "strings are not part of the language",
            '"': "strings are not part of the language",
            "=": "write == or Eq(a, b) for a comparison",
            "{": "sets and dictionaries are not part of the language",
            "!": "write factorial(n), != or ~",
        }
        self.fail(f"The character {c!r} is not allowed" + (f": {hints[c]}" if c in hints else ""), at)

    # --- names and numbers --------------------------------------------------

    def number_token(self, token: _Token) -> Value:
        if len(token.text) > MAX_DIGITS:
            self.fail(f"A number has at most {MAX_DIGITS} digits, got {len(token.text)}", token.at)
        after = token.at + len(token.text)
        if after < len(self.text) and (self.text[after].isalnum() or self.text[after] in "_."):
            self.fail("A number is followed by a name; write * between factors, as in 2*x", token.at)
        value = float(token.text)
        if math.isinf(value):
            self.fail(f"The number {token.text[:20]} is too large for float64", token.at)
        return int(token.text) if token.text.isdigit() and value < 2**53 else value

    def check_name(self, name: str, at: int) -> None:
        if name.startswith("__"):
            self.fail(f"The name {name[:40]!r} is not allowed", at)
        if keyword.iskeyword(name):
            self.fail(f"The Python keyword {name!r} is not part of the language", at)
        if unicodedata.normalize("NFKC", name) != name or not name.isidentifier():
            self.fail(f"The name {name[:40]!r} is not in Unicode's normal form", at)
        if len(name) > MAX_DIGITS:
            self.fail("A name is too long", at)

    def name_token(self, token: _Token) -> Value:
        name = token.text
        if name in self.names:
            return self.names[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        self.check_name(name, token.at)
        if self.closed:
            known = ", ".join(sorted(self.names)[:12]) or "none"
            self.fail(f"Unknown name {name!r}{suggest(name, self.names)}; known are {known}", token.at)
        self.names[name] = array(name, ())
        return self.names[name]

    # --- expressions --------------------------------------------------------

    def expression(self, start: int, end: int) -> Value:
        """Read text[start:end] with one stack of frames: no recursion."""
        frames = [_Frame(None, start)]
        tokens = self.tokens(start, end)
        token = next(tokens, None)
        if token is None:
            self.fail("The text is empty; an expression was expected", start)
        operand = True
        while token is not None:
            following = next(tokens, None)
            if operand:
                if token.kind == "name" and following is not None and following.text == "(" and token.text != "not":
                    self.open(frames, token.text, token.at)
                    following = next(tokens, None)
                else:
                    operand = self.operand(frames, token)
            else:
                operand = self.operator(frames, token)
            token = following
        if len(frames) > 1:
            self.fail("The bracket is never closed", frames[-1].at)
        if operand:
            self.fail("The expression ends too early; an operand is missing", end)
        return self.finish(frames[0], end)

    def open(self, frames: list[_Frame], function: str | None, at: int) -> None:
        if function is not None:
            if keyword.iskeyword(function) and function not in ("True", "False"):
                self.fail(f"The Python keyword {function!r} is not part of the language", at)
            if function not in self.functions:
                is_symbol = function in self.names or function in CONSTANTS
                hint = "; write * between factors" if is_symbol else suggest(function, self.functions)
                self.fail(f"Unknown function {function[:40]!r}{hint}", at)
        if len(frames) > MAX_DEPTH:
            self.fail(f"Brackets are nested deeper than {MAX_DEPTH}", at)
        frames.append(_Frame(function, at))

    def operand(self, frames: list[_Frame], token: _Token) -> bool:
        """Take a token where an operand must begin; return whether one is still missing."""
        frame = frames[-1]
        if token.kind == "number":
            frame.values.append(self.number_token(token))
            return False
        if token.text in UNARY:
            self.push(frame, token, UNARY[token.text], 1)
            return True
        if token.kind == "name":
            frame.values.append(self.name_token(token))
            return False
        if token.text == "(":
            self.open(frames, None, token.at)
            return True
        if token.text == ")" and len(frames) > 1 and not frame.operators and (frame.function or frame.done):
            self.close(frames, token.at)
            return False
        self.fail(f"An operand is missing before {token.text!r}", token.at)

    def operator(self, frames: list[_Frame], token: _Token) -> bool:
        """Take a token after an operand; return whether an operand must follow."""
        frame, text = frames[-1], token.text
        if text in BINARY:
            level = BINARY[text]
            self.reduce(frame, level + 1 if text == "**" else level)
            self.push(frame, token, level, 2)
            return True
        if text == "," and len(frames) > 1:
            frame.done.append(self.finish(frame, token.at))
            return True
        if text == ")" and len(frames) > 1:
            frame.done.append(self.finish(frame, token.at))
            self.close(frames, token.at, comma=False)
            return False
        if text == ")":
            self.fail("This bracket was never opened", token.at)
        hints = {"//": "; write floor(a/b)", "(": "; write * between factors", ",": "; a tuple is not an expression"}
        self.fail(f"An operator is missing before {text[:40]!r}{hints.get(text, '')}", token.at)

    def push(self, frame: _Frame, token: _Token, level: int, n: int) -> None:
        if len(frame.operators) >= MAX_DEPTH:
            self.fail(f"Operators are nested deeper than {MAX_DEPTH}", token.at)
        frame.operators.append((token.text, level, n, token.at))

    def finish(self, frame: _Frame, at: int) -> Value:
        self.reduce(frame, 0)
        if len(frame.values) != 1:
            self.fail("An operand is missing", at)
        return self.plain(frame.values.pop())

    def close(self, frames: list[_Frame], at: int, comma: bool = True) -> None:
        frame = frames.pop()
        if frame.function is not None:
            value = self.call(frame.function, frame.done, frame.at)
        elif len(frame.done) == 1 and not comma:
            value = frame.done[0]
        else:
            value = tuple(frame.done)
        frames[-1].values.append(value)

    def reduce(self, frame: _Frame, level: int) -> None:
        """Apply the pending operators that bind at least as tightly as `level`."""
        while frame.operators and frame.operators[-1][1] >= level:
            text, _, n, at = frame.operators.pop()
            args = frame.values[-n:]
            del frame.values[-n:]
            frame.values.append(self.unary(text, args[0], at) if n == 1 else self.binary(text, args[0], args[1], at))

    # --- meaning ------------------------------------------------------------

    @staticmethod
    def plain(value: Value) -> Value:
        return value.node if isinstance(value, _Chain) else value

    def scalar(self, value: Value, at: int) -> Value:
        value = self.plain(value)
        if isinstance(value, tuple):
            self.fail("A tuple stands where a number is expected; only Piecewise takes pairs", at)
        return value

    def condition(self, value: Value, at: int) -> Node:
        value = self.scalar(value, at)
        if not isinstance(value, Node) or value.dtype != "bool":
            self.fail("&, |, ^, ~ join conditions; write (x > 0) & (y > 0), and ** for powers", at)
        return value

    def unary(self, text: str, value: Value, at: int) -> Value:
        if text in ("~", "not"):
            return ~self.condition(value, at)
        value = self.scalar(value, at)
        return -value if text == "-" else value

    def binary(self, text: str, left: Value, right: Value, at: int) -> Value:
        if BINARY[text] == BINARY["<"]:
            chained = left if isinstance(left, _Chain) else None
            a, b = self.scalar(chained.last if chained else left, at), self.scalar(right, at)
            node = as_node(self.checked(lambda: PRIMITIVES[PRIMITIVE[text]](a, b), (a, b), at))
            return _Chain(chained.node & node if chained else node, b)
        if text in LOGIC:
            left, right = self.condition(left, at), self.condition(right, at)
        a, b = self.scalar(left, at), self.scalar(right, at)
        value = self.checked(lambda: PRIMITIVES[PRIMITIVE[text]](a, b), (a, b), at)
        if isinstance(a, Node) or isinstance(b, Node):
            return value
        # Literals have no dtype until they meet a symbol: 2*3*n with an integer n stays an integer.
        result = float(value)
        whole = isinstance(a, int) and isinstance(b, int) and text != "/" and abs(result) < 2**53
        return int(result) if whole and result == int(result) else result

    def call(self, name: str, args: list[Value], at: int) -> Value:
        if name != "Piecewise":
            for a in args:
                self.scalar(a, at)
        return self.checked(lambda: self.functions[name](*args), args, at)

    def checked(self, build: Any, args: Iterable[Value], at: int) -> Node:
        """Build a node; literals that overflow or are undefined are errors in a text."""
        try:
            node = as_node(build())
        except SymdiffError as error:
            self.fail(str(error).rstrip("."), at)
        except TypeError:
            self.fail("The function does not take these arguments", at)
        if not _is_finite(node) and all(_is_finite(a) for a in args):
            self.fail(f"The number {node} results here: overflow, or undefined for real numbers", at)
        return node


def _is_finite(value: Value) -> bool:
    """Whether a value is no literal infinity or NaN; what is not known yet counts as finite."""
    if isinstance(value, Node):
        return value.op.name != "const" or math.isfinite(value.params["value"])
    return isinstance(value, tuple) or math.isfinite(value)
