"""The time-stepping methods by name."""

from __future__ import annotations

from symdiff.ir.errors import DomainError
from symdiff.pde.adaptive import Adaptive
from symdiff.pde.adi import ADI, Sweep
from symdiff.pde.explicit import Explicit
from symdiff.pde.imex import IMEX
from symdiff.pde.implicit import IMPLICIT
from symdiff.pde.leapfrog import Leapfrog
from symdiff.pde.stepper import Stepper
from symdiff.pde.tableaux import TABLEAUX

METHODS: dict[str, Stepper] = {
    **{name: Explicit(tableau) for name, tableau in TABLEAUX.items()},
    **{method.name: method for method in (Adaptive(), Leapfrog(), *IMPLICIT, *IMEX, ADI("adi", 2, Sweep(0)))},
}


def as_stepper(method: str | Stepper) -> Stepper:
    """Return the method of a name. Raises DomainError for an unknown one."""
    if isinstance(method, Stepper):
        return method
    if method not in METHODS:
        raise DomainError(f"The method {method!r} is not known; use one of {', '.join(map(repr, METHODS))}.")
    return METHODS[method]
