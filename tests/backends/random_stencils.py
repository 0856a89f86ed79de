"""Random loops of stencils with sides of all kinds and a number that changes with time; a problem with two fields."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from symdiff import pde
from symdiff.ir.node import Node
from symdiff.ir.primitive import cast

SIDES = ("held", "periodic", "mirrored", "moving")
NAMES = ("n", "m", "l")


def cut(x: Any, axis: int, start: int, stop: int | None) -> Any:
    return x[tuple(slice(start, stop) if a == axis else slice(None) for a in range(x.ndim))]


def sided(inner: Any, old: Any, sides: tuple[str, ...], r: int, k: Any) -> Any:
    """Put r points around the new inner points, axis by axis."""
    x = inner
    for axis, kind in enumerate(sides):
        if kind == "periodic":
            before, behind = cut(x, axis, -r, None), cut(x, axis, 0, r)
        elif kind == "mirrored":
            before = sd.concatenate([cut(x, axis, j, j + 1) for j in range(r, 0, -1)], axis=axis)
            behind = sd.concatenate([cut(x, axis, -1 - j, -j or None) for j in range(1, r + 1)], axis=axis)
        else:
            # The old points beyond the sides, of the axes that are complete already and of this one.
            same = old
            for a in range(axis + 1, len(sides)):
                same = cut(same, a, r, -r)
            before, behind = cut(same, axis, 0, r), cut(same, axis, -r, None)
            if kind == "moving":
                before = before + 0.01 * sd.sin(k)
        x = sd.concatenate([before, x, behind], axis=axis)
    return x


def stencil(rng: np.random.Generator, u: Any, r: int) -> Any:
    """A random sum of shifted inner points."""
    terms = []
    for _ in range(5):
        at = rng.integers(0, 2 * r + 1, u.ndim)
        part = u[tuple(slice(int(i), int(i) - 2 * r or None) for i in at)]
        terms.append(float(rng.uniform(-0.3, 0.3)) * part)
    return sum(terms[1:], terms[0])


Loop = tuple[list[Any], list[Any], tuple[str, ...], int]


def stencil_loop(seed: int, dtype: str, ranks: tuple[int, ...] = (2, 2, 3)) -> Loop:
    """Return outputs and inputs of a loop, what its sides are, and the reach of its stencils.

    The inputs are one or two states, a coefficient field, a weight and the number of turns.
    """
    rng = np.random.default_rng(seed)
    rank = int(rng.choice(ranks))
    sides = tuple(str(s) for s in rng.choice(SIDES, rank))
    r, n_states, twice = int(rng.integers(1, 3)), int(rng.integers(1, 3)), bool(rng.integers(2))
    names = NAMES[:rank]
    states = [sd.array(f"u{i}", names, dtype) for i in range(n_states)]
    steps, weight = sd.array("steps", (), "int64"), sd.array("w", (), dtype)
    field = sd.array("c", names, dtype)
    inside = tuple(slice(r, -r) for _ in range(rank))

    def turn(k: Any, *u: Any) -> list[Any]:
        out = []
        now = cast(0.1 * k, dtype)
        for i, x in enumerate(u):
            y = stencil(rng, x, r) + weight * stencil(rng, u[i - 1], r)
            if "periodic" not in sides:
                y = y + 0.1 * field[inside]
            if twice:
                y = stencil(rng, sided(y, x, sides, r, now), r) + 0.5 * x[inside]
            out.append(sided(y * sd.cos(now), x, sides, r, now))
        return [k + 1, *out]

    loop = sd.while_loop(lambda k, *u: k < steps, turn, [0, *states])
    return list(loop[1:]), [*states, field, weight, steps], sides, r


def start(rng: np.random.Generator, shape: tuple[int, ...], sides: tuple[str, ...], r: int, dtype: str) -> np.ndarray:
    """Random numbers that repeat themselves along periodic axes."""
    x = rng.standard_normal(shape).astype(dtype)
    for axis, kind in enumerate(sides):
        if kind == "periodic":
            along = np.moveaxis(x, axis, 0)
            along[:r], along[-r:] = along[-2 * r : -r].copy(), along[r : 2 * r].copy()
    return x


def two_fields() -> tuple[pde.Problem, tuple[Node, Node]]:
    """A problem with given values that move, a slope, a periodic axis and two fields, and the fields."""
    x, y, t = pde.coordinates("x y t")
    u, v = pde.field("u"), pde.field("v")
    equations = [
        pde.Eq(pde.dt(u), pde.laplacian(u) - u * v**2),
        pde.Eq(pde.dt(v), 0.5 * pde.laplacian(v) + u * v**2 - v),
    ]
    sides = {"x": (pde.Dirichlet(1 + t), pde.Neumann(0.5)), "y": pde.Periodic()}
    begin = {u: 1 + 0.1 * sd.sin(np.pi * y) * x, v: 0.3 + 0 * x}
    return pde.Problem(equations, pde.Box(x=(0, 1), y=(0, 2)), sides, begin), (u, v)
