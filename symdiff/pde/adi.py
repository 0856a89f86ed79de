"""Alternating directions: implicit steps whose systems are tridiagonal, along one axis after the other.

    F = F_1 + … + F_d,    F_k with the derivatives along axis k, F_1 with everything else too

    v_0 = u + dt*F(u, t)
    v_k = v_(k-1) + dt/2*(F_k(v_k, t + dt) - F_k(u, t)),    k = 1 … d

Order 2 in time; a mode of which J_k makes lambda_k is multiplied by 1 + z/prod(1 - z_k/2) with z_k = dt*lambda_k and
z their sum, of size at most 1 where all are negative. In two dimensions this is Peaceman and Rachford's factor.
Method: Douglas 1962; Hundsdorfer & Verwer 2003, IV.5.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.errors import DomainError
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.node import Node, const
from symdiff.ops.banded import moved
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import eq, where
from symdiff.ops.index import broadcast_to, reshape, slice_, take, transpose
from symdiff.ops.leaves import iota, size
from symdiff.ops.rows import empty, set_row
from symdiff.pde.implicit import Implicit, worst
from symdiff.pde.jets import added, all_jets, is_jet, is_term, orders
from symdiff.pde.linear import LinearSolver, System, Vector
from symdiff.pde.newton import stage
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stencil_arrays import colour
from symdiff.pde.stepper import Stepped
from symdiff.pde.structure import Structure
from symdiff.pde.tridiagonal import eliminated, eliminated_on_circles

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver


@final
@dataclass(frozen=True)
class Sweep(LinearSolver):
    """For systems each of whose unknowns belongs to one with its neighbours along `axis`."""

    axis: int
    name = "sweep"

    def describe(self) -> str:
        """How systems are solved."""
        return "elimination along one axis after the other"

    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Eliminate along all lines."""
        return self._solved(system, b, transposed=False)

    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """Eliminate with the diagonals below and above exchanged."""
        return self._solved(system, b, transposed=True)

    def _solved(self, system: System, b: Sequence[Node], transposed: bool) -> Vector:
        is_periodic = system.semi.problem.is_periodic(system.semi.axes[self.axis])
        solve = eliminated_on_circles if is_periodic else eliminated
        out = []
        for k, r in enumerate(b):
            perm = _front(self.axis, r.ndim)
            lower, middle, upper = self._diagonals(system, k, is_periodic)
            if transposed:
                lower, upper = _behind(upper, is_periodic, -1), _behind(lower, is_periodic, 1)
            out.append(transpose(solve(lower, middle, upper, transpose(r, perm=perm)), perm=perm))
        return out

    def _diagonals(self, system: System, k: int, is_periodic: bool) -> list[Node]:
        """Return the diagonals of the part that takes field k to itself, the lines' axis first.

        Products with the sums of columns that share no row show them.
        """
        like = system.v[k]
        n, perm = like.shape[self.axis], _front(self.axis, like.ndim)
        count = 5 if is_periodic else 3
        shape = tuple(n if a == self.axis else 1 for a in range(like.ndim))
        mine = reshape(colour(is_periodic, iota(n=n), size(dim=n)), shape=shape)

        def turn(j: Node, seen: Node) -> list[Node]:
            p = broadcast_to(where(eq(mine, j), 1.0, 0.0), shape=like.shape)
            directions = [p if i == k else broadcast_to(const(0.0), shape=x.shape) for i, x in enumerate(system.v)]
            return [j + 1, set_row(seen, transpose(system.matvec(directions)[k], perm=perm), j)]

        lines = tuple(like.shape[a] for a in perm)
        start = [const(0, "int64"), empty(shape=(count, *lines), dtype="float64")]
        _, seen = build_loop(lambda j, _: j < count, turn, start, turns=count)
        rows = [
            reshape(
                slice_(seen, starts=(j, *(0,) * like.ndim), extents=(1, *lines), steps=(1,) * seen.ndim), shape=lines
            )
            for j in range(count)
        ]
        out = []
        for offset in (-1, 0, 1):
            which = reshape(colour(is_periodic, iota(n=n) + offset, size(dim=n)), shape=(n, *(1,) * (like.ndim - 1)))
            out.append(added([where(eq(which, j), row, 0.0) for j, row in enumerate(rows)]))
        return out


def _front(axis: int, rank: int) -> tuple[int, ...]:
    """Return the exchange of an axis with the first one, which undoes itself."""
    perm = list(range(rank))
    perm[0], perm[axis] = axis, 0
    return tuple(perm)


