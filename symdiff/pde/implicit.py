"""Implicit steps: theta methods, diagonally implicit Runge-Kutta methods and BDF2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ops.elementwise import maximum
from symdiff.pde.diagonal_tableaux import SDIRK2, SDIRK3, DiagonalTableau
from symdiff.pde.jets import added
from symdiff.pde.krylov import PLAIN
from symdiff.pde.linear import LinearSolver
from symdiff.pde.newton import stage
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepped, Stepper


@dataclass(frozen=True, slots=True)
class Implicit(Stepper):
    """A stepper whose stages are equations; `solver` solves their linear systems, None leaves the choice open.

    Stages whose derivatives are wanted carry them (`is_differentiable`).

    Dirichlet values are exact at the time of every stage.
    """

    name: str
    order: int
    solver: LinearSolver | None = None
    is_differentiable: bool = False

    @property
    def is_implicit(self) -> bool:
        """All of them are A-stable."""
        return True

    @property
    def linear(self) -> LinearSolver:
        """The linear solver."""
        return self.solver or PLAIN

    @property
    def note(self) -> str:
        """How its linear systems are solved."""
        return f"; linear systems by {self.linear.describe()}"

    def describe(self) -> str:
        """Name the linear solver too."""
        return f"{self.name}: implicit, order {self.order} in time{self.note}"

    def implicit_part(self, semi: Semidiscrete) -> Semidiscrete:
        """Return the part of the equations that is solved for."""
        return semi


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Theta(Implicit):
    """v = u + (1 - theta)*dt*F(u, t) + theta*dt*F(v, t + dt).

    theta = 1 is backward Euler (order 1), theta = 1/2 Crank-Nicolson (order 2).
    """

    theta: float

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return (1 + (1 - theta) z) / (1 - theta z)."""
        return (1 + (1 - self.theta) * z) / (1 - self.theta * z)

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt and the residual of their equations, relative to the change."""
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        start = list(blocks.values())
        fixed, part = start, dt
        if self.theta != 1:
            old = semi.rates(blocks, t, extended=extended).values()
            fixed = [u + ((1 - self.theta) * dt) * f for u, f in zip(start, old, strict=True)]
            part = self.theta * dt
        v, residual = stage(semi, self.linear, start, fixed, part, t + dt, semi.given(t + dt), self.is_differentiable)
        return Stepped(dict(zip(blocks, v, strict=True)), residual)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DiagonallyImplicit(Implicit):
    """u_i = u + dt*sum_j<=i a_ij k_j, k_i = F(u_i, t + c_i*dt); every stage has the same dt*a_ii."""

    tableau: DiagonalTableau

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the stability function at z."""
        return self.tableau.amplification(z)

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt, the last stage, and the largest relative residual of the stages."""
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        start = v = list(blocks.values())
        slopes: list[list[Node]] = []
        residuals = []
        for row, c in zip(self.tableau.a, self.tableau.c, strict=True):
            known = [(a * dt, k) for a, k in zip(row, slopes, strict=False) if a]
            fixed = [added([u, *(a * k[j] for a, k in known)]) for j, u in enumerate(start)]
            part, now = row[-1] * dt, t + c * dt
            v, residual = stage(semi, self.linear, v, fixed, part, now, semi.given(now), self.is_differentiable)
            # From the stage's equation: F itself would multiply its rounding errors by 1/spacing**2.
            slopes.append([(x - b) / part for x, b in zip(v, fixed, strict=True)])
            residuals.append(residual)
        return Stepped(dict(zip(blocks, v, strict=True)), worst(residuals))


@final
@dataclass(frozen=True, slots=True)
class BDF2(Implicit):
    """The backward differentiation formula of order 2 for steps of changing size.

    With w = dt/(the step before):

        (1 + 2w)/(1 + w) v - (1 + w) u + w**2/(1 + w) u_before = dt*F(v, t + dt)

    The first step follows an infinite one, w = 0: it is backward Euler, which keeps order 2 in all.
    Method: Hairer, Norsett & Wanner, Solving ODEs I, III.5. Zero-stable for w < 1 + sqrt(2).
    """

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the larger root of (3/2 - z) r**2 - 2 r + 1/2 = 0."""
        root = np.sqrt(1 + 2 * np.asarray(z, dtype=complex))
        return np.maximum(np.abs((2 + root) / (3 - 2 * z)), np.abs((2 - root) / (3 - 2 * z)))

    def memory(self, semi: Semidiscrete) -> list[Node]:
        """The last step's size and the unknowns before it."""
        return [const(float("inf")), *semi.blocks.values()]

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt and the residual of their equations, relative to the change."""
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        start, (dt_before, *before) = list(blocks.values()), memory
        w = dt / dt_before
        scale = (1 + w) / (1 + 2 * w)
        # u + (u - u_before)*w**2/(1 + 2w): what does not change stays to the last bit.
        more = w * w / (1 + 2 * w)
        fixed = [u + more * (u - b) for u, b in zip(start, before, strict=True)]
        v, residual = stage(
            semi, self.linear, start, fixed, scale * dt, t + dt, semi.given(t + dt), self.is_differentiable
        )
        return Stepped(dict(zip(blocks, v, strict=True)), residual, [dt, *start])


def worst(residuals: Sequence[Node]) -> Node:
    """Return the largest of some residuals."""
    out = residuals[0]
    for r in residuals[1:]:
        out = maximum(out, r)
    return out


IMPLICIT = (
    Theta("backward-euler", 1, theta=1.0),
    Theta("crank-nicolson", 2, theta=0.5),
    DiagonallyImplicit("sdirk2", 2, tableau=SDIRK2),
    DiagonallyImplicit("sdirk3", 3, tableau=SDIRK3),
    BDF2("bdf2", 2),
)
