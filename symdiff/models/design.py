"""The samples of a linear model as an expression: X w, whether X is dense or sparse.

A sparse X is three vectors: values, rows and columns of its entries. X w takes the weight of each entry's column and
adds the products up by rows; the derivative, X' r, does the same the other way round. Nothing is ever as large as X
would be without its zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.front.symbols import array
from symdiff.ir.dims import as_extent
from symdiff.ir.node import Node
from symdiff.ops.index import reshape, scatter_add, take
from symdiff.ops.linalg import matmul

_X = array("X", ("n", "d"))
_VALUES, _ROWS, _COLUMNS = array("values", "m"), array("rows", "m", dtype="int64"), array("columns", "m", dtype="int64")
_MEAN = array("mean", "d")


@dataclass(frozen=True, slots=True)
class Design:
    """A matrix of samples (n, d), less `mean` in every row: a NumPy array, or a `csr_array` that stays as it is."""

    x: Any
    mean: np.ndarray | None = None

    @property
    def is_sparse(self) -> bool:
        """Whether the entries are held by rows and columns."""
        return not isinstance(self.x, np.ndarray)

    @property
    def data(self) -> dict[Node, Any]:
        """The values of the symbols in `times`."""
        mean = {} if self.mean is None else {_MEAN: self.mean}
        if not self.is_sparse:
            return {_X: self.x, **mean}
        rows = np.repeat(np.arange(self.x.shape[0]), np.diff(self.x.indptr))
        return {_VALUES: self.x.data, _ROWS: rows, _COLUMNS: self.x.indices.astype(np.int64), **mean}

    def products(self, share: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return X' S X and X' S y for the diagonal matrix S of weights that add up to 1, X less its mean.

        Needs: y of (weighted) mean 0 where there is a mean. Cost: d² numbers, however sparse X is.
        """
        right = self.x.T @ (share * y)
        if not self.is_sparse:
            return (self.x.T * share) @ self.x, right
        gram = ((self.x.T * share) @ self.x).toarray()
        return (gram if self.mean is None else gram - np.outer(self.mean, self.mean)), right

    def times(self, w: Node) -> Node:
        """Return (X - mean) w for weights of shape (d,) or (d, k).

        Needs: another symbol with the size "n" beside, which a sparse X does not tell.
        """
        z = _sparse_times(w) if self.is_sparse else matmul(_X, w)
        return z if self.mean is None else z - matmul(_MEAN, w)


def _sparse_times(w: Node) -> Node:
    values = _VALUES if w.ndim == 1 else reshape(_VALUES, shape=(*_VALUES.shape, 1))
    return scatter_add(values * take(w, _COLUMNS, axis=0), _ROWS, axis=0, extent=as_extent("n"))


def centred(x: Any, mean: np.ndarray) -> Design:
    """Return x with the mean of every column taken out: at once from an array, in `times` from a sparse matrix."""
    if not isinstance(x, np.ndarray):
        return Design(x, mean)
    out = x - mean
    # A column that is constant but for the rounding of its mean is zero, not noise to be fitted.
    out[:, np.abs(out).max(axis=0) <= len(x) * np.finfo(float).eps * np.abs(mean)] = 0.0
    return Design(out)


__all__ = ["Design", "centred"]
