"""The preconditioner for variable and nonlinear operators: a constant-factor one like it, inverted by transforms.

For every field, J is replaced by q_0 + sum_k (q_k - q_0) * sin(theta_k/2)**n along the axes, n the highest even
order of its derivatives. The factors are Rayleigh quotients of J itself: q_0 on the constant and q_k on the values
+1, -1, +1, … along axis k. For a diffusion k(x, u) they give its mean, and then the number of iterations depends on
the ratio of the largest k to the smallest only, not on the grid (Concus & Golub 1973).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from symdiff.diff.forward import jvp_nodes
from symdiff.ir.callback import Callback
from symdiff.ir.node import Node, const
from symdiff.ops import opaque
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import eq, mod, where
from symdiff.ops.index import broadcast_to, concatenate, reshape, zeros_like
from symdiff.ops.leaves import iota
from symdiff.ops.rows import empty, set_row
from symdiff.pde.fourier import Basis, Kind
from symdiff.pde.jets import all_jets, orders
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
        packed = concatenate(
            reshape(const(system.shift), shape=(1,)), reshape(system.c, shape=(1,)), _quotients(system, k), axis=0
        )
        takes = ((like.shape, "float64"), (packed.shape, "float64"))
        divide = _Division(Basis(self.kinds[k]), self.powers[k])
        callback = Callback(divide, "averaged", takes, like.shape, "float64")
        self._held.append(callback)
        return lambda r: opaque.call(callback, [r, packed])


def _quotients(system: System, k: int) -> Node:
    """Return <p, J p>/<p, p> for p = 1 and p = +1, -1, +1, … along each axis, zero in all fields but one."""
    like = system.v[k]
    count = like.ndim + 1

    def turn(j: Node, found: Node) -> list[Node]:
        p = const(1.0)
        for axis in range(like.ndim):
            p = p * where(eq(j, const(axis + 1, "int64")), _alternating(like, axis), 1.0)
        p = broadcast_to(p, shape=like.shape)
        direction = [p if i == k else zeros_like(x) for i, x in enumerate(system.v)]
        along = jvp_nodes(system.rates, system.v, direction)[k]
        return [j + 1, set_row(found, dot([p], [along]) / dot([p], [p]), j)]

    start = [const(0, "int64"), empty(shape=(count,), dtype="float64")]
    return build_loop(lambda j, _: j < count, turn, start, turns=count)[1]


def _alternating(like: Node, axis: int) -> Node:
    """Return +1, -1, +1, … along an axis."""
    n = like.shape[axis]
    line = where(eq(mod(iota(n=n), const(2, "int64")), const(0, "int64")), 1.0, -1.0)
    return reshape(line, shape=tuple(n if a == axis else 1 for a in range(like.ndim)))


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
        powers.append(tuple(_highest(semi, axis) for axis in semi.axes))
    return Averaged(tuple(kinds), tuple(powers))


def _highest(semi: Semidiscrete, axis: str) -> int:
    """Return the highest even order of a derivative along an axis, 2 at least; definitions add theirs."""
    problem = semi.problem

    def of(rhs: Mapping[Node, Node]) -> int:
        return max((orders(w)[axis] for w in all_jets(rhs.values())), default=0)

    n = of(problem.rhs) + of(problem.definitions)
    return max(n - n % 2, 2)


def _reflects(kind: str) -> str:
    return kind if kind in ("periodic", "value") else "slope"
