"""Steps that take the stiff linear part of the equations implicitly and the rest explicitly.

    u' = L(u) + N(u)

L has the linear derivatives of second and higher order, N the rest (`split`). So a step solves linear systems only,
always the same where the factors are constant. What limits dt is N, together with L (`joint`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ops.index import zeros_like
from symdiff.pde.diagonal_tableaux import IMEX_ARS2, IMEX_ARS3, IMEX_EULER, DiagonalTableau
from symdiff.pde.implicit import Implicit, worst
from symdiff.pde.jets import added
from symdiff.pde.newton import stage
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.split import parts
from symdiff.pde.stepper import Stepped


@dataclass(frozen=True, slots=True)
class Imex(Implicit):
    """A method for two parts of the equations."""

    @abstractmethod
    def joint(self, implicit: np.ndarray, explicit: np.ndarray) -> np.ndarray:
        """Return the matrices of a step for u' = (L + N) u, given dt*L and dt*N, each a stack of matrices."""

    def implicit_part(self, semi: Semidiscrete) -> Semidiscrete:
        """Return the stiff linear part."""
        return parts(semi)[0]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImexRungeKutta(Imex):
    """u_i = u + dt*sum_j<=i a_ij L(u_j) + dt*sum_j<i e_ij N(u_j)."""

    tableau: DiagonalTableau

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the factor of a step where all is stiff."""
        return self.tableau.amplification(z)

    def joint(self, implicit: np.ndarray, explicit: np.ndarray) -> np.ndarray:
        """Return I + sum_j (b_j*dt*L + e_j*dt*N) U_j with the stages U_j as matrices."""
        one = np.broadcast_to(np.eye(implicit.shape[-1]), implicit.shape)
        table, stages = self.tableau, [one]

        def known(a: Sequence[float], e: Sequence[float]) -> np.ndarray:
            out = one
            for x, u in zip(a, stages[1:], strict=False):
                out = out + x * (implicit @ u)
            for x, u in zip(e, stages, strict=False):
                out = out + x * (explicit @ u)
            return out

        for i, row in enumerate(table.a):
            stages.append(np.linalg.solve(one - row[-1] * implicit, known(row[:-1], table.explicit[i])))
        return known(table.a[-1], table.explicit[-1])

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt and the largest relative residual of the stages."""
        stiff, rest = parts(semi)
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        start = v = list(blocks.values())
        table = self.tableau
        slopes: list[list[Node]] = []
        others = [list(rest.rates(blocks, t, extended=extended).values())]
        residuals = []
        for i, (row, c) in enumerate(zip(table.a, table.c, strict=True)):
            fixed = _combined(start, dt, (row, slopes), (table.explicit[i], others))
            part, now = row[-1] * dt, t + c * dt
            v, residual = stage(stiff, self.linear, v, fixed, part, now, stiff.given(now), self.is_differentiable)
            slopes.append([(x - b) / part for x, b in zip(v, fixed, strict=True)])
            residuals.append(residual)
            if any(e[i + 1] for e in table.explicit[i + 1 :] if len(e) > i + 1):
                others.append(list(rest.rates(dict(zip(blocks, v, strict=True)), now).values()))
        after = _combined(start, dt, (table.a[-1], slopes), (table.explicit[-1], others))
        return Stepped(dict(zip(blocks, after, strict=True)), worst(residuals))


def _combined(start: Sequence[Node], dt: Node, *tables: tuple[Sequence[float], Sequence[Sequence[Node]]]) -> list[Node]:
    """Return u + dt * sum of weights * slopes."""
    known = [(w * dt, k) for row, slopes in tables for w, k in zip(row, slopes, strict=False) if w]
    return [added([u, *(w * k[j] for w, k in known)]) for j, u in enumerate(start)]


@final
@dataclass(frozen=True, slots=True)
class SBDF2(Imex):
    """BDF2 for L and the extrapolation (1 + w)*N - w*N_before for N, w = dt/(the step before).

    The first step follows an infinite one, w = 0: it is the imex Euler step, which keeps order 2 in all.
    Method: Ascher, Ruuth & Wetton 1995; for changing steps Wang & Ruuth 2008.
    """

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the factor of a step where all is stiff: that of BDF2."""
        root = np.sqrt(1 + 2 * np.asarray(z, dtype=complex))
        return np.maximum(np.abs((2 + root) / (3 - 2 * z)), np.abs((2 - root) / (3 - 2 * z)))

    def joint(self, implicit: np.ndarray, explicit: np.ndarray) -> np.ndarray:
        """Return the matrix of the pair (u, u_before): (3/2 - dt*L) v = (2 + 2 dt*N) u - (1/2 + dt*N) u_before."""
        one = np.broadcast_to(np.eye(implicit.shape[-1]), implicit.shape)
        left = 1.5 * one - implicit
        now, before = np.linalg.solve(left, 2 * (one + explicit)), np.linalg.solve(left, -0.5 * one - explicit)
        return np.block([[now, before], [one, np.zeros_like(one)]])

    def memory(self, semi: Semidiscrete) -> list[Node]:
        """The last step's size, the unknowns before it and N there."""
        blocks = list(semi.blocks.values())
        return [const(float("inf")), *blocks, *map(zeros_like, blocks)]

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt and the residual of their equations, relative to the change."""
        stiff, rest = parts(semi)
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        start, n = list(blocks.values()), len(blocks)
        dt_before, before, rate_before = memory[0], memory[1 : n + 1], memory[n + 1 :]
        rate = list(rest.rates(blocks, t, extended=extended).values())
        w = dt / dt_before
        scale, more = (1 + w) / (1 + 2 * w) * dt, w * w / (1 + 2 * w)
        fixed = [
            u + more * (u - b) + scale * (f + w * (f - g))
            for u, b, f, g in zip(start, before, rate, rate_before, strict=True)
        ]
        given = stiff.given(t + dt)
        v, residual = stage(stiff, self.linear, start, fixed, scale, t + dt, given, self.is_differentiable)
        return Stepped(dict(zip(blocks, v, strict=True)), residual, [dt, *start, *rate])


IMEX = (
    ImexRungeKutta("imex-euler", 1, tableau=IMEX_EULER),
    ImexRungeKutta("imex-ars2", 2, tableau=IMEX_ARS2),
    ImexRungeKutta("imex-ars3", 3, tableau=IMEX_ARS3),
    SBDF2("imex-sbdf2", 2),
)
