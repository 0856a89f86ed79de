"""Linear algebra under NumPy's names. Every function takes a matrix, or a stack of matrices (…, n, n)."""

from __future__ import annotations

from typing import Any, NamedTuple

from symdiff.front import arrays
from symdiff.ir.dims import Dim, broadcast_shapes, multiply, product, shape_text
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, brief
from symdiff.ops import index, linalg


class Slogdet(NamedTuple):
    """Sign and log|det| of matrices."""

    sign: Node
    logabsdet: Node


class Eigh(NamedTuple):
    """Eigenvalues in ascending order and eigenvectors as columns."""

    eigenvalues: Node
    eigenvectors: Node


class QR(NamedTuple):
    """The factors of A = Q R."""

    Q: Node
    R: Node


def solve(a: Any, b: Any) -> Node:
    """Return x with a @ x = b, by LU with partial pivoting; NaN where a is exactly singular.

    Shapes: a (…, n, n); b (n,) is one vector for every matrix, any other b holds columns, (…, n, k): NumPy 2's rule.
    Leading axes broadcast. Raises: ShapeError.
    Cost: a value, its tangents and its adjoint share one factorisation.

    >>> from symdiff.front.symbols import matrix, vector
    >>> print(solve(matrix("A", 3, 3), vector("b", 3)))
    solve(A, b)
    """
    matrix, right = linalg.floats(a, b)
    return _system(lambda m, r: linalg.solve(m, r), matrix, right, "solve")


def triangular_solve(a: Any, b: Any, lower: bool = True, transposed: bool = False, unit: bool = False) -> Node:
    """Return x with T x = b, or T' x = b, for the lower or upper triangle T of a; the rest of a is not read.

    `unit` takes the diagonal as ones. NaN where the diagonal has a zero. Shapes: those of `solve`.
    """
    matrix, right = linalg.floats(a, b)
    options = {"lower": bool(lower), "transposed": bool(transposed), "unit": bool(unit)}
    return _system(lambda m, r: linalg.triangular_solve(m, r, **options), matrix, right, "triangular_solve")


def _system(solver: Any, a: Node, b: Node, what: str) -> Node:
    """Bring matrices and right-hand sides to the same leading axes."""
    if a.ndim < 2 or not b.ndim or (b.ndim == 1 and a.ndim == 2):
        return solver(a, b)  # fits, or says what does not
    is_vector = b.ndim == 1
    if is_vector:
        b = index.reshape(b, shape=(*b.shape, 1))
    lead, n, k = broadcast_shapes(a.shape[:-2], b.shape[:-2]), b.shape[-2], b.shape[-1]
    if n != a.shape[-1]:
        raise ShapeError(
            f"{what}: {brief(b)} of shape {shape_text(b.shape)} is no right-hand side for {brief(a)} of shape "
            f"{shape_text(a.shape)}; a right-hand side is a vector only if it has one axis."
        )
    if a.ndim == 2 and lead:
        # One matrix, factored once, with all right-hand sides as its columns.
        rank, count = len(lead), product(lead)
        wide = index.reshape(index.transpose(b, perm=(rank, *range(rank), rank + 1)), shape=(n, multiply(count, k)))
        out = index.reshape(solver(a, wide), shape=(n, *lead, k))
        return index.transpose(out, perm=(*range(1, rank + 1), 0, rank + 1))
    a = index.broadcast_to(a, shape=(*lead, *a.shape[-2:]))
    out = solver(a, index.broadcast_to(b, shape=(*lead, n, k)))
    return index.reshape(out, shape=out.shape[:-1]) if is_vector else out


def inv(a: Any) -> Node:
    """Return the inverse; NaN where a is exactly singular.

    For a product with the inverse, `solve` is cheaper and more accurate.
    """
    (matrix,) = linalg.floats(a)
    linalg.require_square(matrix, "inv")
    return linalg.inverse(matrix)


