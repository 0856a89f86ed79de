"""The gradient of a goal of a run by the discrete adjoint: the derivative of what is computed.

The time loop is one expression, so reverse mode goes back through it, with checkpoints under a bound of memory. An
implicit step is gone back through by one system with the transposed matrix. The gradient is that of the numbers
which the run gives, to rounding errors, not an approximation of the differential equation's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.reverse import vjp_nodes
from symdiff.ir.errors import ConvergenceError, DomainError, UnknownSymbolError
from symdiff.ir.node import Node, as_node, const
from symdiff.pde.adaptive import Adaptive
from symdiff.pde.course import Clock, Course, clock
from symdiff.pde.goals import Goal
from symdiff.pde.implicit import Implicit
from symdiff.pde.newton import ACCEPTED_RESIDUAL
from symdiff.pde.parameters import Values, values_of
from symdiff.pde.schedule import positive
from symdiff.pde.solution import lookup
from symdiff.pde.stepper import Stepper

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver, State


@dataclass(frozen=True, slots=True)
class Gradient:
    """The `value` of a goal, and `gradient[k]`: its derivative by a parameter, a known field or initial values.

    The derivative by a known field or by initial values is an array on the grid, of initial values 0 at the points of
    Dirichlet sides.
    """

    value: float
    parts: dict[Node, Any]
    steps: int
    dt: float

    def __getitem__(self, key: Any) -> Any:
        """Return the derivative by a parameter or field, given itself or by name."""
        return lookup(self.parts, key)


@dataclass(frozen=True, slots=True)
class Reversible:
    """A run that can be gone back through: its expression, the values of its symbols, and its keys `wrt`.

    `start` are the unknowns at time 0, `given` the values of parameters and known fields.
    """

    solver: Solver
    course: Course
    values: list[Any]
    start: State
    given: Values
    keys: list[Node]
    ticks: Clock
    key: Any

    @property
    def variables(self) -> list[Node]:
        """The symbols that the keys are in the expression."""
        return [self.course.variables[k] for k in self.keys]

    @property
    def point(self) -> dict[Node, Any]:
        """The values of the expression's symbols."""
        return dict(zip(self.course.inputs, self.values, strict=True))

    def gradient(self, target: str) -> Gradient:
        """Run and go back. Raises ConvergenceError where the run fails."""
        compiled = self.solver.compiled
        key = ("gradient", self.key, target)
        if key not in compiled:
            compiled[key] = self._compiled(target)
        value, residual, bad, *found = compiled[key](*self.values)
        if bad or not residual <= ACCEPTED_RESIDUAL:
            raise ConvergenceError(
                f"The run of {self.course.stepper.name} with dt = {self.ticks.dts.max():g} has no gradient: a step "
                "failed, or values became infinite or NaN. Solver.run with the same settings says where; try a "
                "smaller dt."
            )
        parts = {k: self._whole(k, g) for k, g in zip(self.keys, found, strict=True)}
        return Gradient(float(value), parts, self.ticks.steps, float(self.ticks.dts.max()))

    def _compiled(self, target: str) -> Callable[..., Sequence[Any]]:
        from symdiff.compile import compile  # late: it loads LLVM

        course = self.course
        back = vjp_nodes([course.value], self.variables, [const(1.0)])
        return compile([course.value, course.residual, course.bad, *back], course.inputs, target=target)

    def _whole(self, key: Node, found: Any) -> Any:
        if key in self.solver.problem.fields:
            out = np.zeros(self.solver.grid.shape)
            out[self.solver.block(key)] = found
            return out
        return np.asarray(found) if key in self.solver.problem.known else float(found)


def reversible(
    solver: Solver,
    goal: Any,
    wrt: Any,
    until: float,
    method: str | Stepper = "rk4",
    dt: float | None = None,
    parameters: Mapping[Any, Any] | None = None,
    force: bool = False,
    linear_solver: str = "auto",
    max_bytes: int = 2**30,
) -> Reversible:
    """Return a run as an expression; see `Solver.gradient`."""
    stepper, values = solver._ready(method, linear_solver), values_of(solver.semi, solver.grid, parameters)
    until, state = positive(until, "until", "it is the time at which the run ends"), solver._start(values)
    longest = solver._steps.choose(stepper, dt, values, state, until, force)
    state = state[: len(solver.problem.fields)]  # those that elliptic equations determine follow from them
    if isinstance(stepper, Adaptive):
        raise DomainError(
            "The steps of rk45 follow their error, so its run has no gradient; use another method such as 'rk4'."
        )
    if isinstance(stepper, Implicit):
        stepper = replace(stepper, is_differentiable=True)
    keys = [_key(solver, w) for w in (wrt if isinstance(wrt, (list, tuple)) else [wrt])]
    total = Goal(solver.semi, solver.grid, goal)
    late = [t for t in total.times() if t > until * (1 + 1e-12)]
    if late:
        raise DomainError(f"Something was observed at t = {late[0]:g}, after the end of the run at {until:g}.")
    ticks = clock(until, longest, total)
    keeps_all = (ticks.n + len(ticks.ends)) * sum(x.nbytes for x in state) <= max_bytes
    given = [solver.problem.initial[u] for u in solver.problem.fields]
    initial = [g if isinstance(g, Node) else None for g in given]
    key = (total.key, tuple(keys), stepper, keeps_all)
    course = solver.compiled.get(("course", key)) or Course(solver.semi, stepper, total, initial, keeps_all)
    solver.compiled["course", key] = course
    fixed = (*solver.grid.spacing, *solver.grid.points, *values.values())
    inputs = course.values(ticks, fixed, state, initial, total)
    return Reversible(solver, course, inputs, state, values, keys, ticks, key)


def _key(solver: Solver, w: Any) -> Node:
    problem = solver.problem
    known = {k.params["name"]: k for k in (*problem.parameters, *problem.fields, *problem.known)}
    name = w if isinstance(w, str) else as_node(w).params.get("name")
    if not isinstance(name, str) or name not in known:
        raise UnknownSymbolError(f"{w!s} is no parameter and no field of the problem; it has {', '.join(known)}.")
    return known[name]
