"""Boundary conditions of one side of a box.

All derivatives are outward: du/dn is -du/dx on the lower side of x and +du/dx on the upper one. The given values
are expressions in the coordinates along the side, in t and in parameters; those of `Neumann` and `Robin` may also
contain the field itself, taken on the side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

from symdiff.ir.errors import SymdiffError
from symdiff.ir.node import Node, as_node, const


class Condition(ABC):
    """What holds on one side."""

    kind: str

    @abstractmethod
    def expressions(self) -> tuple[Node, ...]:
        """The expressions it contains."""


@final
@dataclass(frozen=True)
class Periodic(Condition):
    """The axis closes on itself: the same values on both sides."""

    kind = "periodic"

    def expressions(self) -> tuple[Node, ...]:
        """None."""
        return ()


@final
@dataclass(frozen=True)
class Free(Condition):
    """Nothing is said about the side: that of a known field, which goes on beyond it as a polynomial."""

    kind = "free"

    def expressions(self) -> tuple[Node, ...]:
        """None."""
        return ()


@final
@dataclass(frozen=True)
class Dirichlet(Condition):
    """u = value, held exactly at the points of the side.

    >>> Dirichlet(0).value.shape
    ()
    """

    value: Any = 0.0
    kind = "value"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_node(self.value))

    def expressions(self) -> tuple[Node, ...]:
        """The value."""
        return (self.value,)


@final
@dataclass(frozen=True)
class Neumann(Condition):
    """du/dn = slope, n the outward normal.

    >>> Neumann(2).slope.shape
    ()
    """

    slope: Any = 0.0
    kind = "slope"

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", as_node(self.slope))

    def expressions(self) -> tuple[Node, ...]:
        """The slope."""
        return (self.slope,)

    def slope_of(self, u: Node) -> Node:
        """The outward derivative."""
        node: Node = self.slope
        return node


@final
@dataclass(frozen=True)
class Robin(Condition):
    """a*u + b*du/dn = g, n the outward normal and b never zero.

    >>> Robin(1, 2, 0).kind
    'slope'
    """

    a: Any
    b: Any
    g: Any
    kind = "slope"

    def __post_init__(self) -> None:
        for name in ("a", "b", "g"):
            object.__setattr__(self, name, as_node(getattr(self, name)))
        if self.b is const(0.0):
            raise SymdiffError("Robin(a, b, g) with b = 0 has no derivative; use Dirichlet(g / a).")

    def expressions(self) -> tuple[Node, ...]:
        """The two factors and the right-hand side."""
        return (self.a, self.b, self.g)

    def slope_of(self, u: Node) -> Node:
        """The outward derivative (g - a*u)/b where the field is `u`."""
        node: Node = (self.g - self.a * u) / self.b
        return node
