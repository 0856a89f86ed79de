"""The error of a difference against its step: truncation falls with the step, rounding grows, the best lies between.

Method: with noise eps |f| in the two values of a difference, the error of a forward difference is about
h |f''| / 2 + eps |f| / h, that of a central one h^2 |f'''| / 6 + eps |f| / (2h) (Gill, Murray, Saunders & Wright 1983,
SIAM J. Sci. Stat. Comput. 4, 310). The complex step has no rounding term. Steps are relative to max(|x|, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symdiff.diff.exact import Exact, shifted, working_digits
from symdiff.diff.finite import Values, default_step, exact_step
from symdiff.diff.patience import Patient
from symdiff.diff.rounding import rounding_error
from symdiff.ir.node import Node

# Two steps a decade, from half a rounding unit to the size of x itself.
STEPS = np.logspace(-16, 0, 33)
_FINE = np.logspace(-16, 0, 1601)
# The second difference with steps 1e-25 is right to 1e-50, and its rounding is 1e-200 / 1e-75.
_THIRD = 25


@dataclass(frozen=True, slots=True)
class Curve:
    """One method: its largest error over all entries for each step, NaN where a step leaves the domain of `f`.

    `best_step` has the smallest error; `theory_step` is where truncation and rounding balance by the derivatives of
    `f`, NaN for the complex step, at kinks and for polynomials that the method differentiates exactly.
    """

    method: str
    steps: np.ndarray
    errors: np.ndarray
    best_step: float
    best_error: float
    theory_step: float
    theory_error: float
    default_step: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """The V-shaped curves of forward and central differences, and the complex step, which has no V."""

    curves: tuple[Curve, ...]

    def __str__(self) -> str:
        """One line per method: the best step and its error, and what theory expects."""
        lines = []
        for c in self.curves:
            theory = f", theory {c.theory_step:.1e}" if np.isfinite(c.theory_step) else ""
            lines.append(f"{c.method}: least error {c.best_error:.1e} at step {c.best_step:.1e}{theory}")
        return "\n".join(lines)


def sweep(f: Node, values: Values, symbols: Sequence[Node], exact: Sequence[Exact]) -> Sweep:
    """Return the errors of differences of `f` by all entries of `symbols` for a range of steps.

    Cost: 100 values of `f` and four with 200 digits per entry.
    """
    errors = {m: np.full(len(STEPS), 0.0) for m in ("forward", "central", "complex")}
    model = {m: np.zeros(len(_FINE)) for m in ("forward", "central")}
    eps = max(float(np.finfo(n.dtype).eps) for n in (f, *symbols))
    at = Patient(f, values)
    f0 = at(values)
    noise = _noise(f, f0, values, eps)
    for x, e in zip(symbols, exact, strict=True):
        for index in np.ndindex(values[x].shape):
            low, high = (np.asarray(v[(..., *index)], dtype=object).astype(float) for v in (e.low, e.high))
            with np.errstate(all="ignore"):
                for k, step in enumerate(STEPS):
                    for m, value in _differences(at, f0, values, x, index, step).items():
                        error = np.maximum(np.maximum(low - value, value - high), 0.0)
                        # NaN stays NaN: a curve has a gap where one entry has no value.
                        errors[m][k] = np.maximum(errors[m][k], error.max(initial=0.0))
                for m, expected in _model(f, noise, values, x, index).items():
                    model[m] = np.maximum(model[m], expected)
    return Sweep(tuple(_curve(m, errors[m], model.get(m), eps) for m in errors))


def _differences(
    at: Patient, f0: np.ndarray, values: Values, x: Node, index: tuple[int, ...], step: float
) -> dict[str, np.ndarray]:
    here = values[x]
    h = here.dtype.type(step * max(abs(float(here[index])), 1.0))
    up, down = exact_step(here[index], h), exact_step(here[index], -h)
    moved = [here.copy(), here.copy(), here.astype(complex)]
    for array, d in zip(moved, (up, down, 1j * float(h)), strict=True):
        array[index] += d
    right, left = (at({**values, x: m}) for m in moved[:2])
    tilted = at({**values, x: moved[2]}, "complex")
    return {
        # Steps below the spacing of numbers do not move x at all: 0/0 is their honest answer.
        "forward": np.asarray((right - f0) / up),
        "central": np.asarray((right - left) / (up - down)),
        "complex": np.imag(tilted) / float(h),
    }


def _noise(f: Node, f0: np.ndarray, values: Values, eps: float) -> np.ndarray:
    """The noise in values of `f`: a rounding of its own size, or more where the formula cancels."""
    plain = eps * np.abs(f0)
    # The estimate covers the worst case eight times over.
    found = rounding_error([f], values)[0] / 8
    return np.where(found > 16 * plain, found, plain).ravel()


def _model(f: Node, noise: np.ndarray, values: Values, x: Node, index: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The expected errors over `_FINE`, from the second and third derivative to some 40 digits."""
    import mpmath

    entry = float(values[x][index])
    scale = max(abs(entry), 1.0)
    with mpmath.workdps(working_digits(entry)):
        h = mpmath.mpf(10) ** -_THIRD * scale
        outer, right, centre, left, lower = (shifted(f, values, x, index, k * h).ravel() for k in (2, 1, 0, -1, -2))
        second = np.array([float(v) for v in (right - 2 * centre + left) / h**2])
        third = np.array([float(v) for v in (outer - 2 * right + 2 * left - lower) / (2 * h**3)])
    steps = (_FINE * scale)[:, None]
    forward = steps * np.abs(second) / 2 + noise / steps
    central = steps**2 * np.abs(third) / 6 + noise / (2 * steps)
    return {"forward": forward.max(axis=1, initial=0.0), "central": central.max(axis=1, initial=0.0)}


def _curve(method: str, errors: np.ndarray, model: np.ndarray | None, eps: float) -> Curve:
    finite = np.isfinite(errors)
    best = int(np.argmin(np.where(finite, errors, np.inf)))
    best_step, best_error = (float(STEPS[best]), float(errors[best])) if finite.any() else (np.nan, np.nan)
    theory_step = theory_error = np.nan
    if model is not None and np.isfinite(model).all():
        k = int(np.argmin(model))
        # A minimum at an end is no balance: nothing is truncated, or nothing rounded.
        if 0 < k < len(_FINE) - 1 and model[k] > 0:
            theory_step, theory_error = float(_FINE[k]), float(model[k])
    return Curve(
        method, STEPS, errors, best_step, best_error, theory_step, theory_error, default_step(method, 1.0, eps)
    )
