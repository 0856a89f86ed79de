"""factorise: write solves, determinants, eigenvalues and QR factors over the factorisations that they share.

    solve(A, b) -> lu_solve(lu(A), b)      solve(A.T, b) -> lu_solve(lu(A), b, transposed)
    det(A) -> prod(diag(lu(A))) * sign of the exchanges      logabsdet(A) -> sum(log|diag(lu(A))|)
    eigvalsh(A), eigvecsh(A) -> the first row and the others of eigh(A)      qr_q(A), qr_r(A) -> parts of qr(A)

So a value, its tangents and its adjoint factor once, and a factorisation of what a loop does not change leaves the
loop. Needs: derivatives have been taken.  Keeps: value to rounding, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.dims import multiply
from symdiff.ir.graph import made_order, transform
from symdiff.ir.node import Node, const, make
from symdiff.ir.primitive import cast
from symdiff.ops import elementwise as el
from symdiff.ops.index import reshape, slice_, take, transpose
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import eigh, lu, lu_solve, qr
from symdiff.ops.reduce import prod, sum_

_NAMES = frozenset({"solve", "det", "logabsdet", "detsign", "eigvalsh", "eigvecsh", "qr_q", "qr_r"})


def factorise(roots: Sequence[Node]) -> list[Node]:
    """Apply the rules above to every node under `roots`."""
    if not any(n.op.name in _NAMES for n in made_order(roots)):
        return list(roots)
    return transform(roots, lambda node: _rewrite(node) if node.op.name in _NAMES else node)


def _rewrite(node: Node) -> Node:
    a = node.args[0]
    n = a.shape[-1]
    match node.op.name:
        case "solve":
            return _solve(node)
        case "eigvalsh":
            return reshape(_rows(eigh(a), 0, 1), shape=node.shape)
        case "eigvecsh":
            return _rows(eigh(a), 1, n)
        case "qr_q":
            return _rows(qr(a), 0, a.shape[-2])
        case "qr_r":
            return _rows(qr(a), a.shape[-2], n)
    factors = make(lu, (_plain(a)[0],))
    pivots = _diagonal(factors)
    axes = (pivots.ndim - 1,)
    match node.op.name:
        case "logabsdet":
            return sum_(el.log(el.abs_(pivots)), axes=axes)
        case "detsign":
            return prod(el.sign(pivots) * _exchanges(factors), axes=axes)
        case _:
            return prod(pivots * _exchanges(factors), axes=axes)


def _solve(node: Node) -> Node:
    a, b = node.args
    a, transposed = _plain(a)
    columns = b if b.ndim == a.ndim else reshape(b, shape=(*b.shape, 1))
    out = make(lu_solve, (make(lu, (a,)), columns), {"transposed": transposed})
    return reshape(out, shape=node.shape)


def _plain(a: Node) -> tuple[Node, bool]:
    """Return (A, True) for A', (A, False) for any other A: both have the same factors."""
    rank = a.ndim
    if a.op is transpose and a.params["perm"] == (*range(rank - 2), rank - 1, rank - 2):
        return a.args[0], True
    return a, False


def _rows(x: Node, start: object, count: object) -> Node:
    """Some of the rows of matrices."""
    rank = x.ndim
    return slice_(
        x, starts=(*(0,) * (rank - 2), start, 0), extents=(*x.shape[:-2], count, x.shape[-1]), steps=(1,) * rank
    )


def _diagonal(factors: Node) -> Node:
    """The diagonal of U, an entry in every n + 1 of the packed form."""
    *lead, rows, n = factors.shape
    flat = reshape(factors, shape=(*lead, multiply(rows, n)))
    return take(flat, iota(n=n) * rows, axis=len(lead))


def _exchanges(factors: Node) -> Node:
    """-1 for every row that was exchanged with a later one, else 1."""
    *lead, rows, n = factors.shape
    partners = reshape(_rows(factors, rows - 1, 1), shape=(*lead, n))
    one = const(1.0, factors.dtype)
    return el.where(el.eq(partners, cast(iota(n=n), factors.dtype)), one, -one)
