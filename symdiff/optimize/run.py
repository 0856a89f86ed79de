"""run: one minimisation, chunk by chunk: what is between the chunks, and what comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symdiff.checkpoint import Checkpoint, identity
from symdiff.live import Live
from symdiff.optimize.batches import Batches
from symdiff.optimize.compiled import Compiled, compiled
from symdiff.optimize.inputs import Problem
from symdiff.optimize.loop import FEW_STEPS, MOST_STEPS, Carry, Iteration, Status
from symdiff.optimize.messages import converged, explain
from symdiff.optimize.objective import GRADIENT_NORM
from symdiff.optimize.progress import PERIOD, Progress, panel, remaining
from symdiff.optimize.result import History, OptimizeResult
from symdiff.optimize.rule import Rule

Callback = Callable[[Progress], Any]
Path = str | os.PathLike[str]
_FORMAT = "symdiff minimize 1"  # of the files in which runs are kept
# Where these stand in a flat carry, and two states that are asked for often: an IntEnum's members are slow to find.
STEP, STATUS, LOSS, NORM = 0, 1, 2, 3
NEW, RUNNING = int(Status.NEW), int(Status.RUNNING)
_GROWTH = 8  # of the chunk, at most, from one to the next: a first measurement is rough


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends, and what looks at it on the way."""

    tol: float
    max_steps: int
    progress: bool = False
    callback: Callback | None = None
    checkpoint: Path | None = None


def run(
    problem: Problem,
    rule: Rule,
    tol: float,
    max_steps: int,
    progress: bool,
    callback: Callback | None,
    target: str,
    batches: Batches | None = None,
    checkpoint: Path | None = None,
) -> OptimizeResult:
    """Run a rule on a problem that is checked; see `minimize`."""
    symbols = [*problem.data, *(batches.symbols if batches else ())]
    functions = compiled(Iteration(problem.objective, rule), symbols, target)
    limits = Limits(float(tol), int(max_steps), progress, callback, checkpoint)
    return go(problem, rule, functions, limits, batches)


def go(
    problem: Problem, rule: Rule, functions: Compiled, limits: Limits, batches: Batches | None = None
) -> OptimizeResult:
    """Run the compiled functions of a rule on a problem."""
    file = None
    if limits.checkpoint is not None:
        drawn = (batches.seed, batches.sampling, batches.size) if batches else None
        key = identity(problem.objective, problem.start, problem.data, rule, drawn)
        file = Checkpoint(limits.checkpoint, key, _FORMAT, "function, start, data, method or batches")
    seen = rule.view(problem.objective)
    if seen is not problem.objective:  # a term of the rule's own, and another norm
        problem = replace(problem, objective=seen)
    title = f"minimize ({type(rule).__name__})"
    with panel(title, limits.max_steps, limits.tol) if limits.progress else nullcontext() as live:
        whole = _Run(problem, functions, limits, live, batches, file)
        return whole.finish(whole.go())


