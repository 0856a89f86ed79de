"""A run: the compiled loop in chunks, with saves, progress, callback, Ctrl-C and a watch over non-finite values."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.ir.node import Node
from symdiff.pde.errors import RunError
from symdiff.pde.kernel import Kernel
from symdiff.pde.newton import ACCEPTED_RESIDUAL
from symdiff.pde.panel import panel
from symdiff.pde.schedule import Piece
from symdiff.pde.solution import Progress, Solution
from symdiff.pde.stepper import Stepper

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

PERIOD = 0.05  # seconds of one chunk
_GROWTH = 8  # of the chunk, at most, from one to the next: a first measurement is rough


class Run(ABC):
    """One call of `Solver.run`: the state between the chunks, and the clock. `total` steps are expected in all."""

    total: int

    def __init__(
        self,
        solver: Solver,
        stepper: Stepper,
        values: dict[Node, float],
        until: float,
        dt: float,
        progress: bool,
        callback: Callable[[Progress], Any] | None,
        compile_seconds: float,
    ):
        self.solver, self.stepper, self.values, self.until, self.dt = solver, stepper, values, until, dt
        self.callback, self.compile_seconds = callback, compile_seconds
        title = f"{stepper.name} on {' x '.join(map(str, solver.grid.shape))} points"
        self.live = panel(title) if progress else None
        self.t, self.step, self.busy = 0.0, 0, 0.0
        self.state: list[np.ndarray] = []
        self.times: list[float] = []
        self.saved: dict[Node, list[np.ndarray]] = {u: [] for u in solver.problem.fields}

    @abstractmethod
    def _advance(self) -> bool:
        """Go from time 0 to the end, save and look; returns whether the callback stopped the run."""

    def go(self, state: list[np.ndarray]) -> Solution:
        """Run from `state`, the unknowns with the points beyond them and what follows, at time 0 to the end."""
        self.state = state
        self._save()
        self.began = self.looked = time.perf_counter()
        with self.live or nullcontext():
            try:
                stopped = self._look(force=True) or self._advance()
                message = f"stopped by the callback at t = {self.t:g}" if stopped else f"reached t = {self.t:g}"
            except KeyboardInterrupt:
                # The state is that of the last whole chunk.
                stopped, message = True, f"interrupted at t = {self.t:g}"
            message += self.stepper.note
            if not stopped:
                self._look(force=True)
            if self.live:
                self.live.close(self._progress(), message)
        return self._solution(message, finished=not stopped)

    def _assemble(self) -> dict[Node, np.ndarray]:
        return self.solver.assemble(self.solver.unknowns(self.state), self.t, self.values)

    def _save(self) -> None:
        self._save_at(self.t, self._assemble())

    def _save_at(self, t: float, fields: dict[Node, np.ndarray]) -> None:
        self.times.append(t)
        for u, array in fields.items():
            self.saved[u].append(array)

    def _place_of_failure(self, state: Sequence[np.ndarray]) -> str:
        """Name the first field and point that is not finite; nothing if there is none."""
        for u, block in zip(self.solver.problem.fields, self.solver.unknowns(state), strict=True):
            if not np.isfinite(block).all():
                return f"{u.params['name']!r} infinite or NaN at {self.solver.place(u, block)}"
        return ""

    def _look(self, force: bool = False) -> bool:
        """Show progress and call the callback if it is time; returns whether the callback asks to stop."""
        now = time.perf_counter()
        if not (self.live or self.callback) or (not force and now - self.looked < PERIOD):
            return False
        self.looked = now
        state = self._progress()
        if self.live:
            self.live.show(state)
        return self.callback is not None and self.callback(state) is True

    def _progress(self) -> Progress:
        elapsed = time.perf_counter() - self.began
        rate = self.step / elapsed if elapsed > 0 else 0.0
        fields, grid = self.solver.problem.fields, self.solver.grid
        return Progress(self.t, self.until, self.step, self.total, elapsed, rate, grid, fields, self._assemble)

    def _solution(self, message: str, finished: bool) -> Solution:
        if self.times[-1] != self.t:
            self._save()
        last = {u: arrays[-1] for u, arrays in self.saved.items()}
        return Solution(
            grid=self.solver.grid,
            arrays=last,
            t=self.t,
            times=np.array(self.times),
            saved={u: np.stack(arrays) for u, arrays in self.saved.items()},
            steps=self.step,
            dt=self.dt,
            message=message,
            finished=finished,
            seconds=self.busy,
            compile_seconds=self.compile_seconds,
            method=self.stepper.name,
        )


@final
class FixedRun(Run):
    """A run of pieces of equal steps."""

    def __init__(self, kernel: Kernel, pieces: Sequence[Piece], *common: Any):
        super().__init__(*common)
        self.kernel, self.pieces, self.chunk = kernel, pieces, 1
        self.total = sum(p.n for p in pieces)

    def _advance(self) -> bool:
        return any(self._piece(p) for p in self.pieces)

    def _piece(self, piece: Piece) -> bool:
        """Make the steps of a piece and save its end; returns whether the callback stopped the run."""
        i = 0
        while i < piece.n:
            n = min(self.chunk, piece.n - i)
            t0 = time.perf_counter()
            after, residual, finite, state = self.kernel(i, i + n, piece.start, piece.dt, self.state)
            seconds = time.perf_counter() - t0
            if not (residual <= ACCEPTED_RESIDUAL and finite):
                self._fail(piece, i, i + n)
            self.state, self.step, self.busy = state, self.step + after - i, self.busy + seconds
            i = after
            self.t = piece.stop if i == piece.n else piece.start + i * piece.dt
            self.chunk = max(1, min(self.chunk * _GROWTH, int(n * PERIOD / max(seconds, 1e-9))))
            if i == piece.n:
                self._save()
            if self.step < self.total and self._look():
                return True
        return False

    def _fail(self, piece: Piece, good: int, bad: int) -> None:
        """Find the first bad step of a chunk, keep the state before it and raise RunError."""
        while bad - good > 1:
            middle = (good + bad) // 2
            after, residual, finite, state = self.kernel(good, middle, piece.start, piece.dt, self.state)
            if residual <= ACCEPTED_RESIDUAL and finite:
                self.state, self.step, good = state, self.step + after - good, after
            else:
                bad = middle
        self.t = piece.start + good * piece.dt
        _, residual, _, state = self.kernel(good, good + 1, piece.start, piece.dt, self.state)
        raised = RunError(self._reason(residual, state, piece.dt), self._solution("failed", finished=False))
        raise raised

    def _reason(self, residual: float, state: Sequence[np.ndarray], dt: float) -> str:
        where = f"Step {self.step + 1} of {self.stepper.name}, from t = {self.t:g} with dt = {dt:g},"
        kept = "the state before it is kept in the error's .solution"
        found = self._place_of_failure(state)
        if found:
            return f"{where} made {found}; {kept}. Try a smaller dt."
        return (
            f"{where} could not be solved: its relative residual is {residual:.2e}, at most {ACCEPTED_RESIDUAL:.0e} "
            f"is accepted; {kept}. Try a smaller dt."
        )
