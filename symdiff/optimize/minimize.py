"""minimize: find a point where the gradient of a scalar expression vanishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symdiff.diff.wrt import as_scalar_function
from symdiff.ir.errors import DomainError, DTypeError
from symdiff.optimize.augmented_lagrangian import Constrained, as_unconstrained
from symdiff.optimize.batches import Batches, check_rule
from symdiff.optimize.bounds import check_takes_bounds, with_bounds
from symdiff.optimize.compiled import evaluation
from symdiff.optimize.constrained import minimize_constrained
from symdiff.optimize.inputs import Problem, check_limits, read_problem
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule
from symdiff.optimize.run import Callback, Path, run
from symdiff.optimize.scipy_methods import PREFIX, ScipyRun
from symdiff.optimize.starts import each_start, run_each


def minimize(
    f: Any,
    start: Mapping[Any, Any],
    data: Mapping[Any, Any] | None = None,
    method: str | Rule | Constrained | None = None,
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
    checkpoint: Path | None = None,
) -> OptimizeResult:
    """Minimise the scalar expression `f` over the symbols of `start`, from their values there.

    `data` gives the values of all other symbols. `method` is a name ("gd", "newton", "adam") or an object with
    its settings, "newton" by default and "lbfgs-b" within bounds; "scipy:BFGS" and the like hand compiled values,
    gradients, Hessians or their products to SciPy. The whole iteration is one compiled loop, run in chunks of about
    50 ms; between chunks the `progress` panel is drawn and `callback` is called with a `Progress` (also at the start
    and at the end) and may stop the run by returning True.
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

    `checkpoint` names a file that is written from time to time, at the end and on Ctrl-C, always as a whole. Where it
    is there already, the run goes on from it and makes the steps that it would have made, bit for bit; `tol` and
    `max_steps` may differ. A save that fails during the run is a warning.

    Where every start value has one more axis than its symbol, there is a run from each row, which stops by itself; the
    result is then a `MultiResult`, whose `best` is the best run's. A run that is stopped is the last one.

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
    if callback is not None and not callable(callback):
        raise DTypeError(f"minimize: callback is a function of the progress, got {callback!r}.")
    if method is None:
        method = "newton" if bounds is None else "lbfgs-b"
    starts = each_start(start)
    if starts is not None:
        if checkpoint is not None:
            raise DomainError("minimize: a checkpoint holds one run; leave it out, or run from one start at a time.")
        options = (method, tol, max_steps, progress, callback, target, batch_size, seed, sampling, bounds, constraints)
        return run_each(starts, lambda one: minimize(f, one, data, *options))
    if constraints is not None:
        if batch_size is not None:
            raise DomainError("minimize: constraints are not for batches; leave batch_size out.")
        if checkpoint is not None:
            raise DomainError("minimize: runs under constraints have no checkpoints; leave checkpoint out.")
        limits = float(tol), int(max_steps), progress, callback, target
        return minimize_constrained(
            as_scalar_function(f, "minimize"), start, data, bounds, constraints, method, *limits
        )
    problem = read_problem(f, start, data)
    if bounds is not None:
        problem = with_bounds(problem, bounds)
    if isinstance(method, str) and method.startswith(PREFIX):
        if batch_size is not None or checkpoint is not None:
            raise DomainError("minimize: SciPy's methods take neither batch_size nor checkpoint.")
        return ScipyRun(problem, method.removeprefix(PREFIX), target, callback).go(float(tol), int(max_steps))
    rule = as_unconstrained(method)
    if bounds is not None:
        check_takes_bounds(rule)
    if batch_size is None:
        return run(problem, rule, tol, max_steps, progress, callback, target, None, checkpoint)
    check_rule(rule)
    batches = Batches(problem, batch_size, seed, sampling)
    result = run(batches.problem, rule, 0.0, max_steps, progress, callback, target, batches, checkpoint)
    return judged(result, problem, float(tol), target)


def judged(result: OptimizeResult, problem: Problem, tol: float, target: str) -> OptimizeResult:
    """Return the result of a run on batches with the loss and gradient of all rows."""
    x = [result.x[problem.keys[s]] for s in problem.start]
    loss, norm = evaluation(problem.objective, tuple(problem.data), target)(*x, *problem.data.values())
    converged = bool(np.isfinite(loss) and norm <= tol)
    done = f"Made {result.steps} steps on batches." if result.message.startswith("Not converged") else result.message
    text = f" All rows: loss {float(loss):.6g}, gradient norm {float(norm):.3e}, tol {tol:.1e}."
    return replace(result, fun=float(loss), grad_norm=float(norm), converged=converged, message=done + text)


__all__ = ["Callback", "judged", "minimize", "run"]
