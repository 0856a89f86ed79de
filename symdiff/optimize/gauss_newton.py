"""The Gauss-Newton method: the nearest point of the tangent plane, and a search towards it."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.ir.node import Node, const
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.objective import Objective, Point, unpack
from symdiff.optimize.residuals import of_squares
from symdiff.optimize.rule import Move, Rule, State


@dataclass(frozen=True, slots=True)
class GaussNewton(Rule):
    """x1 = x + a p, p the least-squares solution of J p = -r, a = 1, 1/2, 1/4, … by Armijo's rule.

    Near a solution with small residuals the steps are nearly Newton's, without second derivatives. Where the Jacobian
    loses rank the steps become long and the search short; `LevenbergMarquardt` is the method for that.

    Needs: the dense Jacobian; QR factorisations, 2 m n**2 flops each.
    Method: Nocedal & Wright 2006, section 10.3.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.least_squares([10 * (y - x**2), 1 - x], {x: -1.2, y: 1.0}, method=GaussNewton(), target="reference")
    >>> res.converged, round(float(res.x[x]), 9)
    (True, 1.0)
    """

    def init(self, objective: Objective, point: Point) -> State:
        """Return the empty state."""
        of_squares(self, objective)
        return ()

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Solve the linear problem, then search along its solution."""
        p = of_squares(self, objective).closest(point.x)
        new, moved, _ = backtrack(objective, point, unpack(p, point.x), const(1.0, point.loss.dtype))
        return Move(new, (), moved)


__all__ = ["GaussNewton"]
