"""Linear systems whose matrix has few diagonals.

    A x = b,    A[i, i + k - lower] = bands[k, i],    k = 0 … lower + upper

Entries of `bands` outside of the matrix are not read. As for dense systems A x_dot = b_dot - A_dot x, and the
transpose is a solve with A', whose diagonals are those of A in reverse order, each moved along by its distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, shape_text
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, brief, make
from symdiff.ir.primitive import Params, Structured
from symdiff.ops import by_entry
from symdiff.ops.index import broadcast_to, concatenate, embed, reshape, slice_
from symdiff.ops.matmul import floats
from symdiff.ops.reduce import sum_


class _BandedSolve(Structured):
    name = "banded_solve"
    doc = (
        "x with A x = b for columns b, A given by its diagonals, by LU with partial pivoting; NaN where A is singular."
    )

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        bands, b = args
        wide = bands.ndim >= 2 and isinstance(bands.shape[-2], int) and 0 <= params["lower"] < bands.shape[-2]
        if not wide:
            raise ShapeError(
                f"banded_solve: {brief(bands)} of shape {shape_text(bands.shape)} holds no diagonals of which "
                f"{params['lower']} are below the main one; their number is known when the expression is built."
            )
        if b.ndim != bands.ndim or b.shape[:-2] != bands.shape[:-2] or b.shape[-2] != bands.shape[-1]:
            raise ShapeError(
                f"banded_solve: {brief(b)} of shape {shape_text(b.shape)} is no right-hand side for diagonals of shape "
                f"{shape_text(bands.shape)}."
            )
        return b.shape, b.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        kind = np.result_type(*values)  # one of both may be complex, for a complex step
        bands, b = (np.asarray(v).astype(kind) for v in values)
        return by_entry.each(lambda a, r: _solved(a, r, params["lower"]), b.shape[-2:], bands, b)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        bands_dot, right = tangents
        if bands_dot is not None:
            drift = banded_product(bands_dot, node, node.params["lower"])
            right = -drift if right is None else right - drift
        return None if right is None else make(self, (node.args[0], right), node.params)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        if k != 1:
            raise DerivativeError("banded_solve is not linear in its matrix.")
        bands, lower = node.args[0], node.params["lower"]
        return make(self, (transposed_bands(bands, lower), x_bar), {"lower": bands.shape[-2] - 1 - lower})

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        n = next(a.shape[0] for a, f in zip(args, batched, strict=True) if f)
        full = [a if f else broadcast_to(a, shape=(n, *a.shape)) for a, f in zip(args, batched, strict=True)]
        return make(self, tuple(full), node.params)

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, floats(*args), {"lower": params["lower"]})


def _solved(bands: Any, b: Any, lower: int) -> Any:
    """Solve one system. The interpreter's exact numbers are eliminated here, floats by SciPy."""
    upper = len(bands) - 1 - lower
    n = bands.shape[1]
    if n == 0 or b.shape[1] == 0:
        return b.copy()
    if by_entry.is_plain(bands, b):
        from scipy.linalg import LinAlgError, solve_banded  # late: loads LAPACK

        held = np.zeros((len(bands), n), dtype=b.dtype)
        for k, diagonal in enumerate(bands):  # SciPy counts from the uppermost and by columns
            first, last = max(0, lower - k), min(n, n + lower - k)
            held[-1 - k, first + k - lower : last + k - lower] = diagonal[first:last]
        if not (np.isfinite(held).all() and np.isfinite(b).all()):
            return by_entry.nan_like(b.shape, b)
        try:
            # gtsv, which SciPy takes for 3 diagonals, does not see an exact zero among fewer than 3 rows.
            return solve_banded((lower, upper), held, b) if n > 1 else _one(held[-1 - lower], b)
        except LinAlgError:
            return by_entry.nan_like(b.shape, b)
    rows = np.zeros((n, n), dtype=b.dtype)
    for i in range(n):
        for j in range(max(0, i - lower), min(n, i + upper + 1)):
            rows[i, j] = bands[j - i + lower, i]
    return by_entry.solve(rows, b)


def _one(a: Any, b: Any) -> Any:
    return b / a[0] if a[0] else by_entry.nan_like(b.shape, b)


def moved(x: Node, axis: int, by: int) -> Node:
    """Return x[..., i + by, ...] at i along an axis, zeros where that leaves the array."""
    if not by:
        return x
    n = x.shape[axis]
    wide_shape = tuple(d + abs(by) if k == axis else d for k, d in enumerate(x.shape))
    wide = embed(x, shape=wide_shape, starts=_at(x, axis, max(-by, 0)), steps=(1,) * x.ndim)
    extents = tuple(n if k == axis else d for k, d in enumerate(x.shape))
    return slice_(wide, starts=_at(x, axis, max(by, 0)), extents=extents, steps=(1,) * x.ndim)


def _at(x: Node, axis: int, start: int) -> tuple[int, ...]:
    return tuple(start if k == axis else 0 for k in range(x.ndim))


def _diagonal(bands: Node, k: int) -> Node:
    *lead, _, n = bands.shape
    starts = (*(0,) * len(lead), k, 0)
    return slice_(bands, starts=starts, extents=(*lead, 1, n), steps=(1,) * bands.ndim)


def transposed_bands(bands: Node, lower: int) -> Node:
    """Return the diagonals of the transpose, in which A[i - d, i] stands at [i, i - d]: those above come below."""
    count = bands.shape[-2]
    assert isinstance(count, int)
    turned = [moved(_diagonal(bands, k), bands.ndim - 1, lower - k) for k in reversed(range(count))]
    return concatenate(*turned, axis=bands.ndim - 2)


def banded_product(bands: Node, x: Node, lower: int) -> Node:
    """Return A x for columns x."""
    count = bands.shape[-2]
    assert isinstance(count, int)
    *lead, n, columns = x.shape
    across = [reshape(moved(x, x.ndim - 2, k - lower), shape=(*lead, 1, n, columns)) for k in range(count)]
    terms = reshape(bands, shape=(*bands.shape, 1)) * concatenate(*across, axis=len(lead))
    return sum_(terms, axes=(len(lead),))


banded_solve = _BandedSolve()

__all__ = ["banded_product", "banded_solve", "moved", "transposed_bands"]
