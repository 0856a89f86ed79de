"""Numbers and arrays as parameters of nodes: equal by their bits, so that they are safe keys."""

from __future__ import annotations

import struct

import numpy as np


class FrozenArray:
    """An array as a hashable parameter: equal bytes are equal values."""

    __slots__ = ("array", "_key")

    def __init__(self, array: np.ndarray):
        self.array = np.array(array, order="C", copy=True)
        self.array.setflags(write=False)
        self._key = (self.array.shape, self.array.dtype.str, self.array.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and self._key == other._key

    def __repr__(self) -> str:
        return f"FrozenArray({self.array!r})"


class Literal(float):
    """A float as a hashable parameter: equal bits are equal values, so -0.0 and NaN are safe keys."""

    __slots__ = ()

    # Held by the class: nodes are forgotten at interpreter exit too, when the module's globals are gone.
    _pack = staticmethod(struct.Struct("<d").pack)

    def __hash__(self) -> int:
        return hash(self._pack(self))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._pack(self) == self._pack(other)

    def __ne__(self, other: object) -> bool:
        return not self == other
