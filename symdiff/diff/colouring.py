"""colouring: which columns and rows of a sparse matrix one product can tell apart.

A product with the sum of several columns gives all of them at once if no two meet in a row (column colouring); with
the transpose, the same holds for rows. A symmetric matrix gives each entry twice, so less is asked: a star colouring
reads every entry from one of the two places, an acyclic one solves for them tree by tree. Both sides at once
(bidirectional) is a star colouring of the bipartite graph of rows and columns.

Method: Gebremedhin, Manne & Pothen 2005, SIAM Review 47(4), for the definitions; Gebremedhin, Tarafdar, Manne &
Pothen 2007, SIAM J. Sci. Comput. 29(3), for star and acyclic colouring; Gebremedhin, Pothen, Tarafdar & Walther 2009,
INFORMS J. Comput. 21(2), for recovering the entries; Coleman & Verma 1998, SIAM J. Sci. Comput. 19(4), for both sides,
here as in Montoison, Dalle & Gebremedhin 2025. The implementations that exist for Python need JAX or Julia.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.errors import DerivativeError

# Substitution adds up rounding errors along a tree: it has to halve the products.
_WORTH_SUBSTITUTING = 0.5
_FULL = 0.5
_QUICK = 1000  # steps for an entry, in the colouring of a side


@dataclass(frozen=True, slots=True, eq=False)
class Colouring:
    """The products that tell all entries of a matrix apart.

    `columns[j]` is the forward product that column j takes part in, `rows[i]` the reverse product of row i; -1 is none.
    Entry k is number `source[k]` of the products one after another, forward ones first, or (acyclic) is solved for
    with `solver`.
    """

    method: str
    columns: np.ndarray
    rows: np.ndarray
    source: np.ndarray
    solver: Solver | None = None

    @property
    def forward(self) -> int:
        """The number of products with the matrix."""
        return int(self.columns.max(initial=-1)) + 1

    @property
    def reverse(self) -> int:
        """The number of products with its transpose."""
        return int(self.rows.max(initial=-1)) + 1

    @property
    def products(self) -> int:
        """The number of all products."""
        return self.forward + self.reverse

    def entries(self, products: np.ndarray) -> np.ndarray:
        """Return the entries in CSR order for the products one after another."""
        found = products.take(self.source)
        return found if self.solver is None else self.solver.solve(found)


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """Recovers the entries off the diagonal from sums, tree by tree (Gebremedhin et al. 2009, section 3.2)."""

    slots: np.ndarray
    mirror: np.ndarray
    order: np.ndarray
    places: np.ndarray
    n_slots: int

    def solve(self, found: np.ndarray) -> np.ndarray:
        """Replace the sums at `places` by the entries themselves."""
        from symdiff.diff.colouring_kernels import substitute

        sums = np.empty(self.n_slots, found.dtype)
        sums[self.slots] = found[self.places]
        out = np.empty(len(self.places), found.dtype)
        substitute(sums, self.order, self.slots, self.mirror, out)
        found[self.places] = out
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Matrix:
    """A structure in CSR order with what the algorithms ask of it."""

    m: int
    n: int
    rows: np.ndarray
    cols: np.ndarray

    @property
    def begins(self) -> np.ndarray:
        return _begins(self.rows, self.m)

    @property
    def mirror(self) -> np.ndarray:
        """For each entry (i, j) in CSR order the place of entry k of the transpose: (j, i) if symmetric."""
        return np.lexsort((self.rows, self.cols))

    def transposed(self) -> _Matrix:
        order = self.mirror
        return _Matrix(self.n, self.m, self.cols[order], self.rows[order])


def _begins(sorted_rows: np.ndarray, m: int) -> np.ndarray:
    out = np.zeros(m + 1, np.int64)
    np.cumsum(np.bincount(sorted_rows, minlength=m), out=out[1:])
    return out


def colour(
    shape: tuple[int, int], rows: np.ndarray, cols: np.ndarray, symmetric: bool, method: str | None = None
) -> Colouring:
    """Return the colouring with the fewest products, or that of `method`. `rows`, `cols` are in CSR order.

    Raises DerivativeError for an unknown method.
    """
    matrix = _Matrix(*shape, np.asarray(rows, np.int64), np.asarray(cols, np.int64))
    if not len(rows):
        return _finished("column", matrix, np.zeros(shape[1], np.int64), None, False)
    ways: dict[str, Callable[[_Matrix], Colouring]] = {
        "column": _column, "row": _row, "bidirectional": _bidirectional, "star": _star, "acyclic": _acyclic,
    }  # fmt: skip
    if method is not None:
        if method not in ways:
            raise DerivativeError(f"A colouring is one of {', '.join(ways)}, got {method!r}.")
        return ways[method](matrix)
    if len(rows) > _FULL * shape[0] * shape[1]:
        # Nearly full: nothing to gain, and the search costs entries times colours.
        wide = shape[1] > shape[0] and not symmetric
        every = np.arange(min(shape) if wide else shape[1])
        return _finished("row", matrix, None, every, False) if wide else _finished("column", matrix, every, None, False)
    best = None
    for name, least in _candidates(matrix, symmetric):
        share = _WORTH_SUBSTITUTING if name == "acyclic" else 1.0
        if best is None or least <= share * (best.products - 1):
            found = ways[name](matrix)
            if best is None or found.products <= share * (best.products - 1):
                best = found
    assert best is not None
    return best


def _candidates(matrix: _Matrix, symmetric: bool) -> Iterator[tuple[str, int]]:
    """The methods to try with the fewest products that each may need, the most promising first."""
    by_row, by_col = (np.bincount(k, minlength=1) for k in (matrix.rows, matrix.cols))
    if symmetric:
        yield "star", 0
        yield "column", int(by_row.max())
        yield "acyclic", 2
        return
    sides = sorted([("column", by_row), ("row", by_col)], key=lambda side: int(side[1].max()))
    # Colouring a side looks at a full row once for each of its columns: after what may make it needless.
    is_quick = float(sides[0][1] @ sides[0][1]) <= _QUICK * len(matrix.rows)
    yield from ((name, int(n.max())) for name, n in sides[: int(is_quick)])
    yield "bidirectional", 3
    yield from ((name, int(n.max())) for name, n in sides[int(is_quick) :])


def _orders(degrees: np.ndarray) -> list[np.ndarray]:
    """The orders that are tried: as they come (best for bands), and those with the most neighbours first."""
    return [np.arange(len(degrees)), np.argsort(-degrees, kind="stable")]


def _fewest(candidates: list[np.ndarray]) -> np.ndarray:
    return min(candidates, key=lambda c: int(c.max(initial=-1)))


def _side(matrix: _Matrix) -> np.ndarray:
    from symdiff.diff.colouring_kernels import column_colours

    other = matrix.transposed()
    begins = other.begins
    orders = _orders(np.diff(begins))
    return _fewest([column_colours(matrix.begins, matrix.cols, begins, other.cols, order) for order in orders])


def _column(matrix: _Matrix) -> Colouring:
    return _finished("column", matrix, _side(matrix), None, False)


def _row(matrix: _Matrix) -> Colouring:
    return _finished("row", matrix, None, _side(matrix.transposed()), False)


def _graph(m: int, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    off = rows != cols
    return _begins(rows[off], m), cols[off]


def _vertices(kernel: Any, begin: np.ndarray, near: np.ndarray, *options: int) -> np.ndarray | None:
    found = [kernel(begin, near, order, *options) for order in _orders(np.diff(begin))]
    whole = [c for c in found if len(c) == len(begin) - 1]
    return _fewest(whole) if whole else None


def _star(matrix: _Matrix) -> Colouring:
    from symdiff.diff.colouring_kernels import star_colours

    colours = _vertices(star_colours, *_graph(matrix.m, matrix.rows, matrix.cols), matrix.n + 1)
    return _finished("star", matrix, colours, colours, True)


def _bidirectional(matrix: _Matrix) -> Colouring:
    """The best of three: full rows one by one and columns for the rest, the same with columns, a star colouring."""
    from symdiff.diff.colouring_kernels import star_colours

    other = matrix.transposed()
    columns, rows = _full_rows_apart(matrix)
    best = _finished("bidirectional", matrix, columns, rows, False)
    rows, columns = _full_rows_apart(other)
    found = _finished("bidirectional", matrix, columns, rows, False)
    best = found if found.products < best.products else best
    # Columns are the vertices 0 … n-1, rows the vertices n … n+m-1.
    ends = np.concatenate([other.rows, matrix.rows + matrix.n]), np.concatenate([other.cols + matrix.n, matrix.cols])
    colours = _vertices(star_colours, *_graph(matrix.n + matrix.m, *ends), best.products)
    if colours is not None:
        found = _finished("bidirectional", matrix, colours[: matrix.n], colours[matrix.n :], False)
        best = found if found.products < best.products else best
    return best


def _full_rows_apart(matrix: _Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Colour the rows with the most entries among themselves, and the columns of the other rows; -1 is no colour.

    Greedy colouring of the bipartite graph gives a full row and a full column colours of their own too late. Here the
    number of full rows is chosen so that it and the longest other row are small together.
    """
    degrees = np.bincount(matrix.rows, minlength=matrix.m)
    longest = np.unique(degrees)
    beyond = matrix.m - np.searchsorted(np.sort(degrees), longest, side="right")
    limit = longest[np.argmin(beyond + longest)]
    full = degrees[matrix.rows] > limit
    rest = _Matrix(matrix.m, matrix.n, matrix.rows[~full], matrix.cols[~full])
    apart = _Matrix(matrix.m, matrix.n, matrix.rows[full], matrix.cols[full])
    columns, rows = _side(rest), _side(apart.transposed())
    used = np.zeros(matrix.n, bool)
    used[rest.cols] = True
    return np.where(used, columns, -1), np.where(degrees > limit, rows, -1)


