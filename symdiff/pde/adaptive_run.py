"""A run whose steps follow their error."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.pde.adaptive import AdaptiveKernel, March
from symdiff.pde.run import Failure, Run, Settings
from symdiff.pde.stepper import Stepper

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

_NUMBERS = ("accepted", "rejected", "t", "dt", "error", "used")


@final
class AdaptiveRun(Run):
    """A run that saves at given times, which its steps need not hit: the states there come from the steps around."""

    def __init__(
        self, kernel: AdaptiveKernel, tol: float, saves: Sequence[float], solver: Solver, stepper: Stepper,
        settings: Settings,
    ):  # fmt: skip
        super().__init__(solver, stepper, settings)
        self.kernel, self.tol, self.saves = kernel, tol, saves
        self.march = March(0, 0, 0.0, self.dt, 1.0, 0.0, [])
        self.dt = 0.0

    @property
    def t(self) -> float:
        """The time that is reached."""
        return self.march.t

    @property
    def total(self) -> int:  # type: ignore[override]  # an estimate, which changes on the way
        """The steps made and about as many as are to come."""
        return max(round(self.step * self.until / self.t), self.step + (self.t < self.until)) if self.t else 1

    def _position(self) -> dict[str, Any]:
        return {"longest": np.array(self.dt), **{name: np.array(getattr(self.march, name)) for name in _NUMBERS}}

    def _take_position(self, found: Mapping[str, np.ndarray]) -> None:
        numbers = {name: found[name].item() for name in _NUMBERS}
        self.dt, self.march = float(found["longest"]), March(**numbers, arrays=self.state)

    def _advance(self) -> bool:
        if not self.march.arrays:
            self.march = replace(self.march, arrays=self.state)
        for stop in self.saves[len(self.store.times) - 1 :]:
            while self.march.t < stop:
                self._try(stop)
                if self.t < self.until and self._between():
                    return True
            self._save_at(stop)
        return False

    def _try(self, stop: float) -> None:
        """Try the steps of a chunk."""
        before, t0 = self.march, time.perf_counter()
        after, rows = self.kernel(self.chunk, stop, self.until, self.tol, before)
        seconds = time.perf_counter() - t0
        tried = after.accepted + after.rejected - before.accepted - before.rejected
        steps = np.arange(before.accepted + 1, after.accepted + 1)
        if rows:
            self.records.add(steps, rows[-1], rows[:-1])
        longest, busy = max(self.dt, after.used), self.busy + seconds
        self.march, self.state, self.step, self.dt, self.busy = after, after.arrays, after.accepted, longest, busy
        if rows:
            self._watch(steps, rows[-1], rows[:-1])
        if tried < self.chunk and after.t < stop:
            raise Failure(self._reason(after))
        self._measured(tried, seconds)

    def _save_at(self, stop: float) -> None:
        if stop == self.march.t:
            self._save()
            return
        n = len(self.solver.problem.fields)
        evolved, last = self.march.between(stop, n, self.solver.unknowns), self.solver.unknowns(self.march.arrays)
        state = self.solver.whole.completed(evolved, stop, self.values, last[n:])
        self.store.append(stop, self.solver.whole.assemble(state, stop, self.values))

    def _reason(self, march: March) -> str:
        name = f"Step {march.accepted + 1} of {self.stepper.name}, from t = {march.t:g},"
        blocks = self.solver.unknowns(march.arrays)
        u, block = max(zip(self.solver.problem.states, blocks, strict=True), key=lambda pair: np.abs(pair[1]).max())
        at = self.solver.place(u, np.where(np.abs(block) == np.abs(block).max(), np.nan, 0.0))
        return (
            f"{name} is not accurate to tol = {self.tol:g} however small: its size fell to {march.dt:.2g}. The largest "
            f"value, {np.abs(block).max():.3g}, is that of {u.params['name']!r} at {at}; the solution may end here. "
            "What was reached is kept in the error's .solution."
        )
