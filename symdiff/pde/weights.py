"""The inner product of the trapezoidal rule, in which operators between Neumann sides are self-adjoint."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.node import Node, const
from symdiff.ops.elementwise import eq, where
from symdiff.ops.index import reshape
from symdiff.ops.leaves import iota, size
from symdiff.pde.linear import LinearSolver, System, Vector


def weighed(system: System) -> Vector:
    """Return the weights of the unknowns in the trapezoidal rule: 1/2 for each side on which they lie.

    In this inner product a symmetric operator between Neumann sides is self-adjoint.
    """
    semi, out = system.semi, []
    for u, v in zip(semi.problem.fields, system.v, strict=True):
        weight = const(1.0)
        for k, axis in enumerate(semi.axes):
            kinds = [side.kind for side in semi.problem.boundary[u, axis]]
            shape = tuple(d if j == k else 1 for j, d in enumerate(v.shape))
            place = reshape(iota(n=v.shape[k]), shape=shape)
            for kind, end in zip(kinds, (const(0, "int64"), size(dim=v.shape[k]) - 1), strict=True):
                if kind not in ("periodic", "value"):
                    weight = weight * where(eq(place, end), 0.5, 1.0)
        out.append(weight)
    return out


def weighed_solve(solver: LinearSolver, system: System, b: Sequence[Node]) -> Vector:
    """Solve A' p = b where A is self-adjoint in this inner product: p = W A^-1 W^-1 b."""
    weights = weighed(system)
    found = solver.solve(system, [x / w for x, w in zip(b, weights, strict=True)])
    return [w * x for x, w in zip(found, weights, strict=True)]
