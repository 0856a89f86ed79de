"""Exact solution of (shift - c*J) p = b by fast transforms, where they diagonalise J."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.front.symbols import symbols
from symdiff.ir.callback import Callback
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops import opaque
from symdiff.ops.index import concatenate, reshape, slice_
from symdiff.pde import stencils
from symdiff.pde.fourier import Basis, Kind
from symdiff.pde.jets import TIME, all_jets, is_jet, is_term, jet, jets, orders
from symdiff.pde.linear import LinearSolver, System, Vector
from symdiff.pde.problem import Problem
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.weights import weighed

_KEPT = 4  # sets of divisors, one for each c in use: each is as large as the unknowns
# A divisor this small relative to the largest is zero but for rounding: its mode is left out.
_ZERO = 1e-13
Counts = tuple[int, ...]
"""The orders of a derivative along the axes."""

Term = tuple[int, int, tuple[Counts, ...]]
"""Row and column of a field, and the derivatives that are taken one of another."""


@final
@dataclass(frozen=True, eq=False)
class Transform(LinearSolver):
    """For linear equations with constant factors, between sides that reflect; made by `transform_for`.

    Where J is singular (a mean that nothing determines) the solution without that mode is returned.
    """

    kinds: tuple[Kind, ...]
    order: int
    terms: tuple[Term, ...]
    slopes: tuple[Node, ...]
    name = "transform"

    @cached_property
    def basis(self) -> Basis:
        """The transform."""
        return Basis(self.kinds)

    @cached_property
    def _held(self) -> list[Callback]:
        """What compiled code calls by address lives as long as this object."""
        return []

    def describe(self) -> str:
        """Which transforms."""
        return f"{self.basis}, in which it is diagonal"

    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Transform, divide and transform back."""
        return self._solve(system, b, adjoint=False)

    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """A' = W B W^-1 with the weights W, where B has the conjugate transposed matrix for every mode."""
        weights = weighed(system)
        found = self._solve(system, [x / w for x, w in zip(b, weights, strict=True)], adjoint=True)
        return [w * x for x, w in zip(found, weights, strict=True)]

    def _solve(self, system: System, b: Sequence[Node], adjoint: bool) -> Vector:
        slopes = substitute(self.slopes, {symbols(TIME): system.t})
        scalars = [const(system.shift), system.c, *system.semi.spacings, *slopes]
        packed = concatenate(*(reshape(cast(s, "float64"), shape=(1,)) for s in scalars), axis=0)
        shape = b[0].shape
        m = len(b)
        stacked = concatenate(*(reshape(x, shape=(1, *shape)) for x in b), axis=0)
        divide = _Division(self.basis, self.order, self.terms, m, adjoint)
        takes = ((stacked.shape, "float64"), ((len(scalars),), "float64"))
        callback = Callback(divide, "transform", takes, stacked.shape, "float64")
        self._held.append(callback)
        solved = opaque.call(callback, [stacked, packed])
        cuts = ((k, *(0,) * len(shape)) for k in range(m))
        ones = (1,) * (len(shape) + 1)
        return [reshape(slice_(solved, starts=s, extents=(1, *shape), steps=ones), shape=shape) for s in cuts]


