"""The iterations behind `root`, `fixed_point` and `argmin`, as loops of expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symdiff.diff.jacobian import eye
from symdiff.ir.dims import product
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, const
from symdiff.ops import elementwise as el
from symdiff.ops import linalg
from symdiff.ops.control import while_loop
from symdiff.ops.index import broadcast_to, concatenate, reshape
from symdiff.ops.reduce import max_, sum_

# A step is accepted when the residual falls by this part of what the linear model promises (Armijo).
_ENOUGH = 1e-4
# Steps shorter than this part of Newton's are not tried.
_SHORTEST = 2.0**-30
# A residual of so many eps times |J| |u| is rounding: no step makes it smaller.
_ROUNDING = 64.0
# Where the Newton step is this small against the unknown, a descending iteration hands over to Newton's method.
_NEAR = 1e-3
# The multiple of the identity, relative to the Hessian, with which steps are tried first, and the largest.
_FIRST_SHIFT, _LAST_SHIFT = 1e-3, 1e12


@dataclass(frozen=True, slots=True)
class Equation:
    """residual(unknown) = 0 with its Jacobian, and how to solve it."""

    residual: Node
    jacobian: Node
    unknown: Node
    start: Node
    tol: float
    max_steps: int

    def at(self, node: Node, u: Node) -> Node:
        """A function of the unknown at u."""
        return substitute([node], {self.unknown: u})[0]

    def solve(self, matrix: Node, right: Node) -> Node:
        """The solution of matrix @ x = right for a Jacobian, whatever the shape of the unknown."""
        if not right.shape:
            return right / matrix
        n = product(right.shape)
        flat = linalg.solve(reshape(matrix, shape=(n, n)), reshape(right, shape=(n,)))
        return reshape(flat, shape=right.shape)

    def newton_step(self, u: Node) -> Node:
        """-J(u)^-1 R(u)."""
        return -self.solve(self.at(self.jacobian, u), self.at(self.residual, u))

    def is_short(self, step: Node, u: Node, tol: Node | float) -> Node:
        """Whether a step is within a tolerance relative to max(1, |u|)."""
        return norm(step) <= tol * el.maximum(norm(u), 1.0)

    def tolerance(self, u: Node) -> Node:
        """The tolerance, no smaller than what the numbers that it is compared in can show."""
        return el.maximum(self.tol, 8 * precision(u))

    def is_rounding(self, u: Node) -> Node:
        """Whether the residual at u is of the size of its own rounding error."""
        jac = el.abs_(self.at(self.jacobian, u))
        if u.shape:
            n = product(u.shape)
            scale = norm(linalg.matmul(reshape(jac, shape=(n, n)), reshape(el.abs_(u), shape=(n,))))
        else:
            scale = jac * el.abs_(u)
        return norm(self.at(self.residual, u)) <= _ROUNDING * precision(u) * scale

    def is_positive_at(self, u: Node) -> Node:
        """Whether the Jacobian, a Hessian, is positive definite at u."""
        return is_positive(self.at(self.jacobian, u), u)


def norm(x: Node) -> Node:
    """The largest absolute value; 0 of no values."""
    size = el.abs_(x)
    if all(isinstance(n, int) and n > 0 for n in x.shape):
        return max_(size, axes=tuple(range(x.ndim))) if x.ndim else size
    flat = reshape(size, shape=(product(x.shape),))
    return max_(concatenate(flat, broadcast_to(const(0.0, x.dtype), shape=(1,)), axis=0), axes=(0,))


def precision(u: Node) -> Node:
    """The distance from 1 to the next number, of whatever numbers the graph is evaluated with.

    A literal would be that of the dtype in which the graph was built: compiled with dtype="float32" no iteration
    would converge, and 50 digits would be cut to 16. The condition keeps literals from being folded.
    Method: 4/3 is rounded, and all that follows is exact (EISPACK's function epslon).
    """
    one = el.where(el.isfinite(norm(u)), const(1.0, u.dtype), const(2.0, u.dtype))
    return el.abs_(3 * (4 * one / 3 - 1) - 1)


def is_positive(matrix: Node, u: Node) -> Node:
    """Whether the Hessian of a function of `u` is positive definite."""
    if not u.shape:
        return matrix > 0
    n = product(u.shape)
    factor = linalg.cholesky(reshape(matrix, shape=(n, n)))
    return el.isfinite(sum_(factor, axes=(0, 1)))


def solution(equation: Equation, start: Node) -> Node:
    """Return the solution that Newton's method finds from `start`; NaN where it finds none."""
    u = _newton(equation, start)
    step = equation.newton_step(u)
    found = equation.is_short(step, u, equation.tolerance(u)) | equation.is_rounding(u)
    return el.where(found, u + step, const(float("nan"), u.dtype))


def _newton(equation: Equation, start: Node) -> Node:
    """Newton's method with shortened steps, for as long as the residual falls."""

    def size(u: Node) -> Node:
        return norm(equation.at(equation.residual, u))

    def turn(u: Node, r: Node, going: Node, k: Node) -> list[Node]:
        step = equation.newton_step(u)
        t, r1 = _shortened(lambda t: size(u + t * step), r)
        accepted = r1 <= (1 - _ENOUGH * t) * r
        # Within the tolerance a step must pay: rounding makes residuals fall a little now and then.
        pays = (r1 < 0.25 * r) | ~equation.is_short(t * step, u, equation.tolerance(u))
        return [el.where(accepted, u + t * step, u), el.where(accepted, r1, r), accepted & pays & (r1 > 0), k + 1]

    def goes_on(u: Node, r: Node, going: Node, k: Node) -> Node:
        return going & (k < equation.max_steps)

    r = size(start)
    return while_loop(goes_on, turn, [start, r, r > 0, const(0, "int64")])[0]


def _shortened(size: Callable[[Node], Node], r: Node) -> list[Node]:
    """Return the largest t = 1, 1/2, 1/4, … with which the residual falls enough, and the residual there.

    A residual that is NaN, beyond the domain of some function, is not small enough.
    """
    one = const(1.0, r.dtype)
    return while_loop(
        lambda t, r1: ~(r1 <= (1 - _ENOUGH * t) * r) & (t > _SHORTEST),
        lambda t, r1: [0.5 * t, size(0.5 * t)],
        [one, size(one)],
    )


def iterate(equation: Equation) -> Node:
    """Iterate u -> u - R(u) from the start for as long as |R| falls, until it is small."""

    def turn(u: Node, r: Node, going: Node, k: Node) -> list[Node]:
        u1 = u - equation.at(equation.residual, u)
        step = equation.at(equation.residual, u1)
        better = norm(step) < r
        return [el.where(better, u1, u), el.where(better, norm(step), r), better & ~_is_near(equation, step, u1), k + 1]

    def goes_on(u: Node, r: Node, going: Node, k: Node) -> Node:
        return going & (k < equation.max_steps)

    first = equation.at(equation.residual, equation.start)
    state = [equation.start, norm(first), ~_is_near(equation, first, equation.start), const(0, "int64")]
    return while_loop(goes_on, turn, state)[0]


def _is_near(equation: Equation, step: Node, u: Node) -> Node:
    return equation.is_short(step, u, _NEAR)


def descend(equation: Equation, objective: Node) -> Node:
    """Newton steps from the start that make the objective fall, until they are small.

    A multiple of the identity is added to the Hessian until it is positive definite and the objective falls enough.
    """

    def turn(u: Node, f: Node, shift: Node, going: Node, k: Node) -> list[Node]:
        slope_by = equation.at(equation.residual, u)
        hessian = _shifted(equation.at(equation.jacobian, u), shift)
        step = -equation.solve(hessian, slope_by)
        slope = _total(slope_by * step)
        f1 = equation.at(objective, u + step)
        accepted = is_positive(hessian, u) & (f1 <= f + _ENOUGH * slope)
        done = accepted & (shift <= 0) & _is_near(equation, step, u)
        less = el.where(shift > _FIRST_SHIFT, 0.125 * shift, 0.0)
        shift1 = el.where(accepted, less, el.maximum(4 * shift, _FIRST_SHIFT))
        kept = el.where(accepted, u + step, u)
        return [kept, el.where(accepted, f1, f), shift1, ~done & (shift1 < _LAST_SHIFT), k + 1]

    def goes_on(u: Node, f: Node, shift: Node, going: Node, k: Node) -> Node:
        return going & (k < equation.max_steps)

    u, dtype = equation.start, equation.start.dtype
    state = [u, equation.at(objective, u), const(0.0, dtype), const(True, "bool"), const(0, "int64")]
    return while_loop(goes_on, turn, state)[0]


def _total(x: Node) -> Node:
    return sum_(x, axes=tuple(range(x.ndim))) if x.ndim else x


def _shifted(hessian: Node, shift: Node) -> Node:
    """hessian + shift * |hessian| * identity."""
    size = norm(hessian)
    by = shift * el.where(size > 0, size, const(1.0, size.dtype))
    if not hessian.shape:
        return hessian + by
    n = product(hessian.shape[: hessian.ndim // 2])
    return hessian + by * reshape(eye(n, hessian.dtype), shape=hessian.shape)
