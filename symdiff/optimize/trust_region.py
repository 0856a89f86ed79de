"""Newton's method in a trust region: the quadratic model is believed within a radius that success widens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import isfinite, maximum, where
from symdiff.optimize.line_search import differs, flatten, is_level, noise, unflatten
from symdiff.optimize.objective import Objective, Point, pack, unpack
from symdiff.optimize.rule import Move, Rule, State, check_setting, true
from symdiff.optimize.trust_step import Step, cg_step, exact_step
from symdiff.optimize.vectors import length

_MOST_TRIALS = 100
# Parts of the promised decrease: below the first a step is refused, below the second the region shrinks, above the
# third it may grow. Nocedal & Wright's values.
_ENOUGH, _POOR, _GOOD = 1e-4, 0.25, 0.75
_SHRINK, _GROW = 0.25, 2.0

_SUBPROBLEMS = ("exact", "cg")


@dataclass(frozen=True, slots=True)
class TrustRegion(Rule):
    """x1 = x + p, p the minimiser of the model f + g'p + p'Hp/2 within the radius |p| <= delta.

    The radius shrinks to |p|/4 where f falls by less than a quarter of what the model promised and doubles where it
    falls by three quarters on the border; a step that makes f no smaller is tried again with the smaller radius.

    `subproblem` says how p is found: "exact" by the eigenvalues of H, which leaves saddle points, for some hundred
    unknowns; "cg" by conjugate gradients on products H v, which end on the border, for many (memory for a few
    vectors). `radius` is the first, in units of max(1, |x|).

    Method: Nocedal & Wright 2006, algorithm 4.1; "exact": Moré & Sorensen 1983; "cg": Steihaug 1983 (algorithm 7.2).

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> f = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    >>> res = sd.minimize(f, {x: -1.2, y: 1.0}, method=TrustRegion(), target="reference")
    >>> res.converged, res.steps < 40
    (True, True)
    """

    subproblem: str = "exact"
    radius: float = 1.0

    def __post_init__(self) -> None:
        """Raise DomainError for an unknown subproblem or a radius that is not positive."""
        if self.subproblem not in _SUBPROBLEMS:
            names = " or ".join(map(repr, _SUBPROBLEMS))
            raise DomainError(f"TrustRegion: subproblem is {names}, got {self.subproblem!r}.")
        check_setting(self, "radius", self.radius, 0.0, math.inf)

    def init(self, objective: Objective, point: Point) -> State:
        """Return the first radius."""
        return (self.radius * maximum(length(pack(point.x)), 1.0),)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Try steps within smaller and smaller regions until one decreases f as promised."""
        propose = self._proposals(objective, point)

        def possible(radius: Node, tries: Node, moved: Node, ended: Node, *_: Node) -> Node:
            return ~(moved | ended) & (tries < _MOST_TRIALS)

        def attempt(radius: Node, tries: Node, moved: Node, ended: Node, *old: Node) -> list[Node]:
            step = propose(radius)
            new = objective.at([w + d for w, d in zip(point.x, unpack(step.p, point.x), strict=True)])
            gain = (point.loss - new.loss) / step.promised
            good = _is_better(objective, point, new, step.promised, gain)
            size = length(step.p)
            # NaN compares false: a gain that is no number shrinks the region.
            wider = where((gain > _GOOD) & step.on_border, _GROW * radius, radius)
            radius = where(gain >= _POOR, wider, where(good, radius, _SHRINK * size))
            chosen = [where(good, after, before) for after, before in zip(flatten(new), old, strict=True)]
            return [radius, tries + 1, good, ~differs(new.x, point.x), *chosen]

        radius, _, moved, _, *rest = while_loop(
            possible, attempt, [state[0], const(0, "int64"), ~true(), ~true(), *flatten(point)]
        )
        return Move(unflatten(rest, point), (radius,), moved)

    def _proposals(self, objective: Objective, point: Point) -> Callable[[Node], Step]:
        """Return the function from a radius to the model's minimiser."""
        g = pack(point.grad)
        if self.subproblem == "exact":
            return exact_step(objective.hessian(point.x), g)
        return cg_step(lambda v: pack(objective.product(point.x, unpack(v, point.x))), g)


def _is_better(objective: Objective, point: Point, new: Point, promised: Node, gain: Node) -> Node:
    """Whether a step is taken: f fell by a part of the promise, or the promise is below its noise and g is shorter."""
    seen = (new.loss < point.loss) & (gain > _ENOUGH)
    blind = (promised <= noise(point)) & is_level(objective, point, new)
    return isfinite(new.loss) & isfinite(new.norm) & (seen | blind)


__all__ = ["TrustRegion"]
