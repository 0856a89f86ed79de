"""Points in the domain of a function, drawn at random and the same in every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from symdiff.diff.finite import Values
from symdiff.ir.dims import size_names
from symdiff.ir.errors import DomainError, SymdiffError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import concrete_shape, interpret
from symdiff.ir.node import Node, brief

# Where functions that are not defined everywhere mostly are; the first is tried alone for the first attempts.
_RANGES = ((-2.0, 2.0), (0.1, 2.0), (-0.9, 0.9), (1.1, 3.0), (-3.0, -1.1), (0.05, 0.45))
_PLAIN = 20
_ATTEMPTS = 400
# Run-time sizes: small, and no two equal, so that a mistaken axis shows.
_SMALLEST_SIZE = 3


def sample_points(fs: Sequence[Node], symbols: Sequence[Node], count: int, seed: int) -> Iterator[Values]:
    """Yield `count` points at which all `fs` are finite, with a value for each of `symbols` and theirs.

    Sizes that are known only at run time are 3, 4, 5, ...; square matrices are sometimes positive definite.
    Raises DomainError when such points are not found.
    """
    rng = np.random.default_rng(seed)
    needed = list(dict.fromkeys([*free_symbols(fs), *symbols]))
    names = sorted(frozenset().union(*(size_names(s.shape) for s in needed)))
    sizes = {name: _SMALLEST_SIZE + k for k, name in enumerate(names)}
    found = 0
    for attempt in range(_ATTEMPTS):
        if found == count:
            return
        point = {s: _draw(rng, s, concrete_shape(s.shape, sizes), attempt >= _PLAIN) for s in needed}
        if _inside(fs, point):
            found += 1
            yield point
    if found < count:
        raise DomainError(
            f"No {count} points where {', '.join(map(brief, fs))} is finite were found in {_ATTEMPTS} random draws "
            "between -3 and 3; give a point."
        )


def _draw(rng: np.random.Generator, symbol: Node, shape: tuple[int, ...], widely: bool) -> np.ndarray:
    if symbol.dtype == "bool":
        return np.asarray(rng.integers(0, 2, shape), dtype=bool)
    if symbol.dtype == "int64":
        return np.asarray(rng.integers(0, rng.integers(1, 4), shape))
    low, high = _RANGES[rng.integers(len(_RANGES))] if widely else _RANGES[0]
    values = np.asarray(rng.uniform(low, high, shape), dtype=symbol.dtype)
    if widely and len(shape) == 2 and shape[0] == shape[1] and rng.integers(2):
        return values @ values.T + np.eye(shape[0], dtype=symbol.dtype)
    return values


def _inside(fs: Sequence[Node], point: Values) -> bool:
    """Whether all functions have finite values; an index out of range is outside."""
    try:
        return all(bool(np.isfinite(v).all()) for v in interpret(fs, point))
    except (SymdiffError, np.linalg.LinAlgError, IndexError):
        return False
