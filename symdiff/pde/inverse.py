"""Inverse problems: the parameters, known fields and initial values for which a goal of a run is least.

And tests of the derivatives that this takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.dot_product import DotProductTest, dot_product_test
from symdiff.diff.taylor_remainder import TaylorTest
from symdiff.diff.taylor_remainder import taylor_test as taylor_test_of
from symdiff.ir.errors import ShapeError, UnknownSymbolError
from symdiff.ir.node import Node
from symdiff.optimize.minimize import minimize
from symdiff.optimize.objective import pack
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule
from symdiff.pde.gradient import Reversible, reversible
from symdiff.pde.solution import lookup

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver


@dataclass(frozen=True, slots=True)
class Fit:
    """What `fit` found: `fit[m]` for every key of its start, the `loss` there and the `result` of the minimisation."""

    parts: dict[Node, Any]
    result: OptimizeResult

    @property
    def loss(self) -> float:
        """The goal at what was found."""
        return float(self.result.fun)

    def __getitem__(self, key: Any) -> Any:
        """Return the value of a parameter or field, given itself or by name."""
        return lookup(self.parts, key)

    def __repr__(self) -> str:
        names = ", ".join(str(k) for k in self.parts)
        return f"Fit({names}; loss {self.loss:.6g} after {self.result.steps} steps: {self.result.message})"


def fit(
    solver: Solver,
    goal: Any,
    start: Mapping[Any, Any],
    until: float,
    method: str | Rule = "scipy:L-BFGS-B",
    tol: float = 1e-6,
    max_steps: int = 200,
    bounds: Mapping[Any, Any] | None = None,
    progress: bool = False,
    callback: Any = None,
    target: str = "cpu",
    run: str = "rk4",
    dt: float | None = None,
    parameters: Mapping[Any, Any] | None = None,
    **options: Any,
) -> Fit:
    """Minimise a goal of runs, as in `Solver.gradient`, over parameters, known fields and initial values.

    `start` gives the values to begin with, arrays on the grid for fields. `run` is the method of the runs, all with the
    steps that are stable for the start; give a smaller `dt`, or take an implicit method, where factors may grow.
    `method`, `tol`, `max_steps`, `bounds`, `progress` and `callback` are those of `sd.minimize`, `parameters` and
    `options` those of `Solver.gradient`.

    >>> import symdiff as sd
    >>> from symdiff import pde
    >>> x, u, k = pde.coordinates("x"), pde.field("u"), sd.symbols("k")
    >>> decay = pde.Problem(pde.Eq(pde.dt(u), -k * u), pde.Box(x=(0, 1)), {"x": pde.Periodic()}, {u: 1})
    >>> seen = pde.Observations(u, times=[1.0], values=[[0.5]], at={"x": [0.25]})
    >>> found = pde.fit(decay.discretize(4), seen, {k: 1.0}, until=1.0, dt=0.1, target="reference")
    >>> print(f"{found[k]:.5f}")  # log(2), to the error of rk4
    0.69315
    """
    evolving = {u.params["name"] for u in solver.problem.fields}
    given = {**(parameters or {}), **{k: v for k, v in start.items() if str(k) not in evolving}}
    model = reversible(solver, goal, list(start), until, run, dt, given, **options)
    point = model.point
    first = {x: _first(model, k, v) for k, x, v in zip(model.keys, model.variables, start.values(), strict=True)}
    data = {x: v for x, v in point.items() if x not in first}
    symbols = {str(k): x for k, x in zip(model.keys, model.variables, strict=True)}
    unknown = [str(k) for k in bounds or {} if str(k) not in symbols]
    if unknown:
        raise UnknownSymbolError(f"{unknown[0]!r} has bounds and no start; the start has {', '.join(symbols)}.")
    keys = {str(k): k for k in model.keys}
    limits = {symbols[str(k)]: _limits(model, keys[str(k)], pair) for k, pair in (bounds or {}).items()}
    result = minimize(
        model.course.value, first, data, method, tol, max_steps, progress, callback, target, bounds=limits or None
    )
    return Fit(_found(model, result.x), result)


def _first(model: Reversible, key: Node, value: Any) -> Any:
    """Return the start of a variable; of a field that evolves it is what is added to the problem's initial values."""
    if key not in model.solver.problem.fields:
        return model.given[model.course.variables[key]]
    return _added(model, key, value)


def _limits(model: Reversible, key: Node, pair: Any) -> Any:
    if key not in model.solver.problem.fields:
        return pair
    return tuple(None if limit is None else _added(model, key, limit) for limit in pair)


def _added(model: Reversible, key: Node, value: Any) -> np.ndarray:
    """Return what makes the problem's initial values of a field these."""
    solver, fields = model.solver, model.solver.problem.fields
    full = np.asarray(value, dtype=float)
    if full.shape not in ((), solver.grid.shape):
        raise ShapeError(f"The values of {key!s} have shape {full.shape}, the grid has {solver.grid.shape}.")
    return np.broadcast_to(full, solver.grid.shape)[solver.block(key)] - model.start[fields.index(key)]


def _found(model: Reversible, x: Mapping[Node, Any]) -> dict[Node, Any]:
    solver, variables = model.solver, model.course.variables
    values = {k: x.get(k, v) for k, v in model.given.items()}
    state = [b + x.get(variables[u], 0.0) for u, b in zip(solver.problem.fields, model.start, strict=True)]
    full = solver.whole.assemble(state, 0.0, values)
    out = {}
    for k in model.keys:
        is_number = k in solver.problem.parameters
        out[k] = full[k] if k in full else float(x[variables[k]]) if is_number else np.asarray(x[variables[k]])
    return out


def taylor_test(solver: Solver, goal: Any, wrt: Any, until: float, order: int = 1, **options: Any) -> TaylorTest:
    """Test that the gradient of a goal of a run leaves a remainder of second order along a random direction.

    `goal`, `wrt` and `options` are those of `Solver.gradient`; the test is `sd.taylor_test`, which prints as a table of
    steps, remainders and their rates.

    >>> import symdiff as sd
    >>> from symdiff import pde
    >>> x, u, k = pde.coordinates("x"), pde.field("u"), sd.symbols("k")
    >>> heat = pde.Problem(pde.Eq(pde.dt(u), k * pde.dx(u, 2)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x})
    >>> test = taylor_test(heat.discretize(9), pde.integral(u**2), [k, u], 0.02, parameters={k: 0.3})
    >>> test.passed, round(test.slope, 1)
    (True, 2.0)
    """
    run = reversible(solver, goal, wrt, until, **options)
    return taylor_test_of(run.course.value, run.point, run.variables, order)


def dot_test(solver: Solver, wrt: Any, until: float, **options: Any) -> DotProductTest:
    """Test that going back through a run is the transpose of its derivative: <w, J v> = <J' w, v>.

    J takes changes of `wrt` to those of the unknowns at `until`, v and w are random; `options` are those of
    `Solver.gradient`. The result prints as a table.

    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> heat = pde.Problem(pde.Eq(pde.dt(u), pde.dx(u, 2)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x})
    >>> dot_test(heat.discretize(9), u, 0.02).passed
    True
    """
    run = reversible(solver, [], wrt, until, **options)
    return dot_product_test(pack(list(run.course.final.values())), run.point, run.variables)
