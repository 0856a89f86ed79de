"""The rules of Taylor mode: coefficient k of a node from the series of its arguments.

A rule is a generator. It asks for a series with `yield node, order`, gets it as the value of the `yield`, and
returns the coefficient. Sums, products, quotients, powers, choices, matrix products and solutions of linear
systems have recursions of their own; every other primitive is expanded through its partials or its `jvp`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.diff.taylor_loops import expand_loop
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import LEAVES, rebuild
from symdiff.ir.node import PRIMITIVES, Node, as_node, const, make
from symdiff.ir.primitive import Elementwise, Linear, Structured, cast
from symdiff.ops import elementwise as el
from symdiff.ops.custom import custom, forward_form
from symdiff.ops.index import broadcast_to, zeros_like
from symdiff.ops.linalg import matmul, solve

Series = list[Node | None]
Ask = tuple[Node, int]
Rule = Generator[Ask, Series, Node | None]
Expand = Callable[[Sequence[Node], Mapping[Node, Series], int], list[Series]]

# The derivative of a linear primitive is this small; a larger one is not looked through.
_SMALL = 64


class Expansion:
    """What is known so far: the series of nodes, and the nodes that stand for derivatives of others.

    `rates` maps a symbol to the node x whose derivative x' it is; `tangents` holds y' of structured nodes as
    graphs of these; `loops` the series of the items of loops.
    """

    def __init__(self, series: dict[Node, Series], order: int, expand: Expand):
        self.series, self.order, self.expand = series, order, expand
        self.rates: dict[Node, Node] = {}
        self.tangents: dict[tuple[Node, tuple[bool, ...]], tuple[Node | None, bool]] = {}
        self.loops: dict[Node, list[Series]] = {}

    def rate(self, x: Node) -> Node:
        """A symbol for x'."""
        name = f"\0rate{len(self.rates)}"
        mark = make(PRIMITIVES["symbol"], (), {"name": name, "shape": x.shape, "dtype": x.dtype})
        self.rates[mark] = x
        return mark


def coefficient(book: Expansion, node: Node, k: int) -> Rule:
    """Return coefficient k of `node`, all of whose coefficients below k are known."""
    if node in book.rates:
        # x' = sum (k + 1) x_(k+1) t^k
        x = yield book.rates[node], k + 1
        c = x[k + 1]
        return zeros_like(node) if c is None and k == 0 else _times(k + 1, c)
    if k > 0 and node.op.name == "stop_gradient":
        return None
    args = []
    for position, a in enumerate(node.args):
        # How a custom value was computed does not matter, its own rule does.
        flows = a.dtype.startswith("float") and not (node.op is custom and position == 0)
        args.append((yield a, k if flows else 0))
    if k == 0:
        return rebuild(node, [_first(s) for s in args])
    if node.op.name == "item":
        return (yield from _item(book, node, k))
    if not node.dtype.startswith("float") or not any(_moves(s, k) for s in args):
        return None
    direct = _DIRECT.get(node.op.name)
    if direct is not None:
        c = direct(node, k, args, book.series[node])
    elif node.op is el.pow_:
        c = yield from _pow(node, k, args, book.series[node])
    elif isinstance(node.op, Elementwise):
        c = yield from _elementwise(node, k, args)
    else:
        c = yield from _structured(book, node, k, args)
    return c if c is None or isinstance(node.op, Structured) else broadcast_to(cast(c, node.dtype), shape=node.shape)


def _first(s: Series) -> Node:
    c = s[0]
    assert c is not None  # only later coefficients are left out
    return c


def _moves(s: Series, k: int) -> bool:
    """Whether one of the coefficients 1 … k is not zero; a series that was not asked for them has none."""
    return any(c is not None for c in s[1 : k + 1])


def _straight(s: Series, k: int) -> bool:
    """Whether a series ends with the coefficient of t."""
    return not any(c is not None for c in s[2 : k + 1])


def _plus(a: Node | None, b: Node | None) -> Node | None:
    return b if a is None else a if b is None else a + b


def _minus(a: Node | None, b: Node | None) -> Node | None:
    if a is b:
        return None
    return a if b is None else -b if a is None else a - b


def _times(c: float, x: Node | None) -> Node | None:
    return x if x is None or c == 1 else const(float(c), x.dtype) * x


def _over(x: Node | None, n: int) -> Node | None:
    """x / n. Divisors are collected, so that factorials are one division, exact as long as they are."""
    if x is None or n == 1:
        return x
    if x.op is el.neg:
        return _minus(None, _over(x.args[0], n))
    if x.op is el.div and x.args[1].op.name == "const":
        c = float(x.args[1].params["value"]) * n
        if c == int(c) and abs(c) < 2 / np.finfo(x.dtype).eps:
            return x.args[0] / const(c, x.dtype)
    return x / const(float(n), x.dtype)


