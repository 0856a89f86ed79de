"""Observed orders of convergence: errors on ever finer grids, differences of runs with ever smaller steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from symdiff.ir.errors import ConvergenceError, DomainError, DTypeError
from symdiff.pde import pictures
from symdiff.pde.evaluate import on_points
from symdiff.pde.methods import as_stepper
from symdiff.pde.problem import Problem

# Errors below this part of the solution are rounding errors of some thousand operations, and show no order.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Convergence:
    """Errors on ever finer grids or steps, and the orders between neighbours.

    `sizes` are the spacings ("h") or steps ("dt"), as `what` says, `errors` the largest errors at the end, `orders` one
    number less, NaN between rounding errors. `stated` is the order that was expected.
    """

    sizes: tuple[float, ...]
    errors: tuple[float, ...]
    orders: tuple[float, ...]
    what: str
    stated: float

    @property
    def order(self) -> float:
        """The order that the last refinement showed."""
        return self.orders[-1]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return a matplotlib figure of the errors beside the slope that is stated, and write it to `path`.

        Raises DomainError where matplotlib is not installed, or the file cannot be written.
        """
        figure, (ax,) = pictures.panels(1)
        sizes, errors = np.array(self.sizes), np.array(self.errors)
        ax.loglog(sizes, errors, "o-", label="observed")
        ax.loglog(sizes, errors[0] * (sizes / sizes[0]) ** self.stated, "--", label=f"order {self.stated:g}")
        ax.set_xlabel(self.what)
        ax.set_ylabel("largest error")
        ax.legend()
        pictures.write(figure, path)
        return figure

    def __repr__(self) -> str:
        rows = [f"{self.what:>10}       error   order"]
        for k, (h, e) in enumerate(zip(self.sizes, self.errors, strict=True)):
            order = "" if k == 0 else "      exact" if np.isnan(self.orders[k - 1]) else f"  {self.orders[k - 1]:6.2f}"
            rows.append(f"{h:10.3e}  {e:10.3e}{order}")
        return "\n".join(rows)


def convergence(
    problem: Problem,
    shapes: Sequence[Any],
    until: float | None = None,
    order: int = 2,
    method: str = "rk4",
    dts: Sequence[float | None] | None = None,
    expect: float | None = None,
    band: float = 0.3,
    **options: Any,
) -> Convergence:
    """Return the errors of runs with known solution (`manufactured`) and the observed orders.

    With several `shapes` (a number is that along every axis) the order is that in space: `dts` gives the step on each,
    None an automatic one (pick steps small enough not to matter). With one shape and several `dts` it is the order in
    time, from the differences of runs with neighbouring steps, so that the error in space cancels. `options` go to
    `Solver.run`; a steady problem is solved, and has no `until`.

    Raises ConvergenceError when the last order is lower by more than `band` than `expect`, by default the order that
    is stated of the formulas in space or of the method; `expect=0` takes any. Where all is exact up to rounding errors
    there is no order to see, and nothing to raise.

    >>> import symdiff as sd
    >>> from symdiff import pde
    >>> x, t = pde.coordinates("x t")
    >>> u = pde.field("u")
    >>> problem = pde.manufactured("dt(u) = laplace(u)", {u: sd.exp(-t) * sd.cos(x)}, pde.Box(x=(0, 1)))
    >>> pde.convergence(problem, [9, 17, 33], until=0.05)
             h       error   order
     1.250e-01   5.046e-05
     6.250e-02   1.283e-05    1.98
     3.125e-02   3.214e-06    2.00
    """
    if not isinstance(shapes, (list, tuple)):
        raise DTypeError(f"convergence takes a list of shapes, such as [16, 32, 64], got {shapes!r}.")
    axes = problem.domain.axes
    grids = [shape if isinstance(shape, (list, tuple)) else (shape,) * len(axes) for shape in shapes]
    if len(grids) == 1 and dts is not None and len(dts) > 2 and not problem.is_steady:
        sizes, errors, scale = _in_time(problem, grids[0], until, order, method, list(dts), options)
        what, stated = "dt", as_stepper(method).order
    elif len(grids) > 1 and (dts is None or len(dts) == len(grids)):
        sizes, errors, scale = _in_space(problem, grids, until, order, method, dts, options)
        what, stated = "h", order
    else:
        raise DomainError(
            "convergence takes at least two shapes, with one dt for each if any, or one shape and at least three dts."
        )
    found = np.array(errors)
    with np.errstate(all="ignore"):
        orders = np.diff(np.log(found)) / np.diff(np.log(sizes))
    orders[np.maximum(found[:-1], found[1:]) <= _ROUNDING * scale] = np.nan
    goal = float(stated if expect is None else expect)
    result = Convergence(tuple(sizes), tuple(errors), tuple(orders.tolist()), what, goal)
    if not (result.order >= goal - band or errors[-1] <= _ROUNDING * scale):
        other = "smaller dts, where the error in time is the larger one" if what == "h" else "smaller dts"
        raise ConvergenceError(
            f"Expected order {goal:g} (at most {band:g} less), observed {result.order:.2f}:\n{result!r}\nTry finer "
            f"grids or {other}."
        )
    return result


def error(problem: Problem, solution: Any, parameters: Mapping[Any, Any] | None = None) -> float:
    """Return the largest difference of a solution from the problem's exact one, at its time."""
    return max(float(np.abs(solution[u] - e).max()) for u, e in _exact(problem, solution, parameters).items())


def _exact(problem: Problem, solution: Any, parameters: Mapping[Any, Any] | None) -> dict[Any, np.ndarray]:
    """Return the exact solution of every field on the grid of another one."""
    if not problem.exact:
        raise DomainError("The problem has no exact solution; make it with pde.manufactured.")
    given = {key if isinstance(key, str) else key.params["name"]: value for key, value in (parameters or {}).items()}
    values = {s: float(given[s.params["name"]]) for s in problem.parameters}
    points = dict(zip(solution.grid.axes, solution.grid.mesh(), strict=True))
    return {u: on_points(e, points, solution.t, values) for u, e in problem.exact.items()}


def _in_space(
    problem: Problem,
    shapes: Sequence[Any],
    until: float | None,
    order: int,
    method: str,
    dts: Sequence[float | None] | None,
    options: Any,
) -> tuple[list[float], list[float], float]:
    sizes, errors, scale = [], [], 0.0
    for shape, dt in zip(shapes, dts or [None] * len(shapes), strict=True):
        solver = problem.discretize(shape, order)
        if problem.is_steady:
            solution = solver.steady(**options)
        else:
            solution = solver.run(_end(until), method=method, dt=dt, **options)
        sizes.append(max(solver.grid.spacing))
        exact = _exact(problem, solution, options.get("parameters"))
        errors.append(max(float(np.abs(solution[u] - e).max()) for u, e in exact.items()))
        scale = max(float(np.abs(e).max()) for e in exact.values())
    return sizes, errors, scale


def _in_time(
    problem: Problem,
    shape: Any,
    until: float | None,
    order: int,
    method: str,
    dts: Sequence[float | None],
    options: Any,
) -> tuple[list[float], list[float], float]:
    solver = problem.discretize(shape, order)
    runs = [solver.run(_end(until), method=method, dt=dt, **options) for dt in dts]
    errors = [max(float(np.abs(a[u] - b[u]).max()) for u in problem.fields) for a, b in pairwise(runs)]
    return [run.dt for run in runs[:-1]], errors, max(float(np.abs(runs[-1][u]).max()) for u in problem.fields)


def _end(until: float | None) -> float:
    if until is None:
        raise DomainError("convergence of a problem that evolves needs until, the time at which errors are taken.")
    return until
