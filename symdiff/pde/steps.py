"""How long the steps of a run may be, and how long they are if nobody says so."""

from __future__ import annotations

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
from symdiff.pde.conditions import Neumann, Robin
from symdiff.pde.evaluate import on_points
from symdiff.pde.fields import Fields
from symdiff.pde.jets import TIME, jets
from symdiff.pde.methods import METHODS
from symdiff.pde.parameters import Values, values_key
from symdiff.pde.schedule import positive
from symdiff.pde.stepper import Stepper

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver, State

# The fraction of the stability limit that dt=None takes.
_SAFETY = 0.9
# Implicit methods have no limit: dt=None takes this multiple of explicit Euler's, and at least until/1000.
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
            times = np.linspace(0.0, until, 17) if self._changes and until else [0.0]
            found = [stability.limit(stepper, self._eigenvalues(values, state, float(t))) for t in times]
            self._limits[key] = float(np.min(found))
        return self._limits[key]

    @cached_property
    def _linearised(self) -> dict[Node, list[stability.Entry]]:
        return stability.linearised(self.solver.problem)

    @cached_property
    def _changes(self) -> bool:
        return stability.changes(self._linearised, symbols(TIME))

    def _eigenvalues(self, values: Values, state: State, at: float) -> np.ndarray:
        fields = Fields(self.solver.semi, self.solver.semi.blocks, const(at))
        factors = {}
        for f, row in self._linearised.items():
            nodes = fields.evaluate([factor for _, _, factor in row], self.solver.semi.layout[f].region)
            factors[f] = interpret(nodes, self.solver._inputs(values, state))
        feedback = self._feedback(values, state, at)
        return stability.eigenvalues(
            self.solver.problem, self.solver.order, self.solver.grid.spacing, self._linearised, factors, feedback
        )

    def _feedback(self, values: Values, state: State, at: float) -> dict[tuple[Node, int, int], float]:
        """Return, for every Neumann or Robin side, the most damping derivative of its slope by the field itself."""
        rates = {}
        for u in self.solver.problem.fields:
            for axis, name in enumerate(self.solver.grid.axes):
                for end, condition in enumerate(self.solver.problem.boundary[u, name]):
                    if isinstance(condition, (Neumann, Robin)) and u in free_symbols([condition.slope_of(u)]):
                        rates[u, axis, end] = diff(condition.slope_of(u), u)
        fields = self.solver.assemble(state, at, values) if rates else {}
        out = {}
        for (u, axis, end), rate in rates.items():
            side = self.solver._side(axis, end)
            found = on_points(
                rate, self.solver._side_points(axis, side), at, values, {v: fields[v][side] for v in jets([rate])}
            )
            out[u, axis, end] = float(np.min(found))
        return out

    def choose(
        self, stepper: Stepper, dt: float | None, values: Values, state: State, until: float, force: bool
    ) -> float:
        """Return the largest allowed step. Raises DomainError for an unstable one."""
        given = None if dt is None else positive(dt, "dt", "leave it out for an automatic one")
        if given is not None and (force or stepper.is_implicit or isinstance(stepper, Adaptive)):
            return given
        limit = self.limit(METHODS["euler"] if stepper.is_implicit else stepper, values, state, until)
        if isinstance(stepper, Adaptive):
            return min(_FIRST * limit, until / 100) if limit > 0 else until / 1000
        if np.isnan(limit) or limit == 0:
            why = (
                "the linearised equations are not finite at the initial state"
                if np.isnan(limit)
                else "every dt is unstable"
            )
            raise DomainError(
                f"{stepper.name} has no stable step here ({why}); use another method or give dt with force=True."
            )
        if stepper.is_implicit:
            return min(max(_IMPLICIT * limit, until / 1000), until) if np.isfinite(limit) else until / 1000
        if given is None:
            return min(_SAFETY * limit, until) if np.isfinite(limit) else until / 1000
        if given > limit * (1 + 1e-9):
            spacing = ", ".join(f"{h:.4g}" for h in self.solver.grid.spacing)
            raise DomainError(
                f"dt = {given:g} is unstable for {stepper.name} with spacing {spacing}: the limit is {limit:.6g}, "
                f"{given / limit:.3g} times smaller. Use a smaller dt or dt=None, an implicit method such as "
                "'crank-nicolson', or force=True to run anyway."
            )
        return given
