"""Spaces of settings: what each name may be, for random search and Bayesian optimisation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError


class Range(ABC):
    """The values of one setting, as a function of a number in [0, 1]."""

    @abstractmethod
    def at(self, u: float) -> Any:
        """Return the value that belongs to u."""

    @abstractmethod
    def place(self, u: float) -> float:
        """Return the u of the middle of all those that mean the same value as u."""


@dataclass(frozen=True, slots=True)
class Real(Range):
    """Numbers from `low` to `high`, evenly spread, or with `log` their logarithms.

    >>> Real(1e-3, 1e3, log=True).at(0.5)
    1.0
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self, self.low, self.high, self.log)

    def at(self, u: float) -> float:
        if not self.log:
            return float(self.low + u * (self.high - self.low))
        # The ends themselves at 0 and 1, whatever the logarithms are rounded to.
        return float(min(max(self.low * (self.high / self.low) ** u, self.low), self.high))

    def place(self, u: float) -> float:
        return u


@dataclass(frozen=True, slots=True)
class Integer(Range):
    """Whole numbers from `low` to `high`, both included, evenly spread, or with `log` their logarithms."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self, self.low, self.high, self.log)
        if not all(isinstance(v, (int, np.integer)) for v in (self.low, self.high)):
            raise DomainError(f"{self!r}: low and high are ints.")

    def at(self, u: float) -> int:
        low, high = self.low - 0.5, self.high + 0.5
        value = low * (high / low) ** u if self.log else low + u * (high - low)
        return int(min(max(round(value), self.low), self.high))

    def place(self, u: float) -> float:
        low, high, value = self.low - 0.5, self.high + 0.5, self.at(u)
        return math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Choice(Range):
    """One of some values, each as likely as the others; a list in a space is one."""

    values: Sequence[Any]

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not len(self.values):
            raise DomainError(f"Choice: values is a list with at least one value, got {self.values!r}.")

    def at(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def place(self, u: float) -> float:
        return (min(int(u * len(self.values)), len(self.values) - 1) + 0.5) / len(self.values)


@dataclass(frozen=True, slots=True)
class Space:
    """Ranges by name: a cube of numbers in [0, 1]."""

    ranges: Mapping[str, Range]

    @staticmethod
    def read(space: Any, who: str) -> Space:
        """Read a dict of ranges and lists. Raises DomainError."""
        if not isinstance(space, Mapping) or not space:
            raise DomainError(f"{who}: the space is a dict {{name: Real, Integer, Choice or list}}, got {space!r}.")
        ranges: dict[str, Range] = {}
        for name, values in space.items():
            if isinstance(values, Range):
                ranges[name] = values
            elif isinstance(values, (list, np.ndarray)):
                ranges[name] = Choice(list(values))
            else:
                raise DomainError(f"{who}: {name} is a Real, an Integer, a Choice or a list of values, got {values!r}.")
        return Space(ranges)

    def at(self, u: Sequence[float] | np.ndarray) -> dict[str, Any]:
        """Return the settings that belong to a point of the cube."""
        return {name: r.at(float(v)) for (name, r), v in zip(self.ranges.items(), u, strict=True)}

    def place(self, u: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the point of the cube that stands for all those with the same settings."""
        return np.array([r.place(float(v)) for r, v in zip(self.ranges.values(), u, strict=True)])


def _check_ends(who: Range, low: Any, high: Any, log: bool) -> None:
    numbers = all(isinstance(v, (int, float, np.number)) and math.isfinite(v) for v in (low, high))
    if not numbers or not low < high or (log and not low > 0):
        raise DomainError(f"{who!r}: low < high are finite numbers{', above 0 for log=True' if log else ''}.")
