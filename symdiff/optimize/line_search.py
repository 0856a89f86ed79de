"""Backtracking line search: shrink the step until the loss has decreased enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, isfinite, ne, where
from symdiff.ops.reduce import sum_
from symdiff.optimize.objective import Arrays, Objective, Point, dot
from symdiff.optimize.rule import true

SUFFICIENT = 1e-4  # c1 of Nocedal & Wright (3.4), their value
SHRINK = 0.5  # a power of two: first / SHRINK * SHRINK is exactly `first`
MOST_TRIALS = 100  # 2**-100 of the first step: below it nothing but a unit mistake is left
# A sum of thousands of terms carries a few hundred roundings; a change below that says nothing about the loss.
NOISE_EPS = 256


def backtrack(objective: Objective, point: Point, direction: Sequence[Node], first: Node) -> tuple[Point, Node, Node]:
    """Try the steps first, first/2, first/4, …; returns (new point, moved, step length).

    A trial at x + a*d is taken when loss and gradient there are finite and

        f(x + a d) < f(x)  and  f(x + a d) <= f(x) + c1 a g'd                         (Armijo)

    Near a minimum the loss changes by less than its rounding and Armijo's test is blind long before the gradient
    is small. There, and only if f has not risen by more than its noise, the same test is made on slopes,

        g(x + a d)'d <= (2 c1 - 1) g'd  and  |g(x + a d)|_2 < |g(x)|_2,

    which is equivalent for a quadratic and exact to rounding. Where no trial passes, or the step no longer
    changes any entry of x, the old point comes back with `moved` False. Every trial evaluates value and
    gradient together, so an accepted first trial costs one evaluation a step.

    Method: Nocedal & Wright 2006, algorithm 3.1; Hager & Zhang 2005, approximate Wolfe condition (4.1).
    """
    slope = dot(point.grad, direction)

    def possible(a: Node, tries: Node, done: Node, *_: Node) -> Node:
        return ~done & (tries < MOST_TRIALS)

    def attempt(a: Node, tries: Node, done: Node, moved: Node, *old: Node) -> list[Node]:
        a = a * SHRINK
        new = objective.at([w + cast(a, w.dtype) * d for w, d in zip(point.x, direction, strict=True)])
        accepted = has_decreased(objective, point, new, a, slope, dot(new.grad, direction))
        chosen = [where(accepted, after, before) for after, before in zip(flatten(new), old, strict=True)]
        return [a, tries + 1, accepted | ~differs(new.x, point.x), accepted, *chosen]

    init = [first / SHRINK, const(0, "int64"), ~true(), ~true(), *flatten(point)]
    a, _, _, moved, *rest = while_loop(possible, attempt, init)
    return unflatten(rest, point), moved, a


def has_decreased(objective: Objective, point: Point, new: Point, a: Node, slope: Node, turned: Node) -> Node:
    """Whether the step `a` from a point, with slope g'd, to another, with slope `turned`, decreases the loss enough."""
    finite = isfinite(new.loss) & isfinite(new.norm)
    armijo = (new.loss < point.loss) & (new.loss <= point.loss + SUFFICIENT * a * slope)
    return finite & (armijo | (is_level(objective, point, new) & (turned <= (2 * SUFFICIENT - 1) * slope)))


def is_level(objective: Objective, point: Point, new: Point) -> Node:
    """Whether the loss has risen by no more than its noise, and the gradient is shorter."""
    return (new.loss <= point.loss + noise(point)) & objective.is_nearer(new, point)


def noise(point: Point) -> Node:
    """The rounding of the loss at a point."""
    return NOISE_EPS * float(np.finfo(point.loss.dtype).eps) * abs_(point.loss)


def flatten(p: Point) -> list[Node]:
    """All values of a point in one list, as the state of a loop."""
    return [p.loss, p.norm, *p.x, *p.grad]


def unflatten(values: Sequence[Node], like: Point) -> Point:
    """Undo `flatten`."""
    loss, norm, *rest = values
    n = len(like.x)
    return Point(tuple(rest[:n]), loss, tuple(rest[n:]), norm)


def differs(x: Sequence[Node], y: Arrays) -> Node:
    """Whether any entry differs."""
    changed = const(0, "int64")
    for u, v in zip(x, y, strict=True):
        changed = changed + sum_(cast(ne(u, v), "int64"), axes=range(u.ndim))
    return changed > 0
