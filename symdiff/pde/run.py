"""A run: the compiled loop in chunks, with saves, progress, callback, Ctrl-C and a watch over non-finite values."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.checkpoint import Checkpoint
from symdiff.interrupt import Interrupts
from symdiff.ir.node import Node
from symdiff.pde.errors import RunError
from symdiff.pde.formats import numbers, shown
from symdiff.pde.kernel import Kernel
from symdiff.pde.monitors import Watched
from symdiff.pde.newton import ACCEPTED_RESIDUAL
from symdiff.pde.panel import panel
from symdiff.pde.problem import Problem
from symdiff.pde.schedule import Piece
from symdiff.pde.solution import Progress, Solution
from symdiff.pde.stepper import Stepper
from symdiff.pde.store import Store
from symdiff.pde.track import MOST_STEPS, Records, Track

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

PERIOD = 0.05  # seconds of one chunk
_GROWTH = 8  # of the chunk, at most, from one to the next: a first measurement is rough


@dataclass(frozen=True, slots=True)
class Settings:
    """What all runs are given: the values of the parameters, the end, what looks at the run and what keeps it."""

    values: dict[Node, float]
    until: float
    dt: float
    progress: bool
    callback: Callable[[Progress], Any] | None
    compile_seconds: float
    store: Store
    track: Track
    watches: Sequence[Watched]
    checkpoint: Checkpoint | None


class Failure(Exception):
    """Why a run cannot go on."""


class Run(ABC):
    """One call of `Solver.run`: the state between the chunks, and the clock. `total` steps are expected in all."""

    total: int

    def __init__(self, solver: Solver, stepper: Stepper, settings: Settings):
        self.solver, self.stepper = solver, stepper
        self.values, self.until, self.dt = settings.values, settings.until, settings.dt
        self.callback, self.compile_seconds = settings.callback, settings.compile_seconds
        self.store, self.track, self.checkpoint = settings.store, settings.track, settings.checkpoint
        title = f"{stepper.name} on {' x '.join(map(str, solver.grid.shape))} points"
        self.live = panel(title) if settings.progress else None
        self.step, self.busy, self.chunk = 0, 0.0, 1
        self.state: list[np.ndarray] = []
        self.records, self.watches = Records(list(self.track.functionals)), settings.watches
        self.notes: list[str] = []

    @property
    @abstractmethod
    def t(self) -> float:
        """The time that is reached."""

    @abstractmethod
    def _advance(self) -> bool:
        """Go to the end, save and look; returns whether the callback stopped the run."""

    @abstractmethod
    def _position(self) -> dict[str, Any]:
        """Return what a checkpoint holds, in addition to what `_kept` lists."""

    @abstractmethod
    def _take_position(self, found: Mapping[str, np.ndarray]) -> None:
        """Undo `_position`."""

    def go(self, state: list[np.ndarray], first: Sequence[float]) -> Solution:
        """Run from `state`, the unknowns with the points beyond them and what follows, at time 0 to the end.

        `first` are the tracked numbers at the start. A checkpoint's state goes before this one.
        """
        with Interrupts() as self.interrupts:
            self._begin(state, first)
            self.began = self.looked = time.perf_counter()
            self.first_step = self.step
            with self.live or nullcontext():
                return self._to_the_end()

    def _to_the_end(self) -> Solution:
        stopped, message, failure = True, "", ""
        try:
            self._watch(*self.records.until(self.step))
            stopped = self._look(force=True) or self._advance()
            message = f"stopped by the callback at t = {self.t:g}" if stopped else f"reached t = {self.t:g}"
        except KeyboardInterrupt:
            # The state is that of the last whole chunk.
            message = f"interrupted at t = {self.t:g}"
        except Failure as error:
            failure = str(error)
        finally:
            if self.checkpoint:
                self._keep(self.checkpoint)
        if failure:
            raise RunError(failure, self._solution(f"failed: {failure}", finished=False))
        if self.interrupts.asked and not stopped:
            message += "; Ctrl-C came too late to stop it"
        message += self.stepper.note
        # The run is over: Ctrl-C here has nothing left to stop, and must not cost the result.
        with suppress(KeyboardInterrupt):
            if not stopped:
                self._look(force=True)
            if self.live:
                self.live.close(self._progress(), message)
        return self._solution(message, finished=not stopped)

    # -- beginning and keeping --------------------------------------------------------------------------------------

    def _begin(self, state: list[np.ndarray], first: Sequence[float]) -> None:
        found = self.checkpoint.load() if self.checkpoint else None
        self.store.begin(found)
        self.state = state
        if found is None:
            self.records.add(np.zeros(1, np.int64), np.zeros(1), [np.array([x]) for x in first])
            self._save()
        else:
            self.state = [found[f"state{k}"] for k in range(len(state))]
            self.step, self.busy = int(found["step"]), float(found["busy"])
            rows = [found[f"record{k}"] for k in range(len(first))]
            self.records.add(found["record steps"], found["record times"], rows)
            self._take_position(found)
        if self.checkpoint:
            self.checkpoint.begin(self._kept())

    def _kept(self) -> dict[str, Any]:
        """Return what a run that is taken up again needs."""
        # A run that is cut between two assignments may have recorded more than its state says.
        steps, times, rows = self.records.until(self.step)
        return {
            **{f"state{k}": array for k, array in enumerate(self.state)},
            **{f"record{k}": array for k, array in enumerate(rows)},
            **self.store.values(),
            **self._position(),
            "record steps": steps,
            "record times": times,
            "step": np.array(self.step),
            "busy": np.array(self.busy),
        }

    def _keep(self, checkpoint: Checkpoint) -> None:
        # A checkpoint never says that states are saved which are not.
        if not self.store.note:
            checkpoint.save(self._kept())

    def _assemble(self) -> dict[Node, np.ndarray]:
        return self.solver.whole.assemble(self.solver.unknowns(self.state), self.t, self.values)

    def _save(self) -> None:
        self.store.append(self.t, self._assemble())

    # -- between the chunks -----------------------------------------------------------------------------------------

    def _measured(self, made: int, seconds: float) -> None:
        """Choose the length of the next chunk by what the last one took."""
        most = min(self.chunk * _GROWTH, int(max(made, 1) * PERIOD / max(seconds, 1e-9)))
        self.chunk = max(1, min(most, MOST_STEPS) if self.track.is_inside else most)

    def _between(self) -> bool:
        """Keep, show and call back what is due; returns whether the callback asks to stop."""
        if self.checkpoint and self.checkpoint.is_due:
            self._keep(self.checkpoint)
        self.interrupts.check()
        return self._look()

    def _watch(self, steps: np.ndarray, times: np.ndarray, rows: Sequence[np.ndarray]) -> None:
        """Have the monitors look at new records. Raises Failure, or warns."""
        for watched in self.watches:
            problem = watched.look(steps, times, rows)
            if problem and not watched.warn:
                raise Failure(f"{problem} What was computed is kept in the error's .solution.")
            if problem:
                self.notes.append(problem)
                warnings.warn(f"{problem} The run goes on.", RuntimeWarning, stacklevel=2)

    def _place_of_failure(self, state: Sequence[np.ndarray]) -> str:
        """Name the first field and point that is not finite; nothing if there is none."""
        for u, block in zip(self.solver.problem.states, self.solver.unknowns(state), strict=True):
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
        rate = (self.step - self.first_step) / elapsed if elapsed > 0 else 0.0
        fields, grid = self.solver.problem.states, self.solver.grid
        return Progress(self.t, self.until, self.step, self.total, elapsed, rate, grid, fields, self._assemble)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _solution(self, message: str, finished: bool) -> Solution:
        if self.store.times[-1] != self.t:
            self._save()
        notes = [*self.notes, self.store.note, self.checkpoint.note if self.checkpoint else ""]
        *said, last = filter(None, [message, *notes])
        sol = Solution(
            grid=self.solver.grid,
            arrays=self._assemble(),
            t=self.t,
            times=np.array(self.store.times),
            saved=self.store.saved(),
            steps=self.step,
            dt=self.dt,
            message=". ".join([*(text.removesuffix(".") for text in said), last]),
            finished=finished,
            seconds=self.busy,
            compile_seconds=self.compile_seconds,
            method=self.stepper.name,
            tracked=self.records.tracked(self.step),
            equations=shown(self.solver.problem.equations),
            parameters=numbers(self.values),
        )
        return self.store.finish(sol)


def unsolved(problem: Problem) -> str:
    """Say what else makes values NaN: fields whose equations have no solution."""
    names = ", ".join(u.params["name"] for u in problem.constraints)
    return names and (
        f" The equation of {names} may have no solution, as Poisson's between slopes or on circles has none where its "
        "right-hand side does not add up to what goes through the sides; subtract its mean, or fix a value on a side."
    )


@final
class FixedRun(Run):
    """A run of pieces of equal steps. Which piece it is in, the number of saved states says.

    `measure` gives the numbers to track for a time, what is fixed and a state, where the kernel does not record them.
    """

    def __init__(
        self, kernel: Kernel, measure: Callable[..., Sequence[Any]] | None, pieces: Sequence[Piece], solver: Solver,
        stepper: Stepper, settings: Settings,
    ):  # fmt: skip
        super().__init__(solver, stepper, settings)
        self.kernel, self.measure, self.pieces = kernel, measure, pieces
        self.before = np.cumsum([0, *(p.n for p in pieces)]).tolist()
        self.total = self.before[-1]

    @property
    def t(self) -> float:
        """The time that is reached."""
        k = int(np.searchsorted(self.before, self.step, side="right")) - 1
        if k == len(self.pieces):
            return self.until
        piece = self.pieces[k]
        return piece.start + (self.step - self.before[k]) * piece.dt

    def _position(self) -> dict[str, Any]:
        return {}

    def _take_position(self, found: Mapping[str, np.ndarray]) -> None:
        return

    def _advance(self) -> bool:
        done = len(self.store.times) - 1
        return any(self._piece(p, first) for p, first in zip(self.pieces[done:], self.before[done:], strict=False))

    def _piece(self, piece: Piece, first: int) -> bool:
        """Make the steps of a piece that are left, and save its end; returns whether the callback stopped the run."""
        while (i := self.step - first) < piece.n:
            n = min(self.chunk, piece.n - i)
            if self.measure:
                n = min(n, self.track.every - i % self.track.every)
            t0 = time.perf_counter()
            after, residual, finite, state, rows = self.kernel(i, i + n, piece.start, piece.dt, self.state)
            seconds = time.perf_counter() - t0
            if not (residual <= ACCEPTED_RESIDUAL and finite):
                self._fail(piece, i, i + n)
            self._take(piece, i, after, state, rows)
            self.busy += seconds
            self._measured(n, seconds)
            if self.step < first + piece.n and self._between():
                return True
        self._save()
        return self.step < self.total and self._between()

    def _take(self, piece: Piece, i: int, after: int, state: list[np.ndarray], rows: list[np.ndarray]) -> None:
        made = np.arange(i + 1, after + 1) if rows else np.array([after])
        times = piece.start + made * piece.dt
        if after == piece.n:
            times[-1] = piece.stop
        if self.measure and (after == piece.n or after % self.track.every == 0):
            extended = state[: len(self.solver.semi.extensions)]
            rows = [np.array([float(x)]) for x in self.measure(times[-1], *self.kernel.fixed, *extended)]
        part = (self.step - i + made, times, rows)
        if rows:
            self.records.add(*part)
        self.state, self.step = state, self.step + after - i
        if rows:
            self._watch(*part)

    def _fail(self, piece: Piece, good: int, bad: int) -> None:
        """Find the first bad step of a chunk, keep the state before it and raise Failure."""
        while bad - good > 1:
            middle = (good + bad) // 2
            after, residual, finite, state, rows = self.kernel(good, middle, piece.start, piece.dt, self.state)
            if residual <= ACCEPTED_RESIDUAL and finite:
                self._take(piece, good, after, state, rows)
                good = after
            else:
                bad = middle
        _, residual, _, state, _ = self.kernel(good, good + 1, piece.start, piece.dt, self.state)
        raise Failure(self._reason(residual, state, piece.dt))

    def _reason(self, residual: float, state: Sequence[np.ndarray], dt: float) -> str:
        where = f"Step {self.step + 1} of {self.stepper.name}, from t = {self.t:g} with dt = {dt:g},"
        kept = "the state before it is kept in the error's .solution"
        found = self._place_of_failure(state)
        if found:
            return f"{where} made {found}; {kept}. Try a smaller dt.{unsolved(self.solver.problem)}"
        return (
            f"{where} could not be solved: its relative residual is {residual:.2e}, at most {ACCEPTED_RESIDUAL:.0e} "
            f"is accepted; {kept}. Try a smaller dt."
        )
