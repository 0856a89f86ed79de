"""Newton's method with a shifted Hessian and a line search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symdiff.diff.jacobian import eye
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, eq, isfinite, maximum, where
from symdiff.ops.index import reshape
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import cholesky, solve
from symdiff.ops.reduce import max_, min_, sum_
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.modified_cholesky import modified_solve
from symdiff.optimize.objective import Objective, Point, dot, pack, unpack
from symdiff.optimize.rule import Move, Rule, State

_HESSIANS = ("shift", "modified-cholesky")
GROWTH = 10.0  # of the shift: at most 10 times larger than needed, found in few factorisations


@dataclass(frozen=True, slots=True)
class Newton(Rule):
    """x1 = x - a*(H + E)^-1 g, with a = 1, 1/2, 1/4, … by Armijo's rule, E = 0 or what makes H + E positive definite.

    With `hessian="shift"` E is tau*I. tau is 0 where the Hessian H is positive definite, so convergence is quadratic
    near a minimum. Otherwise it grows from sqrt(eps)*max|H| in powers of ten until a Cholesky factorisation succeeds:
    at a singular Hessian the step is (nearly) the shortest Newton step, at an indefinite one it leans towards the
    gradient and the run leaves saddle points. Where no shift helps (H holds NaN or infinities, or rounding turns the
    step uphill) the step is -g. The run stops when no trial step decreases the loss.

    With `hessian="modified-cholesky"` E is a diagonal matrix that Gill and Murray's factorisation finds on its way, in
    one factorisation: large where a direction has negative curvature, zero in others, which keep their Newton step. A
    shift turns all directions towards the gradient, but is small where H is nearly positive definite.

    Only a zero gradient is tested at the end: a run started exactly on a saddle or a maximum stays there.

    Needs: memory for the dense Hessian, n**2 numbers for n unknowns.
    Method: Nocedal & Wright 2006, algorithms 3.2 and 3.3 (with a relative first shift) and section 3.4.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> res = sd.minimize((1 - x) ** 2 + 100 * (y - x**2) ** 2, {x: -1.2, y: 1.0}, method=Newton(), target="reference")
    >>> res.converged, res.steps < 30
    (True, True)
    """

    hessian: str = "shift"

    def __post_init__(self) -> None:
        """Raise DomainError for an unknown treatment of the Hessian."""
        if self.hessian not in _HESSIANS:
            names = " or ".join(map(repr, _HESSIANS))
            raise DomainError(f"Newton: hessian is {names}, got {self.hessian!r}.")

    def init(self, objective: Objective, point: Point) -> State:
        """Return the empty state."""
        return ()

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Solve for the direction, then search along it."""
        hess, g = objective.hessian(point.x), pack(point.grad)
        if self.hessian == "shift":
            shifted, definite = make_definite(hess)
            newton = where(definite, solve(shifted, -g), -g)
        else:
            newton = modified_solve(hess, -g)
        # False for NaN too.
        direction = where(dot([g], [newton]) < 0, newton, -g)
        new, moved, _ = backtrack(objective, point, unpack(direction, point.x), const(1.0, point.loss.dtype))
        return Move(new, (), moved)


def make_definite(hess: Node) -> tuple[Node, Node]:
    """Return (H + tau*I, whether it is positive definite) for the smallest tau tried.

    tau starts at 0 if the diagonal is positive, else at beta - 2 min h_ii with beta = sqrt(eps)*max|h_ij|, and goes
    to max(10 tau, beta) after each failure. Nocedal & Wright start at beta - min h_ii, which leaves a curvature of
    nearly 0 and a step of nearly infinite length; twice that turns a negative curvature -h into h. A matrix with a
    NaN or an infinity is given up at once.
    """
    eps = float(np.finfo(hess.dtype).eps)
    scale = max_(abs_(hess), axes=(0, 1))
    beta = where(eq(scale, 0), const(1.0, hess.dtype), eps**0.5 * scale)
    lowest = min_(diagonal(hess), axes=(0,))
    identity = eye(hess.shape[0], hess.dtype)

    def test(tau: Node) -> Node:
        return is_positive_definite(hess + tau * identity)

    def fails(tau: Node, definite: Node) -> Node:
        # eps * tau > scale: H is lost in the rounding of the shift, which happens only if something is not finite.
        return ~definite & isfinite(tau) & (eps * tau <= scale + beta)

    def shift(tau: Node, definite: Node) -> list[Node]:
        tau = maximum(GROWTH * tau, beta)
        return [tau, test(tau)]

    tau0 = where(lowest > 0, const(0.0, hess.dtype), beta - 2.0 * lowest)
    tau, definite = while_loop(fails, shift, [tau0, test(tau0)])
    return hess + tau * identity, definite


def is_positive_definite(a: Node) -> Node:
    """Whether a symmetric matrix is positive definite beyond rounding.

    The backward error of Cholesky's factor is (n + 1) eps a_jj in column j (Higham 2002, theorem 10.3): a pivot
    below that is no evidence. Comparing with the entry's own a_jj keeps badly scaled but regular matrices.
    """
    pivots = diagonal(cholesky(a))
    least = (as_node(a.shape[0]) + 1.0) * float(np.finfo(a.dtype).eps)
    passed = pivots * pivots > cast(least, a.dtype) * diagonal(a)
    return min_(cast(passed, "int64"), axes=(0,)) > 0


def diagonal(a: Node) -> Node:
    """Return the diagonal of a square matrix."""
    n = a.shape[0]
    row, col = reshape(iota(n=n), shape=(n, 1)), reshape(iota(n=n), shape=(1, n))
    return sum_(where(eq(row, col), a, const(0.0, a.dtype)), axes=(1,))
