"""Monitors: numbers of a run that stay what they are, or between bounds; the step at which they do not is named.

They are given among the numbers to `track`, and recorded like these. What leaves its tolerance ends the run with a
RunError that keeps all that was computed, or is a warning.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.node import Node, as_node
from symdiff.pde.conditions import Both, Dirichlet
from symdiff.pde.evaluate import on_points
from symdiff.pde.jets import TIME, all_jets, all_symbols, is_field, jets, term, terms
from symdiff.pde.schedule import positive
from symdiff.pde.terms import largest, smallest

if TYPE_CHECKING:
    from symdiff.pde.domain import Grid
    from symdiff.pde.problem import Problem

# Of a step, rounding errors are some 1e-16; in a million steps they are 1e-10 if they all go one way.
TOLERANCE = 1e-9
_CALL = re.compile(r"\s*(conserved|maximum_principle)\s*\((.*)\)\s*", re.DOTALL)
_AT_ONCE = 2**22  # points at which sides are evaluated together
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True)
class Start:
    """A problem with the values of its parameters, and what gives numbers at the start of a run."""

    problem: Problem
    grid: Grid
    values: Mapping[Node, Any]
    number: Callable[[Node], float]


class Monitor(ABC):
    """Numbers to record, and what has to hold of them."""

    warn: bool

    @abstractmethod
    def numbers(self, name: str) -> dict[str, Any]:
        """Return the numbers to record, by their names."""

    @abstractmethod
    def watch(self, name: str, start: Start) -> Watch:
        """Return what looks at the records of a run."""


class Watch(ABC):
    """Looks at the records of a monitor in their order, those of the start first; `claim` says what it denies."""

    claim: str

    @abstractmethod
    def wrong(self, steps: np.ndarray, times: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[int, str] | None:
        """Return which is the first record that is wrong, and how, None if all are right."""


@final
class Watched:
    """A monitor in a run: which of the recorded numbers are its own, and whether it has warned."""

    def __init__(self, name: str, warn: bool, watch: Watch, columns: Sequence[int]):
        self.name, self.warn, self.watch, self.columns = name, warn, watch, columns
        self.is_over = False

    def look(self, steps: np.ndarray, times: np.ndarray, rows: Sequence[np.ndarray]) -> str:
        """Say which record is wrong; nothing if none is, and after it has been said once."""
        found = None if self.is_over else self.watch.wrong(steps, times, [rows[c] for c in self.columns])
        if found is None:
            return ""
        self.is_over, (k, how) = True, found
        return f"{self.name!r} {self.watch.claim}: after step {steps[k]}, at t = {times[k]:g}, {how}."


# -- what is conserved ----------------------------------------------------------------------------------------------


def conserved(number: Any, tol: float = TOLERANCE, warn: bool = False) -> Conserved:
    """Return the monitor of a number that keeps its value, such as a mass.

    It may differ from its start by `tol` of the same integrals of absolute values. With `warn` it warns and goes on.

    >>> import symdiff as sd
    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> heat = pde.Problem(
    ...     pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: sd.sin(sd.pi * x)}
    ... )
    >>> try:
    ...     heat.discretize(21).run(0.1, dt=0.001, track={"heat": pde.conserved(pde.integral(u))})
    ... except pde.RunError as error:
    ...     print(str(error)[:58])
    'heat' is not conserved: after step 1, at t = 0.001, it is
    """
    return Conserved(number, positive(tol, "tol", "it is the part of a number by which it may change"), bool(warn))


@final
@dataclass(frozen=True, slots=True)
class Conserved(Monitor):
    """A number that keeps its value; made by `conserved`."""

    number: Any
    tol: float
    warn: bool

    def numbers(self, name: str) -> dict[str, Any]:
        return {name: self.number}

    def watch(self, name: str, start: Start) -> Watch:
        return _Drift(name, self.tol, start.number(_size(as_node(self.number))))


def _size(number: Node) -> Node:
    """Return what a number would be if nothing cancelled: the sum over its integrals of |dE/dI| times that of |f|.

    Integrals without a field, such as the volume in a mean, have no errors to add.
    """
    sizes = [
        abs(diff(number, s)) * term(s.params["term"], abs(s.params["of"]), f"|{s.params['label']}|")
        for s in terms([number])
        if all_jets([s])
    ]
    return sum(sizes[1:], sizes[0]) if sizes else abs(number)


@final
class _Drift(Watch):
    claim = "is not conserved"

    def __init__(self, name: str, tol: float, size: float):
        self.name, self.tol, self.size = name, tol, max(abs(size), _TINY)
        self.first: float | None = None

    def wrong(self, steps: np.ndarray, times: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[int, str] | None:
        (values,) = columns
        first = self.first = float(values[0]) if self.first is None else self.first
        drift = np.abs(values - first) / self.size
        bad = np.flatnonzero(~(drift <= self.tol))
        if not len(bad):
            return None
        k = int(bad[0])
        return k, (
            f"it is {values[k]:.15g}, at the start {first:.15g}: it changed by {values[k] - first:.3g}, which is "
            f"{drift[k]:.2e} of its size, where {self.tol:.3g} is allowed"
        )


# -- the maximum principle --------------------------------------------------------------------------------------------


def maximum_principle(u: Any, tol: float = TOLERANCE, warn: bool = False) -> MaximumPrinciple:
    """Return the monitor of a field that stays between its initial values and those given on its sides up to now.

    It may be beyond by `tol` of the largest of them. `track={"u": ...}` records smallest and largest values, as
    `u_smallest` and `u_largest`. With `warn` it warns and goes on.

    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> start = {u: 1 - 2 * abs(x - 0.5)}
    >>> heat = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, start)
    >>> options = {"dt": 0.002, "track": {"range": pde.maximum_principle(u)}}
    >>> sol = heat.discretize(21).run(0.1, method="backward-euler", **options)
    >>> bool(sol.tracked["range_largest"][-1] < 1)
    True
    """
    if not is_field(u) and not isinstance(u, str):
        raise DTypeError(f"maximum_principle takes a field, got {u!s}.")
    tol = positive(tol, "tol", "it is the part of the largest value by which it may be passed")
    return MaximumPrinciple(u, tol, bool(warn))


@final
@dataclass(frozen=True, slots=True)
class MaximumPrinciple(Monitor):
    """A field that stays between the values that it was given; made by `maximum_principle`."""

    field: Any
    tol: float
    warn: bool

    def numbers(self, name: str) -> dict[str, Any]:
        return {f"{name}_smallest": smallest(self.field), f"{name}_largest": largest(self.field)}

    def watch(self, name: str, start: Start) -> Watch:
        return _Bounds(name, self.field, self.tol, start)


@final
class _Bounds(Watch):
    claim = "violates the maximum principle"

    def __init__(self, name: str, field: Node, tol: float, start: Start):
        self.tol, self.start, self.low, self.high = tol, start, np.inf, -np.inf
        self.last: tuple[int, float] | None = None  # the record before: its step and time
        self.sides = []
        for axis in start.grid.axes:
            for end, side in enumerate(start.problem.boundary[field, axis]):
                condition = side.first if isinstance(side, Both) else side  # the value comes first
                if isinstance(condition, Dirichlet) and jets([condition.value]):
                    raise DomainError(
                        f"The monitor {name!r} knows the values of {field!s} on its sides before a run only where they "
                        f"contain no other field; along {axis!r} they are {condition.value!s}."
                    )
                # Values that do not change are those of the start.
                if isinstance(condition, Dirichlet) and symbols(TIME) in all_symbols([condition.value]):
                    self.sides.append((axis, end, condition.value))

    def _given(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and the largest value that is given on a side at each time."""
        grid, column = self.start.grid, times.reshape(-1, *[1] * len(self.start.grid.axes))
        points = dict(zip(grid.axes, grid.mesh(), strict=True))
        low, high = np.full(len(times), np.inf), np.full(len(times), -np.inf)
        for axis, end, value in self.sides:
            found = on_points(value, {**points, axis: points[axis].flat[-end], TIME: column}, 0.0, self.start.values)
            rows = found.reshape(len(times), -1)
            low, high = np.minimum(low, rows.min(axis=1)), np.maximum(high, rows.max(axis=1))
        return low, high

    def wrong(self, steps: np.ndarray, times: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[int, str] | None:
        if self.last is None:
            self.low, self.high, self.last = (
                float(columns[0][0]),
                float(columns[1][0]),
                (int(steps[0]), float(times[0])),
            )
        before = np.concatenate([[self.last[1]], times[:-1]])
        # Stages of methods stand in the middles of steps.
        between = 2 * max(1, int(np.diff(steps, prepend=self.last[0]).max()))
        self.last = int(steps[-1]), float(times[-1])
        looked = before[:, None] + (times - before)[:, None] * np.arange(1, between + 1) / between
        most = max(1, _AT_ONCE // (between * math.prod(self.start.grid.shape)))  # more than there are points on a side
        for k in range(0, len(times), most):
            found = self._beyond(looked[k : k + most], *(column[k : k + most] for column in columns))
            if found is not None:
                return k + found[0], found[1]
        return None

    def _beyond(self, looked: np.ndarray, lows: np.ndarray, highs: np.ndarray) -> tuple[int, str] | None:
        """Return the first value beyond bounds and how far it is; the bounds go on with the times.

        Row k of `looked` are times up to that of the record k, after the one before.
        """
        given = self._given(looked.reshape(-1))
        given_low, given_high = given[0].reshape(looked.shape).min(axis=1), given[1].reshape(looked.shape).max(axis=1)
        low = np.minimum(np.minimum.accumulate(given_low), self.low)
        high = np.maximum(np.maximum.accumulate(given_high), self.high)
        self.low, self.high = float(low[-1]), float(high[-1])
        room = self.tol * np.maximum(np.maximum(np.abs(low), np.abs(high)), _TINY)
        bad = np.flatnonzero(~((lows >= low - room) & (highs <= high + room)))
        if not len(bad):
            return None
        k = int(bad[0])
        is_high = not highs[k] <= high[k] + room[k]
        value, bound, what, side = (highs[k], high[k], "largest", "above") if is_high else (
            lows[k], low[k], "smallest", "below"
        )  # fmt: skip
        return k, (
            f"its {what} value is {value:.15g}, {abs(value - bound):.3g} {side} the {what} one that it was given, "
            f"{bound:.15g}, where {room[k]:.3g} is allowed"
        )


# -- text -------------------------------------------------------------------------------------------------------------


def monitor_from(text: str, parse: Callable[[str], Any]) -> Monitor | None:
    """Return the monitor that a text such as "conserved(integral(u))" is, None if it is something else."""
    match = _CALL.fullmatch(text)
    if match is None:
        return None
    made = parse(match[2])
    return conserved(made) if match[1] == "conserved" else maximum_principle(made)


def parsed(monitor: Monitor, parse: Callable[[Any], Any]) -> Monitor:
    """Return a monitor whose number or field may have been text."""
    match monitor:
        case Conserved():
            return replace(monitor, number=parse(monitor.number))
        case MaximumPrinciple():
            field = parse(monitor.field)
            if not is_field(field):
                raise UnknownSymbolError(f"maximum_principle takes a field, got {monitor.field!s}.")
            return replace(monitor, field=field)
    raise DTypeError(f"A monitor is made by pde.conserved or pde.maximum_principle, got {monitor!r}.")
