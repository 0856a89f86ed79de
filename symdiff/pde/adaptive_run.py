"""A run whose steps follow their error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from symdiff.pde.adaptive import AdaptiveKernel, March
from symdiff.pde.errors import RunError
from symdiff.pde.run import PERIOD, Run

_GROWTH = 8  # of the chunk, at most, from one to the next


@final
class AdaptiveRun(Run):
    """A run that saves at given times, which its steps need not hit: the states there come from the steps around."""

    def __init__(self, kernel: AdaptiveKernel, tol: float, saves: Sequence[float], *common: Any):
        super().__init__(*common)
        self.kernel, self.tol, self.saves, self.chunk = kernel, tol, saves, 1
        self.largest = 0.0

    @property
    def total(self) -> int:  # type: ignore[override]  # an estimate, which changes on the way
        """The steps made and about as many as are to come."""
        return max(round(self.step * self.until / self.t), self.step + (self.t < self.until)) if self.t else 1

    def _advance(self) -> bool:
        count = len(self.solver.problem.fields)
        march = March(0, 0, 0.0, self.dt, 1.0, 0.0, self.state)
        self.dt = 0.0
        for stop in self.saves:
            while march.t < stop:
                t0 = time.perf_counter()
                after = self.kernel(self.chunk, stop, self.until, self.tol, march)
                seconds = time.perf_counter() - t0
                tried = after.accepted + after.rejected - march.accepted - march.rejected
                self._take(after, seconds)
                if tried < self.chunk and after.t < stop:
                    raise RunError(self._reason(after), self._solution("failed", finished=False))
                march = after
                most = int(max(tried, 1) * PERIOD / max(seconds, 1e-9))
                self.chunk = max(1, min(self.chunk * _GROWTH, most))
                if march.t < self.until and self._look():
                    return True
            if stop == march.t:
                self._save()
            else:
                unknowns = march.between(stop, count, self.solver.unknowns)
                self._save_at(stop, self.solver.assemble(unknowns, stop, self.values))
        return False

    def _take(self, march: March, seconds: float) -> None:
        self.state, self.step, self.t = march.arrays, march.accepted, march.t
        self.dt, self.busy = max(self.dt, march.used), self.busy + seconds

    def _reason(self, march: March) -> str:
        name = f"Step {march.accepted + 1} of {self.stepper.name}, from t = {march.t:g},"
        blocks = self.solver.unknowns(march.arrays)
        u, block = max(zip(self.solver.problem.fields, blocks, strict=True), key=lambda pair: np.abs(pair[1]).max())
        at = self.solver.place(u, np.where(np.abs(block) == np.abs(block).max(), np.nan, 0.0))
        return (
            f"{name} is not accurate to tol = {self.tol:g} however small: its size fell to {march.dt:.2g}. The largest "
            f"value, {np.abs(block).max():.3g}, is that of {u.params['name']!r} at {at}; the solution may end here. "
            "What was reached is kept in the error's .solution."
        )
