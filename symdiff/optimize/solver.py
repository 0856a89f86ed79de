"""solver: a minimisation that is prepared once and called with many starts and data."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.optimize.compiled import Compiled, compiled
from symdiff.optimize.inputs import Question, as_mapping, check_limits
from symdiff.optimize.loop import Iteration
from symdiff.optimize.methods import as_rule
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule
from symdiff.optimize.run import Callback, Limits, go
from symdiff.optimize.scipy_methods import PREFIX
from symdiff.optimize.starts import each_start, run_each


class Solver:
    """A function of a start and of data that minimises. Make one with `sd.optimize.solver`."""

    def __init__(self, question: Question, rule: Rule, tol: float, max_steps: int, target: str):
        self.question, self.rule, self.target = question, rule, target
        self.limits = Limits(float(tol), int(max_steps))

    def __call__(
        self,
        start: Mapping[Any, Any],
        data: Mapping[Any, Any] | None = None,
        progress: bool = False,
        callback: Callback | None = None,
    ) -> OptimizeResult:
        """Minimise from the values of `start`; see `minimize`.

        Raises: DTypeError, ShapeError, UnknownSymbolError, naming the symbol.
        """
        starts = each_start(start)
        if starts is not None:
            return run_each(starts, lambda one: self(one, data, progress, callback))
        problem = self.question.problem(as_mapping(start, "start"), as_mapping(data or {}, "data"))
        whole = problem.objective is self.question.objective
        # An unknown without entries is no unknown: another function, compiled when that happens.
        functions = self.functions if whole else self._compiled(problem.objective, list(problem.data))
        limits = replace(self.limits, progress=progress, callback=callback) if progress or callback else self.limits
        return go(problem, self.rule, functions, limits)

    @functools.cached_property
    def functions(self) -> Compiled:
        """The compiled functions of the whole problem."""
        return self._compiled(self.question.objective, list(self.question.data))

    def _compiled(self, objective: Any, data: list[Node]) -> Compiled:
        return compiled(Iteration(objective, self.rule), data, self.target)

    def __repr__(self) -> str:
        names = ", ".join(str(s.params["name"]) for s in self.question.objective.unknowns)
        most = f"tol {self.limits.tol:.1e}, at most {self.limits.max_steps} steps"
        return f"<symdiff solver ({names}) with {self.rule}, {most}>"


def solver(
    f: Any,
    unknowns: Iterable[Any] | Node,
    method: str | Rule = "newton",
    tol: float = 1e-8,
    max_steps: int = 1000,
    target: str = "cpu",
) -> Solver:
    """Return a function that minimises the scalar expression `f` over symbols, checked and compiled already.

    It is called as `solve(start, data)`, with a dict of starts and one of the values of all other symbols, and gives
    what `minimize` gives, which prepares and calls. `unknowns` is a symbol or several; the other arguments are those of
    `minimize`.

    Raises: ShapeError, DTypeError, DerivativeError, UnknownSymbolError, DomainError.

    >>> import symdiff as sd
    >>> x, c = sd.symbols("x c")
    >>> solve = sd.optimize.solver((x - c) ** 2, [x], method="newton", target="reference")
    >>> [float(solve({x: 0.0}, {c: value}).x[x]) for value in (1.5, 2.5)]
    [1.5, 2.5]
    """
    check_limits(tol, max_steps)
    if isinstance(method, str) and method.startswith(PREFIX):
        raise DomainError(f"solver: SciPy's loops are not compiled; call minimize with method={method!r}.")
    rule = as_rule(method)
    prepared = Solver(
        Question(f, [unknowns] if isinstance(unknowns, Node) else unknowns, None), rule, tol, max_steps, target
    )
    prepared.functions.chunk  # noqa: B018  # compiled when it is asked for
    return prepared


__all__ = ["Solver", "solver"]
