"""What a gradient is taken of: numbers of the end, of all times, and of what was observed on the way.

A goal is the sum of a number at the end such as `integral((u - goal)**2)`, of integrals over time (`over_time`) and
of misfits (`Observations`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from symdiff.ir.dims import as_extent, product
from symdiff.ir.errors import DomainError, DTypeError, ShapeError, UnknownSymbolError
from symdiff.ir.node import Node, as_node
from symdiff.ops import leaves
from symdiff.ops.index import reshape, take
from symdiff.ops.reduce import sum_
from symdiff.pde.domain import Grid
from symdiff.pde.fields import Fields
from symdiff.pde.formulas import everywhere
from symdiff.pde.functional import Functional
from symdiff.pde.jets import is_field
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.terms import integral


@final
@dataclass(frozen=True, slots=True, eq=False)
class OverTime:
    """The integral over time of a number; made by `over_time`."""

    expression: Node


def over_time(f: Any) -> OverTime:
    """Return the integral over the time of a run of a number made of the fields, by the trapezoidal rule.

    >>> from symdiff import pde
    >>> over_time(pde.integral(pde.field("u")**2)).expression.params["name"]
    'integral(u**2)'
    """
    return OverTime(as_node(f))


@final
class Observations:
    """Measured values of a field: the misfit 1/2 * sum(((u - values)/sigma)**2).

    `values[k]` was measured at `times[k]`: an array on the grid, or one value for each of the points whose coordinates
    `at` gives along every axis, `at={"x": [0.2, 0.7]}`; between grid points u is multilinear. A run steps onto every
    time exactly. `sigma` is the standard deviation of the errors.

    Raises: DTypeError for something that is no field; DomainError for times that do not increase from above 0 and for
    values or a sigma that are no finite numbers; ShapeError for values that fit neither times nor points.

    >>> from symdiff import pde
    >>> u = pde.field("u")
    >>> print(Observations(u, times=[0.1, 0.2], values=[[1.0], [0.5]], at={"x": [0.25]}))
    Observations(u: 2 times, 1 points)
    """

    def __init__(
        self,
        field: Node,
        times: Sequence[float],
        values: Any,
        at: Mapping[str, Any] | None = None,
        sigma: float = 1.0,
    ):
        if not is_field(field):
            raise DTypeError(f"Observations are those of a field, made with pde.field, got {field!s}.")
        self.field, self.times = field, np.atleast_1d(np.asarray(times, dtype=float))
        self.values, self.sigma = np.asarray(values, dtype=float), float(sigma)
        self.at = None if at is None else {str(k): np.atleast_1d(np.asarray(x, dtype=float)) for k, x in at.items()}
        steps = np.diff(self.times, prepend=0.0)
        if self.times.ndim != 1 or not self.times.size or not (steps > 0).all() or not np.isfinite(steps).all():
            raise DomainError(f"The times of observations increase from above 0, got {times!r}.")
        if not np.isfinite(self.values).all() or not (np.isfinite(self.sigma) and self.sigma > 0):
            raise DomainError("Observed values are finite numbers and sigma is a positive one.")
        n = len(self.times)
        if self.values.shape[:1] != (n,):
            raise ShapeError(f"Observations at {n} times have {n} rows of values, got the shape {self.values.shape}.")
        if self.at is not None and {x.shape for x in self.at.values()} != {self.values.shape[1:]}:
            found = {k: x.shape for k, x in self.at.items()}
            raise ShapeError(f"Values of the shape {self.values.shape[1:]} at a time are at points of shapes {found}.")

    def __repr__(self) -> str:
        where = "the grid" if self.at is None else f"{self.values.shape[1]} points"
        return f"Observations({self.field!s}: {len(self.times)} times, {where})"


@final
class Misfit:
    """Observations on a grid, as expressions: `number` names the symbols of its arrays."""

    def __init__(self, semi: Semidiscrete, grid: Grid, given: Observations, number: int):
        self.given, self.grid = given, grid
        if given.field not in semi.problem.all_fields:
            every = ", ".join(map(str, semi.problem.all_fields))
            raise UnknownSymbolError(f"{given!r} is of no field of the problem; it has {every}.")
        if given.at is None and given.values.shape[1:] != grid.shape:
            raise ShapeError(f"{given!r} has arrays of shape {given.values.shape[1:]}, the grid has {grid.shape}.")
        # The field has to reach the sides.
        self._semi = replace(semi, also=(integral(given.field),))
        self._values = _symbol(f"observed {number}", (as_extent(f"observed{number}"), *self._shape(number)))
        self._sigma = _symbol(f"sigma {number}", ())
        self._places = self._weights = None
        if given.at is not None:
            shape = (2 ** len(grid.axes), as_extent(f"points{number}"))
            self._places = _symbol(f"places {number}", shape, "int64")
            self._weights = _symbol(f"weights {number}", shape)

    def _shape(self, number: int) -> tuple[Any, ...]:
        if self.given.at is not None:
            return (as_extent(f"points{number}"),)
        return tuple(as_extent(f"n{axis}") for axis in self.grid.axes)

    @property
    def key(self) -> Any:
        """What tells expressions apart."""
        return (self.given.field, self.given.at is None)

    def inputs(self) -> dict[Node, Any]:
        """Return the arrays by their symbols."""
        out = {self._values: self.given.values, self._sigma: self.given.sigma}
        if self._places is not None and self._weights is not None:
            places, weights = corners(self.grid, self.given.at or {})
            out |= {self._places: places, self._weights: weights}
        return out

    def at(self, blocks: Mapping[Node, Node], t: Node, row: Node) -> Node:
        """Return the misfit for the unknowns at the time of a row of values."""
        u = everywhere(Fields(self._semi, blocks, t), self.given.field)
        if self._places is not None and self._weights is not None:
            flat = reshape(u, shape=(product(u.shape),))
            u = sum_(take(flat, self._places, axis=0) * self._weights, axes=(0,))
        off = (u - take(self._values, row, axis=0)) * (1.0 / self._sigma)
        return 0.5 * sum_(off * off, axes=tuple(range(off.ndim)))


def corners(grid: Grid, at: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat places of the corners of the cells that points lie in, and their multilinear weights.

    Raises UnknownSymbolError for other axes than the grid's, DomainError for points outside.
    """
    if set(at) != set(grid.axes):
        raise UnknownSymbolError(f"Points of observation have coordinates {', '.join(grid.axes)}, got {', '.join(at)}.")
    places: Any = np.zeros(1, dtype=np.int64)
    weights: Any = np.ones(1)
    for k, axis in enumerate(grid.axes):
        n, h, x = grid.shape[k], grid.spacing[k], at[axis]
        low, high = grid.box.intervals[k]
        if not ((x >= low) & (x <= high)).all():
            raise DomainError(f"Points of observation lie in the domain, {low:g} to {high:g} along {axis!r}.")
        cell = np.clip(np.floor((x - low) / h).astype(np.int64), 0, n - 1 if grid.periodic[k] else n - 2)
        part = (x - low) / h - cell
        ends, shares = np.stack([cell, (cell + 1) % n]), np.stack([1 - part, part])
        places = (places[..., None, :] * n + ends).reshape(-1, len(x))
        weights = (weights[..., None, :] * shares).reshape(-1, len(x))
    return places, weights


