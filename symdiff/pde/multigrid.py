"""The preconditioner for operators whose factors jump: one cycle of multigrid.

For every field, the coefficients of its own part of J are found by products with it; coarser operators are made of
them (`stencil_arrays`), down to one of some hundred unknowns, which is inverted. On every level errors that alternate
are damped by two steps of Chebyshev's iteration, before and after the coarser levels have corrected the others. The
number of iterations it leaves depends neither on the grid nor, hardly, on the jumps.

The work on one level is compiled once for all levels, grids and problems; compiled code of a solver calls the cycle,
which goes through the levels.
Method: Dendy 1982; Chebyshev polynomials of the fourth kind by Lottes 2023 over the sums of the rows' sizes, which
bound the eigenvalues by 1 (Baker, Falgout, Kolev & Yang 2011).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.ir.callback import Callback
from symdiff.ir.dims import as_extent, product
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops import leaves, opaque
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import abs_, eq, floor, mod, where
from symdiff.ops.index import broadcast_to, reshape, take, zeros_like
from symdiff.ops.leaves import iota, size
from symdiff.ops.reduce import sum_
from symdiff.ops.rows import empty, set_row
from symdiff.pde.linear import System, Vector
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stencil_arrays import Axes, Coarsening, coarsened, colour
from symdiff.pde.weights import weighed

if TYPE_CHECKING:
    from symdiff.pde.structure import Structure

_COARSEST = 256  # unknowns whose matrix is inverted
_FEWEST = 4  # places of an axis that are not halved any more
_APART = 1.5  # ratio of spacings above which the finer axis alone is coarsened
# Added to the diagonal of the coarsest operator, relative to its rows: it may be singular.
_SHIFT = 1e-6
_KEPT = 4  # operators whose levels are kept

Plan = tuple[tuple[int, ...], ...]
"""The axes that are coarsened from each level to the next."""


@final
@dataclass(frozen=True, eq=False)
class Multigrid:
    """`semi` has the equations in order 2."""

    semi: Semidiscrete
    plan: Plan

    @functools.cached_property
    def _held(self) -> list[Callback]:
        """What compiled code calls by address lives as long as this object."""
        return []

    def describe(self) -> str:
        """The number of levels."""
        return f"multigrid on {len(self.plan) + 1} level{'s' * bool(self.plan)}"

    def inverse(self, system: System) -> Callable[[Sequence[Node]], Vector]:
        """Return the function that makes one cycle for every field, from 0."""
        semi = self.semi
        if semi is not system.semi:
            system = replace(system, semi=semi, given=semi.given(system.t))
        axes = Axes(tuple(semi.problem.is_periodic(axis) for axis in semi.axes))
        weights = weighed(system)
        # W A is symmetric where A is self-adjoint in the inner product of the weights W.
        cycles = [self._cycle(axes, w * _coefficients(axes, system, k)) for k, w in enumerate(weights)]
        return lambda r: [cycle(w * x) for cycle, w, x in zip(cycles, weights, r, strict=True)]

    def _cycle(self, axes: Axes, a: Node) -> Callable[[Node], Node]:
        shape, levels = a.shape[axes.count :], Levels(axes, self.plan)
        prepare = Callback(levels.prepare, "levels", ((a.shape, "float64"),), (), "int64")
        cycle = Callback(levels.cycle, "cycle", ((shape, "float64"), ((), "int64")), shape, "float64")
        self._held.extend([prepare, cycle])
        number = opaque.call(prepare, [a])
        return lambda r: opaque.call(cycle, [r, number])


@dataclass(frozen=True)
class _Level:
    """Arrays of a level: coefficients, the inverse sums of rows, and the factors of the coarsenings."""

    work: _Work
    arrays: list[np.ndarray]


class Levels:
    """The numerical part: operators by the number that `prepare` gives them."""

    def __init__(self, axes: Axes, plan: Plan):
        self.axes, self.plan = axes, plan
        self._known: dict[int, tuple[list[_Level], np.ndarray]] = {}
        self._count = 0

    def prepare(self, a: np.ndarray) -> int:
        """Make the levels of an operator; returns its number."""
        levels = []
        for along in self.plan:
            work = _work(self.axes, along)
            *factors, coarser = work.coarsen(a)
            levels.append(_Level(work, [a, *factors]))
            a = coarser
        (matrix,) = interpret([_matrix(self.axes, as_node(a))], {})
        finite = bool(np.isfinite(matrix).all())
        bottom = np.linalg.inv(matrix) if finite else np.full_like(matrix, np.nan)
        while len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._count += 1
        self._known[self._count] = levels, bottom
        return self._count

    def cycle(self, b: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Return nearly A^-1 b."""
        levels, bottom = self._known[int(number)]
        on_the_way = []
        for level in levels:
            x, coarser = level.work.down(*level.arrays, b)
            on_the_way.append((level, b, x))
            b = coarser
        e = (bottom @ b.ravel()).reshape(b.shape)
        for level, right, x in reversed(on_the_way):
            e = level.work.up(*level.arrays, right, x, e)
        return e