def _product(a: Node | None, b: Node | None) -> Node | None:
    return None if a is None or b is None else a * b


def _or_zero(x: Node | None, dtype: str) -> Node:
    return const(0.0, dtype) if x is None else x


def _convolve(a: Series, b: Series, k: int, first: int, last: int) -> Node | None:
    """sum of a_j b_(k-j) for first <= j <= last."""
    total: Node | None = None
    for j in range(first, last + 1):
        total = _plus(total, _product(a[j], b[k - j]))
    return total


def _square(x: Series, k: int, first: int) -> Node | None:
    """sum of x_j x_(k-j) for first <= j <= k - first, every pair once."""
    total = _times(2, _convolve(x, x, k, first, (k - 1) // 2))
    return _plus(total, _product(x[k // 2], x[k // 2])) if k % 2 == 0 and k // 2 >= first else total


def _chain(p: Series, x: Series, k: int) -> Node | None:
    """Coefficient k of y for y' = p x', that is k y_k = sum of j x_j p_(k-j) for 1 <= j <= k."""
    total: Node | None = None
    for j in range(1, k):
        total = _plus(total, _times(j, _product(x[j], p[k - j])))
    last = None if x[k] is None else _scaled(_first(p), x[k])
    return _plus(last, _over(total, k))


def _scaled(partial: Node, v: Node | None) -> Node | None:
    return _product(cast(partial, v.dtype), v) if v is not None else None


# Recursions of their own: coefficient k of a node from the series of its arguments and its own earlier ones.


def _add(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    return _plus(args[0][k], args[1][k])


def _sub(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    return _minus(args[0][k], args[1][k])


def _neg(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    return _minus(None, args[0][k])


def _mul(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    a, b = args
    return _square(a, k, 0) if node.args[0] is node.args[1] else _convolve(a, b, k, 0, k)


def _div(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    # y b = a  =>  y_k b_0 = a_k - sum of b_j y_(k-j) for j >= 1.
    a, b = args
    top = _minus(a[k], _convolve(b, y, k, 1, k))
    return None if top is None else top / _first(b)


def _sqrt(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    # y y = x  =>  2 y_0 y_k = x_k - sum of y_j y_(k-j) for 0 < j < k.
    top = _minus(args[0][k], _square(y, k, 1))
    return None if top is None else top / (const(2.0, node.dtype) * _first(y))


def _where(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    c, a, b = args
    if a[k] is None and b[k] is None:
        return None
    return el.where(_first(c), _or_zero(a[k], node.dtype), _or_zero(b[k], node.dtype))


def _cast(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    c = args[0][k]
    return None if c is None else cast(c, node.dtype)


def _extreme(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    """The series of the one that is taken, at a tie the mean: what differentiating k times gives."""
    a, b = args
    if a[k] is None and b[k] is None:
        return None
    x_k, y_k = (_or_zero(s[k], node.dtype) for s in (a, b))
    wins = el.gt if node.op is el.maximum else el.lt
    mean = const(0.5, node.dtype) * (x_k + y_k)
    return el.where(wins(_first(a), _first(b)), x_k, el.where(wins(_first(b), _first(a)), y_k, mean))


def _remainder(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    # r = x + q y, and the quotient q is constant between the jumps.
    a, b = args
    if b[k] is None:
        return a[k]
    return _plus(a[k], (_first(y) - _first(a)) / _first(b) * b[k])


def _pow(node: Node, k: int, args: list[Series], y: Series) -> Rule:
    x, c = args
    if _moves(c, k):
        # y = exp(u) with u = c log x, so y' = y u'.
        u = yield node.args[1] * el.log(node.args[0]), k
        return _chain(y, u, k)
    exponent = _first(c)
    value = float(exponent.params["value"]) if exponent.op.name == "const" else None
    if _straight(x, k):
        return _binomial(_first(x), exponent, value, x[1], k)
    if value is not None and value > 1:
        if value == int(value):
            # Products have finitely many coefficients where x has, and are right at x = 0.
            half = node.args[0] ** (int(value) // 2)
            whole = yield (half * half * node.args[0] if value % 2 else half * half), k
            return whole[k]
        p = yield exponent * node.args[0] ** (exponent - 1), k - 1
        return _chain(p, x, k)
    # x y' = c y x'  =>  k x_0 y_k = sum of (c j - (k - j)) x_j y_(k-j) for 1 <= j <= k.
    total: Node | None = None
    for j in range(1, k + 1):
        if x[j] is not None and y[k - j] is not None:
            factor = const(value * j - (k - j), node.dtype) if value is not None else exponent * j - (k - j)
            total = _plus(total, factor * _product(x[j], y[k - j]))
    return None if total is None else _over(total, k) / _first(x)


def _binomial(x: Node, c: Node, value: float | None, x_1: Node | None, k: int) -> Node | None:
    """Coefficient k of (x + x_1 t)^c: (c over k) x^(c-k) x_1^k, right at x = 0 where it exists."""
    if x_1 is None:
        return None
    if value is not None:
        over = math.prod(value - j for j in range(k)) / math.factorial(k)
        return None if over == 0 else _times(over, x ** const(value - k, x.dtype) * x_1 ** const(k, x.dtype))
    factor = c
    for j in range(1, k):
        factor = factor * (c - j)
    # For c = 0, 1, … the factor is 0 from k = c + 1 on, where x^(c-k) is infinite at 0.
    power = el.where(el.eq(factor, 0), 0.0, factor * x ** (c - k))
    return _over(power * x_1 ** const(k, x.dtype), math.factorial(k))


def _matmul(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    total: Node | None = None
    for j in range(k + 1):
        a, b = args[0][j], args[1][k - j]
        if a is not None and b is not None:
            total = _plus(total, matmul(a, b))
    return total


def _solve(node: Node, k: int, args: list[Series], y: Series) -> Node | None:
    # A y = b  =>  A_0 y_k = b_k - sum of A_j y_(k-j) for j >= 1.
    a, b = args
    right = b[k]
    for j in range(1, k + 1):
        a_j, y_j = a[j], y[k - j]
        if a_j is not None and y_j is not None:
            right = _minus(right, matmul(a_j, y_j))
    return None if right is None else solve(_first(a), right)


_DIRECT: dict[str, Callable[[Node, int, list[Series], Series], Node | None]] = {
    "add": _add, "sub": _sub, "neg": _neg, "mul": _mul, "div": _div, "sqrt": _sqrt, "where": _where,
    "cast": _cast, "maximum": _extreme, "minimum": _extreme, "mod": _remainder, "rem": _remainder,
    "matmul": _matmul, "solve": _solve,
}  # fmt: skip


def _elementwise(node: Node, k: int, args: list[Series]) -> Rule:
    """y' = sum of P_i x_i'."""
    op = node.op
    assert isinstance(op, Elementwise)
    if op.partials is None:
        return None
    total: Node | None = None
    for partial, x in zip(op.partials(node, *node.args), args, strict=True):
        if partial is not None and _moves(x, k):
            p = yield as_node(partial, like=node.dtype), k - 1
            total = _plus(total, _chain([*p[:k], None], x, k))
    return total


def _structured(book: Expansion, node: Node, k: int, args: list[Series]) -> Rule:
    """Linear primitives apply to every coefficient; for the others y' = jvp(x') is a graph with a series."""
    here = _first(book.series[node])
    op = here.op
    assert isinstance(op, Structured)
    if isinstance(op, Linear) or op.name in ("sum", "concatenate"):
        return op.jvp(here, [s[k] if len(s) > k else None for s in args])
    flags = tuple(_moves(s, k) for s in args)
    if (node, flags) not in book.tangents:
        marks = [book.rate(a) if f else None for a, f in zip(node.args, flags, strict=True)]
        book.tangents[node, flags] = _tangent(node, marks)
    tangent, linear = book.tangents[node, flags]
    if tangent is None:
        return None
    if linear:
        return op.jvp(here, [s[k] if f else None for s, f in zip(args, flags, strict=True)])
    slope = yield tangent, k - 1
    return _over(slope[k - 1], k)


def _tangent(node: Node, marks: Sequence[Node | None]) -> tuple[Node | None, bool]:
    """Return y' for the given x', and whether nothing else enters it, which makes a primitive linear."""
    op = node.op
    assert isinstance(op, Structured)
    if node.dtype == "tuple":
        raise DerivativeError(
            f"taylor has no rule for {op.name} ({node.line}); use sd.while_loop, or sd.jvp repeatedly."
        )
    tangent = op.jvp(node, marks)
    if tangent is None:
        return None, True
    tangent = forward_form(tangent)
    seen, found = {tangent}, [tangent]
    for n in found:  # grows while it is walked
        if n in marks or n.op.name in LEAVES - {"symbol", "input"}:
            continue
        if n.op.name in LEAVES or n is node or len(found) > _SMALL:
            return tangent, False
        # Integers and conditions, such as an index, are constant between jumps.
        new = [a for a in n.args if a not in seen and a.dtype.startswith("float")]
        seen.update(new)
        found += new
    return tangent, True


def _item(book: Expansion, node: Node, k: int) -> Rule:
    loop = node.args[0]
    if loop not in book.loops:
        if loop.op.name != "while_loop":
            raise DerivativeError(
                f"taylor has no rule for {loop.op.name} ({loop.line}); write it as sd.while_loop, or repeat sd.jvp."
            )
        series = []
        for a in loop.args:
            series.append((yield a, book.order if a.dtype.startswith("float") else 0))
        book.loops[loop] = expand_loop(loop, series, book.order, book.expand)
    return book.loops[loop][node.params["k"]][k]


__all__: list[Any] = ["Ask", "Expansion", "Series", "coefficient"]
