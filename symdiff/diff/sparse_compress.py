"""Compression: a sparse matrix from a few products, where it is no pattern.

The structure is propagated at known sizes (`symdiff.diff.structure`) and coloured (`symdiff.diff.colouring`). The
products are one forward and one reverse derivative mapped over a run-time number of directions, so what is compiled
depends neither on the sizes nor on the number of colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.batch import batch
from symdiff.diff.colouring import Colouring, colour
from symdiff.diff.forward import jvp_nodes
from symdiff.diff.reverse import vjp_nodes
from symdiff.diff.sparse_plan import Structure, made_structure
from symdiff.diff.structure import propagate
from symdiff.ir.dims import as_extent, product
from symdiff.ir.interpret import concrete_shape
from symdiff.ir.node import PRIMITIVES, Node, as_node, make
from symdiff.ops.index import concatenate, reshape, take

# The run-time number of directions, and the name of the input that holds them.
DIRECTIONS = "directions__"
# Products are run in portions of at most this many numbers.
_PORTION = 1 << 25

Build = Callable[[list[Node], list[Node]], Any]


def _directions(like: Node) -> Node:
    shape = (as_extent(DIRECTIONS), *like.shape)
    return make(PRIMITIVES["symbol"], (), {"name": DIRECTIONS, "shape": shape, "dtype": like.dtype})


def _mark(like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": "\0direction", "shape": like.shape, "dtype": like.dtype})


class Compression:
    """The products of the derivative of `f` by `x`, and the plans to read a matrix off them."""

    def __init__(self, f: Node, x: Node, symmetric: bool, method: str | None):
        self.f, self.x, self.symmetric, self.method = f, x, symmetric, method
        self._functions: dict[str, Any] = {}

    def check(self) -> None:
        """Raise DerivativeError now if the products cannot be built, and not at the first call."""
        self.reverse(_directions(self.f)) if self.method == "row" else self.forward(_directions(self.x))

    def forward(self, directions: Node) -> Node:
        """Return the products of the matrix with the rows of `directions`."""
        mark = _mark(self.x)
        (dot,) = jvp_nodes([self.f], [self.x], [mark])
        return batch([dot], {mark: directions})[0]

    def reverse(self, directions: Node) -> Node:
        """Return the products of the transpose with the rows of `directions`."""
        mark = _mark(self.f)
        (bar,) = vjp_nodes([self.f], [self.x], [mark])
        return batch([bar], {mark: directions})[0]

    def plan(self, sizes: Mapping[str, int], data: Mapping[Node, np.ndarray]) -> ProductPlan:
        """Return structure and colouring at known sizes."""
        pattern = propagate(self.f, self.x, sizes, data)
        if self.symmetric:
            # Rounding does not make a Hessian unsymmetric, but rules of different primitives may.
            pattern = (pattern + pattern.T).tocsr()
        pattern.sort_indices()
        m, n = pattern.shape
        rows = np.repeat(np.arange(m), np.diff(pattern.indptr))
        found = colour((m, n), rows, pattern.indices, self.symmetric, self.method)
        structure = made_structure((m, n), rows, pattern.indices, f"{found.method} colouring", found.products)
        return ProductPlan(structure, found)

    def runner(
        self, sizes: Mapping[str, int], data: Mapping[Node, np.ndarray], inputs: Sequence[Node], build: Build
    ) -> Runner:
        """Return the plan together with the compiled products that it needs."""
        plan = self.plan(sizes, data)
        portions = []
        for which, groups, like in (
            ("forward", plan.colouring.columns, self.x),
            ("reverse", plan.colouring.rows, self.f),
        ):
            if (groups >= 0).any():
                if which not in self._functions:
                    symbol = _directions(like)
                    made = self.forward(symbol) if which == "forward" else self.reverse(symbol)
                    self._functions[which] = build([made], [*inputs, symbol])
                seeds = self._seeds(groups, like, sizes)
                step = max(1, _PORTION // max(1, *plan.structure.shape))
                portions += [(self._functions[which], seeds[k : k + step]) for k in range(0, len(seeds), step)]
        return Runner(plan.structure, plan.colouring, tuple(portions), self.f.dtype)

    def triplets(self) -> tuple[Node, Node, Node]:
        """Return rows, columns and values where no run-time size is left."""
        structure, found = (plan := self.plan({}, {})).structure, plan.colouring
        if found.solver is not None:
            # Substitution runs entry by entry; an expression reads its entries directly.
            found = colour(structure.shape, structure.rows, structure.cols, True, "star")
        parts = []
        if found.forward:
            parts.append(self.forward(as_node(self._seeds(found.columns, self.x, {}))))
        if found.reverse:
            parts.append(self.reverse(as_node(self._seeds(found.rows, self.f, {}))))
        flat = [reshape(p, shape=(product(p.shape),)) for p in parts] or [as_node(np.zeros(0, self.f.dtype))]
        values = take(concatenate(*flat, axis=0), as_node(found.source), axis=0)
        return as_node(structure.rows), as_node(structure.cols), values

    def _seeds(self, groups: np.ndarray, like: Node, sizes: Mapping[str, int]) -> np.ndarray:
        """Return one direction for each group of lines: 1 where a line belongs to it."""
        hits = groups == np.arange(int(groups.max(initial=-1)) + 1)[:, None]
        return hits.astype(like.dtype).reshape(len(hits), *concrete_shape(like.shape, sizes))


@dataclass(frozen=True, slots=True, eq=False)
class ProductPlan:
    """Structure and colouring, without code."""

    structure: Structure
    colouring: Colouring


@dataclass(frozen=True, slots=True, eq=False)
class Runner:
    """Runs the products: pairs of a compiled function and the directions that it takes."""

    structure: Structure
    colouring: Colouring
    portions: tuple[tuple[Any, np.ndarray], ...]
    dtype: str

    def products(self, args: Sequence[Any]) -> np.ndarray:
        """Return all products one after another."""
        found = [run(*args, seeds)[0].ravel() for run, seeds in self.portions]
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.zeros(0, self.dtype)

    def data(self, products: np.ndarray) -> np.ndarray:
        """Return the numbers of the matrix in CSR order."""
        return self.colouring.entries(products)
