"""The linearised equations as small matrices: of Fourier modes, and of small patches between sides.

Far from sides every mode exp(i*k*theta) stays itself, and m fields make an m-by-m matrix of it. Along an axis with
sides the formulas are matrices between the points of a line, and the modes that live at its sides have eigenvalues that
no Fourier mode has: of order 4 between Neumann sides -7.43/h**2, where Fourier modes have at most -5.33/h**2. The
other axes of such a line take Fourier modes, and the Rayleigh quotients of the modes at their own sides. A mixed
derivative couples what happens at two sides, so it takes matrices between the points of a rectangle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from symdiff.ir.node import Node
from symdiff.pde.formula import Closure, Formula
from symdiff.pde.problem import Problem

Step = tuple[Node, tuple[Formula | None, ...]]
"""A field and the formulas that are applied to it, one for every axis (None: nothing is done along it)."""

Spec = tuple[Step, ...]
"""Products of formulas."""

Entry = tuple[Node, Spec, Node]
"""A field, the formulas that are applied to it, and their factor."""

MEAN: Spec = ()
"""An integral: it sees the constant mode only."""

Sides = Mapping[tuple[Node, int], tuple[Closure, Closure]]
"""How fields are continued beyond the ends of axes that are not periodic."""

SECOND = Formula("central", 2)
# Angles by the number of axes. They hit 0 and pi, where even symbols are extreme; the extremes of others join them.
_COUNT = {1: 64, 2: 16, 3: 16}
# Every which of them the other axes of a line take, from 0 to pi: with real matrices conjugates say nothing new.
_EVERY = {2: 2, 3: 4}
_FINE = np.linspace(0.0, np.pi, 1025)
_LINE = {1: 48, 2: 24, 3: 24}  # points of a line, by the number of axes: closures are local
_POINTS = 16384  # of the grid whose coefficients are looked at
_ROWS = 256  # of different coefficients that are looked at
_JOINT_ROWS = 16  # of those, where steps of several sizes are taken of them
_SIDE_ROWS = {1: 32, 2: 8, 3: 4}  # of those beside sides, by the number of axes
_LAYERS = 3  # of points that count as beside a side
_ELSEWHERE = 0.9  # of a mode's square at the other side


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Matrices of a line or rectangle between sides, one stack for each part; `far` are unknowns at the other side."""

    parts: list[np.ndarray]
    far: np.ndarray | None

    def eigenvalues(self) -> np.ndarray:
        """Return the eigenvalues of the first part, those of modes at the other side left out."""
        (matrices, *_) = self.parts
        matrices = matrices if np.abs(matrices.imag).max() else matrices.real
        if self.far is None:
            return np.linalg.eigvals(matrices).ravel().astype(complex)
        values, vectors = np.linalg.eig(matrices)
        mass = np.abs(vectors) ** 2
        return values[mass[:, self.far].sum(axis=1) < _ELSEWHERE * mass.sum(axis=1)].astype(complex)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Matrices of the linearised equations `parts` (of several parts of the equations at the same modes).

    `factors` are the values of the factors of all entries, those of one part behind those of another, on the points
    that all fields are solved for.
    """

    problem: Problem
    order: int
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    sides: Sides
    parts: tuple[tuple[tuple[Node, Entry], ...], ...]
    factors: tuple[np.ndarray, ...]

    @property
    def is_finite(self) -> bool:
        """Whether factors and what the sides feed back are finite."""
        feedback = [np.asarray(c.feedback) for pair in self.sides.values() for c in pair]
        return all(np.isfinite(x).all() for x in (*self.factors, *feedback))

    @cached_property
    def fourier(self) -> list[np.ndarray]:
        """One stack of m-by-m matrices for each part: all modes, about the coefficients at different points."""
        columns = np.broadcast_arrays(*self.factors)
        rows = np.unique(_thinned([c.ravel() for c in columns]), axis=0)
        samples = self._samples()
        most = _ROWS if len(self.parts) == 1 else _JOINT_ROWS
        if len(rows) > most:
            rows = _chosen(rows, np.abs(samples).max(axis=1), most, range(len(samples)))
        fields, m = self.problem.fields, len(self.problem.fields)
        out, k = [], 0
        for part in self.parts:
            matrices = np.zeros((len(rows), samples.shape[1], m, m), dtype=complex)
            for f, (u, _, _) in part:
                matrices[:, :, fields.index(f), fields.index(u)] += rows[:, k, None] * samples[k]
                k += 1
            out.append(matrices.reshape(-1, m, m))
        return out

    def patches(self) -> Iterator[Patch]:
        """Lines along every axis with sides, about the coefficients beside each side where they differ; corners."""
        own = [axis for axis in range(len(self.shape)) if self._has_own_modes(axis)]
        for axis in own:
            lower, upper = (self._beside(axis, end) for end in (0, 1))
            here = self._differentiate
            if lower.shape == upper.shape and (lower[:, here] == upper[:, here]).all():
                yield self._patch((axis,), lower, None)
            else:
                yield self._patch((axis,), lower, 0)
                yield self._patch((axis,), upper, 1)
        for pair in itertools.combinations(own, 2):
            if any(all(formulas[a] for a in pair) for _, (_, spec, _) in self._entries for _, formulas in spec):
                beside = [self._beside(axis, end) for axis in pair for end in (0, 1)]
                yield self._patch(pair, np.unique(np.concatenate(beside), axis=0), None)

    @property
    def _entries(self) -> list[tuple[Node, Entry]]:
        """The entries of all parts."""
        return [entry for part in self.parts for entry in part]

    # -- Fourier modes --------------------------------------------------------------------------------------------

    def _angles(self, axis: int) -> np.ndarray:
        """Return the angles along an axis, from 0 to pi and then the negative ones."""
        n = _COUNT[len(self.shape)]
        regular = np.arange(n // 2 + 1) * (2 * np.pi / n)
        extreme = [extreme_angle(f, self.order) for f in sorted(self._formulas(axis))]
        half = np.unique([*regular, *extreme])
        return np.concatenate([half, -half[1:-1]])

    def _samples(self) -> np.ndarray:
        """Return the symbols of all products of formulas, one row each, over all angles of all axes."""
        entries = [entry for _, entry in self._entries]
        angles = [self._angles(axis) for axis in range(len(self.shape))]
        picks = np.array(list(itertools.product(*(range(len(line)) for line in angles)))).T
        out = np.ones((len(entries), picks.shape[1]), dtype=complex)
        constant = (picks == 0).all(axis=0)
        volume = float(np.prod([upper - lower for lower, upper in self.problem.domain.intervals]))
        for k, (_, spec, _) in enumerate(entries):
            if spec == MEAN:
                out[k] = volume * constant
            for axis in range(len(self.shape)):
                out[k] *= self._symbol(spec, axis, angles[axis], {})[picks[axis]]
        return out

    def _symbol(self, spec: Spec, axis: int, angles: np.ndarray, more: Mapping[Formula, np.ndarray]) -> np.ndarray:
        """Return the product of the symbols along an axis, at the angles and behind them at the values `more`."""
        count = len(angles) + (len(next(iter(more.values()))) if more else 0)
        out = np.ones(count, dtype=complex)
        for _, formulas in spec:
            formula = formulas[axis]
            if formula is not None:
                values = np.concatenate([formula.symbol(self.order, angles), more.get(formula, np.zeros(0))])
                out = out * values / self.spacing[axis] ** formula.degree
        return out

    # -- patches --------------------------------------------------------------------------------------------------

    def _has_own_modes(self, axis: int) -> bool:
        """Whether modes at the sides of an axis differ from Fourier modes: not where all fields are reflected alike."""
        if self.problem.is_periodic(self.problem.domain.axes[axis]):
            return False
        kinds = {self.sides[u, axis] for u in self.problem.all_fields if (u, axis) in self.sides}
        reflected = len(kinds) == 1 and all(c.orders in ((0,), (1,)) and not any(c.feedback) for c in next(iter(kinds)))
        formulas = self._formulas(axis)
        return bool(formulas) and not (self.order == 2 and reflected and formulas <= {SECOND})

    def _formulas(self, axis: int) -> set[Formula]:
        found = {formulas[axis] for _, (_, spec, _) in self._entries for _, formulas in spec}
        return {f for f in found if f is not None}

    def _beside(self, axis: int, end: int) -> np.ndarray:
        """Return the rows of different coefficients beside a side; of those with the same derivatives the stiffest."""
        cut = slice(None, _LAYERS) if end == 0 else slice(-_LAYERS, None)
        at = tuple(cut if k == axis else slice(None) for k in range(len(self.shape)))
        rows = np.unique(_thinned([c[at].ravel() for c in np.broadcast_arrays(*self.factors)]), axis=0)
        rows = rows[np.argsort(-np.abs(rows).sum(axis=1), kind="stable")]
        return rows[np.unique(rows[:, self._differentiate], axis=0, return_index=True)[1]]

    @cached_property
    def _differentiate(self) -> list[int]:
        """The entries with formulas."""
        specs = [spec for _, (_, spec, _) in self._entries]
        return [k for k, spec in enumerate(specs) if any(any(formulas) for _, formulas in spec)]

    def _length(self, axis: int, along: int) -> int:
        """Return the points along one of the axes of a patch."""
        long = max(_LINE[len(self.shape)], 2 * self.order + 14) if along == 1 else 2 * self.order + 4
        return min(self.shape[axis], long)

    def _patch(self, axes: tuple[int, ...], rows: np.ndarray, end: int | None) -> Patch:
        others, fields = self._others(axes), self.problem.fields
        most = _SIDE_ROWS[len(self.shape)]
        if len(rows) > most:
            rows = _chosen(rows, np.abs(others).max(axis=1), most, self._differentiate)
        sizes = {axis: self._length(axis, len(axes)) for axis in axes}
        counts = [int(np.prod([n - sum(self._given(u, axis)) for axis, n in sizes.items()])) for u in fields]
        starts = np.cumsum([0, *counts])
        out, k = [], 0
        for part in self.parts:
            matrices = np.zeros((len(rows), others.shape[1], starts[-1], starts[-1]), dtype=complex)
            for f, (u, spec, _) in part:
                i, j = fields.index(f), fields.index(u)
                if spec != MEAN:
                    matrix = np.ones((1, 1))
                    for axis, n in sizes.items():
                        matrix = np.kron(matrix, self._matrix(f, spec, axis, n))
                    block = matrices[:, :, starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
                    block += rows[:, k, None, None, None] * others[k][:, None, None] * matrix
                k += 1
            out.append(matrices.reshape(-1, starts[-1], starts[-1]))
        if end is None:
            return Patch(out, None)
        ((axis, n),) = sizes.items()
        points = [np.arange(n)[lower : n - upper] for lower, upper in (self._given(u, axis) for u in fields)]
        return Patch(out, (np.concatenate(points) < n // 2) == bool(end))

    def _others(self, axes: tuple[int, ...]) -> np.ndarray:
        """Return the products of the symbols along all other axes, one row for every entry."""
        dim, out = len(self.shape), np.ones((len(self._entries), 1))
        for other in (a for a in range(dim) if a not in axes):
            angles = self._angles(other)
            few = [*angles[angles >= 0][:: _EVERY[dim]], np.pi]
            few += [*-angles[angles > 0][:: _EVERY[dim]]] if out.shape[1] > 1 else []
            more = self._beyond(other)
            lines = np.stack([self._symbol(spec, other, np.array(few), more) for _, (_, spec, _) in self._entries])
            out = (out[:, :, None] * lines[:, None, :]).reshape(len(out), -1)
        return out

    def _beyond(self, axis: int) -> dict[Formula, np.ndarray]:
        """Return the symbols of the modes at the sides of an axis, jointly for all formulas along it."""
        if not self._has_own_modes(axis):
            return {}
        formulas = tuple(sorted({*self._formulas(axis), SECOND}))
        kinds = {self.sides[u, axis] for u in self.problem.all_fields if (u, axis) in self.sides}
        found = [rayleigh(self.order, pair, formulas, self._length(axis, 1)) for pair in sorted(kinds)]
        return {f: np.concatenate([each[f] for each in found]) for f in formulas}

    def _matrix(self, f: Node, spec: Spec, axis: int, n: int) -> np.ndarray:
        """Return the product of formulas along an axis, from the unknowns of the last field to those of f."""
        out = np.eye(n - sum(self._given(f, axis)))
        at = self._given(f, axis)
        for v, formulas in spec:
            formula = formulas[axis] or Formula("central", 0)
            step = line_matrix(formula, self.order, self.sides[v, axis], n, at)
            out, at = out @ step / self.spacing[axis] ** formula.degree, self._given(v, axis)
        return out

    def _given(self, u: Node, axis: int) -> tuple[int, int]:
        lower, upper = self.sides[u, axis]
        return int(lower.kind == "value"), int(upper.kind == "value")


@cache
def extreme_angle(formula: Formula, order: int) -> float:
    """Return the angle between 0 and pi at which a formula's symbol is largest."""
    return float(_FINE[np.abs(formula.symbol(order, _FINE)).argmax()])


