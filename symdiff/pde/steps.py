"""How long the steps of a run may be, and how long they are if nobody says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.pde import stability
from symdiff.pde.adaptive import Adaptive
from symdiff.pde.fields import Fields
from symdiff.pde.formula import Closure
from symdiff.pde.imex import Imex
from symdiff.pde.jets import TIME
from symdiff.pde.layout import Region, grid_size
from symdiff.pde.parameters import Values, values_key
from symdiff.pde.schedule import positive
from symdiff.pde.spectrum import Entry, Spectrum
from symdiff.pde.split import nonlinear_part, parts
from symdiff.pde.stepper import Stepper

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver, State

# The fraction of the stability limit that dt=None takes.
_SAFETY = 0.9
# Implicit methods have no limit: dt=None takes this multiple of 2/|lambda|, explicit Euler's for the heat equation, and
# at least until/1000.
_IMPLICIT = 10.0
# Adaptive methods find their step; the first is this fraction of the stability limit.
_FIRST = 0.1


class Steps:
    """The limits of a solver's steps, each computed once."""

    def __init__(self, solver: Solver):
        self.solver = solver
        self._limits: dict[Any, float] = {}

    def limit(self, stepper: Stepper, values: Values, state: State, until: float) -> float:
        """Return the largest stable step about a state; see `Solver.stable_dt`."""
        key = (stepper, values_key(values), until)
        if key not in self._limits:
            found = [self._limit(stepper, values, state, at) for at in self._times(until)]
            self._limits[key] = float(np.min(found))
        return self._limits[key]

    def _limit(self, stepper: Stepper, values: Values, state: State, at: float) -> float:
        if isinstance(stepper, Imex):
            return stability.joint_limit(stepper, self._spectrum(self._parts, values, state, at))
        return stability.limit(stepper, self._eigenvalues(values, state, at))

    def _times(self, until: float) -> list[float]:
        return [float(t) for t in np.linspace(0.0, until, 17)] if self._changes and until else [0.0]

    def _fastest(self, values: Values, state: State, until: float) -> float:
        """Return the largest absolute value of an eigenvalue, infinite where formulas at a side make a mode grow."""
        key = ("fastest", values_key(values), until)
        if key not in self._limits:
            found = [np.abs(self._eigenvalues(values, state, at)).max() for at in self._times(until)]
            self._limits[key] = float(np.max(found))
        return self._limits[key]

    @cached_property
    def _linearised(self) -> dict[Node, list[Entry]]:
        return stability.linearised(self.solver.problem)

    @cached_property
    def _parts(self) -> list[dict[Node, list[Entry]]]:
        return [stability.linearised(part.problem) for part in parts(self.solver.semi)]

    @cached_property
    def _changes(self) -> bool:
        return stability.changes(self._linearised, symbols(TIME))

    def _eigenvalues(self, values: Values, state: State, at: float) -> np.ndarray:
        return stability.eigenvalues(self._spectrum([self._linearised], values, state, at))

    def _spectrum(
        self, parts: Sequence[Mapping[Node, Sequence[Entry]]], values: Values, state: State, at: float
    ) -> Spectrum:
        """Return the matrices of linearised equations, or parts of them, about a state."""
        solver = self.solver
        fields = Fields(solver.semi, {**solver.semi.blocks, **solver.semi.solved}, const(at))
        flat = [tuple((f, entry) for f, row in part.items() for entry in row) for part in parts]
        nodes = fields.evaluate([factor for part in flat for _, (_, _, factor) in part], self._everywhere())
        factors = interpret(nodes, solver._inputs(values, state))
        return Spectrum(
            solver.problem,
            solver.order,
            solver.grid.shape,
            solver.grid.spacing,
            self._sides(values, state, at),
            tuple(flat),
            tuple(np.reshape(c, (1,) * (len(solver.grid.shape) - np.ndim(c)) + np.shape(c)) for c in factors),
        )

    def _everywhere(self) -> Region:
        """Return the points that all fields are solved for."""
        layouts = [self.solver.semi.layout[u] for u in self.solver.problem.fields]
        starts = tuple(map(max, zip(*(x.starts for x in layouts), strict=True)))
        left = []
        for axis, name in enumerate(self.solver.grid.axes):
            given = [self.solver.problem.boundary[u, name][1].kind == "value" for u in self.solver.problem.fields]
            left.append(grid_size(name) - (starts[axis] + int(any(given))))
        return Region(starts, tuple(left))

    def _sides(self, values: Values, state: State, at: float) -> dict[tuple[Node, int], tuple[Closure, Closure]]:
        """Return how fields are continued beyond sides, with what the fields themselves feed back there."""
        problem, grid = self.solver.problem, self.solver.grid
        out: dict[tuple[Node, int], tuple[Closure, Closure]] = {}
        semi, inputs = self.solver.semi, self.solver._inputs(values, state)
        fields = Fields(semi, {**semi.blocks, **semi.solved}, const(at))
        for u in (*problem.fields, *problem.definitions):
            for axis, name in enumerate(grid.axes):
                if problem.is_periodic(name):
                    continue
                pair = []
                for end, condition in enumerate(problem.boundary[u, name]):
                    feedback = []
                    for n, expression in zip(condition.orders, condition.data(u), strict=True):
                        most = 0.0
                        if u in free_symbols([expression]):
                            (rate,) = interpret([fields.on_side(diff(expression, u), (u, axis, end))], inputs)
                            # What grows there sets no limit.
                            most = min(float(np.min(rate)), 0.0)
                        feedback.append(grid.spacing[axis] ** n * most)
                    pair.append(Closure(condition.kind, condition.orders, tuple(feedback)))
                out[u, axis] = (pair[0], pair[1])
                if u in problem.definitions:
                    out[nonlinear_part(u), axis] = out[u, axis]
        return out

    def choose(
        self, stepper: Stepper, dt: float | None, values: Values, state: State, until: float, force: bool
    ) -> float:
        """Return the largest allowed step. Raises DomainError for an unstable one."""
        given = None if dt is None else positive(dt, "dt", "leave it out for an automatic one")
        has_limit = not stepper.is_implicit or isinstance(stepper, Imex)
        if given is not None and (force or not has_limit or isinstance(stepper, Adaptive)):
            return given
        limit = self.limit(stepper, values, state, until) if has_limit else np.inf
        if isinstance(stepper, Adaptive):
            return min(_FIRST * limit, until / 100) if limit > 0 else until / 1000
        fastest = self._fastest(values, state, until) if stepper.is_implicit or limit == 0 else 0.0
        if np.isnan(limit + fastest) or limit == 0 or np.isinf(fastest):
            raise DomainError(f"{stepper.name} has no stable step here ({self._why_not(limit, fastest)}.")
        if given is not None:
            self._check(stepper, given, limit)
            return given
        longest = min(_SAFETY * limit, until) if np.isfinite(limit) else until
        if stepper.is_implicit:
            return min(max(_IMPLICIT * 2 / fastest, until / 1000) if fastest else until / 1000, longest)
        return longest if np.isfinite(limit) else until / 1000

    def _why_not(self, limit: float, fastest: float) -> str:
        if np.isnan(limit + fastest):
            return "the linearised equations are not finite at the initial state); give dt with force=True"
        if np.isinf(fastest):
            return (
                f"the formulas of order {self.solver.order} make a mode at a side grow, the faster the finer the grid, "
                "whatever dt is); use order=2, differences that lean against the flow (pde.upwind), or some diffusion, "
                "or give dt with force=True for a short time"
            )
        return "every dt is unstable); use another method or give dt with force=True"

    def _check(self, stepper: Stepper, given: float, limit: float) -> None:
        """Raise DomainError for a step above the limit."""
        if given > limit * (1 + 1e-9):
            spacing = ", ".join(f"{h:.4g}" for h in self.solver.grid.spacing)
            other = "'sdirk2'" if isinstance(stepper, Imex) else "'crank-nicolson'"
            raise DomainError(
                f"dt = {given:g} is unstable for {stepper.name} with spacing {spacing}: the limit is {limit:.6g}, "
                f"{given / limit:.3g} times smaller. Use a smaller dt or dt=None, an implicit method such as {other}, "
                "or force=True to run anyway."
            )
