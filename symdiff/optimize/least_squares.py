"""least_squares: find where the sum of squared residuals is smallest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from symdiff.diff.wrt import as_function, as_list
from symdiff.ir.dims import evaluate
from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.interpret import bind_sizes
from symdiff.optimize.gauss_newton import GaussNewton
from symdiff.optimize.inputs import check_limits, read_problem
from symdiff.optimize.levenberg_marquardt import LevenbergMarquardt
from symdiff.optimize.minimize import Callback, run
from symdiff.optimize.objective import pack
from symdiff.optimize.residuals import Residuals
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule
from symdiff.optimize.vectors import total

METHODS: dict[str, Rule] = {"gauss-newton": GaussNewton(), "levenberg-marquardt": LevenbergMarquardt()}
"""The methods for sums of squares, with their default settings."""


def least_squares(
    residuals: Any,
    start: Mapping[Any, Any],
    data: Mapping[Any, Any] | None = None,
    method: str | Rule = "levenberg-marquardt",
    tol: float = 1e-9,
    max_steps: int = 1000,
    progress: bool = False,
    callback: Callback | None = None,
    target: str = "cpu",
) -> OptimizeResult:
    """Minimise half the sum of squares of `residuals`, an expression or a list of them, over the symbols of `start`.

    Everything is as for `minimize`, but `method` is "levenberg-marquardt", "gauss-newton", or an object of one of these
    with its settings, and `tol` bounds what does not depend on units: the run has converged where the cosine of the
    angle between the residuals and the plane of their tangents, or the relative length of the step to that plane's
    nearest point, is at most `tol`. `history["grad_norm"]` holds the smaller of these two.

    Shapes: residuals of any shape. Returns: an `OptimizeResult`; `fun` is half the sum
    of squares, `grad_norm` the gradient's infinity norm. Raises: as `minimize`; DomainError where data are empty.
    Method: Bates & Watts 1981 (the criterion); see `LevenbergMarquardt` and `GaussNewton`.

    >>> import symdiff as sd
    >>> a, b = sd.symbols("a b")
    >>> t, y = sd.vector("t", "n"), sd.vector("y", "n")
    >>> data = {t: [0.0, 1.0, 2.0], y: [2.0, 1.0, 0.5]}
    >>> res = sd.least_squares(a * sd.exp(-b * t) - y, {a: 1.0, b: 1.0}, data, target="reference")
    >>> res.converged, round(float(res.x[a]), 9), round(float(res.x[b]), 9)
    (True, 2.0, 0.693147181)
    """
    check_limits(tol, max_steps)
    rule = _as_rule(method)
    parts = [as_function(r) for r in as_list(residuals)[0]]
    r = pack(parts)
    problem = read_problem(0.5 * total(r * r), start, data)
    if not evaluate(r.shape[0], bind_sizes({**problem.start, **problem.data})):
        raise DomainError("least_squares: there are no residuals: the data are empty.")
    objective = Residuals(problem.objective.f, problem.objective.unknowns, r)
    problem = replace(problem, objective=objective)
    return run(problem, rule, tol, max_steps, progress, callback, target)


def _as_rule(method: Any) -> Rule:
    if isinstance(method, str):
        if method not in METHODS:
            names = ", ".join(map(repr, METHODS))
            raise DomainError(f"least_squares has no method {method!r}; the methods are {names}, or such an object.")
        return METHODS[method]
    if not isinstance(method, (LevenbergMarquardt, GaussNewton)):
        raise DTypeError(f"least_squares: method is a LevenbergMarquardt(…) or GaussNewton(), got {method!r}.")
    return method


__all__ = ["METHODS", "least_squares"]
