"""leapfrog: central differences in time.

    v - u_before = 2 dt F(u, t)

Where the fields fall into two groups that drive each other only, u' = f(v, t) and v' = g(u, t), as a wave equation
and its velocity, the two are stepped in turn instead (Störmer 1907, Verlet 1967): a half step of the velocities, a
step of the others, a half step of the velocities. That is the classical leapfrog of second order in time, with
twice the stable step and no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.pde.jets import all_jets, jet
from symdiff.pde.problem import Problem
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepped, Stepper


@final
@dataclass(frozen=True, slots=True)
class Leapfrog(Stepper):
    """The method of order 2 that does not damp oscillations; what decays is unstable with it."""

    name: str = "leapfrog"
    order: int = 2

    @property
    def is_implicit(self) -> bool:
        """It is explicit."""
        return False

    def adapted(self, problem: Problem) -> Stepper:
        """Return the method that steps fields in turn where they drive each other only."""
        fast = driven(problem)
        return InTurn(fast) if fast else self

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the larger root of r**2 - 2 z r - 1 = 0."""
        return _larger(np.asarray(z, dtype=complex), -1)

    def memory(self, semi: Semidiscrete) -> list[Node]:
        """The last step's size and the unknowns before it."""
        return [const(float("inf")), *semi.blocks.values()]

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt: the parabola through u_before and u with the slope F at u.

        The first step follows an infinite one, w = 0: it is Euler's, which keeps order 2 in all.
        """
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        dt_before, *before = memory
        rates = semi.rates(blocks, t, extended=extended)
        w = dt / dt_before
        pairs = zip(blocks.items(), before, strict=True)
        after = {u: x + w * w * (b - x) + ((1 + w) * dt) * rates[u] for (u, x), b in pairs}
        return Stepped(after, None, [dt, *blocks.values()])


@final
@dataclass(frozen=True, slots=True)
class InTurn(Stepper):
    """A half step of the fields `fast`, a whole one of the others, and the other half."""

    fast: frozenset[Node]
    name: str = "leapfrog"
    order: int = 2

    @property
    def is_implicit(self) -> bool:
        """It is explicit."""
        return False

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the larger root of r**2 - (2 + z**2) r + 1 = 0: a pair u' = v, v' = z**2 u has both."""
        return _larger(1 + np.asarray(z, dtype=complex) ** 2 / 2, 1)

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt."""
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}

        def kicked(state: dict[Node, Node], rates: Mapping[Node, Node]) -> dict[Node, Node]:
            return {u: x + (0.5 * dt) * rates[u] if u in self.fast else x for u, x in state.items()}

        half = kicked(blocks, semi.rates(blocks, t, extended=extended))
        drift = semi.rates(half, t + 0.5 * dt)
        whole = {u: x if u in self.fast else x + dt * drift[u] for u, x in half.items()}
        return Stepped(kicked(whole, semi.rates(whole, t + dt)))


def _larger(half: np.ndarray, product: int) -> np.ndarray:
    """Return the absolute value of the larger root of r**2 - 2*half*r + product = 0."""
    root = np.sqrt(half**2 - product)
    return np.maximum(np.abs(half + root), np.abs(half - root))


def driven(problem: Problem) -> frozenset[Node]:
    """Return the fields that only the others drive, while they alone drive the others; empty where there are none."""
    if problem.definitions:
        return frozenset()
    reads = {u: {jet(w.params["field"], ()) for w in all_jets([rhs])} for u, rhs in problem.rhs.items()}
    reads = {u: found - set(problem.known) for u, found in reads.items()}
    fast = set(problem.velocities.values()) or reads[problem.fields[0]]
    slow = set(problem.fields) - fast
    parted = all(reads[u] <= fast for u in slow) and all(reads[v] <= slow for v in fast)
    return frozenset(fast) if slow and fast and parted else frozenset()
