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
from symdiff.pde import stencils
from symdiff.pde.jets import jets, orders
from symdiff.pde.problem import Problem
from symdiff.pde.stepper import Stepper

Feedback = Mapping[tuple[Node, int, int], float]

# 16 angles hit 0 and pi, where even symbols are extreme; odd ones are sampled to within 1 percent of their maximum.
_ANGLES = np.arange(-7, 9) * (np.pi / 8)
_LINE = 24  # unknowns of the closed line: closures are local, its eigenvalues no longer change with the length
_POINTS = 65536  # of the grid whose coefficients are looked at
_ROWS = 256  # of different coefficients that are looked at
# Rounding errors let |R| of a neutral mode exceed 1 by some eps.
_SLACK = 1e-10


def factors(problem: Problem) -> dict[Node, dict[Node, Node]]:
    """Return d(right-hand side of f)/d(w) for every field f and every jet symbol w in it."""
    out = {}
    for f, rhs in problem.rhs.items():
        found = jets([rhs])
        slopes = [jvp_nodes([rhs], [w], [const(1.0)])[0] for w in found]
        out[f] = dict(zip(found, slopes, strict=True))
    return out


def changes(table: Mapping[Node, Mapping[Node, Node]], t: Node) -> bool:
    """Whether a factor contains the time."""
    return t in free_symbols(slope for row in table.values() for slope in row.values())


def eigenvalues(
    problem: Problem,
    order: int,
    spacing: Sequence[float],
    coefficients: Mapping[Node, Mapping[Node, np.ndarray]],
    feedback: Feedback,
) -> np.ndarray:
    """Return samples of the eigenvalues of the discretised equations for factors given at points.

    `feedback` are the derivatives of the slopes on the sides by the field itself.
    """
    fields = problem.fields
    pairs = [(f, w) for f in fields for w in coefficients[f]]
    if not pairs:
        return np.zeros(1, dtype=complex)
    columns = np.broadcast_arrays(*(np.asarray(coefficients[f][w], dtype=float) for f, w in pairs))
    rows = np.unique(_thinned([c.ravel() for c in columns]), axis=0)
    samples = _symbols(problem, order, spacing, [w for _, w in pairs], feedback)
    if len(rows) > _ROWS:
        weight = np.abs(rows) @ np.abs(samples).max(axis=1)
        # The stiffest points, and the extremes of each factor, which bound the others.
        chosen = {*np.argsort(weight)[-_ROWS // 2 :], *rows.argmin(axis=0), *rows.argmax(axis=0)}
        rows = rows[sorted(chosen)]
    m = len(fields)
    matrices = np.zeros((len(rows), samples.shape[1], m, m), dtype=complex)
    for k, (f, w) in enumerate(pairs):
        column = next(j for j, u in enumerate(fields) if u.params["name"] == w.params["field"])
        matrices[:, :, fields.index(f), column] += rows[:, k, None] * samples[k]
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
    problem: Problem, order: int, spacing: Sequence[float], needed: Sequence[Node], feedback: Feedback
) -> np.ndarray:
    """Return the symbols of the formulas of jet symbols, one row each, over all samples of all axes."""
    lines = [_line(problem, axis, order, spacing[axis], feedback) for axis in range(problem.domain.dim)]
    counts = [len(next(iter(line.values()))) for line in lines]
    picks = np.array(list(itertools.product(*map(range, counts)))).T
    out = np.ones((len(needed), picks.shape[1]), dtype=complex)
    for k, w in enumerate(needed):
        for axis, name in enumerate(problem.domain.axes):
            n = orders(w)[name]
            if n:
                out[k] *= lines[axis][n][picks[axis]] / spacing[axis] ** n
    return out


def _line(problem: Problem, axis: int, order: int, h: float, feedback: Feedback) -> dict[int, np.ndarray]:
    """Return samples of the symbols of the derivatives along one axis that the problem needs, jointly."""
    name = problem.domain.axes[axis]
    ns = sorted({orders(w)[name] for w in jets(problem.rhs.values())} | {2})
    samples = {n: [stencils.symbol(n, order, _ANGLES)] for n in ns}
    if not problem.is_periodic(name):
        kinds = set()
        for u in problem.fields:
            lower, upper = problem.boundary[u, name]
            slopes = [h * feedback.get((u, axis, end), 0.0) for end in (0, 1)]
            kinds.add(((lower.kind, slopes[0]), (upper.kind, slopes[1])))
        for sides in sorted(kinds):
            for n, values in closures(order, sides, tuple(ns)).items():
                samples[n].append(values)
    return {n: np.concatenate(values) for n, values in samples.items()}


@cache
def closures(
    order: int, sides: tuple[stencils.Closure, stencils.Closure], ns: tuple[int, ...]
) -> dict[int, np.ndarray]:
    """Return the symbols of the modes at the sides: eigenvectors of the second derivative beyond the Fourier range.

    The other derivatives are their Rayleigh quotients on the same vectors.
    """
    second = stencils.closed_matrix(2, order, sides, _LINE)
    values, vectors = np.linalg.eig(second)
    fourier = np.abs(stencils.symbol(2, order, _ANGLES)).max()
    beyond = (np.abs(values) > fourier * (1 + 1e-9)) | (np.abs(values.imag) > 1e-6 * fourier)
    out = {}
    for n in ns:
        matrix = stencils.closed_matrix(n, order, sides, _LINE) if n else np.eye(_LINE)
        v = vectors[:, beyond].astype(complex)
        out[n] = np.einsum("ij,ik,kj->j", v.conj(), matrix, v) / np.einsum("ij,ij->j", v.conj(), v)
    out[2] = values[beyond].astype(complex)
    return out


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
    return low