def cholesky(a: Any) -> Node:
    """Return the lower triangular L with L @ L.T = a, from the lower half of a; NaN if a is not positive definite."""
    return linalg.cholesky(a)


def det(a: Any) -> Node:
    """Return the determinant.

    Its first derivative is right at singular matrices of any rank. The second needs a regular matrix where n > 3; it
    is NaN where a is singular to working precision.
    """
    return linalg.det(a)


def slogdet(a: Any) -> Slogdet:
    """Return (sign, log|det|) of a, for determinants that overflow; 0 and -inf for a singular matrix."""
    return Slogdet(linalg.detsign(a), linalg.logabsdet(a))


def logdet(a: Any) -> Node:
    """Return log|det(a)|: -inf for a singular matrix; `slogdet` gives the sign as well.

    >>> from symdiff.diff.jacobian import gradient
    >>> from symdiff.front.symbols import matrix
    >>> a = matrix("A", 2, 2)
    >>> gradient(logdet(a), a).shape
    (2, 2)
    """
    return linalg.logabsdet(a)


def eigvalsh(a: Any, UPLO: str = "L") -> Node:
    """Return the eigenvalues of a symmetric matrix in ascending order, from its lower half, or upper with UPLO="U".

    Of equal eigenvalues only symmetric functions, such as their sum, have derivatives: they are right.
    """
    return linalg.eigvalsh(_half(a, UPLO))


def eigh(a: Any, UPLO: str = "L") -> Eigh:
    """Return eigenvalues w in ascending order and eigenvectors V of a symmetric matrix: a @ V = V * w.

    In each vector the first entry above 0.65 of the largest is positive. Vectors of equal eigenvalues have no
    derivative: it is NaN where a gap is within rounding, n eps max|w|.

    >>> from symdiff.front.symbols import matrix
    >>> w, v = eigh(matrix("A", "n", "n"))
    >>> w.shape, v.shape
    ((n,), (n, n))
    """
    half = _half(a, UPLO)
    return Eigh(linalg.eigvalsh(half), linalg.eigvecsh(half))


def _half(a: Any, uplo: str) -> Node:
    (matrix,) = linalg.floats(a)
    linalg.require_square(matrix, "eigh")
    if uplo not in ("L", "U"):
        raise ShapeError(f"UPLO is 'L' or 'U', the half of the matrix that is read, got {uplo!r}.")
    return matrix if uplo == "L" else linalg.matrix_transpose(matrix)


def qr(a: Any) -> QR:
    """Return Q with orthonormal columns and the upper triangular R with a = Q @ R: NumPy's mode "reduced".

    R has a non-negative diagonal, which makes both unique, where NumPy leaves the signs to LAPACK. Derivatives need
    independent columns (of the square part in front, where a is wide). Shapes: a (…, m, n) with a run-time size m or n
    is taken as tall, and refused when it is called with m < n.
    """
    (matrix,) = linalg.floats(a)
    if matrix.ndim < 2:
        raise ShapeError(f"qr needs a matrix, got {brief(matrix)} of shape {shape_text(matrix.shape)}.")
    m, n = matrix.shape[-2:]
    if isinstance(m, Dim) or isinstance(n, Dim) or m >= n:
        return QR(linalg.qr_q(matrix), linalg.qr_r(matrix))
    # The first m columns give Q; the others are turned by it.
    rank = matrix.ndim
    starts = (0,) * rank
    front = index.slice_(matrix, starts=starts, extents=(*matrix.shape[:-1], m), steps=(1,) * rank)
    q = linalg.qr_q(front)
    rest = index.slice_(matrix, starts=(*starts[:-1], m), extents=(*matrix.shape[:-1], n - m), steps=(1,) * rank)
    turned = linalg.matmul(linalg.matrix_transpose(q), rest)
    return QR(q, arrays.concatenate([linalg.qr_r(front), turned], axis=-1))
