"""The projected gradient method, for unknowns within bounds."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import maximum, minimum, where
from symdiff.optimize.bounds import step_within, walls
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.objective import Objective, Point, infinity_norm, pack, unpack
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.vectors import total

# The range of the length lr, Birgin, Martínez & Raydan's values.
_SHORTEST, _LONGEST = 1e-10, 1e10


@dataclass(frozen=True, slots=True)
class ProjectedGradient(Rule):
    """x1 = x + a (P(x - lr g) - x), P the projection on the bounds, a = 1, 1/2, 1/4, … by Armijo's rule.

    lr is s's / s'y for the last step s and change of the gradient y (Barzilai & Borwein 1988), the reciprocal of a
    curvature along s; the first moves no entry by more than 1, or than the largest is.

    Method: Birgin, Martínez & Raydan 2000 (algorithm SPG2, with a search that lets no step go uphill).

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> f = (x - 2) ** 2 + (y - 1) ** 2 + x * y
    >>> res = sd.minimize(f, {x: 0.0, y: 0.0}, bounds={x: (0, 1)}, method=ProjectedGradient(), target="reference")
    >>> res.converged, round(float(res.x[x]), 9), round(float(res.x[y]), 9)
    (True, 1.0, 0.5)
    """

    takes_bounds = True

    def init(self, objective: Objective, point: Point) -> State:
        """Return the first length."""
        dtype = point.loss.dtype
        far = cast(maximum(infinity_norm(point.x), 1.0), dtype)
        return (minimum(const(1.0, dtype), far / cast(infinity_norm(point.grad), dtype)),)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Search towards the projected end of a gradient step."""
        x, g = pack(point.x), pack(point.grad)
        low, high = walls(objective)
        direction = step_within(x, -state[0] * g, low, high)
        new, moved, _ = backtrack(objective, point, unpack(direction, point.x), const(1.0, point.loss.dtype))
        s, y = pack(new.x) - x, pack(new.grad) - g
        ss, sy = total(s * s), total(s * y)
        lr = where(sy > 0, minimum(maximum(ss / sy, _SHORTEST), _LONGEST), _LONGEST)
        return Move(new, (cast(lr, state[0].dtype),), moved)


__all__ = ["ProjectedGradient"]
