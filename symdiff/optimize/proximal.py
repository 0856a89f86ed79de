"""Proximal gradient methods: a smooth function plus an L1 norm, which makes entries exactly zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, isfinite, maximum, minimum, sqrt, where
from symdiff.ops.reduce import sum_
from symdiff.optimize.line_search import MOST_TRIALS, SHRINK, flatten, noise, unflatten
from symdiff.optimize.objective import GRADIENT_NORM, Arrays, Objective, Point, dot, infinity_norm
from symdiff.optimize.rule import Move, Rule, State, check_setting, true
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting


@dataclass(frozen=True, slots=True)
class Composite(Objective):
    """f + l1 * |x|_1, f smooth; the norm runs over the unknowns `only`, all if there are none.

    The loss of a point is the whole sum, its gradient that of f, and its norm the largest entry of
    x - prox(x - g): 0 exactly where x is stationary, and the gradient's norm for l1 = 0.
    """

    l1: Setting
    only: Arrays = ()

    @property
    def measure(self) -> str:
        """What the norm of a point is called."""
        return f"proximal {GRADIENT_NORM}"

    @property
    def smooth(self) -> Objective:
        """The function without the L1 norm."""
        return Objective(self.f, self.unknowns)

    def at(self, x: Sequence[Node]) -> Point:
        """Return the point `x`."""
        return self.whole(self.smooth.at(x))

    def whole(self, p: Point) -> Point:
        """Return a point of the smooth function as one of the sum."""
        loss = p.loss
        for u, weight in zip(p.x, self.weights(), strict=True):
            loss = loss + cast(sum_(abs_(weight * u), axes=range(u.ndim)), loss.dtype)
        after = self.shrink([u - g for u, g in zip(p.x, p.grad, strict=True)], const(1.0))
        return Point(p.x, loss, p.grad, infinity_norm([u - v for u, v in zip(p.x, after, strict=True)]))

    def weights(self) -> list[Node]:
        """The weight of the norm for each unknown, a scalar of its dtype."""
        wanted = [not self.only or u in self.only for u in self.unknowns]
        return [cast(as_node(self.l1 if w else 0.0), u.dtype) for w, u in zip(wanted, self.unknowns, strict=True)]

    def shrink(self, x: Sequence[Node], a: Node) -> list[Node]:
        """Return prox(x) = argmin_z |z - x|² / 2 + a l1 |z|_1: all entries moved towards 0 by a l1."""
        return [soft(u, cast(a, u.dtype) * weight) for u, weight in zip(x, self.weights(), strict=True)]


def soft(x: Node, by: Node) -> Node:
    """Return x moved towards 0 by `by`, and no further (soft thresholding)."""
    # What is cut to 0 becomes x - x: never -0.
    return x - minimum(maximum(x, -by), by)


@dataclass(frozen=True, slots=True)
class ProximalGradient(Rule):
    """x1 = prox(x - a g) for f(x) + l1 |x|_1, g the gradient of f: iterative shrinkage and thresholding (ISTA).

    `lr` fixes a; without it a is halved until the parabola through x with curvature 1/a lies above f at x1, and
    doubled for the next step. `only` names the unknowns that the norm runs over (all by default): a tuple of symbols.
    The run has converged where no entry of x - prox(x - g) is larger than `tol`; the loss is the whole sum.

    The loss falls as O(1/k) for convex f, and by a factor 1 - mu/L a step for strongly convex ones.
    Method: Beck & Teboulle 2009, section 3 (ISTA with backtracking), theorem 3.1.

    >>> import numpy as np, symdiff as sd
    >>> w = sd.vector("w", 3)
    >>> f = sd.sum((w - np.array([3.0, 0.5, -2.0])) ** 2) / 2
    >>> sd.minimize(f, {w: np.zeros(3)}, method=ProximalGradient(l1=1.0), target="reference").x[w]
    array([ 2.,  0., -1.])
    """

    l1: Setting = 0.0
    lr: Setting | Schedule | None = None
    only: Arrays = ()

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        _check(self, self.l1, self.lr)
        object.__setattr__(self, "only", tuple(self.only))

    def view(self, objective: Objective) -> Objective:
        """Return the function plus the norm."""
        return composite(self, objective, self.l1, self.only)

    def init(self, objective: Objective, point: Point) -> State:
        """Return the first trial step and the smooth part of the loss; nothing for a fixed step."""
        assert isinstance(objective, Composite)
        return () if self.lr is not None else (first_trial(point), objective.smooth.at(point.x).loss)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Step along the gradient, then shrink."""
        assert isinstance(objective, Composite)
        if self.lr is not None:
            return Move(objective.whole(_fixed(objective, point, rate(self.lr, t))))
        trial, loss = state
        new, moved, a = _searched(objective, Point(point.x, loss, point.grad, point.norm), trial)
        return Move(objective.whole(new), (2.0 * a, new.loss), moved)


