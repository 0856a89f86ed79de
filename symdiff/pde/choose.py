"""Which linear solver fits the structure of the equations.

In one dimension elimination along the diagonals; where fast transforms make the operator diagonal, those, or transforms
along all axes but one and elimination along that one; otherwise conjugate gradients or BiCGStab, preconditioned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from symdiff.ir.errors import DomainError
from symdiff.pde.adi import ADI, check
from symdiff.pde.averaged import averaged_for
from symdiff.pde.banded import Banded
from symdiff.pde.implicit import Implicit
from symdiff.pde.krylov import BiCGStab, ConjugateGradients
from symdiff.pde.linear import LinearSolver
from symdiff.pde.lines import MOST_MODES, lines_for
from symdiff.pde.multigrid import multigrid_for
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepper
from symdiff.pde.structure import Structure
from symdiff.pde.transform import transform_for

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

_MOST_DIAGONALS = 64  # above, elimination takes longer than an iteration would
# Of factors that vary: iterations with transforms for mean factors grow with the root of the contrast, some 7 for 1.
_MOST_CONTRAST = 10.0


def choose(solver: Solver, semi: Semidiscrete, name: str = "auto", is_steady: bool = False) -> LinearSolver:
    """Return the linear solver for systems with J of `semi`, the one called `name` or the one that fits best.

    Systems that are `is_steady` have -J alone for their matrix.

    Raises DomainError for a name that is not known, or whose solver cannot do these equations.
    """
    if name not in NAMES:
        raise DomainError(f"The linear solver {name!r} is not known; use one of {', '.join(map(repr, NAMES))}.")
    structure = Structure(solver, semi, is_steady)
    if name != "auto":
        found = _MAKERS[name](structure)
        if found is None:
            raise DomainError(
                f"linear_solver={name!r} needs {_NEEDS[name]}; these equations do not have it. Try 'bicgstab'."
            )
        return found
    # A transform leaves out what a singular steady operator does not determine.
    order = ["transform", "banded", "lines"] if is_steady else ["banded", "lines", "transform"]
    *transformed, _ = sorted(solver.grid.shape)
    if max(transformed, default=0) > MOST_MODES:
        order.sort(key="lines".__eq__)
    if len(solver.grid.shape) > 1 and structure.contrast > _MOST_CONTRAST:
        order.append("multigrid")
    for each in (*order, "cg"):
        found = _MAKERS[each](structure)
        if found is not None:
            return found
    return BiCGStab(averaged_for(semi))


def _banded(structure: Structure) -> LinearSolver | None:
    if len(structure.semi.axes) != 1 or structure.reach is None or 2 * structure.reach >= _MOST_DIAGONALS:
        return None
    return Banded(structure.reach)


def _multigrid(structure: Structure) -> LinearSolver | None:
    cycle = multigrid_for(structure)
    if cycle is None:
        return None
    return ConjugateGradients(cycle) if structure.is_definite else BiCGStab(cycle)


_MAKERS: dict[str, Callable[[Structure], LinearSolver | None]] = {
    "banded": _banded,
    "lines": lines_for,
    "transform": lambda structure: transform_for(structure.semi),
    "cg": lambda structure: ConjugateGradients(averaged_for(structure.semi)) if structure.is_definite else None,
    "bicgstab": lambda structure: BiCGStab(averaged_for(structure.semi)),
    "multigrid": _multigrid,
}
_NEEDS = {
    "banded": "one dimension, and formulas that reach a few points",
    "lines": "one field, formulas of order 2 with factors that vary along one axis at most, sides that reflect or are "
    "periodic, and a symmetric Jacobian without positive eigenvalues",
    "transform": "constant factors, and sides that reflect (order 2) or are periodic",
    "cg": "a symmetric Jacobian without positive eigenvalues",
    "multigrid": "two or three dimensions, and no derivatives above the second order",
}
NAMES = ("auto", *_MAKERS)


def ready(solver: Solver, stepper: Stepper, linear_solver: str) -> Stepper:
    """Return the stepper for a problem, with a linear solver where it needs one.

    Raises DomainError for a linear solver that is not known, does not fit, or that nothing needs.
    """
    adapted = stepper.adapted(solver.problem)
    if isinstance(adapted, ADI):
        if linear_solver != "auto":
            raise DomainError("'adi' solves its systems by elimination along lines; leave out linear_solver.")
        check(solver)
        return adapted
    if isinstance(adapted, Implicit):
        found = adapted.solver or choose(solver, adapted.implicit_part(solver.semi), linear_solver)
        return replace(adapted, solver=found)
    if linear_solver != "auto":
        raise DomainError(f"{adapted.name} is explicit and solves no linear systems; leave out linear_solver.")
    return adapted
