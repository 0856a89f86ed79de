"""Quasi-Newton methods: the inverse Hessian learnt from changes of the gradient, whole or from the last few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symdiff.diff.jacobian import eye
from symdiff.ir.dims import product
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import maximum, minimum, where
from symdiff.ops.index import broadcast_to, reshape, take, transpose
from symdiff.ops.linalg import matmul
from symdiff.ops.rows import set_row
from symdiff.optimize.objective import Objective, Point, infinity_norm, pack, unpack
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.vectors import total
from symdiff.optimize.wolfe import search


@dataclass(frozen=True, slots=True)
class BFGS(Rule):
    """x1 = x - a H g, H an approximation of the inverse Hessian that is updated in every step.

    The first H is a multiple of the identity, set from the first step. Pairs of differences whose product is not
    clearly positive, which the line search rules out but for rounding, leave H as it is.

    Needs: memory for H, n**2 numbers for n unknowns.
    Method: Nocedal & Wright 2006, algorithm 6.1 with (6.17) and (6.20).

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.minimize((1 - x) ** 2 + 100 * (y - x**2) ** 2, {x: -1.2, y: 1.0}, method=BFGS(), target="reference")
    >>> res.converged, res.steps < 60
    (True, True)
    """

    def init(self, objective: Objective, point: Point) -> State:
        """Return the identity, and that nothing is learnt."""
        g = pack(point.grad)
        return eye(g.shape[0], g.dtype), const(0, "bool")

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Search along -H g and learn from the step."""
        h, learnt = state
        g = pack(point.grad)
        direction = _downhill(-matmul(h, g), g)
        new, moved = search(objective, point, unpack(direction, point.x), first_trial(point, learnt))
        s, y = pack(new.x) - pack(point.x), pack(new.grad) - g
        sy, good = curvature(s, y)
        h = where(learnt, h, h * where(good, sy / total(y * y), 1.0))
        hy = matmul(h, y)
        turn = _outer(hy, s)
        update = (sy + total(y * hy)) / sy**2 * _outer(s, s) - (turn + _transposed(turn)) / sy
        return Move(new, (where(good, h + update, h), learnt | good), moved)


@dataclass(frozen=True, slots=True)
class LBFGS(Rule):
    """x1 = x - a H g, H made from the last `memory` steps and changes of the gradient.

    Where there are known to be no more than `memory` unknowns, H itself takes no more room than the pairs, and is kept:
    that is `BFGS`, whose H learns from all steps.

    Needs: 2 memory n numbers for n unknowns; time 4 memory n a step beside the function.
    Method: Liu & Nocedal 1989; Nocedal & Wright 2006, algorithms 7.4 and 7.5.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.minimize((1 - x) ** 2 + 100 * (y - x**2) ** 2, {x: -1.2, y: 1.0}, method=LBFGS(), target="reference")
    >>> res.converged, res.steps < 60
    (True, True)
    """

    memory: int = 10

    def __post_init__(self) -> None:
        """Raise DomainError for a memory that is not a positive int."""
        if not isinstance(self.memory, int) or isinstance(self.memory, bool) or self.memory < 1:
            raise DomainError(f"LBFGS: memory is a positive int, got {self.memory!r}.")

    def init(self, objective: Objective, point: Point) -> State:
        """Return room for the pairs, their 1/(s'y), the scale of H and the number of pairs so far."""
        g = pack(point.grad)
        if self._keeps_all(g):
            return BFGS().init(objective, point)
        one = const(1.0, g.dtype)
        room = broadcast_to(0.0 * one, shape=(self.memory, g.shape[0]))
        return room, room, broadcast_to(0.0 * one, shape=(self.memory,)), one, const(0, "int64")

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Search along -H g and remember the step."""
        g = pack(point.grad)
        if self._keeps_all(g):
            return BFGS().step(objective, point, state, t)
        steps, changes, rho, scale, count = state
        direction = _downhill(-self._times(state, g), g)
        new, moved = search(objective, point, unpack(direction, point.x), first_trial(point, count > 0))
        s, y = pack(new.x) - pack(point.x), pack(new.grad) - g
        sy, good = curvature(s, y)
        row = count % self.memory
        # A pair that is not good is written over by the next.
        steps, changes = set_row(steps, s, row), set_row(changes, y, row)
        rho = set_row(rho, where(good, 1 / sy, 0.0), row)
        scale = where(good, sy / total(y * y), scale)
        return Move(new, (steps, changes, rho, scale, count + cast(good, "int64")), moved)

    def _keeps_all(self, g: Node) -> bool:
        n = g.shape[0]
        return isinstance(n, int) and n <= self.memory

    def _times(self, state: State, g: Node) -> Node:
        """Return H g by the two loops over the pairs, the latest first."""
        steps, changes, rho, scale, count = state
        known = minimum(count, self.memory)

        def row(j: Node) -> Node:
            return (count - 1 - j) % self.memory

        def back(j: Node, q: Node, alphas: Node) -> list[Node]:
            k = row(j)
            alpha = take(rho, k, axis=0) * total(take(steps, k, axis=0) * q)
            return [j + 1, q - alpha * take(changes, k, axis=0), set_row(alphas, alpha, k)]

        def forth(j: Node, r: Node) -> list[Node]:
            k = row(j - 1)
            beta = take(rho, k, axis=0) * total(take(changes, k, axis=0) * r)
            return [j - 1, r + (take(alphas, k, axis=0) - beta) * take(steps, k, axis=0)]

        room = broadcast_to(const(0.0, g.dtype), shape=(self.memory,))
        _, q, alphas = while_loop(lambda j, *_: j < known, back, [const(0, "int64"), g, room])
        return while_loop(lambda j, *_: j > 0, forth, [known, scale * q])[1]


def first_trial(point: Point, learnt: Node) -> Node:
    """The first trial step: 1, but no entry moves by more than 1, or than the largest is, while nothing is learnt."""
    one = const(1.0, point.loss.dtype)
    far = cast(maximum(infinity_norm(point.x), 1.0), point.loss.dtype)
    return where(learnt, one, minimum(one, far / cast(point.norm, point.loss.dtype)))


def _downhill(direction: Node, g: Node) -> Node:
    """`direction`, or -g where rounding has turned it uphill."""
    return where(total(direction * g) < 0, direction, -g)


def curvature(s: Node, y: Node) -> tuple[Node, Node]:
    """Return s'y, and whether it is clearly positive: the cosine of s and y is at least 2/sqrt(c) for a condition c."""
    sy = total(s * y)
    least = 0.01 * float(np.finfo(s.dtype).eps) ** 0.5
    return sy, sy > least * total(y * y) ** 0.5 * total(s * s) ** 0.5


def _outer(u: Node, v: Node) -> Node:
    return reshape(u, shape=(product(u.shape), 1)) * v


def _transposed(a: Node) -> Node:
    return transpose(a, perm=(1, 0))


__all__ = ["BFGS", "LBFGS", "curvature", "first_trial"]
