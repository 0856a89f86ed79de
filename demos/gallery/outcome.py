"""What a problem of the gallery returns: the run, and its figures beside what is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symdiff import pde


@dataclass(frozen=True)
class Figure:
    """A number of ours beside the exact or published one, 0 for an error; `within` bounds the difference, `why`."""

    what: str
    ours: float
    known: float
    within: float
    why: str

    @property
    def holds(self) -> bool:
        """Whether the difference is within its bound; NaN is not."""
        return abs(self.ours - self.known) <= self.within


@dataclass(frozen=True)
class Outcome:
    """A run and its figures."""

    title: str
    solution: pde.Solution
    figures: tuple[Figure, ...]


def error(ours: np.ndarray, exact: np.ndarray, within: float, why: str, what: str = "largest error") -> Figure:
    """Return the largest difference from an exact solution as a figure."""
    return Figure(what, float(np.abs(ours - exact).max()), 0.0, within, why)