@dataclass(frozen=True)
class _Work:
    """Compiled: a to (inverse sums, factors …, coarser a); a residual to (x, coarser residual); a correction to x."""

    coarsen: Callable[..., Any]
    down: Callable[..., Any]
    up: Callable[..., Any]


@functools.cache
def _work(axes: Axes, along: tuple[int, ...]) -> _Work:
    from symdiff.compile import compile  # late: loads LLVM

    d = axes.count
    shape = tuple(as_extent(f"n{k}") for k in range(d))
    a, b, x = _array("a", (*(3,) * d, *shape)), _array("b", shape), _array("x", shape)
    made: list[Coarsening] = []
    coarser = a
    for axis in along:
        stage, coarser = coarsened(axes, coarser, axis)
        made.append(stage)
    inverse = 1.0 / sum_(abs_(a), axes=tuple(range(d)))
    factors = [w for stage in made for w in (stage.wl, stage.wr)]
    coarsen = compile([inverse, *factors, coarser], [a])
    given = [_array(f"w{k}", w.shape) for k, w in enumerate(factors)]
    stages = [replace(s, wl=given[2 * k], wr=given[2 * k + 1]) for k, s in enumerate(made)]
    sums = _array("inverse", shape)
    before = _smoothed(axes, a, sums, b)
    r = b - axes.product(a, before)
    for stage in stages:
        r = stage.restricted(r)
    held = [a, sums, *given]
    down = compile([before, r], [*held, b])
    e = correction = _array("e", r.shape)
    for stage in reversed(stages):
        correction = stage.prolonged(correction)
    better = x + correction
    after = better + _smoothed(axes, a, sums, b - axes.product(a, better))
    return _Work(coarsen, down, compile(after, [*held, b, x, e]))


def _array(name: str, shape: Any) -> Node:
    return leaves.symbol(name=name, shape=shape, dtype="float64")


def _smoothed(axes: Axes, a: Node, inverse: Node, r: Node) -> Node:
    """Return the change by two steps for a residual r: the polynomial of degree 2 over the rows' sizes."""
    z = (4 / 3) * (inverse * r)
    return z + (0.2 * z + 2.4 * (inverse * (r - axes.product(a, z))))


def _matrix(axes: Axes, a: Node) -> Node:
    """Return A as a matrix, its diagonal a little larger."""
    d = axes.count
    shape = a.shape[d:]
    # For every axis, which offset leads from i to j: 0, 1, 2, or none.
    offset, is_near = const(0, "int64"), const(True)
    for axis, n in enumerate(shape):
        i, j = (reshape(iota(n=n), shape=_spread(n, axis + half * d, 2 * d)) for half in (0, 1))
        step = j - i + 1
        if axes.periodic[axis]:
            step = mod(step, size(dim=n))
        offset = offset * 3 + step
        is_near = is_near & (step >= 0) & (step <= 2)
    place = const(0, "int64")
    for axis, n in enumerate(shape):
        place = place * size(dim=n) + reshape(iota(n=n), shape=_spread(n, axis, 2 * d))
    count = product(shape)
    flat = reshape(a, shape=(product(a.shape),))
    found = take(flat, where(is_near, offset, 0) * size(dim=count) + place, axis=0)
    matrix = reshape(broadcast_to(where(is_near, found, 0.0), shape=(*shape, *shape)), shape=(count, count))
    rows = reshape(sum_(abs_(a), axes=tuple(range(d))), shape=(count, 1))
    at = iota(n=count)
    on_diagonal = eq(reshape(at, shape=(count, 1)), reshape(at, shape=(1, count)))
    return matrix + where(on_diagonal, _SHIFT * rows, 0.0)


