"""Steps that take the stiff linear part of the equations implicitly and the rest explicitly.

    u' = L(u) + N(u)

L has the derivatives of second and higher order whose factors contain no field; sources, reactions, advection and
everything nonlinear are N. So a step solves linear systems only, always the same where the factors are constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.errors import DomainError
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.node import Node, const
from symdiff.ops.index import zeros_like
from symdiff.pde.diagonal_tableaux import IMEX_ARS2, IMEX_ARS3, IMEX_EULER, DiagonalTableau
from symdiff.pde.implicit import Implicit, worst
from symdiff.pde.jets import added, all_jets, is_jet, is_term, orders
from symdiff.pde.newton import stage
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepped

Rates = dict[Node, Node]


def split(rhs: Node) -> tuple[Node, Node]:
    """Return the stiff linear part of a right-hand side, and the rest."""
    stiff: list[Node] = []
    rest = rhs
    for w in free_symbols([rhs]):
        if not _is_stiff(w):
            continue
        (slope,) = jvp_nodes([rest], [w], [const(1.0)])
        if any(is_jet(s) or is_term(s) for s in free_symbols([slope])):
            continue
        stiff.append(slope * w)
        (rest,) = substitute([rest], {w: const(0.0)})
    return (added(stiff) if stiff else const(0.0)), rest


def _is_stiff(w: Node) -> bool:
    """Whether a symbol is a derivative of at least second order, or a flux that is linear in one of first order."""
    if is_jet(w):
        return sum(orders(w).values()) >= 2
    if not is_term(w) or w.params["term"] != "flux":
        return False
    of = w.params["of"]
    found = all_jets([of])
    along = jvp_nodes([of], found, [const(1.0)] * len(found))
    return any(orders(v) for v in found) and not all_jets(along)


def parts(semi: Semidiscrete) -> tuple[Semidiscrete, Semidiscrete]:
    """Return the equations with the stiff linear part alone, and with the rest alone.

    Raises DomainError where there is no such part.
    """
    halves = {u: split(rhs) for u, rhs in semi.problem.rhs.items()}
    if not any(all_jets([stiff]) for stiff, _ in halves.values()):
        raise DomainError(
            "An imex method takes linear derivatives of second and higher order implicitly, and these equations have "
            "none; use an explicit method, or an implicit one such as 'sdirk2'."
        )
    stiff, rest = ({u: h[k] for u, h in halves.items()} for k in (0, 1))
    return semi.with_rhs(stiff), semi.with_rhs(rest)


@dataclass(frozen=True, slots=True)
class _Imex(Implicit):
    def implicit_part(self, semi: Semidiscrete) -> Semidiscrete:
        """Return the stiff linear part."""
        return parts(semi)[0]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImexRungeKutta(_Imex):
    """u_i = u + dt*sum_j<=i a_ij L(u_j) + dt*sum_j<i e_ij N(u_j)."""

    tableau: DiagonalTableau

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the factor of a step where all is stiff."""
        return self.tableau.amplification(z)

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
            v, residual = stage(stiff, self.linear, v, fixed, part, now, semi.given(now), self.is_differentiable)
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
class SBDF2(_Imex):
    """BDF2 for L and the extrapolation (1 + w)*N - w*N_before for N, w = dt/(the step before).

    The first step follows an infinite one, w = 0: it is the imex Euler step, which keeps order 2 in all.
    Method: Ascher, Ruuth & Wetton 1995; for changing steps Wang & Ruuth 2008.
    """

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the factor of a step where all is stiff: that of BDF2."""
        root = np.sqrt(1 + 2 * np.asarray(z, dtype=complex))
        return np.maximum(np.abs((2 + root) / (3 - 2 * z)), np.abs((2 - root) / (3 - 2 * z)))

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
        v, residual = stage(stiff, self.linear, start, fixed, scale, t + dt, semi.given(t + dt), self.is_differentiable)
        return Stepped(dict(zip(blocks, v, strict=True)), residual, [dt, *start, *rate])


IMEX = (
    ImexRungeKutta("imex-euler", 1, tableau=IMEX_EULER),
    ImexRungeKutta("imex-ars2", 2, tableau=IMEX_ARS2),
    ImexRungeKutta("imex-ars3", 3, tableau=IMEX_ARS3),
    SBDF2("imex-sbdf2", 2),
)
