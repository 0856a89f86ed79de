"""What a test problem is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symdiff as sd

# A minimum of zero counts as reached below this: the paper's own runs stop near there.
_ZERO = 1e-10
# The minima are printed with six digits.
_DIGITS = 1e-5


@dataclass(frozen=True)
class Problem:
    """Minimise the sum of squares of `residuals(x)` from `start`; `minima` are the published values, least first."""

    number: int
    name: str
    residuals: Callable[[Any], Any]
    start: np.ndarray
    minima: tuple[float, ...]

    @property
    def label(self) -> str:
        """The number, the name and the number of unknowns."""
        return f"{self.number} {self.name} ({len(self.start)})"

    def expressions(self) -> tuple[Any, Any]:
        """Return the unknowns and the residuals as one vector."""
        x = sd.vector("x", len(self.start))
        return x, self.residuals(x)

    def reached(self, value: float) -> float | None:
        """Return the published minimum that a value is, or None."""
        for minimum in self.minima:
            if abs(value - minimum) <= (_DIGITS * minimum if minimum else _ZERO):
                return minimum
        return None
