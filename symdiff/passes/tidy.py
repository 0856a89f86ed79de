"""tidy: bring signs and literal factors of products to the front, so that formulas read as people write them.

    exp(x) * -(2*x)  ->  -2*exp(x)*x      (a*2)/4  ->  0.5*a      x**1 * x**2  ->  x**3      eye @ X  ->  X

Needs: nothing.  Keeps: shape, dtype, source line; the value up to the rounding of literal factors that are not
powers of two.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.dims import broadcast_shapes
from symdiff.ir.graph import count_ops, made_order, transform
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import Elementwise
from symdiff.ops import elementwise as el
from symdiff.ops.elementwise.values import is_literal
from symdiff.ops.index import broadcast_to, transpose
from symdiff.ops.linalg import matmul

_SMALL = 1e-30
_READABLE = 300
# Powers of a larger graph are for no one to read; made and unmade again, they would have all that follows built twice.
_FOR_PEOPLE = 1500


def split_literal(node: Node) -> tuple[float, Node]:
    """Return (c, rest) with node = c * rest, c a literal that stands in front."""
    if node.op is el.neg:
        c, rest = split_literal(node.args[0])
        return -c, rest
    if node.op is el.mul and node.args[0].op.name == "const":
        c = float(node.args[0].params["value"])
        # A product of many literals would overflow while their partners underflow: 0 * inf for a finite value.
        if _SMALL < abs(c) < 1 / _SMALL:
            return c, node.args[1]
    return 1.0, node


def scale(c: float, node: Node) -> Node:
    """Return c * node with the literal in front, merged with one that is there already."""
    if c == 1.0:
        return node
    if c == -1.0:
        return -node
    return const(c, node.dtype) * node


def tidy_node(node: Node, powers: bool = True) -> Node:
    """Tidy one node whose arguments are tidy; without `powers`, products stay products."""
    node = _without_broadcasts(node)
    if node.op is matmul:
        return _product_with_eye(node)
    if node.op is transpose and node.args[0].op is transpose:
        return transpose(node.args[0], perm=node.params["perm"])  # composed when it is built
    if not node.dtype.startswith("float"):
        return node
    if node.op is el.mul:
        return _product(node, powers)
    if node.op is el.div:
        (c, x), (d, y) = map(split_literal, node.args)
        if node.args[1].op.name == "const" or d == 0 or (c == 1.0 and d == 1.0):
            return node
        if node.args[0].op.name == "const":
            return const(float(node.args[0].params["value"]) / d, node.dtype) / y
        return scale(c / d, x / y)
    if node.op is el.neg:
        c, x = split_literal(node.args[0])
        return node if c == 1.0 else scale(-c, x)
    if node.op in (el.add, el.sub):
        return _sum(node)
    return node


def _without_broadcasts(node: Node) -> Node:
    """op(x, broadcast_to(y)) -> op(x, y) where x has the full shape anyway: elementwise operations broadcast."""
    if not node.shape or not isinstance(node.op, Elementwise) or not any(a.op is broadcast_to for a in node.args):
        return node
    args = list(node.args)
    for k, a in enumerate(args):
        if a.op is broadcast_to:
            bare = a.args[0]
            others = [b.shape for j, b in enumerate(args) if j != k]
            if others and broadcast_shapes(bare.shape, *others) == node.shape:
                args[k] = bare
    return node.op(*args, **node.params)


def _product_with_eye(node: Node) -> Node:
    for k, other in ((0, 1), (1, 0)):
        if _is_eye(node.args[k]) and node.args[other].ndim == 2:
            return node.args[other]
    return node


def _is_eye(node: Node) -> bool:
    """Whether a node is the identity matrix as `diff.jacobian.eye` builds it."""
    if node.op is not el.where or node.ndim != 2 or node.args[0].op is not el.eq:
        return False
    one, zero = node.args[1:]
    if not (one.op.name == zero.op.name == "const" and float(one) == 1.0 and float(zero) == 0.0):
        return False
    row, col = node.args[0].args
    n = node.shape[0]
    return (
        row.op.name == col.op.name == "reshape"
        and row.args[0] is col.args[0]
        and row.args[0].op.name == "iota"
        and row.shape == (n, 1)
        and col.shape == (1, n)
    )


def _product(node: Node, powers: bool) -> Node:
    a, b = node.args
    for x, y in ((a, b), (b, a)):
        if x.op.name == "const":
            c, rest = split_literal(y)
            merged = float(x.params["value"]) * c
            return (
                scale(merged, rest) if rest.op.name != "const" else const(merged * float(rest.params["value"]), a.dtype)
            )
    (c, x), (d, y) = split_literal(a), split_literal(b)
    if c == d == 1.0 and not powers:
        return node
    if x is y and powers:
        return scale(c * d, x ** const(2.0, x.dtype))
    for base, other in ((x, y), (y, x)) if powers else ():
        if other.op is el.pow_ and other.args[0] is base and other.args[1].op.name == "const":
            n = float(other.args[1].params["value"])
            if n >= 1 and n == int(n):
                return scale(c * d, base ** const(n + 1, base.dtype))
    return scale(c * d, x * y)


def _sum(node: Node) -> Node:
    """a + (-b) -> a - b,  (-a) + b -> b - a,  a - (-b) -> a + b."""
    a, b = node.args
    c, x = split_literal(b)
    sign = 1.0 if node.op is el.add else -1.0
    if c < 0:
        return a - scale(-c, x) if sign > 0 else a + scale(-c, x)
    d, y = split_literal(a)
    if d < 0 and sign > 0:
        return b - scale(-d, y)
    return node


def tidy(roots: Sequence[Node]) -> list[Node]:
    """Tidy every node under `roots`, innermost first."""
    if len(made_order(roots)) > _FOR_PEOPLE:
        return transform(roots, lambda node: tidy_node(node, powers=False))
    return transform(roots, tidy_node)


def read_order(roots: Sequence[Node]) -> list[Node]:
    """Write products as they are read: 2*(x*y) -> (2*x)*y, which prints without parentheses, and x*(1/y) -> x/y.

    Only for formulas that people look at, and only where it costs no more than a few operations: a reciprocal that
    several products share is cheaper left alone, and in a long chain of products writing every one of them anew would
    be quadratic. Others are left as they are.
    """
    before = count_ops(roots)
    if before > _READABLE:
        return list(roots)
    after = transform(roots, _as_read)
    # Partial products that many formulas share are not shared any more when each is written out.
    return after if count_ops(after) <= before + before // 8 + 2 else list(roots)


def _as_read(node: Node) -> Node:
    factors: list[Node] = []
    while node.op is el.mul and node.args[1].op is el.mul:
        x, (y, z) = node.args[0], node.args[1].args
        factors.append(z)
        node = x * y
    for factor in [*reversed(factors)]:
        node = node * factor
    if node.op is el.mul and node.args[1].op is el.div and is_literal(node.args[1].args[0], 1.0):
        return node.args[0] / node.args[1].args[1]
    return node
