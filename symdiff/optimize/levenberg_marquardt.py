"""The Levenberg-Marquardt method: Gauss-Newton steps, damped until they decrease the sum of squares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import isfinite, maximum, where
from symdiff.ops.linalg import matmul
from symdiff.optimize.line_search import flatten, noise, unflatten
from symdiff.optimize.objective import Objective, Point, unpack
from symdiff.optimize.residuals import column_lengths, nearest, of_squares
from symdiff.optimize.rule import Move, Rule, State, check_setting
from symdiff.optimize.vectors import total

_MOST_TRIALS = 60
# A part of the promised decrease that must come true.
_ENOUGH = 1e-4


@dataclass(frozen=True, slots=True)
class LevenbergMarquardt(Rule):
    """x1 = x + p, p the least-squares solution of [J; sqrt(lam) D] p = [-r; 0], D the lengths of J's columns so far.

    The damping `lam` falls where the model has promised well and grows until a step decreases the sum.

    Needs: the dense Jacobian; a QR factorisation a trial, 2 m n**2 flops.
    Method: Moré 1978 (scaling, QR); Nielsen 1999 (damping). `damping` is the first lam.
    """

    damping: float = 1e-3

    def __post_init__(self) -> None:
        """Raise DomainError for a damping that is not positive."""
        check_setting(self, "damping", self.damping, 0.0, math.inf)

    def init(self, objective: Objective, point: Point) -> State:
        """Return the first damping, its growth, and the scale of the unknowns."""
        objective = of_squares(self, objective)
        dtype = objective.residuals.dtype
        lengths = column_lengths(objective.linear(point.x)[1])
        return const(self.damping, dtype), const(2.0, dtype), where(lengths > 0, lengths, 1.0)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Try steps with more and more damping until one decreases the sum as promised."""
        objective = of_squares(self, objective)
        r, jac = objective.linear(point.x)
        lam, growth, scale = state
        scale = maximum(scale, column_lengths(jac))

        small_change = noise(point)

        def possible(lam: Node, growth: Node, tries: Node, done: Node, *_: Node) -> Node:
            return ~done & (tries < _MOST_TRIALS)

        def attempt(lam: Node, growth: Node, tries: Node, done: Node, blind: Node, *old: Node) -> list[Node]:
            p, _ = nearest(jac, -r, lam, scale)
            x = [w + d for w, d in zip(point.x, unpack(p, point.x), strict=True)]
            (after,) = substitute([objective.residuals], dict(zip(objective.unknowns, x, strict=True)))
            change, damped = matmul(jac, p), scale * p
            promised = 0.5 * total(change * change) + lam * total(damped * damped)
            # Near the minimum both sums agree to all digits: their difference comes from that of the residuals.
            gain = 0.5 * total((r - after) * (r + after)) / promised
            small = promised <= small_change
            good = isfinite(gain) & ((gain > _ENOUGH) | small)
            less = lam * where(small, 1 / 3, maximum(1 / 3, 1 - (2 * gain - 1) ** 3))
            kept = [where(good, new, before) for new, before in zip(x, old, strict=True)]
            return [where(good, less, lam * growth), where(good, 2.0, 2.0 * growth), tries + 1, good, small, *kept]

        off = const(0, "bool")
        lam, growth, _, found, blind, *x = while_loop(
            possible, attempt, [lam, growth, const(0, "int64"), off, off, *point.x]
        )
        new = objective.at(x)
        # Where rounding hides the decrease, a step counts that comes nearer by the criterion.
        moved = found & (~blind | (new.norm < point.norm))
        kept = [where(moved, after, before) for after, before in zip(flatten(new), flatten(point), strict=True)]
        return Move(unflatten(kept, point), (lam, growth, scale), moved)


__all__ = ["LevenbergMarquardt"]
