"""minimize: find a point where the gradient of a scalar expression vanishes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from symdiff.diff.wrt import as_scalar_function
from symdiff.ir.errors import DomainError
from symdiff.live import Live
from symdiff.optimize.augmented_lagrangian import Constrained, as_unconstrained
from symdiff.optimize.batches import Batches, check_rule
from symdiff.optimize.bounds import check_takes_bounds, with_bounds
from symdiff.optimize.compiled import compiled, first_carry
from symdiff.optimize.inputs import Problem, Values, check_limits, not_finite, read_problem
from symdiff.optimize.loop import MOST_STEPS, Carry, Iteration, Status
from symdiff.optimize.messages import explain
from symdiff.optimize.objective import GRADIENT_NORM
from symdiff.optimize.progress import PERIOD, Progress, panel
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule
from symdiff.optimize.scipy_methods import PREFIX, ScipyRun

Callback = Callable[[Progress], Any]
_GROWTH = 8  # of the chunk, at most, from one to the next: a first measurement is rough


def minimize(
    f: Any,
    start: Mapping[Any, Any],
    data: Mapping[Any, Any] | None = None,
    method: str | Rule | Constrained = "newton",
    tol: float = 1e-8,
    max_steps: int = 1000,
    progress: bool = False,
    callback: Callback | None = None,
    target: str = "cpu",
    batch_size: int | None = None,
    seed: int = 0,
    sampling: str = "reshuffle",
    bounds: Mapping[Any, Any] | None = None,
    constraints: Sequence[Any] | None = None,
) -> OptimizeResult:
    """Minimise the scalar expression `f` over the symbols of `start`, from their values there.

    `data` gives the values of all other symbols. `method` is a name ("gd", "newton", "adam") or an object with
    its settings; "scipy:BFGS" and the like hand compiled values, gradients, Hessians or their products to SciPy. The
    whole iteration is one compiled loop, run in chunks of about 50 ms; between chunks the `progress` panel is drawn and
    `callback` is called with a `Progress` (also at the start and at the end) and may stop the run by returning True.
    Ctrl-C ends the run and returns the best point so far.

    With `batch_size` each step sees that many rows of the data whose first extent is a run-time size, drawn by `seed`:
    in a new order each epoch ("reshuffle"), in one order ("once") or with "replacement". The history then holds the
    losses of the batches; the run makes `max_steps` steps and is judged by the whole loss at its end.

    `bounds` maps unknowns to pairs (low, high) of numbers or arrays that broadcast to them, None where there is none;
    "lbfgs-b", "projected-gradient" and some of SciPy's methods take them. The run begins at the nearest point within
    them, and has converged where the projected gradient's infinity norm is at most `tol`.

    `constraints` lists expressions that are to vanish and comparisons such as `x + y <= 1`, entry by entry for arrays.
    `method` is then an `AugmentedLagrangian` or a `QuadraticPenalty` (or "augmented-lagrangian", "quadratic-penalty");
    the name of a rule is the inner rule of the former. The result is a `ConstrainedResult`, with multipliers and
    violation.

    Shapes: each value has its symbol's shape; run-time sizes are read from the values.
    Returns: an `OptimizeResult`, converged where the gradient's infinity norm is at most `tol`. A run that
    diverges, meets NaN or can decrease the loss no further ends with `converged=False` and says so in `message`.
    Raises: ShapeError, DTypeError, DerivativeError, UnknownSymbolError, DomainError, before the run.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.minimize((x - 1) ** 2 + (y + 2) ** 2, {x: 0.0, y: 0.0}, target="reference")
    >>> res.converged, res.steps, float(res.x[y])
    (True, 1, -2.0)
    """
    check_limits(tol, max_steps)
    if constraints is not None:
        if batch_size is not None:
            raise DomainError("minimize: constraints are not for batches; leave batch_size out.")
        from symdiff.optimize.constrained import minimize_constrained

        limits = float(tol), int(max_steps), progress, callback, target
        return minimize_constrained(
            as_scalar_function(f, "minimize"), start, data, bounds, constraints, method, *limits
        )
    problem = read_problem(f, start, data)
    if bounds is not None:
        problem = with_bounds(problem, bounds)
    if isinstance(method, str) and method.startswith(PREFIX):
        return _by_scipy(problem, method.removeprefix(PREFIX), tol, max_steps, callback, target, batch_size)
    rule = as_unconstrained(method)
    if bounds is not None:
        check_takes_bounds(rule)
    if batch_size is None:
        return run(problem, rule, tol, max_steps, progress, callback, target)
    check_rule(rule)
    batches = Batches(problem, batch_size, seed, sampling)
    result = run(batches.problem, rule, 0.0, max_steps, progress, callback, target, batches)
    return judged(result, problem, rule, float(tol), target)


def run(
    problem: Problem,
    rule: Rule,
    tol: float,
    max_steps: int,
    progress: bool,
    callback: Callback | None,
    target: str,
    batches: Batches | None = None,
) -> OptimizeResult:
    """Run a rule on a problem that is checked; see `minimize`."""
    title = f"minimize ({type(rule).__name__})"
    with panel(title, int(max_steps), float(tol)) if progress else nullcontext() as live:
        whole = _Run(problem, rule, float(tol), int(max_steps), target, callback, live, batches)
        return whole.finish(whole.go())


def _by_scipy(
    problem: Problem, name: str, tol: float, max_steps: int, callback: Callback | None, target: str, batch_size: Any
) -> OptimizeResult:
    if batch_size is not None:
        raise DomainError("minimize: SciPy's methods take no batch_size.")
    return ScipyRun(problem, name, target, callback).go(float(tol), int(max_steps))


def judged(result: OptimizeResult, problem: Problem, rule: Rule, tol: float, target: str) -> OptimizeResult:
    """Return the result of a run on batches with the loss and gradient of all rows."""
    x = [result.x[problem.keys[s]] for s in problem.start]
    loss, norm, *_ = compiled(Iteration(problem.objective, rule), list(problem.data), target).start(
        *x, *problem.data.values()
    )
    converged = bool(np.isfinite(loss) and norm <= tol)
    done = f"Made {result.steps} steps on batches." if result.message.startswith("Not converged") else result.message
    text = f" All rows: loss {float(loss):.6g}, gradient norm {float(norm):.3e}, tol {tol:.1e}."
    return replace(result, fun=float(loss), grad_norm=float(norm), converged=converged, message=done + text)


class _Run:
    """One call of `minimize`: the carry between the chunks, and the clock."""

    def __init__(
        self,
        problem: Problem,
        rule: Rule,
        tol: float,
        max_steps: int,
        target: str,
        callback: Callback | None,
        live: Live | None,
        batches: Batches | None,
    ) -> None:
        self.batches = batches
        self.problem, self.tol, self.max_steps = problem, tol, max_steps
        self.callback, self.live = callback, live
        symbols = [*problem.data, *(batches.symbols if batches else ())]
        self.functions = compiled(Iteration(problem.objective, rule), symbols, target)
        self.fixed = list(problem.data.values())
        self.carry = self._begin()
        self.losses, self.norms = [np.atleast_1d(self.carry.loss)], [np.atleast_1d(self.carry.norm)]
        self.began = self.looked = time.perf_counter()

    def go(self) -> Status:
        """Run until it ends; returns why. RUNNING means that max_steps are made."""
        try:
            if self._look(force=True):
                return Status.STOPPED
            return self._chunks() if self._is_going() else self._status()
        except KeyboardInterrupt:
            # The carry is that of the last whole chunk, so what was reached stays.
            return Status.INTERRUPTED

    def _chunks(self) -> Status:
        chunk = self.functions.chunk
        n = 1
        self.began = time.perf_counter()
        while self._is_going():
            before, t0 = int(self.carry.step), time.perf_counter()
            n = min(n, self.max_steps - before, self.batches.most_steps if self.batches else n)
            data = [*self.fixed, *(self.batches.values(before + 1, n) if self.batches else ())]
            *values, loss, norm = chunk(*self.carry.flat(), before + n, self.tol, *data)
            reached = self.carry.like(values)
            made = int(reached.step) - before
            self.losses.append(np.array(loss).ravel()[:made])
            self.norms.append(np.array(norm).ravel()[:made])
            # Last, and in one assignment: Ctrl-C between these lines leaves a history that is too long, which
            # `finish` cuts, never one that is too short.
            self.carry = reached
            seconds = max(time.perf_counter() - t0, 1e-9)
            n = max(1, min(n * _GROWTH, int(n * PERIOD / seconds), MOST_STEPS))
            if self._is_going() and self._look():
                return Status.STOPPED
        return self._status()

    def finish(self, end: Status) -> OptimizeResult:
        """Build the result, and show it to callback and panel."""
        c, n = self.carry, int(self.carry.step) + 1
        # What the run reached last is the answer, unless it ran away or was cut off on the way.
        best = end in (Status.NOT_FINITE, Status.UNBOUNDED, Status.INTERRUPTED)
        now = self._progress(*((c.best_x, c.best_loss, c.best_norm) if best else (c.x, c.loss, c.norm)))
        history = {
            "step": np.arange(n),
            "loss": np.concatenate(self.losses)[:n],
            "grad_norm": np.concatenate(self.norms)[:n],
        }
        message = explain(end, c, self.problem, self.tol, float(history["loss"][0]))
        if self.callback is not None and end not in (Status.STOPPED, Status.INTERRUPTED):
            # The run is over: Ctrl-C here has nothing left to stop, and must not cost the result.
            with suppress(KeyboardInterrupt):
                self.callback(now)
        if self.live:
            self.live.close(now, message)
        # The measure of convergence need not be the gradient's norm.
        grad_norm = now.grad_norm
        if not best and GRADIENT_NORM not in self.problem.objective.measure:
            grad_norm = max((float(np.max(np.abs(g))) for g in c.grad), default=0.0)
        return OptimizeResult(now.x, now.loss, grad_norm, now.step, end is Status.CONVERGED, message, history)

    def _begin(self) -> Carry:
        """Evaluate the start; returns the first carry."""
        start = tuple(self.problem.start.values())
        first = self.batches.values(0, 1) if self.batches else ()
        values = self.functions.start(*start, *self.fixed, *first)
        finite = np.isfinite(values[0]) and np.isfinite(values[1]) and not not_finite(self.problem.start)
        status = (Status.CONVERGED if values[1] <= self.tol else Status.RUNNING) if finite else Status.NOT_FINITE
        return first_carry(start, values, 0, int(status))

    def _status(self) -> Status:
        return Status(int(self.carry.status))

    def _is_going(self) -> bool:
        return self._status() is Status.RUNNING and int(self.carry.step) < self.max_steps

    def _look(self, force: bool = False) -> bool:
        """Draw the panel and call the callback if it is time; returns whether the callback asks to stop."""
        now = time.perf_counter()
        if (not force and now - self.looked < PERIOD) or not (self.live or self.callback):
            return False
        self.looked = now
        state = self._progress(self.carry.x, self.carry.loss, self.carry.norm)
        if self.live:
            self.live.show(state)
        return self.callback is not None and self.callback(state) is True

    def _progress(self, x: Sequence[Any], loss: Any, norm: Any) -> Progress:
        elapsed, step = time.perf_counter() - self.began, int(self.carry.step)
        values: Values = {s: np.array(v) for s, v in zip(self.problem.start, x, strict=True)}
        rate = step / elapsed if elapsed > 0 else 0.0
        return Progress(step, float(loss), float(norm), self.problem.named(values), elapsed, rate)