def _spread(n: object, axis: int, rank: int) -> tuple:
    return tuple(n if k == axis else 1 for k in range(rank))


def _coefficients(axes: Axes, system: System, k: int) -> Node:
    """Return the coefficients of the part of A that takes field k to itself.

    A product of A with the sum of columns that share no row shows all of them: every third column along an axis, and
    on a circle the last one or two by themselves.
    """
    like, d = system.v[k], axes.count
    counts = [5 if is_periodic else 3 for is_periodic in axes.periodic]
    turns = math.prod(counts)

    def turn(j: Node, seen: Node) -> list[Node]:
        p, behind = const(1.0), turns
        for axis, n in enumerate(like.shape):
            # Digit `axis` of j, by multiples instead of a division of whole numbers.
            behind //= counts[axis]
            digit = mod(floor(cast(j, "float64") / behind), float(counts[axis]))
            mine = cast(colour(axes.periodic[axis], iota(n=n), size(dim=n)), "float64")
            p = p * reshape(where(eq(mine, digit), 1.0, 0.0), shape=_spread(n, axis, d))
        p = broadcast_to(p, shape=like.shape)
        image = system.matvec([p if i == k else zeros_like(x) for i, x in enumerate(system.v)])[k]
        return [j + 1, set_row(seen, image, j)]

    start = [const(0, "int64"), empty(shape=(turns, *like.shape), dtype="float64")]
    _, seen = build_loop(lambda j, _: j < turns, turn, start, turns=turns)
    which, place = const(0, "int64"), const(0, "int64")
    for axis, n in enumerate(like.shape):
        shape = tuple(3 if q == axis else n if q == d + axis else 1 for q in range(2 * d))
        neighbours = reshape(iota(n=3), shape=(3, 1)) + reshape(iota(n=n), shape=(1, n)) - 1
        which = which * counts[axis] + reshape(colour(axes.periodic[axis], neighbours, size(dim=n)), shape=shape)
        place = place * size(dim=n) + reshape(iota(n=n), shape=_spread(n, d + axis, 2 * d))
    flat = reshape(seen, shape=(product(seen.shape),))
    return take(flat, which * size(dim=product(like.shape)) + place, axis=0)


def multigrid_for(structure: Structure) -> Multigrid | None:
    """Return the preconditioner for the equations; None where their formulas of order 2 reach further than 1."""
    semi = structure.semi
    if semi.order != 2:
        semi = replace(semi, order=2)
        structure = type(structure)(structure.solver, semi, structure.is_steady)
    if len(semi.axes) < 2 or not structure.is_local:
        return None
    grid = structure.solver.grid
    return Multigrid(semi, plan(grid.shape, grid.spacing))


def plan(shape: Sequence[int], spacing: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Return the axes that are coarsened from level to level, those whose points lie as near as any.

    >>> plan((65, 17), (1 / 64, 1 / 16))
    ((0,), (0,), (0, 1))
    """
    counts, h = np.array(shape), np.array(spacing, dtype=float)
    out = []
    while counts.prod() > _COARSEST and counts.max() > _FEWEST:
        axes = [k for k in range(len(counts)) if counts[k] > _FEWEST]
        least = min(h[k] for k in axes)
        axes = [k for k in axes if h[k] < _APART * least]
        counts[axes], h[axes] = -(-counts[axes] // 2), 2 * h[axes]
        out.append(tuple(axes))
    return tuple(out)
