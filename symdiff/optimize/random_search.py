"""Random search: steps in random directions, kept where the loss is lower."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.node import Node, as_node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import isfinite, where
from symdiff.optimize.draws import check_seed, normals
from symdiff.optimize.line_search import flatten, unflatten
from symdiff.optimize.objective import Objective, Point, pack, unpack
from symdiff.optimize.rule import Move, Rule, State, check_setting
from symdiff.optimize.settings import Setting


@dataclass(frozen=True, slots=True)
class RandomSearch(Rule):
    """x1 = x + r z where that lowers the loss, z standard normal; else x1 = x.

    The radius r grows by exp(1/3) after a success and falls by exp(-1/12) after a failure, so that it settles where one
    trial in five succeeds. The loss never rises; gradients only tell when the run has converged, which takes a number
    of steps in proportion to the number of unknowns and to the condition.

    `radius` is the first r; the numbers are drawn by `seed`.
    Method: Schumer & Steiglitz 1968; Rechenberg 1973 (the rule of one in five) in the form of Kern et al. 2004, (4).

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.minimize(x**2 + (y - 1) ** 2, {x: 3.0, y: 0.0}, method=RandomSearch(), target="reference", tol=1e-3)
    >>> res.converged, round(float(res.x[y]), 2)
    (True, 1.0)
    """

    radius: Setting = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_setting(self, "radius", self.radius, 0.0, math.inf)
        check_seed("RandomSearch", self.seed)

    def init(self, objective: Objective, point: Point) -> State:
        """Return the radius."""
        return (cast(as_node(self.radius), "float64"),)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Try one point."""
        (r,) = state
        x = pack(point.x)
        trial = objective.at(unpack(x + r * normals(self.seed, t, x), point.x))
        lower = isfinite(trial.loss) & isfinite(trial.norm) & (trial.loss < point.loss)
        kept = [where(lower, after, before) for after, before in zip(flatten(trial), flatten(point), strict=True)]
        return Move(unflatten(kept, point), (r * where(lower, math.exp(1 / 3), math.exp(-1 / 12)),))


__all__ = ["RandomSearch"]
