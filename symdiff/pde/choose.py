"""Which linear solver fits the structure of the equations.

The structure is seen on a small grid, with random parameters and states: the Jacobian there shows how far formulas
reach, and whether it is symmetric. In one dimension elimination along the diagonals; where fast transforms make the
operator diagonal, those; otherwise conjugate gradients or BiCGStab, preconditioned by the transforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.errors import DomainError
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.pde.averaged import averaged_for
from symdiff.pde.banded import Banded
from symdiff.pde.implicit import Implicit
from symdiff.pde.krylov import BiCGStab, ConjugateGradients
from symdiff.pde.layout import fewest_points
from symdiff.pde.linear import LinearSolver, System
from symdiff.pde.newton import direction
from symdiff.pde.parameters import Values
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepper
from symdiff.pde.transform import transform_for
from symdiff.pde.weights import weighed

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

NAMES = ("auto", "banded", "transform", "cg", "bicgstab")
_MOST_DIAGONALS = 64  # above, elimination takes longer than an iteration would
_MORE = (9, 12)  # points beyond the fewest, of two small grids: a formula that reaches further on the larger is global
_SAME = 1e-10  # relative difference of numbers that only rounding errors part


def choose(solver: Solver, semi: Semidiscrete, name: str = "auto") -> LinearSolver:
    """Return the linear solver for systems with J of `semi`, the one called `name` or the one that fits best.

    Raises DomainError for a name that is not known, or whose solver cannot do these equations.
    """
    if name not in NAMES:
        raise DomainError(f"The linear solver {name!r} is not known; use one of {', '.join(map(repr, NAMES))}.")
    transform = transform_for(semi) if name in ("auto", "transform") else None
    if transform is not None and (semi.problem.is_steady or name == "transform"):
        return transform  # which leaves out what a singular operator does not determine
    if name in ("auto", "banded"):
        banded = _banded(solver, semi)
        if banded is not None:
            return banded
    if transform is not None:
        return transform
    if name in ("auto", "cg") and _is_definite(solver, semi):
        return ConjugateGradients(averaged_for(semi))
    if name in ("auto", "bicgstab"):
        return BiCGStab(averaged_for(semi))
    needs = {
        "banded": "one dimension, and formulas that reach a few points",
        "transform": "constant factors, and sides that reflect (order 2) or are periodic",
        "cg": "a symmetric Jacobian without positive eigenvalues",
    }
    raise DomainError(f"linear_solver={name!r} needs {needs[name]}; these equations do not have it. Try 'bicgstab'.")


def ready(solver: Solver, stepper: Stepper, linear_solver: str) -> Stepper:
    """Return the stepper for a problem, with a linear solver where it needs one.

    Raises DomainError for a linear solver that is not known, does not fit, or that nothing needs.
    """
    adapted = stepper.adapted(solver.problem)
    if isinstance(adapted, Implicit):
        found = adapted.solver or choose(solver, adapted.implicit_part(solver.semi), linear_solver)
        return replace(adapted, solver=found)
    if linear_solver != "auto":
        raise DomainError(f"{adapted.name} is explicit and solves no linear systems; leave out linear_solver.")
    return adapted


def jacobian(solver: Solver, semi: Semidiscrete, shape: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Jacobian on a small grid, about a random state with random parameters, and the weights of its rows."""
    small = type(solver)(solver.problem, tuple(shape), solver.order)
    rng = np.random.default_rng(seed)
    values: Values = {p: float(rng.uniform(0.5, 1.5)) for p in semi.problem.parameters}
    values |= {array: rng.uniform(0.5, 1.5, small.grid.shape) for array in semi.known.values()}
    sizes = [tuple(s.stop - s.start for s in small.block(u)) for u in semi.problem.fields]
    sign = 1 if seed % 2 else -1
    state = [sign * rng.uniform(0.5, 1.5, size) for size in sizes]
    inputs = small._inputs(values, state)
    blocks, t = list(semi.blocks.values()), const(0.3)
    directions = [direction(b) for b in blocks]
    along = jvp_nodes(list(semi.rates(semi.blocks, t).values()), blocks, directions)
    system = System(semi, blocks, t, {}, const(1.0))
    ends = np.cumsum([0, *(np.prod(size) for size in sizes)]).astype(int)
    columns = []
    for e in np.eye(ends[-1]):
        parts = [e[a:b].reshape(size) for a, b, size in zip(ends[:-1], ends[1:], sizes, strict=True)]
        found = interpret(along, {**inputs, **dict(zip(directions, parts, strict=True))})
        columns.append(np.concatenate([np.ravel(y) for y in found]))
    weights = interpret(weighed(system), inputs)
    flat = [np.broadcast_to(w, size).ravel() for w, size in zip(weights, sizes, strict=True)]
    return np.stack(columns, axis=1), np.concatenate(flat)


def _small(semi: Semidiscrete, more: int, step: int) -> tuple[int, ...]:
    """Return a shape of more points than the fewest, different along each axis."""
    fewest = [fewest_points(semi.problem, semi.layout, k, semi.order) for k in range(len(semi.axes))]
    return tuple(n + more + step * k for k, n in enumerate(fewest))


def _banded(solver: Solver, semi: Semidiscrete) -> Banded | None:
    if len(semi.axes) != 1:
        return None
    reach = [max(_reach(solver, semi, more, seed) for seed in (2, 3)) for more in _MORE]
    return Banded(reach[0]) if reach[0] == reach[1] and 2 * reach[0] < _MOST_DIAGONALS else None


def _reach(solver: Solver, semi: Semidiscrete, more: int, seed: int) -> int:
    """Return the distance of the furthest entry from the diagonal, in the order of the banded solver."""
    (n,) = _small(semi, more, 0)
    matrix, _ = jacobian(solver, semi, (n,), seed)
    places = []
    m = len(semi.problem.fields)
    for k, u in enumerate(semi.problem.fields):
        block = np.arange(n)[_block(solver, u, n)]
        if semi.problem.is_periodic(semi.axes[0]):
            block = np.where(2 * block < n, 2 * block, 2 * (n - 1 - block) + 1)
        places.append(block * m + k)
    at = np.concatenate(places)
    rows, columns = np.nonzero(matrix)
    return int(np.abs(at[rows] - at[columns]).max(initial=0))


def _block(solver: Solver, u: Node, n: int) -> slice:
    (whole,) = solver.block(u)
    return slice(whole.start, n - (solver.grid.shape[0] - whole.stop))


def _is_definite(solver: Solver, semi: Semidiscrete) -> bool:
    """Whether J is symmetric in the inner product of the trapezoidal rule, and has no positive eigenvalue.

    The sign of a steady equation is its writer's choice, so there all eigenvalues may be positive as well.
    """
    for seed in (2, 3):
        matrix, weights = jacobian(solver, semi, _small(semi, 1, 1), seed)
        weighted = weights[:, None] * matrix
        size = np.abs(weighted).max()
        if not np.abs(weighted - weighted.T).max() <= _SAME * size:
            return False
        root = np.sqrt(weights)
        values = np.linalg.eigvalsh(weighted / np.outer(root, root))
        if values.max() > _SAME * size and not (semi.problem.is_steady and values.min() >= -_SAME * size):
            return False
    return True


__all__ = ["NAMES", "choose", "jacobian", "ready"]
