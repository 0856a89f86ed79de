"""The trust-region subproblem: minimise g'p + p'Hp/2 subject to |p| <= radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from symdiff.front.linalg import eigh
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, eq, isfinite, maximum, minimum, sqrt, where
from symdiff.ops.index import transpose, zeros_like
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import matmul
from symdiff.ops.reduce import min_
from symdiff.optimize.rule import true
from symdiff.optimize.vectors import count, largest, length, total

# The length of a step on the border is right to this part; Moré & Sorensen ask for 0.1.
_BORDER = 1e-3
_MOST_TURNS = 100
# Iterations of conjugate gradients for n unknowns: in exact arithmetic n are enough, rounding asks for some more.
_MORE = 20


class Step(NamedTuple):
    """A step with the decrease that the model promises for it, and whether it ends on the border of the region."""

    p: Node
    promised: Node
    on_border: Node


def exact_step(hess: Node, g: Node) -> Callable[[Node], Step]:
    """Return the function from a radius to the global minimiser, by the eigenvalues of the Hessian.

    With H = Q diag(e) Q' the minimiser is p = -Q (Q'g / (e + nu)), nu = 0 where H is positive definite and p is short
    enough. Else nu > -min(e) solves 1/radius = 1/|p(nu)|, an equation that is nearly linear in nu (Newton's method,
    kept in a bracket). In the hard case, Q'g = 0 along the lowest eigenvector, no nu makes p long enough, and a
    multiple of that vector is added.

    A Hessian with entries that are no numbers is read as zero there: the step is then poor, and judged as any other.
    Method: Moré & Sorensen 1983; Conn, Gould & Toint 2000, section 7.3.
    """
    hess = where(isfinite(hess), hess, 0.0)
    e, q = eigh(hess)
    turned = matmul(transpose(q, perm=(1, 0)), g)
    lowest = min_(e, axes=(0,)) if g.shape != (0,) else const(0.0, g.dtype)
    eps = float(np.finfo(g.dtype).eps) * cast(count(g), g.dtype)

    def along(nu: Node) -> Node:
        return turned / (e + nu)

    def step(radius: Node) -> Step:
        # What rounding leaves of e + nu, from entries as large as H's or as the nu that makes p this short.
        noise = eps * (largest(e) + length(g) / radius)
        least = where(lowest > noise, 0.0, noise - minimum(lowest, 0.0))
        nu = _shift(along, e, least, length(g) / radius - lowest, radius)
        p = -along(nu)
        # The hard case: the part along the lowest eigenvector, which no nu determines, makes up what is missing.
        is_first = eq(iota(n=e.shape[0]), 0)
        others = where(is_first, 0.0, p)
        missing = sqrt(maximum(radius**2 - total(others * others), 0.0))
        hard = (lowest < -noise) & (length(p) < (1 - _BORDER) * radius)
        p = where(hard & is_first, where(turned > 0, -missing, missing), p)
        promised = -total(turned * p) - 0.5 * total(e * p * p)
        return Step(matmul(q, p), promised, hard | (length(p) > (1 - 2 * _BORDER) * radius))

    return step


def _shift(along: Callable[[Node], Node], e: Node, least: Node, most: Node, radius: Node) -> Node:
    """Return nu >= least with |p(nu)| = radius, or `least` where p is short enough there."""

    def going(nu: Node, low: Node, high: Node, turns: Node, done: Node) -> Node:
        return ~done & (turns < _MOST_TURNS)

    def turn(nu: Node, low: Node, high: Node, turns: Node, done: Node) -> list[Node]:
        p = along(nu)
        size = length(p)
        low, high = where(size > radius, maximum(low, nu), low), where(size > radius, high, minimum(high, nu))
        # d|p|/dnu = -sum(p²/(e + nu))/|p|, and Newton's step for 1/radius - 1/|p|.
        better = nu + size * size * (size - radius) / (radius * total(p * p / (e + nu)))
        inside = (better > low) & (better < high)
        done = abs_(size - radius) <= _BORDER * radius
        return [where(done, nu, where(inside, better, 0.5 * (low + high))), low, high, turns + 1, done]

    high = maximum(most, least)
    short = length(along(least)) <= radius
    nu, *_ = while_loop(going, turn, [least, least, high, const(0, "int64"), short])
    return nu


def cg_step(times: Callable[[Node], Node], g: Node) -> Callable[[Node], Step]:
    """Return the function from a radius to an approximate minimiser, by conjugate gradients on `times`(v) = H v.

    The iteration ends on the border of the region, where the first direction that leaves it or has negative curvature
    meets it, or with a residual of min(1/2, sqrt|g|) |g|.

    Method: Steihaug 1983; Nocedal & Wright 2006, algorithm 7.2.
    """
    size = length(g)
    enough = minimum(0.5, sqrt(size)) * size
    most = count(g) + _MORE

    def step(radius: Node) -> Step:
        def going(p: Node, hp: Node, r: Node, d: Node, k: Node, border: Node) -> Node:
            return ~border & (length(r) > enough) & (k < most)

        def turn(p: Node, hp: Node, r: Node, d: Node, k: Node, border: Node) -> list[Node]:
            hd = times(d)
            curvature, rr = total(d * hd), total(r * r)
            convex = curvature > 0  # false for NaN too
            a = rr / where(convex, curvature, 1.0)
            leaves = ~convex | (length(p + a * d) >= radius)
            a = where(leaves, _to_border(p, d, radius), a)
            r1 = r + a * hd
            return [p + a * d, hp + a * hd, r1, total(r1 * r1) / rr * d - r1, k + 1, leaves]

        zero = zeros_like(g)
        p, hp, _, _, _, border = while_loop(going, turn, [zero, zero, g, -g, const(0, "int64"), ~true()])
        return Step(p, -total(g * p) - 0.5 * total(p * hp), border)

    return step


def _to_border(p: Node, d: Node, radius: Node) -> Node:
    """Return a > 0 with |p + a d| = radius, by the form of the quadratic formula that does not cancel."""
    size = length(d)
    along, left = total(p * (d / size)), maximum(radius**2 - total(p * p), 0.0)
    root = sqrt(along * along + left)
    return where(along > 0, left / (along + root), root - along) / size


__all__ = ["Step", "cg_step", "exact_step"]
