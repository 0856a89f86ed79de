"""The compact limited-memory model of the Hessian, and its first minimum along the projected gradient path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symdiff.diff.jacobian import eye
from symdiff.front.diagonals import tril
from symdiff.front.sorting import argsort
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import eq, isfinite, maximum, minimum, where
from symdiff.ops.index import concatenate, reshape, take, transpose
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import matmul, solve
from symdiff.optimize.vectors import count, total


@dataclass(frozen=True, slots=True)
class Model:
    """B = scale I - W K^-1 W', W (n, 2m) and K (2m, 2m) made from m pairs of steps and changes of the gradient.

    With S and Y the pairs as columns, W = [Y, scale S] and K = [[-D, L'], [L, scale S'S]], D the diagonal of S'Y and L
    what is below it (Byrd, Nocedal & Schnabel 1994, theorem 2.3).
    """

    scale: Node
    wide: Node
    inner: Node

    @classmethod
    def learnt(cls, steps: Node, changes: Node, scale: Node, known: Node) -> Model:
        """Return the model of the last `known` rows of steps and changes; the rows before are zero."""
        m = steps.shape[0]
        products = matmul(steps, transpose(changes, perm=(1, 0)))
        lengths = scale * matmul(steps, transpose(steps, perm=(1, 0)))
        # What is not known has zeros in W; ones here keep the inverse.
        unknown = cast(iota(n=m) < m - known, steps.dtype) * eye(m, steps.dtype)
        diagonal, below = products * eye(m, steps.dtype), tril(products, -1)
        upper = concatenate(-diagonal - unknown, transpose(below, perm=(1, 0)), axis=1)
        lower = concatenate(below, lengths + unknown, axis=1)
        wide = transpose(concatenate(changes, scale * steps, axis=0), perm=(1, 0))
        return cls(scale, wide, concatenate(upper, lower, axis=0))

    def along(self, v: Node) -> Node:
        """Return W'v."""
        return matmul(transpose(self.wide, perm=(1, 0)), v)

    def across(self, p: Node) -> Node:
        """Return K^-1 p."""
        return solve(self.inner, p)

    def times(self, v: Node) -> Node:
        """Return B v."""
        return self.scale * v - matmul(self.wide, self.across(self.along(v)))

    def solve(self, r: Node, free: Node) -> Node:
        """Return the solution of B p = r over the free entries, zero elsewhere (Sherman, Morrison & Woodbury)."""
        r = where(free, r, 0.0)
        part = where(reshape(free, shape=(self.wide.shape[0], 1)), self.wide, 0.0)
        turned = transpose(part, perm=(1, 0))
        lift = solve(self.inner - matmul(turned, part) / self.scale, matmul(turned, r))
        return r / self.scale + matmul(part, lift) / self.scale**2


def cauchy_point(model: Model, x: Node, g: Node, low: Node, high: Node) -> Node:
    """Return the first local minimum of the model g'(z - x) + (z - x)'B(z - x)/2 along z(t) = P(x - t g).

    The path is a line between the breakpoints where entries reach their bounds. On each piece the model is a parabola,
    with slope f1 < 0 and curvature f2 at the left end, which passing a breakpoint updates in time that does not depend
    on n. The path ends where a parabola has its minimum before the next breakpoint.

    Method: Byrd, Lu, Nocedal & Zhu 1995, algorithm CP.
    """
    times = where(g < 0, (x - high) / where(g < 0, g, 1.0), where(g > 0, (x - low) / where(g > 0, g, 1.0), np.inf))
    order = argsort(times)
    moving = where(times > 0, -g, 0.0)
    p = model.along(moving)
    dd = total(moving * moving)
    f2 = model.scale * dd - total(p * model.across(p))
    least = float(np.finfo(g.dtype).eps) * f2
    n, start = count(g), total(cast(times <= 0, "int64"))

    def here(k: Node) -> Node:
        return take(times, take(order, minimum(k, n - 1), axis=0), axis=0)

    def going(k: Node, t: Node, p: Node, c: Node, f1: Node, f2: Node) -> Node:
        return (k < n) & (f1 < 0) & isfinite(here(k)) & (t - f1 / f2 > here(k))

    def turn(k: Node, t: Node, p: Node, c: Node, f1: Node, f2: Node) -> list[Node]:
        entry = take(order, k, axis=0)
        gb, w, reached = take(g, entry, axis=0), take(model.wide, entry, axis=0), here(k)
        dt = reached - t
        c = c + dt * p
        mw = model.across(w)
        # The entry stands on its bound at z_b - x_b = -reached * g_b, and its part of the direction ends.
        f1 = f1 + dt * f2 + gb**2 - model.scale * gb**2 * reached - gb * total(mw * c)
        f2 = f2 - model.scale * gb**2 - 2 * gb * total(mw * p) - gb**2 * total(mw * w)
        return [k + 1, reached, p + gb * w, c, f1, maximum(f2, least)]

    zero = const(0.0, g.dtype)
    _, t, _, _, f1, f2 = while_loop(going, turn, [start, zero, p, 0.0 * p, -dd, f2])
    beyond = where((f1 < 0) & (f2 > 0), -f1 / where(eq(f2, 0), 1.0, f2), 0.0)
    return minimum(maximum(x - (t + where(isfinite(beyond), beyond, 0.0)) * g, low), high)


__all__ = ["Model", "cauchy_point"]
