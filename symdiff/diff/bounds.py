"""What a finite difference must lose: its truncation, known exactly, and the rounding of two values over the step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symdiff.diff.exact import Exact, distance, shifted, working_digits
from symdiff.diff.finite import Values, exact_step
from symdiff.diff.rounding import rounding_error
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node


def difference_bound(
    f: Node, values: Values, x: Node, exact: Exact, step: Callable[[float], float], one_sided: bool
) -> np.ndarray:
    """Return for every entry of df/dx the error that a difference with these steps may have.

    The same quotient with 200-digit numbers differs from the derivative by the truncation. A quotient that has no
    value, because a step leaves the domain of `f`, has the bound infinity.
    """
    import mpmath

    here = values[x]
    f0 = interpret([f], values)[0]
    at_x = rounding_error([f], values)[0]
    columns = []
    for index in np.ndindex(here.shape):
        h = here.dtype.type(step(float(here[index])))
        with np.errstate(invalid="ignore"):  # infinite points have no steps
            up, down = exact_step(here[index], h), 0.0 if one_sided else exact_step(here[index], -h)
        with mpmath.workdps(working_digits(float(here[index]))), np.errstate(invalid="ignore"):
            right, left = (shifted(f, values, x, index, mpmath.mpf(float(d))) for d in (up, down))
            quotient = (right - left) / (mpmath.mpf(float(up)) - mpmath.mpf(float(down)))
        moved = here.copy()
        moved[index] += up
        noise = rounding_error([f], {**values, x: moved})[0] + at_x
        column = (Ellipsis, *index)
        truncation = distance(quotient, exact.low[column], exact.high[column])
        columns.append(np.where(np.isnan(truncation), np.inf, truncation + 2 * noise / float(up)))
    shape = (*f0.shape, *here.shape)
    return np.stack(columns, axis=-1).reshape(shape) if columns else np.zeros(shape)
