"""Elimination of many tridiagonal systems side by side, along the first axis of arrays.

Without exchanges of rows (Thomas): for systems that are definite or dominated by their diagonals. What comes of the
matrix ends in divisions, which a loop over steps does before it begins, if the matrix does not change.
"""

from __future__ import annotations

from symdiff.ir.node import Node, const
from symdiff.ops.banded import moved
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import eq, where
from symdiff.ops.index import broadcast_to, reshape, take
from symdiff.ops.leaves import iota, size
from symdiff.ops.recurrence import recurrence
from symdiff.ops.rows import empty, set_row
from symdiff.pde.layers import cut


def eliminated(lower: Node, middle: Node, upper: Node, b: Node) -> Node:
    """Solve the systems with these diagonals below, on and above the main one: T = L U with pivots w on U's diagonal.

    w_i = middle_i - lower_i upper_i-1 / w_i-1;  y_i = b_i - lower_i/w_i-1 y_i-1;  x_i = (y_i - upper_i x_i+1)/w_i

    Entries outside of the matrices are 0.
    """
    n, rest = b.shape[0], b.shape[1:]
    products = lower * moved(upper, 0, -1)

    def row(x: Node, i: Node) -> Node:
        return take(x, i, axis=0)

    def turn(i: Node, last: Node, rows: Node) -> list[Node]:
        w = row(middle, i) - row(products, i) / last
        return [i + 1, w, set_row(rows, w, i)]

    start = [const(0, "int64"), broadcast_to(const(1.0), shape=rest), empty(shape=b.shape, dtype="float64")]
    _, _, pivots = build_loop(lambda i, *_: i < size(dim=n), turn, start, turns=n)
    last = where(_place(b) < 1, 1.0, moved(pivots, 0, -1))
    down, up, inverse = -lower / last, moved(-upper, 0, -1) / last, 1.0 / pivots
    y = recurrence(down, b, axis=0, reverse=False)
    return recurrence(up, y * inverse, axis=0, reverse=True)


def eliminated_on_circles(lower: Node, middle: Node, upper: Node, b: Node) -> Node:
    """Solve systems whose first entry below the diagonal stands in the last column, and last one above in the first.

    T = T_0 + p q', p = (g, 0, …, 0, upper_n-1), q = (1, 0, …, 0, lower_0/g) with g = -middle_0 and T_0 tridiagonal
    (Sherman & Morrison 1950).
    """
    n = b.shape[0]
    is_first, is_last = eq(_place(b), 0), eq(_place(b), size(dim=n) - 1)
    g, corner = -cut(middle, 0, 0, 1), cut(upper, 0, n - 1, 1)
    share = cut(lower, 0, 0, 1) / g
    p = where(is_first, g, where(is_last, corner, 0.0))
    held = where(is_first, middle - g, where(is_last, middle - corner * share, middle))
    below, above = where(is_first, 0.0, lower), where(is_last, 0.0, upper)
    y, z = (eliminated(below, held, above, broadcast_to(r, shape=b.shape)) for r in (b, p))

    def with_q(x: Node) -> Node:
        return cut(x, 0, 0, 1) + share * cut(x, 0, n - 1, 1)

    return y - z * (with_q(y) / (1.0 + with_q(z)))


def _place(b: Node) -> Node:
    n = b.shape[0]
    return reshape(iota(n=n), shape=(n, *(1,) * (b.ndim - 1)))
