"""Activations with PyTorch's definitions; relu, sigmoid, tanh and softmax are those of `sd`."""

from __future__ import annotations

import math
from typing import Any

from symdiff.front.arrays import softmax
from symdiff.front.functions import relu, sigmoid, softplus, tanh
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node
from symdiff.ops.elementwise import erfc, expm1, where


def elu(x: Any, alpha: float = 1.0) -> Node:
    """Return x for x > 0, else alpha (exp(x) - 1) (Clevert, Unterthiner & Hochreiter 2016, equation 15)."""
    node = as_node(x)
    return where(node > 0, node, alpha * expm1(node))


def gelu(x: Any, approximate: str = "none") -> Node:
    """Return x Φ(x), Φ the normal distribution's function (Hendrycks & Gimpel 2016).

    `approximate="tanh"` is x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³))).

    >>> from symdiff.front.symbols import symbols
    >>> print(gelu(symbols("x")))
    0.5*x*erfc(-0.7071067811865476*x)
    """
    node = as_node(x)
    match approximate:
        case "none":
            # erfc keeps the digits of Φ far to the left, where 1 + erf would cancel.
            return 0.5 * node * erfc(-math.sqrt(0.5) * node)
        case "tanh":
            return 0.5 * node * (1 + tanh(math.sqrt(2 / math.pi) * (node + 0.044715 * node**3)))
    raise DomainError(f"gelu: approximate is 'none' or 'tanh', got {approximate!r}.")


__all__ = ["elu", "gelu", "relu", "sigmoid", "softmax", "softplus", "tanh"]
