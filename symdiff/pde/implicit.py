"""Implicit steps: the theta method, solved exactly rather than by substituting old values.

    v - theta*dt*F(v, t + dt) = u + (1 - theta)*dt*F(u, t)

Newton's method with the exact derivative of F (forward mode, never a matrix); a linear F needs one correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.graph import depends_on
from symdiff.ir.node import Node, const
from symdiff.ops import leaves
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import maximum, sqrt
from symdiff.pde.krylov import bicgstab, dot
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepped, Stepper

# The linear solver's tolerance on the residual relative to the right-hand side, and its limit of iterations.
LINEAR_TOLERANCE = 1e-12
LINEAR_ITERATIONS = 5000
# Newton stops when a correction is this small relative to the solution; convergence being quadratic, the next
# one would be of the size of rounding errors.
NEWTON_TOLERANCE = 1e-9
NEWTON_ITERATIONS = 25
# What a step's residual, relative to the change it solves for, may be at most: rounding errors grow with dt and
# 1/spacing**2, so the attained residual lies above the tolerance, but far below this.
ACCEPTED_RESIDUAL = 1e-6


@final
@dataclass(frozen=True, slots=True)
class Theta(Stepper):
    """The theta method: theta = 1 is backward Euler (order 1), theta = 1/2 Crank-Nicolson (order 2).

    Dirichlet values are exact at both ends of the step.
    """

    name: str
    theta: float
    order: int

    @property
    def is_implicit(self) -> bool:
        """Both are A-stable."""
        return True

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return (1 + (1 - theta) z) / (1 - theta z)."""
        return (1 + (1 - self.theta) * z) / (1 - self.theta * z)

    def step(self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node) -> Stepped:
        """Return the unknowns at t + dt and the residual of their equations, relative to the change."""
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        fields, start = list(blocks), list(blocks.values())
        given, later = semi.given(t + dt), t + dt
        part = self.theta * dt if self.theta != 1 else dt

        def implicit(v: Sequence[Node]) -> list[Node]:
            return list(semi.rates(dict(zip(fields, v, strict=True)), later, given).values())

        if self.theta == 1:
            fixed = start
        else:
            old = semi.rates(blocks, t, extended=extended).values()
            fixed = [u + ((1 - self.theta) * dt) * f for u, f in zip(start, old, strict=True)]

        def missing(v: Sequence[Node]) -> list[Node]:
            return [b + part * f - x for b, f, x in zip(fixed, implicit(v), v, strict=True)]

        def solve(v: Sequence[Node], b: Sequence[Node]) -> tuple[list[Node], Node]:
            slope = implicit(v)

            def matvec(p: Sequence[Node]) -> list[Node]:
                return [x - part * y for x, y in zip(p, jvp_nodes(slope, v, p), strict=True)]

            solved = bicgstab(matvec, b, LINEAR_TOLERANCE, LINEAR_ITERATIONS)
            return solved.x, sqrt(solved.residual2)

        if is_linear(semi):
            change, residual = solve(start, missing(start))
            return Stepped(_named(fields, [u + c for u, c in zip(start, change, strict=True)]), residual)

        def going(k: Node, change2: Node, size2: Node, residual: Node, *v: Node) -> Node:
            small = change2 <= NEWTON_TOLERANCE**2 * size2
            return (k < NEWTON_ITERATIONS) & ~small & (residual <= ACCEPTED_RESIDUAL)

        def turn(k: Node, change2: Node, size2: Node, residual: Node, *v: Node) -> list[Node]:
            change, linear = solve(v, missing(v))
            new = [x + c for x, c in zip(v, change, strict=True)]
            return [k + 1, dot(change, change), dot(new, new), maximum(residual, linear), *new]

        first = [const(0, "int64"), const(1.0), const(0.0), const(0.0), *start]
        _, change2, size2, residual, *v = while_loop(going, turn, first)
        # A last correction that is not small says by its size how far Newton's method is from a solution.
        unsettled = sqrt(change2 / maximum(size2, 1e-300))
        return Stepped(_named(fields, v), maximum(residual, unsettled))


def is_linear(semi: Semidiscrete) -> bool:
    """Whether the rates are linear in the unknowns: their derivative does not depend on them."""
    blocks, t = semi.blocks, const(0.0)
    directions = [_direction(block) for block in blocks.values()]
    slopes = jvp_nodes(list(semi.rates(blocks, t).values()), list(blocks.values()), directions)
    touched = depends_on(slopes, blocks.values())
    return not any(s in touched for s in slopes)


def _direction(block: Node) -> Node:
    return leaves.symbol(name=f"{block.params['name']}_direction", shape=block.shape, dtype=block.dtype)


def _named(fields: Sequence[Node], values: Sequence[Node]) -> dict[Node, Node]:
    return dict(zip(fields, values, strict=True))


BACKWARD_EULER = Theta("backward-euler", 1.0, 1)
CRANK_NICOLSON = Theta("crank-nicolson", 0.5, 2)
