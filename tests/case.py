"""Case: a primitive applied to arrays, with a reference that is written a second time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.node import Node


@dataclass(frozen=True, eq=False)
class Case:
    """A primitive applied to arrays: values of its arguments, how it is built, and what it means."""

    primitive: str
    label: str
    values: tuple[np.ndarray, ...]
    build: Callable[..., Node]
    reference: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.primitive}-{self.label}" if self.label else self.primitive


def draw(low: float, high: float, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Draw numbers from an interval."""
    return np.random.default_rng(seed).uniform(low, high, shape)
