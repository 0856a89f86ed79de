"""Minimisation under constraints: rounds of minimisation without them."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from symdiff.ir.node import Node
from symdiff.live import Live
from symdiff.ops.reduce import sum_
from symdiff.optimize.augmented_lagrangian import Constrained, as_constrained
from symdiff.optimize.bounds import check_takes_bounds, with_bounds
from symdiff.optimize.constraints import Constraint, lagrangian_symbols, read_constraints
from symdiff.optimize.inputs import Problem, read_problem
from symdiff.optimize.methods import as_rule
from symdiff.optimize.progress import Progress, panel
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule
from symdiff.optimize.run import Callback, run

_MOST_ROUNDS = 100
# The penalty at which the constraints count as contradictory, over the first.
_MOST_PENALTY = 1e12
# A round brings the violation to this part of the last one's, or the penalty grows.
_PROGRESS = 0.25
# Rounds begin with this tolerance on the gradient, which shrinks by a factor each time, down to `tol`.
_FIRST_TOL, _SHARPER = 1e-3, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstrainedResult(OptimizeResult):
    """The outcome of `minimize` under constraints.

    `multipliers` holds an array for each constraint, like it: at a solution the gradient of f is the sum of the
    multipliers times the gradients of the constraints c = 0 or c >= 0, where a >= b is c = a - b and a <= b is
    c = b - a, and multipliers of inequalities are not negative. `grad_norm` is the infinity norm of the difference,
    `violation` the largest amount by which a constraint fails; `converged` is True only if both are at most tol, and
    the multipliers of inequalities that hold with room are zero to that tolerance. `history` has an entry for each
    round: "step", "loss", "grad_norm", "violation", "penalty". A callback sees the function of a round, not f.
    """

    multipliers: list[np.ndarray] = field(default_factory=list)
    violation: float = math.nan

    def __repr__(self) -> str:
        """Return one aligned line for each field, as SciPy prints its results."""
        rows = [*OptimizeResult.__repr__(self).split("\n"), f"violation: {self.violation:.3e}"]
        rows += [f"multipliers[{k}]: {m}" for k, m in enumerate(self.multipliers)]
        split = [row.strip().partition(": ") for row in rows]
        width = max(len(label) for label, _, _ in split)
        return "\n".join(f"{label:>{width}}: {value}" for label, _, value in split)


def minimize_constrained(
    f: Node,
    start: Mapping[Any, Any],
    data: Mapping[Any, Any] | None,
    bounds: Mapping[Any, Any] | None,
    constraints: Any,
    method: Any,
    tol: float,
    max_steps: int,
    progress: bool,
    callback: Callback | None,
    target: str,
) -> ConstrainedResult:
    """Minimise `f` where the constraints hold; see `minimize`."""
    outer, parts = as_constrained(method), read_constraints(constraints)
    rule = as_rule(outer.inner)
    # The symbols of all functions together: an unknown may occur in a constraint only.
    problem = read_problem(_total([f, *(c.c for c in parts)]), start, data)
    if bounds is not None:
        check_takes_bounds(rule)
        problem = with_bounds(problem, bounds)
    title = f"minimize ({type(outer).__name__}, {type(rule).__name__})"
    with panel(title, max_steps, tol) if progress else nullcontext() as live:
        rounds = _Rounds(f, parts, problem, outer, rule, (tol, max_steps, target), callback, live)
        result = rounds.go()
        if live:
            live.close(rounds.last, result.message)
    return result


class _Rounds:
    """A run under constraints: the point, the multipliers and the penalty between the rounds."""

    def __init__(
        self,
        f: Node,
        parts: list[Constraint],
        problem: Problem,
        outer: Constrained,
        rule: Rule,
        limits: tuple[float, int, str],
        callback: Callback | None,
        live: Live | None,
    ) -> None:
        self.parts, self.outer, self.rule, self.callback, self.live = parts, outer, rule, callback, live
        self.tol, self.max_steps, self.target = limits
        symbols, mu = lagrangian_symbols(parts, f.dtype)
        whole = _total([f, *(c.term(m, mu) for c, m in zip(parts, symbols, strict=True))])
        self.problem = replace(problem, objective=replace(problem.objective, f=whole))
        self.symbols = [*symbols, mu]
        known = (*problem.start, *problem.data)
        self.values = _compiled((f, *(c.c for c in parts)), known, self.target)
        self.penalty, self.steps = outer.penalty, 0
        self.loss, self.c = self._evaluate(list(problem.start.values()))
        self.found = self.multipliers = [np.zeros_like(c) for c in self.c]
        self.history: dict[str, list[float]] = {k: [] for k in ("step", "loss", "grad_norm", "violation", "penalty")}
        self.last = Progress(0, self.loss, math.nan, problem.named(problem.start), 0.0, 0.0)

    def go(self) -> ConstrainedResult:
        """Make rounds until the conditions of first order hold, or no further round helps."""
        tol, before = max(self.tol, _FIRST_TOL), math.inf
        for _ in range(_MOST_ROUNDS):
            inner = run(
                self._problem(), self.rule, tol, self.max_steps - self.steps, False, self._callback(), self.target
            )
            self.steps += inner.steps
            x = [np.asarray(inner.x[self.problem.keys[s]], s.dtype) for s in self.problem.start]
            if inner.message.startswith("Diverged"):
                # The augmented Lagrangian may be unbounded below where the penalty is small.
                self.penalty *= self.outer.growth
                if self._is_over(inner):
                    return self._result(inner, f"Diverged, with a penalty of {self.penalty:.1e}: {inner.message}")
                continue
            self.problem = replace(self.problem, start=dict(zip(self.problem.start, x, strict=True)))
            self.loss, self.c = self._evaluate(x)
            slack = self._update()
            self._record(inner.grad_norm)
            if inner.grad_norm <= self.tol and slack <= self.tol:
                return self._result(inner, None)
            if self._is_over(inner):
                return self._result(inner, self._why(inner))
            if slack > _PROGRESS * before:
                self.penalty *= self.outer.growth
            before, tol = slack, max(self.tol, _SHARPER * tol)
        return self._result(inner, self._why(inner))

    def _update(self) -> float:
        """Compute the multipliers of this round; returns how far the constraints are from holding."""
        pairs = list(zip(self.parts, self.multipliers, self.c, strict=True))
        self.found = [p.better_multiplier(m, c, self.penalty) for p, m, c in pairs]
        self.multipliers = [self.outer.multiplier(p, m, c, self.penalty) for p, m, c in pairs]
        return max(p.slack(c, m) for p, c, m in zip(self.parts, self.c, self.found, strict=True))

    def _problem(self) -> Problem:
        values = [*self.multipliers, np.asarray(self.penalty, self.symbols[-1].dtype)]
        return replace(self.problem, data=self.problem.data | dict(zip(self.symbols, values, strict=True)))

    def _evaluate(self, x: Sequence[np.ndarray]) -> tuple[float, list[np.ndarray]]:
        loss, *c = self.values(*x, *self.problem.data.values())
        return float(loss), [np.asarray(v) for v in c]

    def _violation(self) -> float:
        return max(p.violation(c) for p, c in zip(self.parts, self.c, strict=True))

    def _record(self, norm: float) -> None:
        values = (self.steps, self.loss, norm, self._violation(), self.penalty)
        for name, value in zip(self.history, values, strict=True):
            self.history[name].append(value)

    def _callback(self) -> Callback | None:
        """Return the callback of a round, which counts the steps of the whole run."""
        done = self.steps

        def look(now: Progress) -> Any:
            self.last = replace(now, step=done + now.step)
            if self.live:
                self.live.show(self.last)
            return self.callback(self.last) if self.callback else None

        return look if self.live or self.callback else None

    def _is_over(self, inner: OptimizeResult) -> bool:
        cut = inner.message.startswith(("Stopped", "Interrupted", "Not started"))
        return cut or self.steps >= self.max_steps or self.penalty > _MOST_PENALTY * self.outer.penalty

    def _why(self, inner: OptimizeResult) -> str:
        if inner.message.startswith(("Stopped", "Interrupted", "Not started")):
            return inner.message
        state = (
            f"gradient norm of the Lagrangian {inner.grad_norm:.3e}, constraint violation {self._violation():.3e}, "
            f"tol {self.tol:.1e}"
        )
        if self.steps >= self.max_steps:
            return f"Not converged after {self.steps} steps (max_steps): {state}."
        if self._violation() > self.tol:
            return (
                f"Not converged after {self.steps} steps: {state}. The violation stays however large the penalty, now "
                f"{self.penalty:.1e}: the constraints contradict each other, or no way from the start leads to where "
                "they hold."
            )
        return f"Not converged after {self.steps} steps: {state}. The last round: {inner.message}"

    def _result(self, inner: OptimizeResult, why: str | None) -> ConstrainedResult:
        """Return the result; without a reason why not, the run has converged."""
        rounds = len(self.history["step"])
        done = (
            f"Converged after {self.steps} steps in {rounds} round{'' if rounds == 1 else 's'}: gradient norm of the "
            f"Lagrangian {inner.grad_norm:.3e}, constraint violation {self._violation():.3e} <= tol {self.tol:.1e}."
        )
        return ConstrainedResult(
            x=self.problem.named(self.problem.start), fun=self.loss, grad_norm=inner.grad_norm, steps=self.steps,
            converged=why is None, message=why or done, history={k: np.array(v) for k, v in self.history.items()},
            multipliers=self.found, violation=self._violation(),
        )  # fmt: skip


def _total(arrays: Sequence[Node]) -> Node:
    return functools.reduce(operator.add, (sum_(a, axes=range(a.ndim)) for a in arrays))


@functools.lru_cache(maxsize=32)
def _compiled(outputs: tuple[Node, ...], symbols: tuple[Node, ...], target: str) -> Callable[..., list[Any]]:
    # Late: the compiler loads LLVM.
    from symdiff.compile import compile

    return compile(list(outputs), list(symbols), target=target)


__all__ = ["ConstrainedResult", "minimize_constrained"]
