"""Why a minimisation ended, in words that say what to try next."""

from __future__ import annotations

import numpy as np

from symdiff.ir.node import brief
from symdiff.optimize.inputs import Problem, not_finite
from symdiff.optimize.loop import Carry, Status


def converged(steps: int, measure: str, norm: float, tol: float) -> str:
    """Return the message of a run that has converged."""
    return f"Converged {_after(steps)}: {measure} {norm:.3e} <= tol {tol:.1e}."


def explain(end: Status, c: Carry, problem: Problem, tol: float, first_loss: float) -> str:
    """Return the message of a run that ended otherwise, with `end` at the carry `c`."""
    n = c.step
    at, norm = _after(n), f"{problem.objective.measure} {c.norm:.3e}"
    best = f"the best point, from step {int(c.best_step)} with loss {float(c.best_loss):.6g}, is returned"
    match end:
        case Status.NOT_FINITE:
            return _diverged(c, problem, at, best) if n else _not_started(c, problem)
        case Status.UNBOUNDED:
            return f"Diverged {at}: the loss fell to {float(c.loss):.3e}, the function seems unbounded below; {best}."
        case Status.STUCK:
            return (
                f"No further decrease possible {at}: no step along the search direction lowers the loss in "
                f"{problem.objective.f.dtype} arithmetic; {norm} > tol {tol:.1e}. Try a larger tol, or rescale."
            )
        case Status.INTERRUPTED:
            return f"Interrupted {at}: {best}."
        case Status.STOPPED:
            return f"Stopped by the callback {at}: {norm}, tol {tol:.1e}."
        case _:
            return f"Not converged {at} (max_steps): {norm} > tol {tol:.1e}.{_trend(float(c.loss), first_loss)}"


def _after(steps: int) -> str:
    return f"after {steps} step{'' if steps == 1 else 's'}"


def _trend(loss: float, first: float) -> str:
    if loss <= first:
        return ""
    return f" The loss rose from {first:.6g} to {loss:.6g}: the run diverges; try a smaller lr."


def _diverged(c: Carry, problem: Problem, at: str, best: str) -> str:
    what = "the gradient became infinite or NaN" if np.isfinite(c.loss) else f"the loss became {float(c.loss)}"
    cause = _bad_data(problem)
    hint = f"T{cause[1:]}." if cause else "Try a smaller lr, another start, or a method with a line search."
    return f"Diverged {at}: {what}; {best}. {hint}"


def _not_started(c: Carry, problem: Problem) -> str:
    """Name what is not finite at the start, and the value that causes it if it is given."""
    what = f"the loss is {float(c.loss)} at the start"
    if np.isfinite(c.loss):
        grads = {s: np.asarray(g) for s, g in zip(problem.start, c.grad, strict=True)}
        bad = not_finite(grads)
        what = f"the gradient by {bad} at the start" if bad else "the start is not finite"
    cause = not_finite(problem.start)
    if cause:
        return f"Not started: {what}; the start value {cause}."
    cause = _bad_data(problem)
    if cause:
        return f"Not started: {what}; {cause}."
    return f"Not started: {what}, although all values are finite; start where the function is defined and smooth."


def _bad_data(problem: Problem) -> str | None:
    """Name the user's data that are not finite, or empty."""
    names = {whole: part for part, whole in getattr(problem.objective, "rows", ())}  # of the data of batches
    data = {names.get(s, s): v for s, v in problem.data.items()}
    # A leading NUL marks what is ours, such as bounds, which may be infinite.
    data = {s: v for s, v in data.items() if not s.params["name"].startswith("\0")}
    cause = not_finite({s: v for s, v in data.items() if v.dtype.kind == "f"})
    if cause:
        return f"the data value {cause}"
    empty = next((s for s, v in data.items() if not v.size), None)
    return None if empty is None else f"the data of {brief(empty)} are empty, of shape {data[empty].shape}"


__all__ = ["converged", "explain"]
