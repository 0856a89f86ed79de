"""Constraints as expressions, and the functions that take their place: penalty and augmented Lagrangian."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.wrt import as_function
from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, const, make
from symdiff.ops.elementwise import where
from symdiff.ops.reduce import sum_


@dataclass(frozen=True, slots=True)
class Constraint:
    """c(x) = 0, or c(x) >= 0 where `is_inequality`, for every entry of c."""

    c: Node
    is_inequality: bool

    def term(self, multiplier: Node, penalty: Node) -> Node:
        """Return the term that it adds to the augmented Lagrangian.

        With the penalty mu an equation adds -m'c + mu c'c/2. An inequality is c = s with s >= 0; minimised over s the
        same term is -m c + mu c²/2 where m - mu c > 0 and the constant -m²/(2 mu) elsewhere, which meet smoothly.
        With m = 0 these are quadratic penalties.
        """
        near = -multiplier * self.c + 0.5 * penalty * self.c**2
        if self.is_inequality:
            near = where(multiplier - penalty * self.c > 0, near, -0.5 * multiplier**2 / penalty)
        return sum_(near, axes=range(self.c.ndim))

    def better_multiplier(self, multiplier: np.ndarray, c: np.ndarray, penalty: float) -> np.ndarray:
        """Return the multiplier that makes the Lagrangian's gradient that of the augmented Lagrangian."""
        new = multiplier - penalty * c
        return np.maximum(new, 0.0) if self.is_inequality else new

    def violation(self, c: np.ndarray) -> float:
        """How far the constraint is from holding."""
        return float(np.max(np.maximum(-c, 0.0) if self.is_inequality else np.abs(c), initial=0.0))

    def slack(self, c: np.ndarray, multiplier: np.ndarray) -> float:
        """How far the constraint is from holding, with a multiplier of zero where it is not active."""
        return float(np.max(np.abs(np.minimum(c, multiplier) if self.is_inequality else c), initial=0.0))


def read_constraints(constraints: Any) -> list[Constraint]:
    """Return constraints from expressions that are to vanish, and comparisons `a <= b`, `a >= b` or `sd.equal(a, b)`.

    Raises DTypeError, DomainError.
    """
    if isinstance(constraints, (str, bytes, dict)) or not isinstance(constraints, Iterable) or is_single(constraints):
        raise DTypeError(
            f"minimize: constraints is a list of expressions that vanish and comparisons such as x + y <= 1, "
            f"got {type(constraints).__name__}."
        )
    constraints = list(constraints)
    if any(isinstance(c, (bool, np.bool_)) for c in constraints):
        raise DTypeError(
            "minimize: a constraint is True or False: in Python a == b asks whether two expressions are the same one. "
            "Write a - b, which is to vanish, or sd.equal(a, b)."
        )
    found = [_read(as_node(c)) for c in constraints]
    if not found:
        raise DomainError("minimize: constraints is an empty list; leave the argument out.")
    return found


def is_single(constraints: Any) -> bool:
    """Whether one expression was given instead of a list of them."""
    return isinstance(constraints, Node)


def _read(node: Node) -> Constraint:
    name = node.op.name
    if not free_symbols([node]):
        raise DomainError(f"minimize: the constraint {brief(node)} ({node.line}) is a constant.")
    if node.dtype != "bool":
        return Constraint(as_function(node), False)
    if name in ("ge", "le", "eq"):
        a, b = node.args
        # In floating point: a comparison may also be of integers.
        difference = (b - a if name == "le" else a - b) * const(1.0)
        return Constraint(as_function(difference), name != "eq")
    what = "is strict; write <= or >=, a minimum may lie on the border" if name in ("lt", "gt") else "is no comparison"
    raise DomainError(f"minimize: the constraint {brief(node)} ({node.line}) {what}.")


def lagrangian_symbols(constraints: list[Constraint], dtype: str) -> tuple[list[Node], Node]:
    """Return symbols of multipliers, each like its constraint, and of the penalty."""
    # A leading NUL cannot occur in a user's name.
    multipliers = [_symbol(f"multiplier{k}", c.c.shape, c.c.dtype) for k, c in enumerate(constraints)]
    return multipliers, _symbol("penalty", (), dtype)


def _symbol(name: str, shape: Any, dtype: str) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": shape, "dtype": dtype})


__all__ = ["Constraint", "lagrangian_symbols", "read_constraints"]
