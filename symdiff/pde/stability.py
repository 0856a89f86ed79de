"""The largest stable time step, from the eigenvalues of the actual formulas.

The equations are linearised about given values: the factor of each derivative is diff(rhs, derivative), exact and
evaluated at the grid's points (frozen coefficients). With the Fourier symbols of the formulas, and their matrices on
patches between sides (`spectrum`), these factors give the eigenvalues lambda, and dt is the largest step for which
dt*lambda stays where the method's |R| is at most 1.

A mode that grows in the equation itself sets no limit. One that only the formulas at a side make grow, faster on a
finer grid, makes every dt unstable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, const
from symdiff.pde.formula import Formula
from symdiff.pde.imex import Imex
from symdiff.pde.jets import jet, jets, orders, terms
from symdiff.pde.problem import Problem
from symdiff.pde.spectrum import MEAN, SECOND, Entry, Spectrum
from symdiff.pde.stepper import Stepper

# Rounding errors let |R| of a neutral mode exceed 1 by some eps.
_SLACK = 1e-10
# What the slack leaves of a region that does not reach from 0 at all: Euler's on the imaginary axis.
_NOTHING = 1e-4
# The search for a step of two parts: between these over the fastest rate, by factors, and between the last two.
_LEAST, _MOST, _RATIO, _BISECTIONS = 0.01, 1e3, 1.25, 12
# Growth of a patch's mode, relative to its largest eigenvalue, that is not the equation's: that does not grow with 1/h.
_GROWTH = 0.02


def _slopes(f: Node, wrt: Sequence[Node]) -> dict[Node, Node]:
    return {w: jvp_nodes([f], [w], [const(1.0)])[0] for w in wrt}


def linearised(problem: Problem) -> dict[Node, list[Entry]]:
    """Return the linearisation of every right-hand side: formulas applied to unknown fields, times factors."""
    return {f: _entries(problem, rhs, None) for f, rhs in problem.rhs.items()}


def _entries(problem: Problem, f: Node, middle: str | None) -> list[Entry]:
    """Return the linearisation of an expression; along the axis `middle` it is taken between the points."""
    out: list[Entry] = []
    for w, slope in _slopes(f, jets([f])).items():
        u = jet(w.params["field"], ())
        spec = ((u, _of_jet(problem, w, middle)),)
        if u in problem.known or u in problem.constraints:
            continue  # what evolving fields feed back through elliptic ones is smooth
        if u in problem.definitions:
            inner = [e for e in _entries(problem, problem.definitions[u], None) if e[1] != MEAN or w is u]
            out += [(v, (*spec, *more) if more != MEAN else MEAN, slope * factor) for v, more, factor in inner]
        else:
            out.append((u, spec, slope))
    for s, slope in _slopes(f, terms([f])).items():
        kind, of = s.params["term"], s.params["of"]
        if kind == "biased" and (of in problem.known or of in problem.constraints):
            continue
        if kind == "biased":
            leaning = Formula("biased", 1, s.params["direction"], s.params["accuracy"])
            out.append((of, ((of, _at(problem, s.params["by"][0], leaning)),), slope))
        elif kind == "nodal":
            second = _at(problem, s.params["by"][0], SECOND)
            inner = [e for e in _entries(problem, of, None) if e[1] != MEAN]
            # What it is made of are fields, which are continued beyond sides as it is.
            out += [(v, ((first, second), *more), slope * factor) for v, ((first, _), *more), factor in inner]
        elif kind == "flux":
            out += [(v, spec, slope * factor) for v, spec, factor in _entries(problem, of, s.params["by"][0])]
        else:
            out += [(v, MEAN, slope * factor) for v, _, factor in _entries(problem, of, None)]
    return out


def _of_jet(problem: Problem, w: Node, middle: str | None) -> tuple[Formula | None, ...]:
    counts = orders(w)
    return tuple(
        Formula("flux", counts[a]) if a == middle else Formula("central", counts[a]) if counts[a] else None
        for a in problem.domain.axes
    )


def _at(problem: Problem, axis: str, formula: Formula) -> tuple[Formula | None, ...]:
    return tuple(formula if a == axis else None for a in problem.domain.axes)


def changes(table: Mapping[Node, Sequence[Entry]], t: Node) -> bool:
    """Whether a factor contains the time."""
    return t in free_symbols(factor for row in table.values() for _, _, factor in row)


def eigenvalues(spectrum: Spectrum) -> np.ndarray:
    """Return samples of the eigenvalues of the discretised equations; infinite where a side makes a mode grow."""
    if not spectrum.factors:
        return np.zeros(1, dtype=complex)
    if not spectrum.is_finite:
        return np.array([np.nan + 0j])
    (fourier,) = spectrum.fourier
    found = [(fourier if fourier.shape[-1] == 1 else np.linalg.eigvals(fourier)).ravel()]
    growth = max(found[0].real.max(), 0.0)
    for patch in spectrum.patches():
        values = patch.eigenvalues()
        if values.real.max(initial=0.0) > growth + _GROWTH * np.abs(values).max(initial=0.0):
            return np.array([np.inf + 0j])
        found.append(values)
    return np.concatenate(found)


def limit(stepper: Stepper, values: np.ndarray) -> float:
    """Return the largest dt with |R(dt*lambda)| <= 1 for every decaying or neutral eigenvalue.

    Growing modes (positive real part) belong to the equation itself and set no limit. NaN eigenvalues give NaN, and
    infinite ones 0 for explicit methods.
    """
    if np.isnan(values).any():
        return float("nan")
    if np.isinf(values).any():
        return float("inf") if stepper.is_implicit else 0.0
    scale = np.abs(values).max()
    # Rounding errors: a double eigenvalue 0, as that of a free wave, comes out as the root of one.
    values = np.where(np.abs(values.real) <= 1e-9 * scale, 1j * values.imag, values)
    decaying = values[(values.real <= 0) & (np.abs(values) > 1e-6 * scale)]
    if stepper.is_implicit or scale == 0 or not decaying.size:
        return float("inf")
    angle, size = np.abs(np.angle(decaying)), np.abs(decaying)
    # Of one direction only the largest eigenvalue matters; a quarter of a degree is fine enough to group by.
    _, group = np.unique(np.round(angle, 3), return_inverse=True)
    most = np.zeros(group.max() + 1)
    np.maximum.at(most, group, size)
    direction = np.array([angle[group == g].min() for g in range(len(most))])
    return float((reach(stepper, direction) / most).min())


def reach(stepper: Stepper, angle: np.ndarray) -> np.ndarray:
    """Return how far the stability region reaches from 0 along rays exp(i*angle): the first r with |R| > 1.

    >>> from symdiff.pde.methods import METHODS
    >>> [round(float(reach(METHODS[name], np.array([np.pi]))[0]), 4) for name in ("euler", "heun", "ssprk3", "rk4")]
    [2.0, 2.0, 2.5127, 2.7853]
    """
    ray = np.exp(1j * angle)
    grid = np.linspace(0.0, 16.0, 1601)
    unstable = np.abs(stepper.amplification(grid[:, None] * ray)) > 1 + _SLACK
    unstable[-1] = True
    first = unstable.argmax(axis=0)
    low, high = grid[np.maximum(first - 1, 0)], grid[first]
    for _ in range(50):
        mid = 0.5 * (low + high)
        stable = np.abs(stepper.amplification(mid * ray)) <= 1 + _SLACK
        low, high = np.where(stable, mid, low), np.where(stable, high, mid)
    return np.where(low < _NOTHING, 0.0, low)


# -- a stiff part and the rest ------------------------------------------------------------------------------------


def joint_limit(stepper: Imex, spectrum: Spectrum) -> float:
    """Return the largest dt with which no mode grows that should not.

    `spectrum` has the part that is taken implicitly and then the rest. NaN coefficients give NaN.
    """
    if not spectrum.is_finite:
        return float("nan")
    modes = _Modes.of(stepper, *spectrum.fourier)
    fastest = modes.fastest.max()
    if not fastest:
        return float("inf")
    low, high = 0.0, _LEAST / fastest
    while high <= _MOST / fastest and modes.are_stable(high):
        low, high = high, _RATIO * high
    unlimited = low if high > _MOST / fastest else np.inf
    for _ in range(_BISECTIONS if 0 < low < unlimited else 0):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if modes.are_stable(middle) else (low, middle)
    for patch in spectrum.patches():
        at_sides = _Modes.of(stepper, *patch.parts)
        while low and not at_sides.are_stable(low):
            low = low / _RATIO if low > _LEAST / fastest else 0.0
    return float("inf") if low == unlimited else low


@dataclass(frozen=True, slots=True, eq=False)
class _Modes:
    """Matrices of both parts, and by how much a step may let each of them grow.

    Twice as fast as the equations let it grow; by a thousandth of the explicit part's rate; and, where the growth of
    one part and the decay of the other leave little, by what the step's order leaves of them, a percent at most.
    """

    stepper: Imex
    implicit: np.ndarray
    explicit: np.ndarray
    growth: np.ndarray
    fastest: np.ndarray
    balanced: np.ndarray

    @staticmethod
    def of(stepper: Imex, implicit: np.ndarray, explicit: np.ndarray) -> _Modes:
        """Return different ones of these modes."""
        scale = max(np.abs(implicit).max(initial=0.0), np.abs(explicit).max(initial=0.0)) or 1.0
        both = np.concatenate([implicit.reshape(len(implicit), -1), explicit.reshape(len(explicit), -1)], axis=1)
        _, first = np.unique(np.round(both / scale, 9), axis=0, return_index=True)
        implicit, explicit = implicit[first], explicit[first]
        one, other, total = (np.linalg.eigvals(a) for a in (implicit, explicit, implicit + explicit))
        growth, fastest = total.real.max(axis=1), np.abs(other).max(axis=1)
        single = np.maximum(np.maximum(one.real.max(axis=1), other.real.max(axis=1)), 0.0)
        return _Modes(stepper, implicit, explicit, growth, fastest, np.where(growth > -single / 2, single, 0.0))

    def are_stable(self, dt: float) -> bool:
        """Whether a step lets none of them grow faster."""
        after = self.stepper.joint(dt * self.implicit, dt * self.explicit)
        size = np.log(np.maximum(np.abs(np.linalg.eigvals(after)).max(axis=1), 1e-300))
        error = np.minimum((dt * self.balanced) ** (self.stepper.order + 1) / 10, 0.01)
        return bool((size <= dt * (2 * np.maximum(self.growth, 0.0) + 1e-3 * self.fastest) + error + _SLACK).all())
