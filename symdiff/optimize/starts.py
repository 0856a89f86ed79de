"""Many starts: one run from each, which stops by itself, and the results side by side.

The runs share one prepared iteration and follow one another. A loop over all of them at once, mapped by `diff.batch`,
makes small steps in lanes, but takes ten times as long to compile and goes on until the last run has ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.optimize.result import OptimizeResult

_STOPPED = re.compile("interrupted|stopped by the callback", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class MultiResult(OptimizeResult):
    """The outcome of `minimize` from many starts: arrays with one entry, or one row, for each.

    `results` holds what each run returned by itself, `best` the one with the lowest loss among those that converged, or
    among all if none did. `message` and `history` are those of `best`.
    """

    fun: Any
    grad_norm: Any
    steps: Any
    converged: Any
    results: tuple[OptimizeResult, ...] = ()

    @property
    def best(self) -> OptimizeResult:
        """The best of the results."""
        return self.results[_best(self.fun, self.converged)]

    def __repr__(self) -> str:
        """Return how many runs converged, and the best of them."""
        n, m = int(np.sum(self.converged)), len(self.results)
        spread = f"{np.nanmin(self.fun):.10g} to {np.nanmax(self.fun):.10g}" if np.isfinite(self.fun).any() else "nan"
        number = _best(self.fun, self.converged)
        return f"{n} of {m} runs converged, losses {spread}\nbest, run {number}:\n{self.best!r}"


def each_start(start: Any) -> list[dict[Any, Any]] | None:
    """Return the starts one by one if every value has one more axis than its symbol, None if none has.

    Raises ShapeError if only some have, or if their numbers differ.
    """
    if not isinstance(start, Mapping):
        return None
    for key, value in start.items():  # quick where nothing is to be told
        if type(key) is not Node or type(value) is not np.ndarray or value.ndim != len(key.shape):
            break
    else:
        return None
    more = {key: v for key, v in ((k, _array(v)) for k, v in start.items()) if v.ndim == _rank(key) + 1}
    if not more:
        return None
    name, values = next((key, v) for key, v in more.items())
    for key in start:
        if key not in more or len(more[key]) != len(values):
            what = f"{len(more[key])}" if key in more else "one"
            raise ShapeError(
                f"start gives {len(values)} values of {brief(as_node(name))} and {what} of {brief(as_node(key))}; for "
                "runs from many starts give as many of each, along a leading axis."
            )
    if not len(values):
        raise ShapeError(f"start gives no value of {brief(as_node(name))}: its leading axis counts the starts.")
    return [{key: v[k] for key, v in more.items()} for k in range(len(values))]


def run_each(starts: Sequence[Mapping[Any, Any]], run: Callable[[Mapping[Any, Any]], OptimizeResult]) -> MultiResult:
    """Run from every start. A run that is stopped, by the callback or by Ctrl-C, is the last one."""
    results: list[OptimizeResult] = []
    for start in starts:
        results.append(run(start))
        if _STOPPED.search(results[-1].message):
            break
    return gathered([*results, *(_not_begun(s) for s in starts[len(results) :])])


def gathered(results: Sequence[OptimizeResult]) -> MultiResult:
    """Return results side by side."""
    x = {key: np.stack([np.asarray(r.x[key]) for r in results]) for key in results[0].x}
    fun, converged = np.array([r.fun for r in results]), np.array([r.converged for r in results])
    best = results[_best(fun, converged)]
    return MultiResult(
        x,
        fun,
        np.array([r.grad_norm for r in results]),
        np.array([r.steps for r in results]),
        converged,
        best.message,
        best.history,
        tuple(results),
    )


def _best(fun: np.ndarray, converged: np.ndarray) -> int:
    candidates = np.where(converged | ~converged.any(), fun, np.inf)
    return int(np.argmin(np.where(np.isnan(candidates), np.inf, candidates)))


def _not_begun(start: Mapping[Any, Any]) -> OptimizeResult:
    none = {name: np.zeros(0) for name in ("step", "loss", "grad_norm")}
    message = "Not begun: a run before was stopped."
    return OptimizeResult(dict(start), float("nan"), float("nan"), 0, False, message, none)


def _array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        return np.zeros(())  # ragged, which is told where the value is read


def _rank(key: Any) -> int:
    if isinstance(key, str):
        return -2
    node = key if isinstance(key, Node) else as_node(key)
    return len(node.shape)


__all__ = ["MultiResult", "each_start", "gathered", "run_each"]
