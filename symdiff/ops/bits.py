"""Operations on the bits of integers, under NumPy's meaning, and random bits made of them.

They are not among the functions of real numbers: they take int64 only and have no derivative.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise

_BITS = (0.0, 2.0**20)


def _on_integers(name: str, doc: str, evaluate: Callable[..., Any], reference: Callable[..., Any]) -> Elementwise:
    return Elementwise(
        name, doc=doc, evaluate_=evaluate, reference=reference, samples=(_BITS, _BITS), native=name, kinds="integer"
    )


bit_and = _on_integers("bit_and", "The bits that x and y have both.", np.bitwise_and, operator.and_)
bit_xor = _on_integers("bit_xor", "The bits that one of x and y has, not both.", np.bitwise_xor, operator.xor)
shift_right = _on_integers(
    "shift_right", "x moved by y < 64 bits to the right; the sign stays.", np.right_shift, operator.rshift
)

_WORD = 0xFFFFFFFF  # the largest word of 32 bits
_MULTIPLIER, _WEYL = 0xD256D193, 0x9E3779B9
_ROUNDS = 10


def random_bits(low: Any, high: Any, key: Any) -> Node:
    """Return 32 random bits, an int64 in [0, 2**32), for each counter (low, high) of two words and a key of one.

    The same on every target and for any number of threads: an entry depends on nothing but its own numbers.
    Method: Philox2x32-10 (Salmon, Moraes, Dror & Shaw 2011, section 3.3); this is its first word.
    """
    left, right = (bit_and(x, _WORD) for x in (low, high))
    k = bit_and(key, _WORD)
    for _ in range(_ROUNDS):
        # Both factors have 32 bits: the product is exact in 64, and its sign bit is one of its bits.
        product = left * _MULTIPLIER
        left, right = bit_xor(bit_xor(bit_and(shift_right(product, 32), _WORD), k), right), bit_and(product, _WORD)
        k = bit_and(k + _WEYL, _WORD)
    return left


__all__ = ["bit_and", "bit_xor", "random_bits", "shift_right"]
