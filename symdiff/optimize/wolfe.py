"""Line search for quasi-Newton methods: a step after which the gradient has turned."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import isfinite, maximum, minimum, where
from symdiff.optimize.line_search import MOST_TRIALS, differs, flatten, has_decreased, unflatten
from symdiff.optimize.objective import Objective, Point, dot
from symdiff.optimize.rule import true

CURVATURE = 0.9  # c2 of Nocedal & Wright (3.6b), their value for quasi-Newton directions
# Trials stay this far from the ends of a bracket, and a step grows by a factor between these two.
_MARGIN, _LEAST_GROWTH, _MOST_GROWTH = 0.1, 2.0, 10.0


def search(
    objective: Objective, point: Point, direction: Sequence[Node], first: Node, longest: Node | None = None
) -> tuple[Point, Node]:
    """Find a step that decreases the loss enough and makes the slope less steep; returns (new point, moved).

        f(x + a d) <= f(x) + c1 a g'd   and   g(x + a d)'d >= c2 g'd                  (Wolfe)

    No trial is longer than `longest`, and one as long that decreases the loss enough is the result.

    A bracket of steps is kept, its low end decreases the loss but is too short, its high end is too long. Trials come
    from the parabola or the secant through the ends. Where no trial passes both tests, the low end is the result;
    where nothing decreases the loss, the old point with `moved` False.

    Method: Lewis & Overton 2013, algorithm 4.6, with interpolation in place of bisection; near a minimum the first
    test is the one on slopes of `line_search`.
    """
    dtype = point.loss.dtype
    slope = cast(dot(point.grad, direction), dtype)
    longest = const(float("inf"), dtype) if longest is None else longest
    inf, zero = const(float("inf"), dtype), const(0.0, dtype)

    def possible(a: Node, lo: Node, loss: Node, steep: Node, hi: Node, tries: Node, done: Node, *_: Node) -> Node:
        return ~done & (tries < MOST_TRIALS)

    def attempt(
        a: Node, lo: Node, low_loss: Node, low_slope: Node, hi: Node, tries: Node, done: Node, *low: Node
    ) -> list[Node]:
        new = objective.at([w + cast(a, w.dtype) * d for w, d in zip(point.x, direction, strict=True)])
        turned = cast(dot(new.grad, direction), dtype)
        enough = has_decreased(objective, point, new, a, slope, turned)
        long_enough = turned >= CURVATURE * slope
        parabola = lo - low_slope * (a - lo) ** 2 / (2 * (new.loss - low_loss - low_slope * (a - lo)))
        secant = a - turned * (a - lo) / (turned - low_slope)
        lo1, hi1 = where(enough, a, lo), where(enough, hi, a)
        width = hi1 - lo1
        inside = _between(where(enough, secant, parabola), lo1 + _MARGIN * width, hi1 - _MARGIN * width)
        beyond = minimum(_between(secant, _LEAST_GROWTH * a, _MOST_GROWTH * a), longest)
        kept = [where(enough, after, before) for after, before in zip(flatten(new), low, strict=True)]
        return [
            where(isfinite(hi1), inside, beyond), lo1, where(enough, new.loss, low_loss),
            where(enough, turned, low_slope), hi1, tries + 1,
            (enough & (long_enough | (a >= longest))) | ~differs(new.x, unflatten(low, point).x), *kept,
        ]  # fmt: skip

    init = [first, zero, point.loss, slope, inf, const(0, "int64"), ~true(), *flatten(point)]
    _, lo, _, _, _, _, _, *rest = while_loop(possible, attempt, init)
    return unflatten(rest, point), lo > 0


def _between(a: Node, low: Node, high: Node) -> Node:
    """`a` within bounds; the middle where it is no number."""
    return where(isfinite(a), minimum(maximum(a, low), high), 0.5 * (low + high))


__all__ = ["CURVATURE", "search"]
