"""The preconditioner for variable and nonlinear operators: a constant-factor one like it, inverted by transforms.

For every field, J is replaced by q_0 + sum_k (q_k - q_0) * sin(theta_k/2)**n along the axes, n the highest even
order of its derivatives. The factors are Rayleigh quotients of J itself: q_0 on the constant and q_k on the values
+1, -1, +1, … along axis k. For a diffusion k(x, u) they give its mean, and then the number of iterations depends on
the ratio of the largest k to the smallest only, not on the grid (Concus & Golub 1973).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.callback import Callback
from symdiff.ir.node import Node, const
from symdiff.ops import opaque
from symdiff.ops.elementwise import eq, mod, where
from symdiff.ops.index import broadcast_to, concatenate, reshape, zeros_like
from symdiff.ops.leaves import iota
from symdiff.pde.fourier import Basis, Kind
from symdiff.pde.linear import System, Vector, dot
from symdiff.pde.semidiscrete import Semidiscrete

_KEPT = 4
_ZERO = 1e-12  # relative size of a divisor that is none


@final
@dataclass(frozen=True, eq=False)
class Averaged:
    """The kinds of sides and the highest even orders of derivatives along the axes, for every field."""

    kinds: tuple[tuple[Kind, ...], ...]
    powers: tuple[tuple[int, ...], ...]

    @cached_property
    def _held(self) -> list[Callback]:
        """What compiled code calls by address lives as long as this object."""
        return []

    def describe(self) -> str:
        """Name the transforms."""
        return f"the operator with mean factors, by {Basis(self.kinds[0])}"

    def inverse(self, system: System) -> Callable[[Sequence[Node]], Vector]:
        """Return the function that applies the inverse of the averaged operator."""
        parts = [self._field(system, k) for k in range(len(system.v))]
        return lambda r: [part(x) for part, x in zip(parts, r, strict=True)]

    def _field(self, system: System, k: int) -> Callable[[Node], Node]:
        like = system.v[k]
        quotients = [_quotient(system, k, broadcast_to(const(1.0), shape=like.shape))]
        for axis in range(like.ndim):
            quotients.append(_quotient(system, k, _alternating(like, axis)))
        scalars = [const(system.shift), system.c, *quotients]
        packed = concatenate(*(reshape(s, shape=(1,)) for s in scalars), axis=0)
        takes = ((like.shape, "float64"), ((len(scalars),), "float64"))
        divide = _Division(Basis(self.kinds[k]), self.powers[k])
        callback = Callback(divide, "averaged", takes, like.shape, "float64")
        self._held.append(callback)
        return lambda r: opaque.call(callback, [r, packed])


def _quotient(system: System, k: int, p: Node) -> Node:
    """Return <p, J p>/<p, p> for a vector that is zero in all fields but one."""
    direction = [p if j == k else zeros_like(x) for j, x in enumerate(system.v)]
    along = jvp_nodes(system.rates, system.v, direction)[k]
    return dot([p], [along]) / dot([p], [p])


def _alternating(like: Node, axis: int) -> Node:
    """Return +1, -1, +1, … along an axis."""
    n = like.shape[axis]
    line = where(eq(mod(iota(n=n), const(2, "int64")), const(0, "int64")), 1.0, -1.0)
    shaped = reshape(line, shape=tuple(n if a == axis else 1 for a in range(like.ndim)))
    return broadcast_to(shaped, shape=like.shape)


class _Division:
    """The numerical part: r and (shift, c, q_0, q_1, …) to p."""

    def __init__(self, basis: Basis, powers: Sequence[int]):
        self.basis, self.powers = basis, tuple(powers)
        self._kept: dict[Any, np.ndarray] = {}

    def __call__(self, r: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        key = (r.shape, scalars.tobytes())
        if key not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._inverse(r.shape, scalars)
        y = self.basis.forward(r)
        y *= self._kept[key]
        return self.basis.backward(y, r.shape)

    def _inverse(self, shape: Sequence[int], scalars: np.ndarray) -> np.ndarray:
        """Positive for every mode, as conjugate gradients need; NaN factors give NaN."""
        shift, c, q0, *qs = scalars
        value: Any = q0
        for theta, q, n in zip(self.basis.angles(shape), qs, self.powers, strict=True):
            value = value + (q - q0) * np.abs(np.sin(theta / 2)) ** n
        size = np.abs(shift - c * value)
        largest = size.max()
        return 1 / np.where(size <= _ZERO * largest, largest if largest else 1.0, size)


def averaged_for(semi: Semidiscrete) -> Averaged:
    """Return the preconditioner for the equations."""
    kinds, powers = [], []
    for u in semi.problem.fields:
        pairs = [semi.problem.boundary[u, axis] for axis in semi.axes]
        kinds.append(tuple((_reflects(lower.kind), _reflects(upper.kind)) for lower, upper in pairs))
        beyond = semi.layout[u].beyond
        reach = [max(pair) - semi.order // 2 + 1 for pair in beyond]
        powers.append(tuple(4 if r >= 2 and k[0] == "periodic" else 2 for r, k in zip(reach, kinds[-1], strict=True)))
    return Averaged(tuple(kinds), tuple(powers))


def _reflects(kind: str) -> str:
    return kind if kind in ("periodic", "value") else "slope"
