"""Factorisations entry by entry, for numbers that LAPACK does not take: mpmath numbers, and x + ih.

Without conjugation, so all of them are analytic in the entries, as complex-step differences need: decisions
(pivots, signs, convergence) look at real parts only. A matrix that cannot be factored gives NaN. Numbers stand on
the right of arrays: on the left, an mpmath number tries to read the array as one number, which takes far longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# Jacobi's method converges quadratically: each sweep doubles the digits, so 200 digits take some ten sweeps.
_MOST_SWEEPS = 60


def is_plain(*arrays: Any) -> bool:
    """Whether the arrays hold real floating-point numbers, which NumPy's own routines take."""
    return all(np.asarray(a).dtype.kind == "f" for a in arrays)


def each(function: Callable[..., Any], core: tuple[int, ...], *arrays: Any) -> Any:
    """Apply a function of matrices to stacks of them with the same leading axes; `core` is the shape of one result."""
    lead = arrays[0].shape[:-2]
    out = np.empty((*lead, *core), dtype=arrays[0].dtype)
    for index in np.ndindex(*lead):
        out[index] = function(*(a[index] for a in arrays))
    return out


def nan_like(shape: tuple[int, ...], like: Any) -> Any:
    """An array of NaN of the kind of numbers of `like`."""
    return np.full(shape, np.nan, dtype=like.dtype) if like.dtype != object else np.full(shape, _nan(), dtype=object)


def _nan() -> Any:
    import mpmath

    return mpmath.nan


def _real(x: Any) -> Any:
    return x.real


def lu(a: Any) -> tuple[Any, list[int]]:
    """Factor P A = L U with partial pivoting; returns L below and U in the upper triangle, and the exchanged rows."""
    a = a.copy()
    n = len(a)
    rows = []
    for k in range(n):
        p = k + max(range(n - k), key=lambda i: abs(_real(a[k + i, k])))
        rows.append(p)
        if p != k:
            a[[k, p]] = a[[p, k]]
        if a[k, k] != 0:
            a[k + 1 :, k] = a[k + 1 :, k] / a[k, k]
            a[k + 1 :, k + 1 :] = a[k + 1 :, k + 1 :] - np.multiply.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a, rows


def substitute(t: Any, b: Any, lower: bool, unit: bool) -> Any:
    """Solve T x = b for a triangle of `t`; NaN where its diagonal has a zero."""
    n = len(t)
    if not unit and any(t[i, i] == 0 for i in range(n)):
        return nan_like(b.shape, b)
    x = b.copy()
    for i in range(n) if lower else range(n - 1, -1, -1):
        for k in range(i) if lower else range(i + 1, n):
            x[i] = x[i] - x[k] * t[i, k]
        if not unit:
            x[i] = x[i] / t[i, i]
    return x


def solve(a: Any, b: Any) -> Any:
    """Solve A x = b; NaN where A is exactly singular."""
    factors, rows = lu(a)
    x = b.copy()
    for k, p in enumerate(rows):
        if p != k:
            x[[k, p]] = x[[p, k]]
    return substitute(factors, substitute(factors, x, True, True), False, False)


def cholesky(a: Any) -> Any:
    """Return L with L L' = A from the lower half of A: Cholesky–Banachiewicz."""
    out = a * 0
    for i, j in np.ndindex(a.shape):
        if j > i:
            continue
        rest = a[i, j] - sum(out[i, k] * out[j, k] for k in range(j))
        if i != j:
            out[i, j] = rest / out[j, j]
        elif _real(rest) > 0:
            out[i, j] = rest**0.5
        else:
            return nan_like(a.shape, a)
    return out


def eigh(a: Any) -> tuple[Any, Any]:
    """Return eigenvalues in ascending order and eigenvectors of the symmetric matrix with A's lower half.

    Method: cyclic Jacobi rotations (Golub & Van Loan 2013, section 8.5), analytic in the entries.
    """
    n = len(a)
    a = np.where(np.tri(n, dtype=bool), a, a.T)
    v = a * 0
    for k in range(n):
        v[k, k] = v[k, k] + 1
    if not all(_is_finite(x) for x in a.ravel()):
        return nan_like((n,), a), nan_like((n, n), a)
    for _ in range(_MOST_SWEEPS):
        if not _sweep(a, v):
            break
    w = np.array([a[k, k] for k in range(n)], dtype=a.dtype)
    order = sorted(range(n), key=lambda k: _real(w[k]))
    return w[order], v[:, order]


def _is_finite(x: Any) -> bool:
    return abs(x) < float("inf")


def _sweep(a: Any, v: Any) -> bool:
    """Rotate every entry off the diagonal to zero once; returns whether one of them was not negligible."""
    n, moved = len(a), False
    for p in range(n):
        for q in range(p + 1, n):
            x = a[p, q]
            if x == 0 or _is_lost(x, a[p, p], a[q, q]):
                continue
            moved = True
            gap = a[q, q] - a[p, p]
            root = (gap * gap + 4 * x * x) ** 0.5
            t = 2 * x / (gap + root if _real(gap) >= 0 else gap - root)
            c = 1 / (1 + t * t) ** 0.5
            s = c * t
            for m in (a, a.T, v.T):
                row_p, row_q = m[p].copy(), m[q].copy()
                m[p], m[q] = row_p * c - row_q * s, row_p * s + row_q * c
            a[p, q] = a[q, p] = x * 0  # what the rotation is for, without its rounding
    return moved


def _is_lost(x: Any, d: Any, e: Any) -> bool:
    """Whether adding x's square over the diagonal changes neither real nor imaginary parts."""
    size = (abs(_real(d)) + abs(_real(e))) * _resolution(x)
    return bool(abs(_real(x)) <= size and abs(x.imag) <= size * (abs(d.imag) + abs(e.imag)))


def _resolution(x: Any) -> Any:
    if hasattr(x, "dtype"):
        return float(np.finfo(x.dtype).eps) ** 2
    import mpmath

    return mpmath.mp.eps**2


def qr(a: Any) -> tuple[Any, Any]:
    """Return Q and R of a tall matrix, R with a non-negative diagonal: Gram–Schmidt, twice for orthogonality."""
    n = a.shape[1]
    q, r = a.copy(), a[:n] * 0
    for k in range(n):
        for _ in range(2):
            for j in range(k):
                part = (q[:, j] * q[:, k]).sum()
                r[j, k] = r[j, k] + part
                q[:, k] = q[:, k] - q[:, j] * part
        r[k, k] = (q[:, k] * q[:, k]).sum() ** 0.5
        q[:, k] = q[:, k] / r[k, k]
    return q, r
