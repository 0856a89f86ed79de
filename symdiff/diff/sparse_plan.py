"""Plans: what is computed once for given sizes, so that a call only runs values and hands them to SciPy.

A plan knows the structure of the matrix (CSR) and where each stored number comes from. Structure arrays are shared by
all matrices that a plan makes and are read-only; SciPy's operations copy them where they must.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.spy import spy
from symdiff.ir.dims import evaluate

if TYPE_CHECKING:
    from symdiff.diff.pattern_layout import Band


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Structure:
    """Where a sparse matrix has entries, in CSR order, and how its values are found. Prints as a spy plot.

    `products` counts the products with the derivative that one evaluation needs; a pattern needs none.
    """

    shape: tuple[int, int]
    indptr: np.ndarray
    indices: np.ndarray
    method: str
    products: int

    @property
    def nnz(self) -> int:
        """The number of entries."""
        return len(self.indices)

    @property
    def rows(self) -> np.ndarray:
        """The row of each entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    @property
    def cols(self) -> np.ndarray:
        """The column of each entry."""
        return self.indices.astype(np.int64)

    def __str__(self) -> str:
        m, n = self.shape
        noun = "product" if self.products == 1 else "products"
        entries = "non-zero" if self.nnz == 1 else "non-zeros"
        share = f" ({self.nnz / (m * n):.2%})" if m * n else ""
        head = f"{m} × {n}, {self.nnz} {entries}{share}, {self.products} {noun}: {self.method}"
        return f"{head}\n{spy(self.shape, self.rows, self.cols)}"

    __repr__ = __str__

    def matrix(self, data: np.ndarray) -> Any:
        """Return SciPy's CSR array with these entries, without copying anything."""
        from scipy.sparse import csr_array

        return csr_array((data, self.indices, self.indptr), shape=self.shape)


class Mould:
    """Makes matrices of one structure: shallow copies of one, as SciPy's constructor looks at the structure again."""

    def __init__(self, structure: Structure):
        self._structure = structure
        self._first: Any = None

    def matrix(self, data: np.ndarray) -> Any:
        """Return the matrix with these entries."""
        if self._first is None:
            first = self._structure.matrix(data)
            first.has_canonical_format = True  # sorted, and each position once: SciPy need not look
            first.data = data[:0].copy()
            self._first = first
        out = copy.copy(self._first)
        out.data = data
        return out


def frozen(array: np.ndarray) -> np.ndarray:
    """Return an array that is shared: writing into it raises."""
    array.setflags(write=False)
    return array


def index_type(shape: tuple[int, int], count: int) -> type[np.integer]:
    """The integers that SciPy's indices have for this size."""
    return np.int32 if max(*shape, count) < 2**31 else np.int64


@dataclass(frozen=True, slots=True, eq=False)
class FlatPlan:
    """Values in any order: entry k of the matrix is `values[source[k]]`, or a sum given by the matrix `adder`."""

    structure: Structure
    source: np.ndarray | None
    adder: Any
    products: None = None

    def data(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers of the matrix in CSR order."""
        if self.source is not None:
            return values.take(self.source)
        return self.adder @ values


def flat_plan(
    shape: tuple[int, int], rows: np.ndarray, cols: np.ndarray, keep: np.ndarray | None, method: str
) -> FlatPlan:
    """Return the plan for triplets at (rows, cols) of which those in the mask `keep` exist; duplicates are added."""
    from scipy.sparse import csr_array

    count = len(rows)
    kept = np.arange(count) if keep is None else np.flatnonzero(keep)
    rows, cols = rows[kept], cols[kept]
    order = np.lexsort((cols, rows))
    rows, cols, kept = rows[order], cols[order], kept[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])
    structure = made_structure(shape, rows[first], cols[first], method, 0)
    if first.all():
        return FlatPlan(structure, kept, None)
    begins = np.append(np.flatnonzero(first), len(rows))
    # 0/1 rows: SciPy's product adds in the order of the triplets, the same in every call.
    adder = csr_array((np.ones(len(kept)), kept, begins), shape=(structure.nnz, count))
    return FlatPlan(structure, None, adder)


def made_structure(shape: tuple[int, int], rows: np.ndarray, cols: np.ndarray, method: str, products: int) -> Structure:
    """Return the structure with entries at sorted (rows, cols), each once."""
    kind = index_type(shape, len(rows))
    indptr = np.zeros(shape[0] + 1, dtype=kind)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
    return Structure(shape, frozen(indptr), frozen(cols.astype(kind)), method, products)


@dataclass(frozen=True, slots=True, eq=False)
class BandPlan:
    """Values in rows of a band: in CSR order but for the ends, which are moved up to their neighbours in place."""

    structure: Structure
    begin: int
    end: int
    to: np.ndarray
    source: np.ndarray
    products: None = None

    def data(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers of the matrix in CSR order: a part of the memory of `values`."""
        flat = values.reshape(-1)
        if len(self.to):
            flat[self.to] = flat[self.source]
        return flat[self.begin : self.end]


def band_plan(shape: tuple[int, int], band: Band, sizes: Mapping[str, int], method: str) -> BandPlan | None:
    """Return the plan for a band; None if no row has all diagonals, or one has gaps: the sizes are very small."""
    m = shape[0]
    offsets = np.array([evaluate(e, sizes) for e in band.offsets], dtype=np.int64)
    ranges = [_union([(evaluate(a, sizes), evaluate(b, sizes)) for a, b in pieces]) for pieces in band.pieces]
    if None in ranges:
        return None
    lows, highs = np.array(ranges, dtype=np.int64).T
    width, full, after = len(offsets), int(lows.max()), int(highs.min())
    if full >= after:
        return None
    # The entries that exist in the ragged rows at both ends, as flat positions in the band.
    head = np.flatnonzero(_exists(np.arange(full), lows, highs))
    tail = np.flatnonzero(_exists(np.arange(after, m), lows, highs)) + after * width
    begin, end = full * width - len(head), after * width + len(tail)
    to = np.concatenate([np.arange(begin, full * width), np.arange(after * width, end)])
    source = np.concatenate([head, tail])
    moved = to != source
    kind = index_type(shape, end - begin)
    columns = (np.arange(m, dtype=kind)[:, None] + offsets.astype(kind)).reshape(-1)
    columns[to[moved]] = columns[source[moved]]
    indptr = np.arange(m + 1, dtype=kind) * kind(width) - kind(begin)
    indptr[:full] = np.searchsorted(head, np.arange(full) * width)
    indptr[after + 1 :] = indptr[after] + np.searchsorted(tail, np.arange(after + 1, m + 1) * width)
    structure = Structure(shape, frozen(indptr), frozen(columns[begin:end]), method, 0)
    return BandPlan(structure, begin, end, to[moved], source[moved])


def _union(pieces: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The range that overlapping ranges make; None if they leave a gap."""
    low, high = min(pieces)
    for a, b in sorted(pieces):
        if a > high or b <= a:
            return None
        high = max(high, b)
    return low, high


def _exists(rows: np.ndarray, lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    return (rows[:, None] >= lows) & (rows[:, None] < highs)