def _finished(
    method: str, matrix: _Matrix, columns: np.ndarray | None, rows: np.ndarray | None, shared: bool
) -> Colouring:
    """Choose for each entry the product it is read from, and drop the colours that none is read from.

    Entry (i, j) can be read from row i of the product of column j's colour if no other column of that colour has an
    entry in row i, and likewise for rows. `shared`: the matrix is symmetric and products of rows are those of columns.
    """
    i, j = matrix.rows, matrix.cols
    by_column = np.zeros(len(i), bool) if columns is None else _alone(i, columns[j])
    by_row = np.zeros(len(i), bool) if rows is None else _alone(j, rows[i])
    if not (by_column | by_row).all():
        raise AssertionError(f"a {method} colouring does not tell all entries apart: a bug")
    # -1: not needed.
    needed = [np.zeros(int(c.max(initial=-1)) + 2 if c is not None else 1, bool) for c in (columns, rows)]
    if shared:
        needed[1] = needed[0]
    first = columns[j] if columns is not None else np.full(len(i), -1)
    second = rows[i] if rows is not None else np.full(len(i), -1)
    needed[0][first[by_column & ~by_row]] = True
    needed[1][second[by_row & ~by_column]] = True
    either = by_column & by_row
    take_row = (by_row & ~by_column) | (either & ~needed[0][first] & needed[1][second])
    needed[0][first[~take_row]] = True
    numbers = [np.where(flags, np.cumsum(flags) - 1, -1) for flags in needed]
    forward = np.full(matrix.n, -1) if columns is None else numbers[0][columns]
    if shared:
        source = np.where(take_row, forward[i] * matrix.m + j, forward[j] * matrix.m + i)
        return Colouring(method, forward, np.full(matrix.m, -1), source)
    reverse = np.full(matrix.m, -1) if rows is None else numbers[1][rows]
    begin = (int(forward.max(initial=-1)) + 1) * matrix.m
    source = np.where(take_row, begin + reverse[i] * matrix.n + j, forward[j] * matrix.m + i)
    return Colouring(method, forward, reverse, source)


def _alone(lines: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Whether an entry has a colour, -1 being none, and is the only one of its colour in its line."""
    keys = lines * (int(colours.max(initial=-1)) + 2) + colours + 1
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return (counts[place] == 1) & (colours >= 0)


def _acyclic(matrix: _Matrix) -> Colouring:
    from symdiff.diff.colouring_kernels import acyclic_colours, elimination_order

    i, j = matrix.rows, matrix.cols
    colours = _vertices(acyclic_colours, *_graph(matrix.m, i, j))
    assert colours is not None
    places = np.flatnonzero(i != j)
    a, b = i[places], j[places]
    _, slots, counts = np.unique(a * (colours.max() + 1) + colours[b], return_inverse=True, return_counts=True)
    mirror = np.lexsort((a, b))
    order = elimination_order(slots, mirror, counts)
    if 2 * len(order) != len(places):
        raise AssertionError("an acyclic colouring leaves a cycle: a bug")
    source = colours[j] * matrix.m + i
    solver = Solver(slots, mirror, order, places, len(counts))
    return Colouring("acyclic", colours, np.full(matrix.m, -1), source, solver)