class _Run:
    """The carry between the chunks as a flat list of values, the record so far, and the clock."""

    def __init__(
        self, problem: Problem, functions: Compiled, limits: Limits, live: Live | None, batches: Batches | None,
        file: Checkpoint | None,
    ) -> None:  # fmt: skip
        self.problem, self.functions, self.batches, self.live, self.file = problem, functions, batches, live, file
        self.tol, self.max_steps, self.callback = limits.tol, limits.max_steps, limits.callback
        self.fixed = list(problem.data.values())
        start = list(problem.start.values())
        self.plan = functions.plan(start, self.fixed if batches is None else [*self.fixed, *batches.values(0, 1)])
        self.values = self.plan.begin(start)
        self.losses: list[Any] = []
        self.norms: list[Any] = []
        if file is not None:
            self._take_up(file)
        if self.values[STATUS] == NEW:
            # Where nobody looks at the start, the first steps are made with it.
            self._advance(0 if live or limits.callback else min(self.plan.steps, FEW_STEPS - 1))
        # The first call has compiled.
        self.began = self.looked = time.perf_counter()
        if file is not None:
            file.begin(self._state())

    def _take_up(self, file: Checkpoint) -> None:
        """Go on from where the file says, if there is one; the tolerance may have changed."""
        found = file.load()
        if found is None:
            return
        carry = [found[f"carry{k}"] for k in range(len(found) - 2)]
        self.values = [a if a.ndim else a.item() for a in carry]
        self.losses, self.norms = [found["losses"]], [found["norms"]]
        if self.values[STATUS] in (Status.RUNNING, Status.CONVERGED):
            met = self.carry.norm <= self.tol
            self.values[STATUS] = int(Status.CONVERGED if met else Status.RUNNING)

    @property
    def carry(self) -> Carry:
        """The values by name."""
        return self.plan.blank.like(self.values)

    def _state(self) -> dict[str, Any]:
        """Return what a run that is taken up again needs."""
        points = self.values[STEP] + 1
        record = {"losses": np.concatenate(self.losses)[:points], "norms": np.concatenate(self.norms)[:points]}
        return {**{f"carry{k}": np.asarray(v) for k, v in enumerate(self.values)}, **record}

    def go(self) -> Status:
        """Run until it ends; returns why. RUNNING means that max_steps are made."""
        try:
            if self._look(force=True):
                return Status.STOPPED
            n, self.began = max(1, self.plan.steps), time.perf_counter()
            while self._is_going():
                before, t0 = self.values[STEP], time.perf_counter()
                self._advance(n)
                made, seconds = self.values[STEP] - before, time.perf_counter() - t0
                fitting = int(max(made, 1) * PERIOD / max(seconds, 1e-9))
                n = self.plan.steps = max(1, min(n * _GROWTH, fitting, MOST_STEPS))
                if self.file is not None and self.file.is_due:
                    self.file.save(self._state())
                if self._is_going() and self._look():
                    return Status.STOPPED
            return Status(self.values[STATUS])
        except KeyboardInterrupt:
            # The carry is that of the last whole chunk, so what was reached stays.
            return Status.INTERRUPTED
        finally:
            if self.file is not None:
                self.file.save(self._state())

    def _advance(self, n: int) -> None:
        """Make up to n steps, beginning with the start if it is new."""
        before, is_new = self.values[STEP], self.values[STATUS] == NEW
        n = min(n, self.max_steps - before)
        if self.functions.on_host is not None:
            # The host gives each step a part of its state, from the start on.
            n = 0 if is_new else min(n, 1)
            if n:
                c = self.carry
                self.values = c._replace(state=tuple(self.functions.on_host(c.x, c.grad, self.fixed))).flat()
        rows: Sequence[Any] = ()
        if self.batches is not None:
            n = min(n, self.batches.most_steps)
            rows = self.batches.values(before + 1 - is_new, n + is_new)
        blank = self.functions.blank(n + is_new)
        *values, losses, norms = self.functions.chunk(
            *self.values, blank, blank, before + n, self.tol, *self.fixed, *rows
        )
        made = values[STEP] - before + is_new
        self.losses.append(losses[:made])
        self.norms.append(norms[:made])
        # Last, and in one assignment: Ctrl-C between these lines leaves a history that is too long, which
        # `finish` cuts, never one that is too short.
        self.values = values

    def finish(self, end: Status) -> OptimizeResult:
        """Build the result, and show it to callback and panel."""
        problem, step, loss, norm = self.problem, self.values[STEP], self.values[LOSS], self.values[NORM]
        x = self.plan.x(self.values)
        # What the run reached last is the answer, unless it ran away or was cut off on the way.
        best = end in (Status.NOT_FINITE, Status.UNBOUNDED, Status.INTERRUPTED)
        if best:
            c = self.carry
            x, loss, norm = c.best_x, c.best_loss, c.best_norm
        history = History(self.losses, self.norms, step + 1)
        if end is Status.CONVERGED:
            message = converged(step, problem.objective.measure, norm, self.tol)
        else:
            message = explain(end, self.carry, problem, self.tol, self.losses[0][0])
        if self.file is not None and self.file.note:
            message += f" {self.file.note}"
        if self.callback is not None and end not in (Status.STOPPED, Status.INTERRUPTED):
            # The run is over: Ctrl-C here has nothing left to stop, and must not cost the result.
            with suppress(KeyboardInterrupt):
                self.callback(self._progress(x, loss, norm, is_over=True))
        if self.live:
            self.live.close(self._progress(x, loss, norm, is_over=True), message)
        if not best and GRADIENT_NORM not in problem.objective.measure:
            norm = max((float(np.max(np.abs(g))) for g in self.carry.grad), default=0.0)
        named = problem.named(dict(zip(problem.start, x, strict=True)))
        return OptimizeResult(named, float(loss), float(norm), step, end is Status.CONVERGED, message, history)

    def _is_going(self) -> bool:
        return self.values[STATUS] == RUNNING and self.values[STEP] < self.max_steps

    def _look(self, force: bool = False) -> bool:
        """Draw the panel and call the callback if it is time; returns whether the callback asks to stop."""
        if not (self.live or self.callback):
            return False
        now = time.perf_counter()
        if not force and now - self.looked < PERIOD:
            return False
        self.looked = now
        c = self.carry
        state = self._progress(c.x, c.loss, c.norm)
        if self.live:
            self.live.show(state)
        return self.callback is not None and self.callback(state) is True

    def _progress(self, x: Sequence[Any], loss: Any, norm: Any, is_over: bool = False) -> Progress:
        elapsed, step = time.perf_counter() - self.began, self.values[STEP]
        values = {s: np.array(v) for s, v in zip(self.problem.start, x, strict=True)}
        rate = step / elapsed if elapsed > 0 else 0.0
        recent = np.concatenate(self.norms[-2:])
        eta, end = remaining(recent, self.tol, 0 if is_over else self.max_steps - step, rate)
        return Progress(step, float(loss), float(norm), self.problem.named(values), elapsed, rate, eta, end)


__all__ = ["Callback", "Limits", "Path", "go", "run"]
