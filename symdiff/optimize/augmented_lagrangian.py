"""Methods for constraints: which functions without constraints are minimised, round after round."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.optimize.constraints import Constraint
from symdiff.optimize.methods import as_rule
from symdiff.optimize.rule import Rule, check_setting


class Constrained(ABC):
    """A method for problems with constraints. Its `inner` rule minimises in each round."""

    __slots__ = ()
    inner: str | Rule
    penalty: float
    growth: float

    @abstractmethod
    def multiplier(self, c: Constraint, old: np.ndarray, value: np.ndarray, penalty: float) -> np.ndarray:
        """Return the multiplier for the next round."""


@dataclass(frozen=True, slots=True)
class AugmentedLagrangian(Constrained):
    """Minimise f - m'c + mu c'c/2 over x again and again; between the rounds m becomes m - mu c.

    The penalty mu begins as `penalty` and grows by `growth` whenever a round has not brought the violation down to a
    quarter. It need not grow without bound, so no round is badly scaled. `inner` is a name or a rule, which minimises.

    Method: Hestenes 1969, Powell 1969, Rockafellar 1973 (inequalities); Birgin & Martínez 2014, algorithm 4.1;
    Nocedal & Wright 2006, framework 17.3.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.minimize(x + y, {x: 1.0, y: 0.0}, constraints=[x**2 + y**2 - 2], target="reference")
    >>> res.converged, round(float(res.x[x]), 7), round(float(res.multipliers[0]), 7)
    (True, -1.0, -0.5)
    """

    inner: str | Rule = "newton"
    penalty: float = 10.0
    growth: float = 10.0

    def __post_init__(self) -> None:
        """Raise DomainError for settings out of range."""
        _check(self)

    def multiplier(self, c: Constraint, old: np.ndarray, value: np.ndarray, penalty: float) -> np.ndarray:
        """Return m - mu c, at least 0 for an inequality."""
        return c.better_multiplier(old, value, penalty)


@dataclass(frozen=True, slots=True)
class QuadraticPenalty(Constrained):
    """Minimise f + mu c'c/2 over x for larger and larger mu.

    The violation is about m/mu, m the multiplier, so mu ends near 1/tol and the last rounds are badly scaled: what can
    be reached is a tol of 1e-7 or so. `AugmentedLagrangian` is better in every respect but simplicity.

    Method: Courant 1943; Nocedal & Wright 2006, framework 17.1.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> f, c = x + y, x**2 + y**2 - 2
    >>> res = sd.minimize(f, {x: 1.0, y: 0.0}, constraints=[c], method=QuadraticPenalty(), tol=1e-6, target="reference")
    >>> res.converged, round(float(res.x[x]), 5)
    (True, -1.0)
    """

    inner: str | Rule = "newton"
    penalty: float = 1.0
    growth: float = 10.0

    def __post_init__(self) -> None:
        """Raise DomainError for settings out of range."""
        _check(self)

    def multiplier(self, c: Constraint, old: np.ndarray, value: np.ndarray, penalty: float) -> np.ndarray:
        """Return zero, as before."""
        return old


def _check(method: Any) -> None:
    as_rule(method.inner)
    check_setting(method, "penalty", method.penalty, 0.0, math.inf)
    check_setting(method, "growth", method.growth, 1.0, math.inf)


CONSTRAINED: dict[str, Constrained] = {
    "augmented-lagrangian": AugmentedLagrangian(),
    "quadratic-penalty": QuadraticPenalty(),
}
"""The methods for constraints by name."""


def as_constrained(method: Any) -> Constrained:
    """Return the method for constraints: by name, as an object, or the augmented Lagrangian around a rule."""
    if isinstance(method, Constrained):
        return method
    if isinstance(method, str) and method in CONSTRAINED:
        return CONSTRAINED[method]
    if isinstance(method, str) and method.startswith("scipy:"):
        raise DomainError(f"minimize: constraints are for rules of symdiff.optimize, not for {method!r}.")
    return AugmentedLagrangian(as_rule(method))


def as_unconstrained(method: Any) -> Rule:
    """Return the rule for a name or an object. Raises DomainError for a method that needs constraints."""
    if isinstance(method, Constrained) or (isinstance(method, str) and method in CONSTRAINED):
        raise DomainError(f"minimize: {method!r} is for constraints; give constraints=[…], or another method.")
    return as_rule(method)


__all__ = [
    "CONSTRAINED",
    "AugmentedLagrangian",
    "Constrained",
    "QuadraticPenalty",
    "as_constrained",
    "as_unconstrained",
]
