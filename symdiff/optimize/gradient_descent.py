"""Gradient descent: steps along the negative gradient, fixed, searched or exact; with a preconditioner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import abs_, maximum, where
from symdiff.ops.linalg import matmul
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.newton import diagonal
from symdiff.optimize.objective import Arrays, Objective, Point, dot, infinity_norm, pack, unpack
from symdiff.optimize.quadratic import check_quadratic, unless_higher
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting
from symdiff.optimize.wolfe import search as wolfe

SEARCHES = ("armijo", "wolfe", "exact")


@dataclass(frozen=True, slots=True)
class GradientDescent(Rule):
    """x1 = x + a d along d = -g: with `lr` given a = lr in every step, without it a is found by a `search`.

    "armijo" backtracks until the loss has decreased enough; the first trial is twice the last accepted step, so a grows
    again where the function gets flatter. "wolfe" also asks that the slope has become less steep. "exact" is for
    quadratics (others are refused) and takes the minimum along the line, a = -g'd / d'Hd, by one product with the
    Hessian. In the first step no trial moves an entry by more than 1.

    With a `preconditioner` P, d = -P g: a vector (the diagonal of P) or a positive definite matrix in the order in
    which the unknowns are given, an array or an expression in the data; or "diagonal", 1/|h_ii| from the diagonal of
    the Hessian at each point, which makes the steps independent of the units of the unknowns.

    Needs: for "diagonal" the dense Hessian, n**2 numbers for n unknowns.
    Method: Cauchy 1847; Nocedal & Wright 2006, algorithm 3.1 and equations 3.6, 3.26; Bertsekas 2016, section 1.3.2
    (diagonal scaling). Linear rate ((kappa - 1)/(kappa + 1))**2 of the loss with exact steps, kappa the condition of
    the (preconditioned) Hessian.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> f, start = (x - 3) ** 2 + 1000 * (y - x) ** 2, {x: 0.0, y: 1.0}
    >>> res = sd.minimize(f, start, method=GradientDescent(search="exact"), target="reference", max_steps=10**5)
    >>> res.converged, round(float(res.x[x]), 5)
    (True, 3.0)
    """

    lr: Setting | Schedule | None = None
    search: str = "armijo"
    preconditioner: Any = None

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range, ShapeError for a preconditioner that is no matrix."""
        if self.lr is not None:
            check_rate("GradientDescent", self.lr)
        if self.search not in SEARCHES:
            names = ", ".join(map(repr, SEARCHES))
            raise DomainError(f"GradientDescent: search is one of {names}, got {self.search!r}.")
        if self.lr is not None and self.search != "armijo":
            raise DomainError(f"GradientDescent: the step is lr or found by search={self.search!r}, not both.")
        if self.preconditioner is not None and not isinstance(self.preconditioner, str):
            # As a node the rule has a hash, which finds its compiled loop again.
            object.__setattr__(self, "preconditioner", as_node(self.preconditioner))
            if self.preconditioner.ndim not in (1, 2):
                raise ShapeError("GradientDescent: preconditioner is a vector or a square matrix.")
        elif self.preconditioner not in (None, "diagonal"):
            raise DomainError(
                f"GradientDescent: preconditioner is an array or 'diagonal', got {self.preconditioner!r}."
            )

    def init(self, objective: Objective, point: Point) -> State:
        """Return the first trial step; nothing where none is tried."""
        if isinstance(self.preconditioner, Node):
            self._check_shape(self.preconditioner, pack(point.x))
        if self.search == "exact":
            check_quadratic(objective, "GradientDescent(search='exact')", "Search by 'armijo' or 'wolfe'.")
        if self.lr is not None or self.search == "exact":
            return ()
        return (1.0 / maximum(infinity_norm(self._direction(objective, point)), 1.0),)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Step along the (preconditioned) negative gradient."""
        d = self._direction(objective, point)
        if self.lr is not None:
            return Move(objective.at(_along(point, rate(self.lr, t), d)))
        if self.search == "exact":
            curvature = dot(d, objective.product(point.x, d))
            # Without curvature there is no minimum along the line: a step of d begins the way down.
            a = where(curvature > 0, -dot(point.grad, d) / curvature, 1.0)
            new, good = unless_higher(objective.at(_along(point, a, d)), point)
            return Move(new, (), good)
        if self.search == "wolfe":
            new, moved = wolfe(objective, point, d, *state)
            change = [u - v for u, v in zip(new.x, point.x, strict=True)]
            # The step just taken is the next first trial.
            return Move(new, (where(moved, cast(dot(change, d) / dot(d, d), state[0].dtype), state[0]),), moved)
        new, moved, a = backtrack(objective, point, d, *state)
        return Move(new, (2.0 * a,), moved)

    def _direction(self, objective: Objective, point: Point) -> Arrays:
        """Return -P g."""
        scaling = self.preconditioner
        if scaling is None:
            return tuple(-g for g in point.grad)
        g = pack(point.grad)
        if isinstance(scaling, Node):
            return unpack(-(matmul(scaling, g) if scaling.ndim == 2 else scaling * g), point.x)
        h = abs_(diagonal(objective.hessian(point.x)))
        # No floor for small ones: it would depend on the units. Where there is no curvature the step is -g.
        return unpack(-g / where(h > 0, h, 1.0), point.x)

    def _check_shape(self, scaling: Node, x: Node) -> None:
        if scaling.shape not in ((x.shape[0],), (x.shape[0], x.shape[0])):
            raise ShapeError(
                f"GradientDescent: preconditioner has shape {shape_text(scaling.shape)}, the unknowns together have "
                f"{x.shape[0]} entries."
            )


def _along(point: Point, a: Node, d: Arrays) -> list[Node]:
    return [w + cast(a, w.dtype) * u for w, u in zip(point.x, d, strict=True)]


__all__ = ["SEARCHES", "GradientDescent"]
