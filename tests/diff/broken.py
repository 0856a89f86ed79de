"""Rules broken on purpose: a check that was never seen to fail checks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from symdiff.ir.primitive import Elementwise


@contextmanager
def broken(op: Elementwise, partials: Callable[..., Any]) -> Iterator[None]:
    """Give an elementwise primitive other partial derivatives for a while."""
    right = op.partials
    object.__setattr__(op, "partials", partials)
    try:
        yield
    finally:
        object.__setattr__(op, "partials", right)


@contextmanager
def scaled(op: Elementwise, factor: float) -> Iterator[None]:
    """Multiply every partial derivative of a primitive."""
    right = op.partials
    assert right is not None
    with broken(op, lambda *xs: tuple(None if p is None else factor * p for p in right(*xs))):
        yield