class _Division:
    """The numerical part: b and (shift, c, spacings, factors of the terms) to p."""

    def __init__(self, basis: Basis, order: int, terms: Sequence[Term], m: int, adjoint: bool):
        self.basis, self.order, self.terms, self.m, self.adjoint = basis, order, tuple(terms), m, adjoint
        self._kept: dict[Any, np.ndarray] = {}

    def __call__(self, b: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        key = (b.shape, scalars.tobytes())
        if key not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._inverse(b.shape[1:], scalars)
        inverse, y = self._kept[key], self.basis.forward(b)
        if self.m == 1:
            y *= inverse
        else:
            y = np.einsum("...ij,j...->i...", inverse, y)
        return self.basis.backward(y, b.shape)

    def _inverse(self, shape: Sequence[int], scalars: np.ndarray) -> np.ndarray:
        """Return 1/(shift - c*lambda) for every mode, or the inverses of such m-by-m matrices."""
        shift, c, *rest = scalars
        spacings, factors = rest[: len(shape)], rest[len(shape) :]
        theta = self.basis.angles(shape)
        modes = np.broadcast_shapes(*(a.shape for a in theta))
        kind = complex if self.basis.periodic else float
        matrix = np.zeros((*modes, self.m, self.m), dtype=kind)
        matrix[..., range(self.m), range(self.m)] = shift
        for (row, column, chain), factor in zip(self.terms, factors, strict=True):
            symbols = [symbol(counts, self.order, theta, spacings, kind) for counts in chain]
            matrix[..., row, column] -= c * factor * math.prod(symbols)
        if self.adjoint:
            matrix = np.conj(np.swapaxes(matrix, -1, -2))
        if self.m == 1:
            out = matrix[..., 0, 0]
            out = out if np.iscomplexobj(out) and out.imag.any() else out.real
            zero = np.abs(out) <= _ZERO * np.abs(out).max()
            return np.where(zero, 0.0, 1 / np.where(zero, 1.0, out))
        return np.linalg.pinv(matrix, rcond=_ZERO)


def symbol(
    counts: Sequence[int], order: int, theta: Sequence[np.ndarray], spacings: Sequence[float], kind: type
) -> np.ndarray:
    """Return the eigenvalues of the difference formula of a mixed derivative."""
    out: np.ndarray = np.ones((1,) * len(theta), dtype=kind)
    for n, angle, h in zip(counts, theta, spacings, strict=True):
        if n:
            line = stencils.symbol(n, order, angle) / h**n
            out = out * (line if kind is complex else line.real)
    return out


def transform_for(semi: Semidiscrete) -> Transform | None:
    """Return the exact transform for the equations, None where there is none.

    Needs constant factors; between sides that are not periodic order 2 and derivatives by an axis 0 or 2 times,
    and sides of the same kinds for all fields; no Neumann slope that depends on the field.
    """
    problem = semi.problem
    kinds = tuple(kind for kind in sides(semi) if kind)
    fixed = {*problem.parameters, symbols(TIME)}
    if len(kinds) < len(semi.axes) or (semi.order != 2 and any(k[0] != "periodic" for k in kinds)):
        return None
    terms, slopes = [], []
    for row, f in enumerate(problem.fields):
        found = _chains(problem, problem.rhs[f])
        if found is None:
            return None
        for u, chain, slope in found:
            pairs = [pair for counts in chain for pair in zip(kinds, counts, strict=True)]
            reflects = all(k[0] == "periodic" or n in (0, 2) for k, n in pairs)
            if not reflects or any(s not in fixed for s in free_symbols([slope])):
                return None
            terms.append((row, problem.fields.index(u), chain))
            slopes.append(slope)
    return Transform(kinds, semi.order, tuple(terms), tuple(slopes))


def _chains(problem: Problem, f: Node) -> list[tuple[Node, tuple[Counts, ...], Node]] | None:
    """Return the derivatives in an expression, those of fields that others define as derivatives of derivatives.

    With their factors; None where it is not made of derivatives alone. What is known is a source.
    """
    fixed = {*problem.parameters, *problem.coordinates, symbols(TIME)}
    others = [s for s in free_symbols([f]) if not is_jet(s) and s not in fixed]
    if any(jet(w.params["field"], ()) not in problem.known for w in all_jets(others)) or not all(map(is_term, others)):
        return None
    out: list[tuple[Node, tuple[Counts, ...], Node]] = []
    for w in jets([f]):
        u, counts = jet(w.params["field"], ()), tuple(orders(w)[a] for a in problem.domain.axes)
        slope = jvp_nodes([f], [w], [const(1.0)])[0]
        if u in problem.fields:
            out.append((u, (counts,), slope))
        elif u in problem.definitions:
            inner = _chains(problem, problem.definitions[u])
            if inner is None:
                return None
            out += [(v, (counts, *chain), slope * factor) for v, chain, factor in inner]
        elif u not in problem.known:
            return None
    return out


def sides(semi: Semidiscrete) -> tuple[Kind | None, ...]:
    """Return the kinds of sides of each axis where all fields have the same that reflect; None for other axes."""
    return tuple(_sides(semi, axis) for axis in semi.axes)


def _sides(semi: Semidiscrete, axis: str) -> Kind | None:
    problem = semi.problem
    fields = (*problem.fields, *problem.definitions)
    found = {tuple(c.kind for c in problem.boundary[u, axis]) for u in fields}
    conditions = [(u, c) for u in fields for c in problem.boundary[u, axis]]
    is_fixed = not any(is_jet(s) for s in free_symbols(e for u, c in conditions for e in c.data(u)))
    (kind, *others) = found
    reflects = is_fixed and all(c.orders in ((), (0,), (1,)) for _, c in conditions)
    return (kind[0], kind[1]) if reflects and not others else None
