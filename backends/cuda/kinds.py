"""Kinds: what device functions take and give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A type by numba's name of it; a tuple of `count` of them unless that is 0."""

    name: str
    count: int = 0

    def __call__(self, *given: Kind) -> Signature:
        return Signature(self, given)

    def __str__(self) -> str:
        return f"{self.name}*{self.count}" if self.count else self.name


void = Kind("void")
boolean = Kind("boolean")
int64 = Kind("int64")
float64 = Kind("float64")
float32 = Kind("float32")
# The words of a kernel, and a block's shared memory: only emitted functions look inside.
words = tile = Kind("voidptr")


def tuple_of(n: int, kind: Kind = int64) -> Kind:
    """A tuple of n numbers."""
    return Kind(kind.name, n)


@dataclass(frozen=True, slots=True)
class Signature:
    """The kinds of a function; tuples are passed number by number."""

    result: Kind
    given: tuple[Kind, ...]

    def __str__(self) -> str:
        return f"{self.result}({', '.join(map(str, self.given))})"


STEP = void(int64, words, tile)
"""A step of a kernel: see `skeletons`."""

Inline = Callable[[Callable[..., Any], Signature], Any]
"""Makes a device function of a Python function; in the simulator it is one already."""
