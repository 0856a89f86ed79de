"""Random numbers of a step, as expressions: one for each entry of a vector.

They are counter-based (`random_bits`, Philox): a number depends on the seed, the step and its place only, so it is the
same on every target and for any number of threads, and a run can be taken up anywhere.
"""

from __future__ import annotations

import math
from typing import Any

from symdiff.front.sorting import argsort
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.bits import random_bits
from symdiff.ops.elementwise import cos, log, sqrt
from symdiff.ops.leaves import iota


def check_seed(owner: str, seed: Any) -> None:
    """Raise DomainError for a seed that is no key of the generator."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise DomainError(f"{owner}: seed is an int from 0 to 2**32 - 1, got {seed!r}.")


def normals(seed: int, t: Node, like: Node) -> Node:
    """Return standard normal numbers for step `t`, a vector like `like`.

    Method: Box & Muller 1958, from two of 32 bits each; none is longer than 6.7.
    """
    place, step = iota(n=like.shape[0]), cast(t, "int64")
    u, v = (cast(random_bits(2 * place + k, step, seed), "float64") for k in (0, 1))
    # Half a unit keeps 0 out of the logarithm.
    radius, angle = sqrt(-2.0 * log((u + 0.5) / 2.0**32)), 2.0 * math.pi * v / 2.0**32
    return cast(radius * cos(angle), like.dtype)


def permutation(seed: int, t: Node, like: Node) -> Node:
    """Return the places 0, 1, … of a vector's entries in a random order for step `t`."""
    return argsort(random_bits(iota(n=like.shape[0]), cast(t, "int64"), seed))


__all__ = ["check_seed", "normals", "permutation"]
