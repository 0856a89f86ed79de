"""SparseExpr: a sparse Jacobian or Hessian before it has numbers.

Two ways lead to one. A pattern (`symdiff.diff.pattern`) gives rows, columns and values as expressions. Everything
else waits for sizes: then the structure is propagated, coloured, and the values come from compressed products
(`symdiff.diff.sparse_compress`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symdiff.diff.pattern import NoPattern, pattern_terms
from symdiff.diff.pattern_index import numbers
from symdiff.diff.pattern_layout import Band, Entry, flat, made_band, made_entries, triplets
from symdiff.diff.sparse_compress import Compression
from symdiff.diff.sparse_plan import BandPlan, FlatPlan, Structure, band_plan, flat_plan
from symdiff.ir.dims import Dim, Extent, as_extent, product, shape_text, size_names
from symdiff.ir.errors import DerivativeError, DomainError, ShapeError
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import concrete_shape, interpret
from symdiff.ir.node import Node, as_node, brief

METHODS = ("pattern", "column", "row", "bidirectional", "star", "acyclic")


class SparseExpr:
    """The derivatives of all entries of a function by all entries of a symbol, as a sparse matrix.

    Row i is entry i of the function and column j entry j of the symbol, in C order. `sd.compile` takes it among its
    outputs and gives a `scipy.sparse.csr_array` at every call; `rows`, `cols` and `values` are expressions.
    """

    def __init__(self, f: Node, x: Node, symmetric: bool, method: str | None = None):
        self.function, self.wrt, self.symmetric = f, x, symmetric
        self.dtype = f.dtype
        self.shape: tuple[Extent, Extent] = (product(f.shape), product(x.shape))
        self.entries: tuple[Entry, ...] | None = None
        self.band: Band | None = None
        self.reason = "as asked for"
        if method in (None, "pattern"):
            try:
                self.entries = made_entries(pattern_terms(f, x), f.shape)
                self.band = made_band(self.entries, f.shape)
            except NoPattern as why:
                if method == "pattern":
                    raise DerivativeError(f"Asked for the pattern of {brief(f)} ({f.line}), but {why}.") from None
                self.reason = f"for {why}"
        self.compression = Compression(f, x, symmetric, None if method == "pattern" else method)
        if self.entries is None:
            self.compression.check()

    # --- triplets ---------------------------------------------------------------

    @property
    def rows(self) -> Node:
        """The row of each entry, int64."""
        return self._triplets()[0]

    @property
    def cols(self) -> Node:
        """The column of each entry, int64."""
        return self._triplets()[1]

    @property
    def values(self) -> Node:
        """The entries. Of a pattern they stand diagonal by diagonal, and one position may come up in several parts.

        Where sizes are so small that parts of a diagonal do not meet, and where data make an entry zero, this holds
        an explicit 0; the compiled matrix does not.
        """
        return self._triplets()[2]

    def _triplets(self) -> tuple[Node, Node, Node]:
        if self.entries is not None:
            return triplets(self.entries, self.dtype)
        names = sorted(size_names((*self.function.shape, *self.wrt.shape)))
        asked = [n for n in made_order([self.function]) if n.op.name == "symbol" and not n.dtype.startswith("float")]
        if names or asked:
            what = f"the run-time size {names[0]!r}" if names else f"the data {asked[0].params['name']!r}"
            raise DerivativeError(
                f"The structure of this matrix depends on {what} (a colouring, {self.reason}); compile the SparseExpr "
                "itself, or declare arrays of fixed sizes."
            )
        return self.compression.triplets()

    # --- structure --------------------------------------------------------------

    @property
    def data_symbols(self) -> tuple[Node, ...]:
        """The symbols of integers and booleans whose values decide where entries are."""
        roots = [self.function] if self.entries is None else list(self._maps())
        return tuple(n for n in made_order(roots) if n.op.name == "symbol" and not n.dtype.startswith("float"))

    def _maps(self) -> dict[Node, None]:
        """The nodes that decide where entries are."""
        assert self.entries is not None
        nodes = (n for e in self.entries for n in (e.rows, e.cols, e.support))
        return dict.fromkeys(n for n in nodes if isinstance(n, Node))

    def structure(self, sizes: Mapping[str, int] | None = None, data: Mapping[Any, Any] | None = None) -> Structure:
        """Return where the matrix has entries, for run-time sizes by name and values of integer symbols.

        >>> import symdiff as sd
        >>> x = sd.vector("x", "n")
        >>> S = sd.hessian(sd.sum((x[1:] - x[:-1]) ** 4), x, sparse=True)
        >>> print(S.structure({"n": 4}))
        4 × 4, 10 non-zeros (62.50%), 0 products: pattern
        [⠻⣦]
        """
        known = {str(as_extent(k)): int(v) for k, v in (sizes or {}).items()}
        values = {as_node(s): np.asarray(v) for s, v in (data or {}).items()}
        leaves = [n for n in made_order([self.function, self.wrt]) if n.op.name == "symbol"]
        missing = sorted(set().union(*(size_names(n.shape) for n in leaves)) - set(known))
        if missing:
            raise ShapeError(
                f"The structure depends on the run-time size {missing[0]!r}; give it as {{{missing[0]!r}: …}}."
            )
        lacking = [s.params["name"] for s in self.data_symbols if s not in values]
        if lacking:
            raise ShapeError(f"The structure depends on the data {lacking[0]!r}; give it in the second argument.")
        return self.plan(known, values).structure

    def plan(self, sizes: dict[str, int], data: Mapping[Node, np.ndarray]) -> Any:
        """Return how values become a matrix, at known sizes."""
        if self.entries is None:
            return self.compression.plan(sizes, data)
        return self.banded_plan(sizes) or self.flat_plan(sizes, data)

    def banded_plan(self, sizes: Mapping[str, int]) -> BandPlan | None:
        """Return the plan for the values of `band`; None if there is no band or the sizes are too small for it."""
        if self.band is None:
            return None
        shape = concrete_shape(self.shape, sizes)
        return band_plan((shape[0], shape[1]), self.band, sizes, "pattern")

    def flat_plan(self, sizes: dict[str, int], data: Mapping[Node, np.ndarray]) -> FlatPlan:
        """Return the plan for `flat_values`."""
        assert self.entries is not None
        leaves = [n for n in made_order([self.function, self.wrt]) if n.op.name == "symbol"]
        given: dict[Node, Any] = {
            s: np.broadcast_to(np.zeros((), s.dtype), concrete_shape(s.shape, sizes)) for s in leaves
        }
        given |= {s: data[s] for s in self.data_symbols}
        maps = list(self._maps())
        found = dict(zip(maps, interpret(maps, given), strict=True))
        rows, cols, keep = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, bool)]
        for e in self.entries:
            space = concrete_shape(e.shape, sizes)
            if min(space, default=0) < 0:
                raise DomainError(
                    f"{brief(self.function)} ({self.function.line}) has a slice of {min(space)} entries for the sizes "
                    f"{', '.join(f'{k} = {v}' for k, v in sizes.items())}; slices of run-time sizes are not clipped."
                )
            count = int(np.prod(space, dtype=np.int64))
            rows.append(numbers(e.rows, space, sizes, found))
            cols.append(numbers(e.cols, space, sizes, found))
            keep.append(np.ones(count, bool) if e.support is None else np.asarray(found[e.support]).ravel())
        m, n = concrete_shape(self.shape, sizes)
        return flat_plan((m, n), np.concatenate(rows), np.concatenate(cols), np.concatenate(keep), "pattern")

    @property
    def flat_values(self) -> Node:
        """The values of all entries of a pattern one after another, anything where they have no support."""
        assert self.entries is not None
        return flat([e.value for e in self.entries], self.dtype)

    # --- looking at it ------------------------------------------------------------

    def __repr__(self) -> str:
        kind = "Hessian" if self.symmetric else "Jacobian"
        way = f"colouring, {self.reason}" if self.entries is None else f"pattern of {len(self.entries)} parts"
        return f"<sparse {kind} {shape_text(self.shape)} of {brief(self.function)} by {brief(self.wrt)}: {way}>"

    def __str__(self) -> str:
        """The spy plot where sizes are numbers and no data decide, else what is known."""
        leaves = [n for n in made_order([self.function, self.wrt]) if n.op.name == "symbol"]
        open_sizes = any(isinstance(d, Dim) for n in leaves for d in n.shape)
        return repr(self) if open_sizes or self.data_symbols else str(self.structure())


def sparse_derivative(f: Node, x: Node, symmetric: bool, sparse: Any) -> SparseExpr:
    """Return the sparse derivative of `f` by `x`; `sparse` is True or the name of a method."""
    if sparse is not True and sparse not in METHODS:
        raise DerivativeError(f"sparse= is True, False or one of {', '.join(METHODS)}, got {sparse!r}.")
    if sparse in ("star", "acyclic") and not symmetric:
        raise DerivativeError(f"A {sparse} colouring is for Hessians by one symbol; use 'column', 'row' or True.")
    return SparseExpr(f, x, symmetric, None if sparse is True else sparse)