@cache
def line_matrix(
    formula: Formula, order: int, sides: tuple[Closure, Closure], points: int, at: tuple[int, int]
) -> np.ndarray:
    """Return `Formula.matrix`, made once."""
    return formula.matrix(order, sides, points, at)


@cache
def rayleigh(
    order: int, sides: tuple[Closure, Closure], formulas: tuple[Formula, ...], points: int
) -> dict[Formula, np.ndarray]:
    """Return the symbols of the modes at the sides: eigenvectors of a formula beyond its Fourier range.

    The eigenvectors are those of the second derivative and of each other formula that damps; the others' symbols are
    their Rayleigh quotients on the same vectors.
    """
    matrices = {f: f.matrix(order, sides, points) for f in formulas}
    found: dict[Formula, list[np.ndarray]] = {f: [] for f in formulas}
    for leading in formulas:
        if leading.degree != 2 and leading.kind != "biased":
            continue
        values, vectors = np.linalg.eig(matrices[leading])
        samples = leading.symbol(order, _FINE)
        fourier = np.abs(samples).max()
        is_real = np.abs(samples.imag).max() <= 1e-9 * fourier
        beyond = np.abs(values) > fourier * (1 + 1e-9)
        if is_real:
            beyond |= np.abs(values.imag) > 1e-6 * fourier
        v = vectors[:, beyond].astype(complex)
        for f in formulas:
            quotients = np.einsum("ij,ik,kj->j", v.conj(), matrices[f], v) / np.einsum("ij,ij->j", v.conj(), v)
            found[f].append(values[beyond].astype(complex) if f == leading else quotients)
    return {f: np.concatenate(parts) for f, parts in found.items()}


def _thinned(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return at most about _POINTS rows, those with the extremes of a column among them."""
    step = -(-len(columns[0]) // _POINTS)
    if step == 1:
        return np.stack(columns, axis=1)
    extremes = [*(int(c.argmin()) for c in columns), *(int(c.argmax()) for c in columns)]
    return np.stack([np.concatenate([c[::step], c[extremes]]) for c in columns], axis=1)


def _chosen(rows: np.ndarray, sizes: np.ndarray, count: int, columns: Sequence[int]) -> np.ndarray:
    """Return the rows of the stiffest points, and those with the extremes of some columns, which bound the others."""
    stiffest = np.argsort(np.abs(rows) @ sizes)[-count // 2 :]
    extremes = rows[:, list(columns)]
    return rows[sorted({*stiffest, *extremes.argmin(axis=0), *extremes.argmax(axis=0)})]
