"""The interface of a time step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from symdiff.ir.node import Node
from symdiff.pde.semidiscrete import Semidiscrete


class Stepped(NamedTuple):
    """The unknowns after a step, and the relative residual of its equations where it solves any."""

    blocks: dict[Node, Node]
    residual: Node | None = None


class Stepper(ABC):
    """A one-step method."""

    name: str
    order: int

    @abstractmethod
    def step(self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node) -> Stepped:
        """Return the unknowns at t + dt for those at t with the points beyond them, as expressions."""

    @abstractmethod
    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return R(z), the factor by which a step multiplies a solution of u' = lambda*u, at z = dt*lambda."""

    @property
    @abstractmethod
    def is_implicit(self) -> bool:
        """Whether every decaying solution of u' = lambda*u decays with every dt (A-stability)."""
