"""Coordinate descent: the minimum along one entry after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from symdiff.ir.errors import DomainError
from symdiff.ir.graph import substitute
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, isfinite, maximum, ne, where
from symdiff.ops.index import broadcast_to, take
from symdiff.ops.leaves import iota
from symdiff.ops.rows import set_row
from symdiff.optimize.draws import check_seed, permutation
from symdiff.optimize.line_search import backtrack, differs
from symdiff.optimize.objective import Arrays, Objective, Point, pack, unpack
from symdiff.optimize.proximal import Composite, composite, soft
from symdiff.optimize.quadratic import is_quadratic, unless_higher
from symdiff.optimize.rule import Move, Rule, State, check_setting
from symdiff.optimize.settings import Setting, is_used

ORDERS = ("cyclic", "random")


@dataclass(frozen=True, slots=True)
class CoordinateDescent(Rule):
    """In every step each entry of the unknowns once moves to the minimum along it, the others held.

    For a quadratic that is exact, x_j = x_j - g_j / h_jj, and the gradient follows by a column of the Hessian. With
    `l1` the norm l1 |x|_1 (over the unknowns `only`, all by default) is added, x_j = S(x_j - g_j / h_jj, l1 / h_jj)
    with soft thresholding S: the textbook method for the lasso. For other functions each entry makes one Newton step
    along it, found by backtracking; there is no `l1` for them.

    `order` is "cyclic" or "random": a new permutation in every step, drawn by `seed`.

    Cost: for quadratics as much as one product with the dense Hessian, n**2 numbers for n unknowns; for others at least
    n evaluations.
    Method: Wright 2015, algorithms 1 and 3; Friedman, Hastie & Tibshirani 2010, section 2.1 (lasso).

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> f = x**2 + x * y + y**2 - 3 * x
    >>> res = sd.minimize(f, {x: 0.0, y: 0.0}, method=CoordinateDescent(), target="reference")
    >>> res.converged, round(float(res.x[x]), 7), round(float(res.x[y]), 7)
    (True, 2.0, -1.0)
    """

    l1: Setting = 0.0
    only: Arrays = ()
    order: str = "cyclic"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_setting(self, "l1", self.l1, 0.0, math.inf, low_open=False)
        object.__setattr__(self, "only", tuple(self.only))
        if self.order not in ORDERS:
            raise DomainError(f"CoordinateDescent: order is one of {', '.join(map(repr, ORDERS))}, got {self.order!r}.")
        check_seed("CoordinateDescent", self.seed)

    def view(self, objective: Objective) -> Objective:
        """Return the function plus the norm."""
        return composite(self, objective, self.l1, self.only)

    def init(self, objective: Objective, point: Point) -> State:
        """Return the empty state. Raises DomainError for a norm added to anything but a quadratic."""
        if is_used(self.l1) and not is_quadratic(objective):
            raise DomainError(
                "CoordinateDescent: l1 needs a quadratic; the Hessian of the function "
                f"({objective.f.line}) depends on the unknowns. Use ProximalGradient or FISTA."
            )
        return ()

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Go through all entries."""
        assert isinstance(objective, Composite)
        x = pack(point.x)
        order = permutation(self.seed, t, x) if self.order == "random" else iota(n=x.shape[0])
        if not is_quadratic(objective):
            return _by_search(objective, point, order)
        x = _exact_sweep(objective, point, order)
        new, good = unless_higher(objective.at(unpack(x, point.x)), point)
        return Move(new, (), good & differs(new.x, point.x))


def _exact_sweep(objective: Composite, point: Point, order: Node) -> Node:
    """Minimise the quadratic along each entry; returns x as one vector."""
    x0, g0 = pack(point.x), pack(point.grad)
    hess = objective.hessian(point.x)
    l1 = pack([broadcast_to(w, shape=u.shape) for w, u in zip(objective.weights(), point.x, strict=True)])

    def turn(k: Node, x: Node, g: Node) -> list[Node]:
        j = take(order, k, axis=0)
        column = take(hess, j, axis=0)
        h = take(column, j, axis=0)
        # Without curvature there is no minimum along the entry: a step of -g begins the way down.
        h = where(h > 0, h, 1.0)
        old = take(x, j, axis=0)
        new = soft(old - take(g, j, axis=0) / h, take(l1, j, axis=0) / h)
        return [k + 1, set_row(x, new, j), g + (new - old) * column]

    return _sweep(turn, [x0, g0], order)[0]


def _by_search(objective: Composite, point: Point, order: Node) -> Move:
    """Make a Newton step with backtracking along each entry."""
    whole = pack(point.x)
    entry = make(PRIMITIVES["symbol"], (), {"name": "\0entry", "shape": (), "dtype": whole.dtype})

    def turn(k: Node, x: Node) -> list[Node]:
        j = take(order, k, axis=0)
        here = take(x, j, axis=0)
        place = dict(zip(objective.unknowns, unpack(set_row(x, entry, j), point.x), strict=True))
        along = Objective(substitute([objective.f], place)[0], (entry,))
        now = along.at([here])
        h = along.hessian([here])[0, 0]
        # A negative curvature counts as a positive one; without any the step is -g, shortened to 1.
        scale = where(isfinite(h) & ne(h, 0), abs_(h), maximum(abs_(now.grad[0]), 1.0))
        new, _, _ = backtrack(along, now, [-now.grad[0] / scale], const(1.0, now.loss.dtype))
        return [k + 1, set_row(x, new.x[0], j)]

    (x,) = _sweep(turn, [whole], order)
    new = objective.at(unpack(x, point.x))
    return Move(new, (), differs(new.x, point.x))


def _sweep(turn: Callable[..., list[Node]], state: list[Node], order: Node) -> list[Node]:
    """Run `turn` for k = 0, 1, … once for each entry of `order`; returns the state."""
    n = cast(const(0, "int64") + order.shape[0], "int64")
    return while_loop(lambda k, *_: k < n, turn, [const(0, "int64"), *state])[1:]


__all__ = ["ORDERS", "CoordinateDescent"]
