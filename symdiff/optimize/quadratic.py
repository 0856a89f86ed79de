"""What is exact for quadratics: the test whether a function is one, and the minimum along a line."""

from __future__ import annotations

from symdiff.ir.errors import DomainError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import PRIMITIVES, Node, make
from symdiff.ops.elementwise import isfinite, where
from symdiff.optimize.line_search import flatten, noise, unflatten
from symdiff.optimize.objective import Objective, Point


def is_quadratic(objective: Objective) -> bool:
    """Whether the Hessian does not contain the unknowns, as far as its formula shows."""
    along = [make(PRIMITIVES["symbol"], (), {**u.params, "name": f"\0by{k}"}) for k, u in enumerate(objective.unknowns)]
    found = free_symbols(list(objective.product(objective.unknowns, along)))
    return not any(u in found for u in objective.unknowns)


def check_quadratic(objective: Objective, who: str, instead: str) -> None:
    """Raise DomainError unless the objective is a quadratic."""
    if not is_quadratic(objective):
        raise DomainError(
            f"{who} needs a quadratic; the Hessian of the function ({objective.f.line}) depends on the unknowns. "
            + instead
        )


def unless_higher(new: Point, old: Point) -> tuple[Point, Node]:
    """Return `new` if its loss is finite and not above the old one but for rounding, else `old`; and which it was.

    A function with a kink, such as |x|, passes for a quadratic; on it an exact step may go up.
    """
    good = isfinite(new.loss) & isfinite(new.norm) & (new.loss <= old.loss + noise(old))
    kept = [where(good, after, before) for after, before in zip(flatten(new), flatten(old), strict=True)]
    return unflatten(kept, old), good


__all__ = ["check_quadratic", "is_quadratic", "unless_higher"]
