"""The error of a run that cannot go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdiff.ir.errors import ConvergenceError

if TYPE_CHECKING:
    from symdiff.pde.solution import Solution


class RunError(ConvergenceError):
    """A run that met non-finite values or an implicit step that could not be solved.

    `solution` holds everything up to the last good step, so nothing that was computed is lost.
    """

    def __init__(self, message: str, solution: Solution):
        super().__init__(message)
        self.solution = solution
