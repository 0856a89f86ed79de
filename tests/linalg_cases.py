"""Cases of linear algebra. The references are textbook algorithms in mpmath, for one matrix at a time.

Sizes are never square where a shape is free, matrices are not symmetric where only one half is read, and stacks
have other matrices than the single ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from symdiff.ir.node import PRIMITIVES, Node, make
from tests.case import Case, draw

Matrix = np.ndarray


def stacked(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Apply a function of matrices to every one of a stack; a vector stands by a single matrix."""

    def of_stack(a: Matrix, *rest: Matrix) -> np.ndarray:
        if a.ndim == 2:
            return np.asarray(function(a, *rest), dtype=object)
        return np.stack([of_stack(x, *(r[k] for r in rest)) for k, x in enumerate(a)])

    return of_stack


def solved(a: Matrix, b: Matrix) -> Matrix:
    """The inverse times b."""
    columns = mpmath.inverse(mpmath.matrix(a.tolist())) * mpmath.matrix(b.reshape(len(b), -1).tolist())
    return np.array(columns.tolist(), dtype=object).reshape(b.shape)


def half(a: Matrix, lower: bool, unit: bool) -> Matrix:
    """A triangle, zeros elsewhere."""
    keep = np.tri(len(a), dtype=bool)
    out = np.where(keep if lower else keep.T, a, mpmath.mpf(0))
    if unit:
        np.fill_diagonal(out, mpmath.mpf(1))
    return out


def symmetric(a: Matrix) -> Matrix:
    """The symmetric matrix with this lower half."""
    return np.where(np.tri(len(a), dtype=bool), a, a.T)


def factored(a: Matrix) -> Matrix:
    """Cholesky-Banachiewicz, from the lower half only."""
    n = len(a)
    out = np.full((n, n), mpmath.mpf(0), dtype=object)
    for i in range(n):
        for j in range(i + 1):
            rest = a[i, j] - mpmath.fsum(out[i, k] * out[j, k] for k in range(j))
            out[i, j] = mpmath.sqrt(rest) if i == j else rest / out[j, j]
    return out


def determinant(a: Matrix) -> Any:
    """Leibniz's sum over permutations."""
    total = mpmath.mpf(0)
    for p in itertools.permutations(range(len(a))):
        sign = (-1) ** sum(p[i] > p[j] for i, j in itertools.combinations(range(len(p)), 2))
        total += sign * mpmath.fprod(a[i, j] for i, j in enumerate(p))
    return total


def adjugate(a: Matrix) -> Matrix:
    """Cofactors, transposed."""
    n = len(a)
    out = np.empty((n, n), dtype=object)
    for i, j in np.ndindex(n, n):
        rest = np.delete(np.delete(a, i, axis=0), j, axis=1)
        out[j, i] = (-1) ** (i + j) * determinant(rest)
    return out


def eigen(a: Matrix) -> tuple[Matrix, Matrix]:
    """mpmath's eigenvalues and vectors; the first entry above 0.65 of the largest is positive."""
    w, v = mpmath.eigsy(mpmath.matrix(symmetric(a).tolist()))
    vectors = np.array(v.tolist(), dtype=object)
    for j in range(len(a)):
        column = vectors[:, j]
        first = next(x for x in column if abs(x) > 0.65 * max(abs(y) for y in column))
        vectors[:, j] = column if first > 0 else -column
    return np.array([w[k] for k in range(len(a))], dtype=object), vectors


def triangularised(a: Matrix) -> tuple[Matrix, Matrix]:
    """R is the factor of A'A, Q = A R^-1."""
    r = factored(a.T @ a).T
    return solved(r.T, a.T).T, r


def pivoted(a: Matrix) -> Matrix:
    """Gaussian elimination with the largest pivot, and the partner of each row."""
    a, n = a.copy(), len(a)
    partners = []
    for k in range(n):
        p = max(range(k, n), key=lambda i: abs(a[i, k]))
        partners.append(mpmath.mpf(p))
        a[[k, p]] = a[[p, k]]
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            a[i, k + 1 :] = a[i, k + 1 :] - a[i, k] * a[k, k + 1 :]
    return np.concatenate([a, np.array(partners, dtype=object).reshape(1, n)])


def _made(name: str, **params: Any) -> Callable[..., Node]:
    return lambda *x: make(PRIMITIVES[name], x, params)


