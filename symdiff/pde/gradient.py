"""The gradient of a functional of a run by the discrete adjoint: the derivative of what is computed.

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
from symdiff.ir.dims import as_extent
from symdiff.ir.errors import ConvergenceError, DomainError, UnknownSymbolError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops import leaves
from symdiff.ops.index import broadcast_to
from symdiff.pde.adaptive import Adaptive
from symdiff.pde.fields import Fields
from symdiff.pde.functional import Functional
from symdiff.pde.implicit import Implicit
from symdiff.pde.jets import is_field
from symdiff.pde.kernel import loop
from symdiff.pde.newton import ACCEPTED_RESIDUAL
from symdiff.pde.schedule import Piece
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.solution import lookup
from symdiff.pde.stepper import Stepper

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver, State, Values


@dataclass(frozen=True, slots=True)
class Gradient:
    """The `value` of a functional, and `gradient[k]`: its derivative by a parameter, or by a field's initial values.

    The derivative by initial values is an array on the grid, 0 at the points of Dirichlet sides.
    """

    value: float
    parts: dict[Node, Any]
    steps: int
    dt: float

    def __getitem__(self, key: Any) -> Any:
        """Return the derivative by a parameter or field, given itself or by name."""
        return lookup(self.parts, key)


def discrete_adjoint(
    solver: Solver,
    functional: Any,
    wrt: Sequence[Any],
    stepper: Stepper,
    values: Values,
    state: State,
    steps: Piece,
    target: str,
    max_bytes: int,
) -> Gradient:
    """Run and go back; see `Solver.gradient`."""
    if isinstance(stepper, Adaptive):
        raise DomainError(
            "The steps of rk45 follow their error, so its run has no gradient; use another method such as 'rk4'."
        )
    if isinstance(stepper, Implicit):
        stepper = replace(stepper, is_differentiable=True)
    n, dt = steps.n, steps.dt
    keys = [_key(solver, w) for w in wrt]
    goal = Functional(solver.semi, functional, "The functional of a gradient")
    goal.check(solver.grid.shape)
    keeps_all = n * sum(x.nbytes for x in state) <= max_bytes
    cached = ("gradient", goal.expression, tuple(keys), stepper, target, keeps_all)
    if cached not in solver.compiled:
        solver.compiled[cached] = _compiled(solver, goal, keys, stepper, target, keeps_all)
    arrays = [np.zeros_like(x) for x in state] + [x for x, i in zip(state, _initial(solver), strict=True) if i is None]
    fixed = (*solver.grid.spacing, *solver.grid.points, *values.values())
    value, residual, bad, *found = solver.compiled[cached](0, n, 0.0, dt, *fixed, np.empty(n), *arrays)
    if bad or not residual <= ACCEPTED_RESIDUAL:
        raise ConvergenceError(
            f"The run of {stepper.name} with dt = {dt:g} has no gradient: a step failed, or values became infinite or "
            "NaN. Solver.run with the same settings says where; try a smaller dt."
        )
    parts = {k: _whole(solver, k, g) if is_field(k) else float(g) for k, g in zip(keys, found, strict=True)}
    return Gradient(float(value), parts, n, dt)


def _key(solver: Solver, w: Any) -> Node:
    problem = solver.problem
    known = {k.params["name"]: k for k in (*problem.parameters, *problem.fields)}
    name = w if isinstance(w, str) else as_node(w).params.get("name")
    if name not in known:
        raise UnknownSymbolError(f"{w!s} is no parameter and no field of the problem; it has {', '.join(known)}.")
    return known[name]


def _initial(solver: Solver) -> list[Node | None]:
    """Return the initial expressions of the fields, None where an array is given."""
    given = [solver.problem.initial[u] for u in solver.problem.fields]
    return [None if isinstance(g, np.ndarray) else g for g in given]


def _compiled(
    solver: Solver, goal: Functional, keys: Sequence[Node], stepper: Stepper, target: str, keeps_all: bool
) -> Callable[..., Sequence[Any]]:
    from symdiff.compile import compile  # late: it loads LLVM

    semi = solver.semi
    offsets = {u: _like(f"offset {u.params['name']}", b) for u, b in semi.blocks.items()}
    arrays = {u: b for (u, b), i in zip(semi.blocks.items(), _initial(solver), strict=True) if i is None}
    # The number of steps is the size of an array that nothing reads.
    steps = leaves.symbol(name="\0steps", shape=(as_extent("steps"),), dtype="float64")
    outputs, inputs = loop(semi, stepper, steps.shape[0] if keeps_all else None)
    n_fixed = 4 + len(semi.spacings) + len(semi.points) + len(semi.problem.parameters)
    fixed, places = inputs[:n_fixed], inputs[n_fixed:]
    start = _start(semi, _initial(solver), offsets)
    first = [*semi.extended(start, const(0.0)), *substitute(stepper.memory(semi), _by_symbol(semi, start))]
    outputs = substitute(outputs, dict(zip(places, first, strict=True)))
    _, residual, bad, *after = outputs
    final = {u: semi.inner(u, x) for u, x in zip(semi.blocks, after, strict=False)}
    (begin, stop, dt) = (fixed[2], fixed[1], fixed[3])
    value = goal.at(final, begin + cast(stop, "float64") * dt)
    wrt = [offsets[k] if is_field(k) else k for k in keys]
    back = vjp_nodes([value], wrt, [const(1.0)])
    return compile([value, residual, bad, *back], [*fixed, steps, *offsets.values(), *arrays.values()], target=target)


def _start(semi: Semidiscrete, initial: Sequence[Node | None], offsets: Mapping[Node, Node]) -> dict[Node, Node]:
    """Return the unknowns at time 0 as expressions in parameters, plus what they are varied by."""
    fields, out = Fields(semi, semi.blocks, const(0.0)), {}
    for (u, block), expression in zip(semi.blocks.items(), initial, strict=True):
        value = block
        if expression is not None:
            (value,) = fields.evaluate([expression], semi.layout[u].region)
            value = broadcast_to(value, shape=block.shape)
        out[u] = value + offsets[u]
    return out


def _by_symbol(semi: Semidiscrete, start: Mapping[Node, Node]) -> dict[Node, Node]:
    return {block: start[u] for u, block in semi.blocks.items()}


def _like(name: str, block: Node) -> Node:
    return leaves.symbol(name=f"\0{name}", shape=block.shape, dtype="float64")


def _whole(solver: Solver, u: Node, block: Any) -> np.ndarray:
    out = np.zeros(solver.grid.shape)
    out[solver.block(u)] = block
    return out