def _symbol(name: str, shape: Any, dtype: str = "float64") -> Node:
    return leaves.symbol(name=f"\0{name}", shape=shape, dtype=dtype)


@final
class Goal:
    """A sum of goals on a grid: a `final` number, the `rates` of integrals over time, and `misfits`.

    Raises DTypeError for something that is no goal, and what `Functional` and `Misfit` raise.
    """

    def __init__(self, semi: Semidiscrete, grid: Grid, given: Any):
        self.final: list[Functional] = []
        self.rates: list[Functional] = []
        self.misfits: list[Misfit] = []
        for part in given if isinstance(given, (list, tuple)) else [given]:
            if isinstance(part, Observations):
                self.misfits.append(Misfit(semi, grid, part, len(self.misfits)))
            elif isinstance(part, OverTime):
                self.rates.append(Functional(semi, part.expression, "The integral over time of a gradient"))
            else:
                self.final.append(Functional(semi, part, "The functional of a gradient"))
        for functional in (*self.final, *self.rates):
            functional.check(grid.shape)

    @property
    def key(self) -> Any:
        """What tells expressions apart."""
        numbers = [tuple(f.expression for f in several) for several in (self.final, self.rates)]
        return (*numbers, tuple(m.key for m in self.misfits))

    def times(self) -> np.ndarray:
        """Return when something was observed."""
        return np.unique(np.concatenate([np.empty(0), *(m.given.times for m in self.misfits)]))
