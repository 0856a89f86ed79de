"""Boxes and the grids on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError


class Box:
    """A product of intervals, one for each named axis.

    Raises DomainError for an interval without length, and for an axis named t.

    >>> Box(x=(0, 1), y=(-1, 1)).axes
    ('x', 'y')
    """

    def __init__(self, **intervals: Any):
        if not intervals:
            raise DomainError("A Box needs at least one axis; write Box(x=(0, 1)).")
        self.axes: tuple[str, ...] = tuple(intervals)
        self.intervals: tuple[tuple[float, float], ...] = tuple(_interval(a, v) for a, v in intervals.items())

    @property
    def dim(self) -> int:
        """The number of axes."""
        return len(self.axes)

    def __repr__(self) -> str:
        inner = ", ".join(f"{a}=({lo:g}, {hi:g})" for a, (lo, hi) in zip(self.axes, self.intervals, strict=True))
        return f"Box({inner})"


def _interval(axis: str, value: Any) -> tuple[float, float]:
    try:
        lo, hi = (float(v) for v in value)
    except (TypeError, ValueError):
        raise DTypeError(f"The interval of axis {axis!r} is a pair of numbers such as (0, 1), got {value!r}.") from None
    if axis == "t":
        raise DomainError("Time is not an axis of a Box; leave t out, run(until=...) says how far it goes.")
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise DomainError(
            f"The interval of axis {axis!r} goes from a lower to a higher finite number, got ({lo}, {hi})."
        )
    return lo, hi


class Grid:
    """The vertices of a box: `grid.x`, `grid.y` are the coordinates along the axes, `spacing` their distances.

    A non-periodic axis has a point on both ends; a periodic one leaves out its last end.
    """

    def __init__(self, box: Box, shape: Sequence[int], periodic: Sequence[bool]):
        self.box, self.shape, self.periodic = box, tuple(shape), tuple(periodic)
        self.axes = box.axes
        self.points: tuple[np.ndarray, ...] = tuple(
            np.linspace(lo, hi, n, endpoint=not p)
            for (lo, hi), n, p in zip(box.intervals, self.shape, self.periodic, strict=True)
        )
        self.spacing: tuple[float, ...] = tuple(
            (hi - lo) / (n if p else n - 1)
            for (lo, hi), n, p in zip(box.intervals, self.shape, self.periodic, strict=True)
        )
        for array in self.points:
            array.setflags(write=False)

    def __getattr__(self, name: str) -> np.ndarray:
        # Only reached for names that are not ordinary attributes: the axes.
        if name in self.__dict__.get("axes", ()):
            return self.points[self.axes.index(name)]
        raise AttributeError(f"The grid has the axes {', '.join(self.__dict__.get('axes', ()))}, not {name!r}.")

    def mesh(self) -> tuple[np.ndarray, ...]:
        """Return the coordinates shaped to broadcast against a field: (nx, 1) and (1, ny) in two dimensions."""
        return tuple(np.meshgrid(*self.points, indexing="ij", sparse=True))

    def __repr__(self) -> str:
        return f"Grid({self.box!r}, shape={self.shape}, spacing={tuple(float(f'{h:.6g}') for h in self.spacing)})"