def _behind(x: Node, is_periodic: bool, by: int) -> Node:
    """Return x[i + by] at i."""
    if not is_periodic:
        return moved(x, 0, by)
    n = x.shape[0]
    place = iota(n=n) + by
    count = size(dim=n)
    return take(x, where(place < 0, place + count, where(place < count, place, place - count)), axis=0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ADI(Implicit):
    """The step above. Nonlinear parts are solved by Newton's method, every stage by itself."""

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the factor of a mode that varies along one axis: that of Crank-Nicolson."""
        return (1 + z / 2) / (1 - z / 2)

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt, and the largest relative residual of the stages."""
        blocks = {u: semi.inner(u, extended[u]) for u in semi.blocks}
        given, residuals = semi.given(t + dt), []
        along = parts(semi)
        old = [list(part.rates(blocks, t, extended=extended).values()) for part in along]
        v = [added([u, *(dt * f[k] for f in old)]) for k, u in enumerate(blocks.values())]
        for axis, (part, f) in enumerate(zip(along, old, strict=True)):
            fixed = [x - (0.5 * dt) * y for x, y in zip(v, f, strict=True)]
            v, residual = stage(part, Sweep(axis), v, fixed, 0.5 * dt, t + dt, given, self.is_differentiable)
            residuals.append(residual)
        return Stepped(dict(zip(blocks, v, strict=True)), worst(residuals))


def parts(semi: Semidiscrete) -> list[Semidiscrete]:
    """Return the equations in parts, one for each axis.

    Raises DomainError for derivatives along two axes at once, integrals, and fields that others define.
    """
    problem = semi.problem
    if problem.definitions:
        names = ", ".join(u.params["name"] for u in problem.definitions)
        raise DomainError(
            f"'adi' takes equations in the fields that evolve alone, and {names} is defined by them. {_ELSE}"
        )
    rhs = {u: _parted(f, semi.axes) for u, f in problem.rhs.items()}
    return [semi.with_rhs({u: found[k] for u, found in rhs.items()}) for k in range(len(semi.axes))]


_ELSE = "Try 'crank-nicolson'."


def _parted(rhs: Node, axes: Sequence[str]) -> list[Node]:
    """Return the terms of each axis but the first as a sum of their own, the first with all that is left."""
    pieces: list[list[Node]] = [[] for _ in axes]
    rest = rhs
    for w in free_symbols([rhs]):
        axis = _axis_of(w, axes)
        if not axis:
            continue
        (slope,) = jvp_nodes([rest], [w], [const(1.0)])
        if any(_axis_of(s, axes) is not None for s in free_symbols([slope])):
            raise DomainError(
                f"'adi' needs a sum of derivatives along single axes, and {w} has one as a factor. {_ELSE}"
            )
        pieces[axis].append(slope * w)
        (rest,) = substitute([rest], {w: const(0.0)})
    return [rest, *(added(p) if p else const(0.0) for p in pieces[1:])]


def _axis_of(w: Node, axes: Sequence[str]) -> int | None:
    """Return along which axis a symbol is a derivative, None for one that is none. Raises DomainError for several."""
    if not (is_jet(w) or is_term(w)):
        return None
    found = set(orders(w))
    if is_term(w):
        found |= {name for inner in all_jets([w.params["of"]]) for name in orders(inner)}
        if not w.params["by"]:
            raise DomainError(f"'adi' has no place for {w}, which is of the whole domain. {_ELSE}")
    if len(found) > 1:
        raise DomainError(
            f"'adi' has no place for {w}, which has derivatives along {' and '.join(sorted(found))}. {_ELSE}"
        )
    return axes.index(found.pop()) if found else None


def check(solver: Solver) -> None:
    """Raise DomainError unless the parts are tridiagonal along their axes, field by field, on a small grid."""
    for axis, part in enumerate(parts(solver.semi)):
        structure = Structure(solver, part)
        if not all(_is_tridiagonal(structure, matrix, axis) for matrix, _ in structure.jacobians):
            raise DomainError(
                "'adi' needs formulas that reach one point (order 2, no upwind) and, implicit along an axis, equations "
                f"that do not couple fields; along {solver.semi.axes[axis]!r} these do. {_ELSE}"
            )


def _is_tridiagonal(structure: Structure, matrix: np.ndarray, axis: int) -> bool:
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in structure.shapes)])
    left = matrix.copy()
    for (a, b), shape in zip(itertools.pairwise(ends), structure.shapes, strict=True):
        rows, columns = (np.unravel_index(k, shape) for k in np.nonzero(matrix[a:b, a:b]))
        for k, (i, j, n) in enumerate(zip(rows, columns, shape, strict=True)):
            apart = np.abs(i - j)
            if structure.semi.problem.is_periodic(structure.semi.axes[k]):
                apart = np.minimum(apart, n - apart)
            if apart.max(initial=0) > (1 if k == axis else 0):
                return False
        left[a:b, a:b] = 0.0
    return not left.any()
