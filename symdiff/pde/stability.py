"""The largest stable time step, from the Fourier symbols of the actual formulas.

The equations are linearised about given values: the factor of each derivative is diff(rhs, derivative), exact and
evaluated at the grid's points (frozen coefficients). With the Fourier symbols of the formulas these factors give
the eigenvalues lambda, and dt is the largest step for which dt*lambda stays where the method's |R| is at most 1.

One-sided closures have eigenvalues that no Fourier mode has (order 4 between Neumann sides reaches -7.43/h**2,
its symbol only -5.33/h**2), and a Robin condition du/dn = -a*u adds 2*a/h; they are computed from the closed
matrix of a short line and joined to the samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, const
from symdiff.pde.formula import Closure, Formula
from symdiff.pde.jets import jet, jets, orders, terms
from symdiff.pde.problem import Problem
from symdiff.pde.stepper import Stepper

Feedback = Mapping[tuple[Node, int, int], float]

# 16 angles hit 0 and pi, where even symbols are extreme; odd ones are sampled to within 1 percent of their maximum.
_ANGLES = np.arange(-7, 9) * (np.pi / 8)
_ZERO_ANGLE = 7
_SECOND = Formula("central", 2)
_LINE = 24  # unknowns of the closed line: closures are local, its eigenvalues no longer change with the length
_POINTS = 65536  # of the grid whose coefficients are looked at
_ROWS = 256  # of different coefficients that are looked at
# Rounding errors let |R| of a neutral mode exceed 1 by some eps.
_SLACK = 1e-10
# What the slack leaves of a region that does not reach from 0 at all: Euler's on the imaginary axis.
_NOTHING = 1e-4


Spec = tuple[tuple[Formula | None, ...], ...]
"""Products of formulas, each with one formula for every axis (None: nothing is done along it)."""

Entry = tuple[Node, Spec, Node]
"""A field, the formulas that are applied to it, and their factor."""

MEAN: Spec = ()
"""An integral: it sees the constant mode only."""


def factors(problem: Problem) -> dict[Node, dict[Node, Node]]:
    """Return d(right-hand side of f)/d(w) for every field f and every derivative w outside of terms in it."""
    return {f: _slopes(rhs, jets([rhs])) for f, rhs in problem.rhs.items()}


def _slopes(f: Node, wrt: Sequence[Node]) -> dict[Node, Node]:
    return {w: jvp_nodes([f], [w], [const(1.0)])[0] for w in wrt}


def linearised(problem: Problem) -> dict[Node, list[Entry]]:
    """Return the linearisation of every right-hand side: formulas applied to unknown fields, times factors."""
    return {f: _entries(problem, rhs, None) for f, rhs in problem.rhs.items()}


def _entries(problem: Problem, f: Node, middle: str | None) -> list[Entry]:
    """Return the linearisation of an expression; along the axis `middle` it is taken between the points."""
    out: list[Entry] = []
    for w, slope in _slopes(f, jets([f])).items():
        u, spec = jet(w.params["field"], ()), (_of_jet(problem, w, middle),)
        if u in problem.known or u in problem.constraints:
            continue  # what evolving fields feed back through elliptic ones is smooth
        if u in problem.definitions:
            inner = _entries(problem, problem.definitions[u], None)
            out += [(v, (*spec, *more), slope * factor) for v, more, factor in inner]
        else:
            out.append((u, spec, slope))
    for s, slope in _slopes(f, terms([f])).items():
        kind, of = s.params["term"], s.params["of"]
        if kind == "biased" and (of in problem.known or of in problem.constraints):
            continue
        if kind == "biased":
            leaning = Formula("biased", 1, s.params["direction"], s.params["accuracy"])
            out.append((of, (_at(problem, s.params["by"][0], leaning),), slope))
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


def eigenvalues(
    problem: Problem,
    order: int,
    spacing: Sequence[float],
    table: Mapping[Node, Sequence[Entry]],
    values: Mapping[Node, Sequence[np.ndarray]],
    feedback: Feedback,
) -> np.ndarray:
    """Return samples of the eigenvalues of the discretised equations, the factors of `table` having these values.

    `feedback` are the derivatives of the slopes on the sides by the field itself.
    """
    fields = problem.fields
    entries = [(f, u, spec) for f in fields for u, spec, _ in table[f]]
    if not entries:
        return np.zeros(1, dtype=complex)
    columns = np.broadcast_arrays(*(np.asarray(v, dtype=float) for f in fields for v in values[f]))
    rows = np.unique(_thinned([c.ravel() for c in columns]), axis=0)
    samples = _symbols(problem, order, spacing, [spec for _, _, spec in entries], feedback)
    if len(rows) > _ROWS:
        weight = np.abs(rows) @ np.abs(samples).max(axis=1)
        # The stiffest points, and the extremes of each factor, which bound the others.
        chosen = {*np.argsort(weight)[-_ROWS // 2 :], *rows.argmin(axis=0), *rows.argmax(axis=0)}
        rows = rows[sorted(chosen)]
    m = len(fields)
    matrices = np.zeros((len(rows), samples.shape[1], m, m), dtype=complex)
    for k, (f, u, _) in enumerate(entries):
        matrices[:, :, fields.index(f), fields.index(u)] += rows[:, k, None] * samples[k]
    if not np.isfinite(matrices).all():
        return np.array([np.nan + 0j])
    return matrices.ravel() if m == 1 else np.linalg.eigvals(matrices).ravel()


def _thinned(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return at most about _POINTS rows, those with the extremes of a column among them."""
    step = -(-len(columns[0]) // _POINTS)
    if step == 1:
        return np.stack(columns, axis=1)
    extremes = [*(int(c.argmin()) for c in columns), *(int(c.argmax()) for c in columns)]
    return np.stack([np.concatenate([c[::step], c[extremes]]) for c in columns], axis=1)


def _symbols(
    problem: Problem, order: int, spacing: Sequence[float], specs: Sequence[Spec], feedback: Feedback
) -> np.ndarray:
    """Return the symbols of products of formulas, one row each, over all samples of all axes."""
    lines = []
    for axis in range(problem.domain.dim):
        needed = {step[axis] for spec in specs for step in spec}
        lines.append(_line(problem, axis, order, spacing[axis], {f for f in needed if f is not None}, feedback))
    counts = [len(next(iter(line.values()))) for line in lines]
    picks = np.array(list(itertools.product(*map(range, counts)))).T
    out = np.ones((len(specs), picks.shape[1]), dtype=complex)
    constant = (picks == _ZERO_ANGLE).all(axis=0)
    volume = float(np.prod([upper - lower for lower, upper in problem.domain.intervals]))
    for k, spec in enumerate(specs):
        if spec == MEAN:
            out[k] = volume * constant
        for step in spec:
            for axis, formula in enumerate(step):
                if formula is not None:
                    out[k] *= lines[axis][formula][picks[axis]] / spacing[axis] ** formula.degree
    return out


def _line(
    problem: Problem, axis: int, order: int, h: float, needed: set[Formula], feedback: Feedback
) -> dict[Formula, np.ndarray]:
    """Return samples of the symbols of the formulas along one axis that the problem needs, jointly."""
    name = problem.domain.axes[axis]
    formulas = tuple(sorted({*needed, _SECOND}))
    samples = {f: [f.symbol(order, _ANGLES)] for f in formulas}
    if not problem.is_periodic(name):
        kinds = set()
        for u in problem.fields:
            lower, upper = problem.boundary[u, name]
            slopes = [h * feedback.get((u, axis, end), 0.0) for end in (0, 1)]
            kinds.add(((lower.kind, slopes[0]), (upper.kind, slopes[1])))
        for sides in sorted(kinds):
            for f, values in closures(order, sides, formulas).items():
                samples[f].append(values)
    return {f: np.concatenate(values) for f, values in samples.items()}


@cache
def closures(order: int, sides: tuple[Closure, Closure], formulas: tuple[Formula, ...]) -> dict[Formula, np.ndarray]:
    """Return the symbols of the modes at the sides: eigenvectors of a formula beyond its Fourier range.

    The eigenvectors are those of the second derivative and of each other formula that damps; the others' symbols are
    their Rayleigh quotients on the same vectors.
    """
    matrices = {f: f.matrix(order, sides, _LINE) if f.degree or f.kind == "flux" else np.eye(_LINE) for f in formulas}
    found: dict[Formula, list[np.ndarray]] = {f: [] for f in formulas}
    for leading in formulas:
        if leading.degree != 2 and leading.kind != "biased":
            continue
        values, vectors = np.linalg.eig(matrices[leading])
        samples = leading.symbol(order, _ANGLES)
        fourier = np.abs(samples).max()
        is_real = np.abs(samples.imag).max() <= 1e-9 * fourier
        beyond = np.abs(values) > fourier * (1 + 1e-9)
        if is_real:
            beyond |= np.abs(values.imag) > 1e-6 * fourier
        v = vectors[:, beyond].astype(complex)
        for f in formulas:
            quotients = np.einsum("ij,ik,kj->j", v.conj(), matrices[f], v) / np.einsum("ij,ij->j", v.conj(), v)
            found[f].append(values[beyond].astype(complex) if f == leading else quotients)
    return {f: np.concatenate(parts) for f, parts in found.items()}


def limit(stepper: Stepper, values: np.ndarray) -> float:
    """Return the largest dt with |R(dt*lambda)| <= 1 for every decaying or neutral eigenvalue.

    Growing modes (positive real part) belong to the equation itself and set no limit. NaN eigenvalues give NaN.
    """
    if np.isnan(values).any():
        return float("nan")
    scale = np.abs(values).max()
    decaying = values[(values.real <= 1e-12 * scale) & (np.abs(values) > 1e-12 * scale)]
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
