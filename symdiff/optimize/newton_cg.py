"""Newton's method without the Hessian: conjugate gradients on its products with vectors."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import minimum, sqrt, where
from symdiff.ops.index import zeros_like
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.objective import Objective, Point, pack, unpack
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.vectors import count, total

# Iterations for n unknowns: in exact arithmetic n are enough, rounding asks for some more.
_MORE = 20


@dataclass(frozen=True, slots=True)
class NewtonCG(Rule):
    """x1 = x + a d, d from conjugate gradients on H d = -g with exact products H v, cut off early.

    The residual of the linear system is brought to min(1/2, sqrt|g|) |g|, so convergence is superlinear. A direction of
    negative curvature ends the iteration: the step is what has been found by then, or -g if that is nothing.

    Needs: memory for a few vectors of n numbers; a product H v, some three gradients, an iteration.
    Method: Nocedal & Wright 2006, algorithm 7.1; the search is that of `Newton`.

    >>> import symdiff as sd
    >>> v = sd.vector("v", 4)
    >>> f = sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
    >>> res = sd.minimize(f, {v: [-1.2, 1.0, -1.2, 1.0]}, method=NewtonCG(), target="reference")
    >>> res.converged
    True
    """

    def init(self, objective: Objective, point: Point) -> State:
        """Return the empty state."""
        return ()

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Solve roughly for the direction, then search along it."""
        direction = self._direction(objective, point)
        new, moved, _ = backtrack(objective, point, unpack(direction, point.x), const(1.0, point.loss.dtype))
        return Move(new, (), moved)

    def _direction(self, objective: Objective, point: Point) -> Node:
        g = pack(point.grad)
        size = sqrt(total(g * g))
        enough = minimum(0.5, sqrt(size)) * size
        most = count(g) + _MORE

        def goes_on(d: Node, r: Node, p: Node, rr: Node, k: Node, going: Node) -> Node:
            return going & (sqrt(rr) > enough) & (k < most)

        def turn(d: Node, r: Node, p: Node, rr: Node, k: Node, going: Node) -> list[Node]:
            hp = pack(objective.product(point.x, unpack(p, point.x)))
            curvature = total(p * hp)
            convex = curvature > 0  # false for NaN too
            a = rr / where(convex, curvature, 1.0)
            r1 = r + a * hp
            rr1 = total(r1 * r1)
            kept = [
                where(convex, new, old) for new, old in ((d + a * p, d), (r1, r), (rr1 / rr * p - r1, p), (rr1, rr))
            ]
            return [*kept, k + 1, convex]

        d, _, _, _, _, _ = while_loop(
            goes_on, turn, [zeros_like(g), g, -g, total(g * g), const(0, "int64"), const(True, "bool")]
        )
        return where(total(d * g) < 0, d, -g)


__all__ = ["NewtonCG"]
