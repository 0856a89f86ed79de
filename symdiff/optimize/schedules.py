"""Step sizes that change with the step: pass one wherever a rule takes `lr`.

t = 1, 2, … counts the steps, and the first step has the full rate. Where PyTorch has the schedule its formula is the
same: StepLR, CosineAnnealingLR.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node
from symdiff.ops.elementwise import cos, floor, minimum, sqrt
from symdiff.optimize.settings import Setting, is_expression


class Schedule(ABC):
    """A step size as a function of the step; subclasses are frozen dataclasses whose first field is the rate `lr`."""

    __slots__ = ()

    @abstractmethod
    def at(self, t: Node) -> Node:
        """Return the step size of step `t` = 1, 2, …, a float64 scalar."""


@dataclass(frozen=True, slots=True)
class StepDecay(Schedule):
    """lr * factor**k in stretch k = 0, 1, … of `every` steps."""

    lr: Setting
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        _check(self, lr=self.lr, every=self.every, factor=self.factor)

    def at(self, t: Node) -> Node:
        """Return the rate of step `t`."""
        return self.lr * self.factor ** floor((t - 1) / self.every)


@dataclass(frozen=True, slots=True)
class InverseTime(Schedule):
    """lr / (1 + decay (t - 1)): sums to infinity, its squares do not (Robbins & Monro 1951)."""

    lr: Setting
    decay: float = 1.0

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        _check(self, lr=self.lr, decay=self.decay)

    def at(self, t: Node) -> Node:
        """Return the rate of step `t`."""
        return self.lr / (1 + self.decay * (t - 1))


@dataclass(frozen=True, slots=True)
class InverseSqrt(Schedule):
    """lr / sqrt(t), the rate of subgradient methods (Nesterov 2018, section 3.2.3)."""

    lr: Setting

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        _check(self, lr=self.lr)

    def at(self, t: Node) -> Node:
        """Return the rate of step `t`."""
        return self.lr / sqrt(t)


@dataclass(frozen=True, slots=True)
class Cosine(Schedule):
    """Half a cosine from `lr` in the first step to `floor` after `steps` steps, then constant.

    Method: Loshchilov & Hutter 2017, SGDR, equation 5, without restarts.
    """

    lr: Setting
    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        _check(self, lr=self.lr, steps=self.steps)
        if not (is_expression(self.lr) or 0 <= self.floor <= self.lr):
            raise DomainError(f"Cosine: floor lies in [0, lr], got {self.floor!r} with lr={self.lr!r}.")

    def at(self, t: Node) -> Node:
        """Return the rate of step `t`."""
        part = minimum((t - 1) / self.steps, 1.0)
        return self.floor + (self.lr - self.floor) * (1 + cos(math.pi * part)) / 2


@dataclass(frozen=True, slots=True)
class WarmUp(Schedule):
    """The first `steps` steps grow in proportion to t up to the rate `lr`, a number or a schedule, which follows."""

    lr: Setting | Schedule
    steps: int

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_rate("WarmUp", self.lr)
        _check(self, steps=self.steps)

    def at(self, t: Node) -> Node:
        """Return the rate of step `t`."""
        return minimum(t / self.steps, 1.0) * rate(self.lr, t)


def rate(lr: Setting | Schedule, t: Node) -> Node:
    """Return the step size of step `t`."""
    return lr.at(t) if isinstance(lr, Schedule) else as_node(lr)


def check_rate(owner: str, lr: Any) -> None:
    """Raise DomainError unless `lr` is a schedule, an expression or a positive finite number."""
    if not isinstance(lr, Schedule):
        _check_positive(owner, "lr", lr)


def _check(schedule: Schedule, **settings: Setting) -> None:
    for name, value in settings.items():
        _check_positive(type(schedule).__name__, name, value)


def _check_positive(owner: str, name: str, value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_expression(value) and not (is_number and 0 < value < math.inf):
        raise DomainError(f"{owner}: {name} is a positive finite number, got {value!r}.")


__all__ = ["Cosine", "InverseSqrt", "InverseTime", "Schedule", "StepDecay", "WarmUp", "check_rate", "rate"]