@dataclass(frozen=True, slots=True)
class FISTA(Rule):
    """The proximal gradient step from a point ahead, which for l1 = 0 is Nesterov's method for convex functions.

        x1 = prox(y - a g(y))
        s1 = (1 + sqrt(1 + 4 s²)) / 2
        y1 = x1 + (s - 1)/s1 (x1 - x)            (y = x and s = 1 at the start)

    With `restart` it begins anew, s1 = 1 and y1 = x1, where the momentum points uphill: (y - x1)'(x1 - x) > 0. Then it
    is about as fast on a strongly convex function as if its constants were known. The other settings are those of
    `ProximalGradient`, but the searched step never grows. The loss may rise on the way; without restarts it is at most
    2 L |x0 - x*|² / (k + 1)² above the minimum of a convex function after k steps. For a known strong convexity mu the
    constant momentum (sqrt(L) - sqrt(mu))/(sqrt(L) + sqrt(mu)) of `SGD(nesterov=True)` is as fast.

    Cost: gradients at x1 and at y1, one each a step.
    Method: Nesterov 1983; Beck & Teboulle 2009, section 4, theorem 4.4, for the bound without restarts; O'Donoghue &
    Candès 2015, section 3.2, for restarts.

    >>> import numpy as np, symdiff as sd
    >>> w = sd.vector("w", 3)
    >>> f = sd.sum((w - np.array([3.0, 0.5, -2.0])) ** 2 * np.array([1.0, 4.0, 9.0])) / 2
    >>> sd.minimize(f, {w: np.zeros(3)}, method=FISTA(l1=1.0), target="reference").x[w].round(6)
    array([ 2.      ,  0.25    , -1.888889])
    """

    l1: Setting = 0.0
    lr: Setting | Schedule | None = None
    only: Arrays = ()
    restart: bool = True

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        _check(self, self.l1, self.lr)
        object.__setattr__(self, "only", tuple(self.only))

    def view(self, objective: Objective) -> Objective:
        """Return the function plus the norm."""
        return composite(self, objective, self.l1, self.only)

    def init(self, objective: Objective, point: Point) -> State:
        """Return s, the point ahead, and the first trial step where it is searched."""
        return (const(1.0), *point.x, *(() if self.lr is not None else (first_trial(point),)))

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Step from the point ahead, and go ahead of the new point."""
        assert isinstance(objective, Composite)
        n = len(point.x)
        s, y, trial = state[0], state[1 : n + 1], state[n + 1 :]
        ahead = objective.smooth.at(y)
        if self.lr is not None:
            new, moved = _fixed(objective, ahead, rate(self.lr, t)), true()
        else:
            new, moved, a = _searched(objective, ahead, *trial)
            trial = (a,)
        s1 = (1.0 + sqrt(1.0 + 4.0 * s * s)) / 2.0
        moves = [u - v for u, v in zip(new.x, point.x, strict=True)]
        factor = (s - 1.0) / s1
        if self.restart:
            uphill = dot([v - u for u, v in zip(new.x, y, strict=True)], moves) > 0
            factor, s1 = where(uphill, const(0.0), factor), where(uphill, const(1.0), s1)
        y1 = [u + cast(factor, u.dtype) * move for u, move in zip(new.x, moves, strict=True)]
        return Move(objective.whole(new), (s1, *y1, *trial), moved)


def composite(rule: Rule, objective: Objective, l1: Setting, only: Arrays) -> Composite:
    """Return the function plus the norm. Raises DomainError for symbols in `only` that are no unknowns."""
    strange = [brief(u) if isinstance(u, Node) else repr(u) for u in only if u not in objective.unknowns]
    if strange:
        raise DomainError(f"{type(rule).__name__}: only names {', '.join(strange)}, which is no unknown of this run.")
    return Composite(objective.f, objective.unknowns, l1, tuple(only))


def first_trial(point: Point) -> Node:
    """A step by which the gradient moves no entry by more than 1."""
    return 1.0 / maximum(infinity_norm(point.grad), 1.0)


def _fixed(objective: Composite, here: Point, a: Node) -> Point:
    """The proximal step of length `a`, as a point of the smooth function."""
    return objective.smooth.at(
        objective.shrink([w - cast(a, w.dtype) * g for w, g in zip(here.x, here.grad, strict=True)], a)
    )


def _searched(objective: Composite, here: Point, first: Node) -> tuple[Point, Node, Node]:
    """Try the proximal steps of first, first/2, first/4, …; returns (new point, moved, step length).

    A trial z is taken when f(z) <= f(x) + g'd + |d|² / (2 a), d = z - x. Where |d|² / a is less than the rounding of f,
    the gradients decide: (g(z) - g(x))'d <= |d|² / a, which is the same for a quadratic.
    """

    def possible(a: Node, tries: Node, done: Node, *_: Node) -> Node:
        return ~done & (tries < MOST_TRIALS)

    def attempt(a: Node, tries: Node, done: Node, *old: Node) -> list[Node]:
        a = a * SHRINK
        new = _fixed(objective, here, a)
        d = [u - v for u, v in zip(new.x, here.x, strict=True)]
        bend = dot(d, d) / a
        turn = dot(new.grad, d) - dot(here.grad, d)
        below = new.loss <= here.loss + dot(here.grad, d) + bend / 2
        good = isfinite(new.loss) & isfinite(new.norm) & where(bend > noise(here), below, turn <= bend)
        return [a, tries + 1, good, *(where(good, u, v) for u, v in zip(flatten(new), old, strict=True))]

    init = [first / SHRINK, const(0, "int64"), ~true(), *flatten(here)]
    a, _, good, *rest = while_loop(possible, attempt, init)
    return unflatten(rest, here), good, a


def _check(rule: Rule, l1: Setting, lr: Setting | Schedule | None) -> None:
    check_setting(rule, "l1", l1, 0.0, math.inf, low_open=False)
    if lr is not None:
        check_rate(type(rule).__name__, lr)


__all__ = ["FISTA", "Composite", "ProximalGradient", "composite", "soft"]
