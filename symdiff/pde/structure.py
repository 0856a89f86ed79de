"""What equations show on a small grid, with random parameters and states; linear solvers are chosen by it.

How far formulas reach, and whether the Jacobian is symmetric, definite, regular.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symdiff.diff.batch import batch
from symdiff.diff.forward import jvp_nodes
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.ops import leaves
from symdiff.pde.fourier import Kind
from symdiff.pde.layout import fewest_points
from symdiff.pde.linear import System
from symdiff.pde.newton import direction
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.transform import sides
from symdiff.pde.weights import weighed

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

_SEEDS = (2, 3)
_MORE = (9, 12)  # points beyond the fewest, of two lines: a formula that reaches further on the longer is global
_SAME = 1e-10  # relative difference of numbers that only rounding errors part


class Structure:
    """The structure of the Jacobian J of `semi`; every property is looked at once.

    A steady system has -J for its matrix, that of a time step a number minus a multiple of J.
    """

    def __init__(self, solver: Solver, semi: Semidiscrete, is_steady: bool = False):
        self.solver, self.semi, self.is_steady = solver, semi, is_steady

    def _small(self, more: int, step: int) -> tuple[int, ...]:
        """Return a shape of more points than the fewest, different along each axis."""
        semi = self.semi
        fewest = [
            fewest_points(semi.problem, self.solver.semi.layout, k, self.solver.order) for k in range(len(semi.axes))
        ]
        return tuple(n + more + step * k for k, n in enumerate(fewest))

    @cached_property
    def kinds(self) -> tuple[Kind | None, ...]:
        """The kinds of sides of each axis where all fields have the same that reflect; None for other axes."""
        return sides(self.semi)

    @cached_property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of the unknowns of each field on the grid of `jacobians`."""
        return _shapes(self.solver, self.semi, self._small(1, 1))

    @cached_property
    def jacobians(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Two Jacobians, about different states with different parameters, and the weights of their rows."""
        return [jacobian(self.solver, self.semi, self._small(1, 1), seed) for seed in _SEEDS]

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        """The rows of each field."""
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)]).tolist()
        return list(itertools.pairwise(ends))

    @cached_property
    def _spectra(self) -> list[np.ndarray] | None:
        """The eigenvalues relative to the largest entry, None where J is not symmetric in its inner product."""
        out = []
        for matrix, weights in self.jacobians:
            weighted = weights[:, None] * matrix
            size = np.abs(weighted).max()
            if not np.abs(weighted - weighted.T).max() <= _SAME * size:
                return None
            root = np.sqrt(weights)
            out.append(np.linalg.eigvalsh(weighted / np.outer(root, root)) / size)
        return out

    @cached_property
    def is_definite(self) -> bool:
        """Whether J is symmetric in the inner product of the trapezoidal rule, and has no positive eigenvalue."""
        return self._spectra is not None and all(values.max() <= _SAME for values in self._spectra)

    @cached_property
    def is_regular(self) -> bool:
        """Whether all systems are definite, none of them singular."""
        if not self.is_definite or self._spectra is None:
            return False
        return not self.is_steady or all(values.max() < -_SAME for values in self._spectra)

    @cached_property
    def undetermined(self) -> list[bool]:
        """For each field whether a constant that is added to it changes nothing."""
        return [
            all(
                np.abs(matrix[:, a:b].sum(axis=1)).max() <= _SAME * np.abs(matrix).max() for matrix, _ in self.jacobians
            )
            for a, b in self._ranges
        ]

    @cached_property
    def contrast(self) -> float:
        """The largest ratio of entries on the diagonal of J within a field: by how much its factors vary."""
        found = [1.0]
        for matrix, _ in self.jacobians:
            sizes = [np.abs(matrix.diagonal()[a:b]) for a, b in self._ranges]
            found += [s.max() / s.min() for s in sizes if s.min() > 0]
        return float(max(found))

    @cached_property
    def signs(self) -> list[int]:
        """For each field -1 where its equation has the sign that makes the diagonal of J positive, else 1.

        Nothing but the writer's choice decides the sign of a steady equation.
        """
        (matrix, _), *_ = self.jacobians
        sums = [matrix.diagonal()[a:b].sum() for a, b in self._ranges]
        return [-1 if total > 0 else 1 for total in sums]

    @cached_property
    def is_local(self) -> bool:
        """Whether the part of J that takes a field to itself reaches to neighbours only, for every field."""
        return all(
            self._near(matrix[a:b, a:b], shape)
            for matrix, _ in self.jacobians
            for (a, b), shape in zip(self._ranges, self.shapes, strict=True)
        )

    def _near(self, matrix: np.ndarray, shape: tuple[int, ...]) -> bool:
        rows, columns = np.nonzero(matrix)
        for axis, n, i, j in zip(
            self.semi.axes, shape, np.unravel_index(rows, shape), np.unravel_index(columns, shape), strict=True
        ):
            apart = np.abs(i - j)
            if self.semi.problem.is_periodic(axis):
                apart = np.minimum(apart, n - apart)
            if apart.max(initial=0) > 1:
                return False
        return True

    @cached_property
    def reach(self) -> int | None:
        """For one axis: how far from the diagonal entries of `Banded` lie; None if it grows with the grid."""
        found = [max(self._reach(more, seed) for seed in _SEEDS) for more in _MORE]
        return found[0] if found[0] == found[1] else None

    def _reach(self, more: int, seed: int) -> int:
        (n,) = self._small(more, 0)
        matrix, _ = jacobian(self.solver, self.semi, (n,), seed)
        places = []
        m = len(self.semi.problem.fields)
        for k, u in enumerate(self.semi.problem.fields):
            (whole,) = self.solver.block(u)
            block = np.arange(whole.start, n - (self.solver.grid.shape[0] - whole.stop))
            if self.semi.problem.is_periodic(self.semi.axes[0]):
                block = np.where(2 * block < n, 2 * block, 2 * (n - 1 - block) + 1)
            places.append(block * m + k)
        at = np.concatenate(places)
        rows, columns = np.nonzero(matrix)
        return int(np.abs(at[rows] - at[columns]).max(initial=0))


def _shapes(solver: Solver, semi: Semidiscrete, shape: Sequence[int]) -> list[tuple[int, ...]]:
    small = type(solver)(solver.problem, tuple(shape), solver.order)
    return [_extent(small, u) for u in semi.problem.fields]


def _extent(small: Solver, u: Node) -> tuple[int, ...]:
    return tuple(s.stop - s.start for s in small.block(u))


def jacobian(solver: Solver, semi: Semidiscrete, shape: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Jacobian on a small grid, about a random state with random parameters, and the weights of its rows."""
    small = type(solver)(solver.problem, tuple(shape), solver.order)
    rng = np.random.default_rng(seed)
    values = {
        p: float(v)
        for p, v in zip(
            semi.problem.parameters, rng.uniform(0.5, 1.5, max(99, len(semi.problem.parameters))), strict=False
        )
    }
    known = {array: rng.uniform(0.5, 1.5, _extent(small, u)) for u, array in semi.known.items()}
    sizes = _shapes(solver, semi, shape)
    sign = 1 if seed % 2 else -1
    state = [sign * rng.uniform(0.5, 1.5, size) for size in sizes]
    blocks, t = list(semi.blocks.values()), const(0.3)
    inputs = {**small.grid_inputs, **values, **dict(zip(blocks, state, strict=True)), **known}
    directions = [direction(b) for b in blocks]
    along = jvp_nodes(list(semi.rates(semi.blocks, t).values()), blocks, directions)
    # All columns at once: along the unit vectors.
    count = sum(int(np.prod(size)) for size in sizes)
    units = np.split(np.eye(count), np.cumsum([int(np.prod(size)) for size in sizes])[:-1], axis=1)
    stacks = {
        d: leaves.symbol(name=f"\0{d.params['name']}s", shape=(count, *d.shape), dtype="float64") for d in directions
    }
    given = {stacks[d]: e.reshape(count, *size) for d, e, size in zip(directions, units, sizes, strict=True)}
    columns = interpret(batch(along, stacks), {**inputs, **given})
    weights = interpret(weighed(System(semi, blocks, t, {}, const(1.0))), inputs)
    flat = [np.broadcast_to(w, size).ravel() for w, size in zip(weights, sizes, strict=True)]
    return np.concatenate([np.reshape(y, (count, -1)) for y in columns], axis=1).T, np.concatenate(flat)
