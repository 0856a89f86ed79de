"""Boundary conditions of one side of a box.

All derivatives are outward: du/dn is -du/dx on the lower side of x and +du/dx on the upper one. The given values
are expressions in the coordinates along the side, in t, in parameters and in other fields and their derivatives; those
of derivatives may also contain the field itself, taken on the side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from symdiff.ir.errors import DTypeError, SymdiffError
from symdiff.ir.node import Node, as_node, const


def given(value: Any) -> Node:
    """Return a given value as an expression. Raises DTypeError for arrays and functions."""
    if callable(value) or np.ndim(value):
        raise DTypeError(
            f"A condition is given by an expression in coordinates and t, got {type(value).__name__}; for values on "
            "the grid take a field g with Problem(…, known=[g]) and parameters={g: array}."
        )
    return as_node(value)


class Condition(ABC):
    """What holds on one side.

    `orders` are those of the outward derivatives that it gives, lowest first, 0 for the value itself. `kind` is "value"
    where the field is given on the side, "slope" where its values there are unknowns.
    """

    @property
    @abstractmethod
    def kind(self) -> str:
        """Where the field is given: "value", "slope", "periodic" or "free"."""

    @property
    def orders(self) -> tuple[int, ...]:
        """The orders of the outward derivatives that are given."""
        return ()

    @abstractmethod
    def expressions(self) -> tuple[Node, ...]:
        """The expressions it contains."""

    def data(self, u: Node) -> tuple[Node, ...]:
        """Return the outward derivatives of the field `u` that it gives, in the order of `orders`."""
        return self.expressions()

    def __and__(self, other: Any) -> Both:
        """Return both conditions, for an equation of third or fourth order."""
        return Both(self, other) if isinstance(other, Condition) else NotImplemented


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
    """Nothing is said about the side: the field goes on beyond it as a polynomial, as those do that are known."""

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
    orders = (0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", given(self.value))

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
    orders = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", given(self.slope))

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
    orders = (1,)

    def __post_init__(self) -> None:
        for name in ("a", "b", "g"):
            object.__setattr__(self, name, given(getattr(self, name)))
        if self.b is const(0.0):
            raise SymdiffError("Robin(a, b, g) with b = 0 has no derivative; use Dirichlet(g / a).")

    def expressions(self) -> tuple[Node, ...]:
        """The two factors and the right-hand side."""
        return (self.a, self.b, self.g)

    def slope_of(self, u: Node) -> Node:
        """The outward derivative (g - a*u)/b where the field is `u`."""
        node: Node = (self.g - self.a * u) / self.b
        return node

    def data(self, u: Node) -> tuple[Node, ...]:
        """The outward derivative."""
        return (self.slope_of(u),)


@final
@dataclass(frozen=True)
class Curvature(Condition):
    """The outward derivative of order `n`, 2 or more, is `value`; made of an equation such as Eq(dn(u, 2), 0)."""

    n: int
    value: Any = 0.0
    kind = "slope"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", given(self.value))

    @property
    def orders(self) -> tuple[int, ...]:
        """The one order."""
        return (self.n,)

    def expressions(self) -> tuple[Node, ...]:
        """The value."""
        return (self.value,)


@final
@dataclass(frozen=True)
class Both(Condition):
    """Two conditions on one side, for an equation of third or fourth order; written `Dirichlet(0) & Neumann(0)`.

    Raises SymdiffError for two that give the same derivative.

    >>> clamped = Dirichlet(0) & Neumann(0)
    >>> clamped.kind, clamped.orders
    ('value', (0, 1))
    """

    first: Any
    second: Any

    def __post_init__(self) -> None:
        pair = (self.first, self.second)
        if any(len(c.orders) != 1 for c in pair) or self.first.orders == self.second.orders:
            names = " and ".join(type(c).__name__ for c in pair)
            raise SymdiffError(
                f"Two conditions on one side give two different derivatives, such as Dirichlet(0) & Neumann(0), "
                f"got {names}."
            )
        lower, upper = sorted(pair, key=lambda c: c.orders[0])
        object.__setattr__(self, "first", lower)
        object.__setattr__(self, "second", upper)

    @property
    def kind(self) -> str:
        """That of the lower derivative."""
        return str(self.first.kind)

    @property
    def orders(self) -> tuple[int, ...]:
        """Two."""
        return (*self.first.orders, *self.second.orders)

    def expressions(self) -> tuple[Node, ...]:
        """Those of both."""
        return (*self.first.expressions(), *self.second.expressions())

    def data(self, u: Node) -> tuple[Node, ...]:
        """What both give."""
        return (*self.first.data(u), *self.second.data(u))
