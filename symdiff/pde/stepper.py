"""The interface of a time step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symdiff.ir.node import Node
from symdiff.pde.problem import Problem
from symdiff.pde.semidiscrete import Semidiscrete


@dataclass(frozen=True, slots=True)
class Stepped:
    """The unknowns after a step, the relative residual of its equations where it solves any, and what it remembers."""

    blocks: dict[Node, Node]
    residual: Node | None = None
    memory: list[Node] = field(default_factory=list)


class Stepper(ABC):
    """A method that steps from t to t + dt, with a memory of earlier steps if it is a multistep method."""

    name: str
    order: int

    @abstractmethod
    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt for those at t with the points beyond them, as expressions."""

    @abstractmethod
    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return R(z), the factor by which a step multiplies a solution of u' = lambda*u, at z = dt*lambda.

        Of a multistep method, the largest root of its characteristic equation.
        """

    @property
    @abstractmethod
    def is_implicit(self) -> bool:
        """Whether every decaying solution of u' = lambda*u decays with every dt (A-stability)."""

    @property
    def note(self) -> str:
        """What a run's message says of the method, nothing for an explicit one."""
        return ""

    def describe(self) -> str:
        """Say in a line what the method is."""
        return f"{self.name}: explicit, order {self.order} in time"

    def adapted(self, problem: Problem) -> Stepper:
        """Return the form of the method for a problem."""
        return self

    def memory(self, semi: Semidiscrete) -> list[Node]:
        """Return what the first step remembers, as expressions in `semi.blocks`; nothing for a one-step method."""
        return []
