"""L-BFGS-B: a limited-memory quasi-Newton method for unknowns within bounds."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import maximum, minimum, where
from symdiff.ops.index import broadcast_to, concatenate, reshape, slice_
from symdiff.ops.reduce import min_
from symdiff.optimize.bfgs import curvature, first_trial
from symdiff.optimize.bounds import walls
from symdiff.optimize.cauchy_point import Model, cauchy_point
from symdiff.optimize.objective import Objective, Point, pack, unpack
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.vectors import total
from symdiff.optimize.wolfe import search


@dataclass(frozen=True, slots=True)
class LBFGSB(Rule):
    """Minimise a quadratic model within the bounds, roughly, then search towards its minimiser.

    The model's Hessian B comes from the last `memory` steps and changes of the gradient. The first local minimum of the
    model along the projected gradient path, the Cauchy point, says which unknowns lie on their bounds; the model is
    minimised over the others as far as the box allows, and a step along the line from x to there is found by Wolfe's
    conditions. Without bounds this is L-BFGS, written with B instead of its inverse.

    Needs: 4 memory n numbers for n unknowns; time some 4 memory² n a step beside the function.
    Method: Byrd, Lu, Nocedal & Zhu 1995 (algorithm CP and the direct primal method).

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> f = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    >>> res = sd.minimize(f, {x: -1.2, y: 1.0}, bounds={x: (None, 0.5)}, method=LBFGSB(), target="reference")
    >>> res.converged, round(float(res.x[x]), 9), round(float(res.x[y]), 9)
    (True, 0.5, 0.25)
    """

    memory: int = 10
    takes_bounds = True

    def __post_init__(self) -> None:
        """Raise DomainError for a memory that is not a positive int."""
        if not isinstance(self.memory, int) or isinstance(self.memory, bool) or self.memory < 1:
            raise DomainError(f"LBFGSB: memory is a positive int, got {self.memory!r}.")

    def init(self, objective: Objective, point: Point) -> State:
        """Return room for the pairs, the scale of B, and the number of pairs so far."""
        g = pack(point.grad)
        room = broadcast_to(const(0.0, g.dtype), shape=(self.memory, g.shape[0]))
        return room, room, const(1.0, g.dtype), const(0, "int64")

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Minimise the model, search towards its minimiser, and remember the step."""
        steps, changes, scale, count = state
        x, g = pack(point.x), pack(point.grad)
        low, high = walls(objective)
        model = Model.learnt(steps, changes, scale, count)
        direction = _towards(model, x, g, low, high)
        first = first_trial(point, count > 0)
        # Rounding may let the first trial out, which is taken back to the box.
        longest = maximum(cast(_room(x, direction, low, high), first.dtype), first)
        new, moved = search(objective, point, unpack(direction, point.x), first, longest)
        s, y = pack(new.x) - x, pack(new.grad) - g
        sy, good = curvature(s, y)
        scale = where(good, total(y * y) / sy, scale)
        count = minimum(count + cast(good, "int64"), self.memory)
        return Move(new, (_appended(steps, s, good), _appended(changes, y, good), scale, count), moved)


def _towards(model: Model, x: Node, g: Node, low: Node, high: Node) -> Node:
    """Return the direction from x to the minimiser of the model over what is free at the Cauchy point.

    The way from the Cauchy point to the free minimiser ends where it meets the first bound.
    """
    cauchy = cauchy_point(model, x, g, low, high)
    free = (cauchy > low) & (cauchy < high)
    way = -model.solve(g + model.times(cauchy - x), free)
    best = minimum(maximum(cauchy + minimum(1.0, _room(cauchy, way, low, high)) * way, low), high)
    # Rounding may turn the direction uphill: to the Cauchy point it leads down.
    chosen = where(total((best - x) * g) < 0, best, cauchy)
    steepest = minimum(maximum(x - g / model.scale, low), high)
    return where(total((chosen - x) * g) < 0, chosen, steepest) - x


def _room(x: Node, direction: Node, low: Node, high: Node) -> Node:
    """Return the longest step along a direction within the bounds."""
    inf = float("inf")
    up = where(direction > 0, (high - x) / where(direction > 0, direction, 1.0), inf)
    down = where(direction < 0, (low - x) / where(direction < 0, direction, 1.0), inf)
    return min_(minimum(up, down), axes=(0,))


def _appended(rows: Node, row: Node, good: Node) -> Node:
    """Return the rows with another at their end, without the first; unchanged where the new one is not good."""
    m, n = rows.shape
    kept = slice_(rows, starts=(1, 0), extents=(m - 1, n), steps=(1, 1))
    return where(good, concatenate(kept, reshape(row, shape=(1, n)), axis=0), rows)


__all__ = ["LBFGSB"]