def linalg_cases() -> list[Case]:
    """All cases."""
    spd = np.array([[4.0, 9.0, 9.0], [1.2, 5.0, 9.0], [-0.7, 0.9, 6.0]])
    square = draw(-1.0, 1.0, (3, 3), 2) + 3 * np.eye(3)
    stack = draw(-1.0, 1.0, (2, 3, 3), 10) + np.array([2.0, -2.5])[:, None, None] * np.eye(3)
    several = np.stack([spd, spd + np.diag([0.5, -0.25, 3.0])])
    tall = draw(-1.0, 1.0, (4, 3), 11)
    one_sided = draw(-1.0, 1.0, (3, 3), 12) * np.array([[1, 9, 9], [1, 1, 9], [1, 1, 1]]) + 2 * np.eye(3)
    rank_two = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
    rank_one = np.array([[1.0, 2.0, -1.0, 0.5], [2.0, 4.0, -2.0, 1.0], [-1.0, -2.0, 1.0, -0.5], [3.0, 6.0, -3.0, 1.5]])
    right, vector, rights = draw(-2.0, 2.0, (3, 2), 6), draw(-2.0, 2.0, (3,), 7), draw(-2.0, 2.0, (2, 3, 4), 13)
    prim = PRIMITIVES
    cases = [
        Case("solve", label, (a, b), lambda a, b: prim["solve"](a, b), stacked(solved))
        for label, a, b in (("matrix", square, right), ("vector", square, vector), ("stack", stack, rights))
    ]
    for (lower, transposed, unit), b in zip(
        itertools.product((True, False), repeat=3), itertools.cycle((right, vector, right)), strict=False
    ):
        words = ("lower" if lower else "upper", "transposed" * transposed, "unit" * unit)
        params = {"lower": lower, "transposed": transposed, "unit": unit}

        def substituted(
            a: Matrix, b: Matrix, lower: bool = lower, transposed: bool = transposed, unit: bool = unit
        ) -> Any:
            t = half(a, lower, unit)
            return solved(t.T if transposed else t, b)

        cases.append(
            Case("triangular_solve", ",".join(w for w in words if w), (one_sided, b),
                 lambda a, b, params=params: prim["triangular_solve"](a, b, **params), substituted)
        )  # fmt: skip
    cases.append(
        Case("triangular_solve", "stack", (several, rights), lambda a, b: prim["triangular_solve"](a, b),
             stacked(lambda a, b: solved(half(a, True, False), b)))
    )  # fmt: skip
    cases += _banded_cases()
    unary: dict[str, tuple[Callable[..., Any], dict[str, np.ndarray]]] = {
        "cholesky": (factored, {"": spd, "stack": several}),
        "det": (determinant, {"": square, "stack": stack, "singular": rank_two, "rank 1": rank_one}),
        "adjugate": (adjugate, {"": square, "stack": stack, "singular": rank_two, "large": _large()}),
        "logabsdet": (lambda a: mpmath.log(abs(determinant(a))), {"": square, "stack": stack, "negative": -square}),
        "detsign": (lambda a: mpmath.sign(determinant(a)), {"stack": stack}),
        "eigvalsh": (lambda a: eigen(a)[0], {"": spd, "stack": several}),
        "eigvecsh": (lambda a: eigen(a)[1], {"": spd, "stack": several}),
        "qr_q": (lambda a: triangularised(a)[0], {"": tall, "square": square, "stack": np.stack([tall, -tall[::-1]])}),
        "qr_r": (lambda a: triangularised(a)[1], {"": tall, "square": square, "stack": np.stack([tall, -tall[::-1]])}),
        "lu": (pivoted, {"": square[::-1], "stack": stack}),
        "eigh": (lambda a: np.vstack([eigen(a)[0][None], eigen(a)[1]]), {"": spd}),
        "qr": (lambda a: np.vstack(triangularised(a)), {"": tall}),
    }
    for name, (reference, values) in unary.items():
        for label, value in values.items():
            cases.append(Case(name, label, (value,), _made(name), stacked(reference)))
    for transposed in (False, True):
        cases.append(
            Case("lu_solve", "transposed" * transposed, (square[::-1], right),
                 lambda a, b, transposed=transposed: make(
                     prim["lu_solve"], (make(prim["lu"], (a,)), b), {"transposed": transposed}),
                 lambda a, b, transposed=transposed: solved(a.T if transposed else a, b))
        )  # fmt: skip
    return cases


def from_diagonals(bands: Matrix, lower: int) -> Matrix:
    """The matrix of diagonals, whose entries outside of it do not count."""
    count, n = bands.shape
    a = np.full((n, n), mpmath.mpf(0), dtype=object)
    for i, k in itertools.product(range(n), range(count)):
        if 0 <= i + k - lower < n:
            a[i, i + k - lower] = bands[k, i]
    return a


def _banded_cases() -> list[Case]:
    """Main diagonals that are smaller than their neighbours make rows exchange."""
    shapes = {"tridiagonal": (1, 3, 5), "uneven": (2, 4, 6), "upper": (0, 3, 4), "one row": (1, 3, 1)}
    out = []
    for k, (label, (lower, count, n)) in enumerate(shapes.items()):
        bands = draw(0.5, 2.0, (count, n), 20 + k)
        bands[lower] = bands[lower] + 3 if lower == 0 else bands[lower] / 4 + 0.5 * (n == 1)
        columns = draw(-2.0, 2.0, (n, 2), 30 + k)

        def exact(a: Matrix, b: Matrix, lower: int = lower) -> Any:
            return solved(from_diagonals(a, lower), b)

        def build(a: Node, b: Node, lower: int = lower) -> Node:
            return PRIMITIVES["banded_solve"](a, b, lower=lower)

        out.append(Case("banded_solve", label, (bands, columns), build, exact))
        if label == "uneven":
            several = np.stack([bands, -bands[:, ::-1] + 0.1]), draw(-2.0, 2.0, (2, n, 3), 40)
            out.append(Case("banded_solve", "stack", several, build, stacked(exact)))
    return out


def _large() -> np.ndarray:
    return draw(-1.0, 1.0, (5, 5), 14) + 2 * np.eye(5)[::-1]
