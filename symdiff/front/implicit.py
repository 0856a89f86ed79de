"""Solutions of equations as expressions: root, fixed_point, argmin.

The value comes from an iteration; the derivative does not look at it. For R(u, p) = 0 the theorem of the implicit
function gives

    dR/du u_dot = -dR/dp p_dot                one linear system for the tangents of all parameters together

whose transpose is the adjoint equation: one system with the transposed matrix, however many parameters there are.
The rule is attached to the value with `custom` and is differentiated again for higher orders.

Every iteration ends with Newton's method: undamped near the solution, it goes on for as long as the residual falls,
so the value is as good as the numbers it is computed with, 50 digits with mpmath. One Newton step follows the loop. Its
length tells whether the iteration has converged, and with it values for x + ih have the imaginary parts of the
derivative to all digits, however few turns the real part took (Griewank & Walther 2008, chapter 15).
"""

from __future__ import annotations

from typing import Any

from symdiff.diff.forward import push
from symdiff.diff.jacobian import gradient, jacobian
from symdiff.diff.wrt import as_scalar_function, as_symbol
from symdiff.front.newton import Equation, descend, iterate, solution
from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DerivativeError, DomainError, ShapeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops.custom import attach
from symdiff.ops.elementwise import where
from symdiff.ops.index import broadcast_to, zeros_like

_NAN = float("nan")


def root(residual: Any, unknown: Any, start: Any, tol: float = 1e-12, max_steps: int = 50) -> Node:
    """Return the value of `unknown` at which `residual` is zero, found from `start` by Newton's method.

    All other symbols of `residual` are parameters; derivatives by them come from the implicit function theorem.
    `start` may be an expression; the solution does not depend on it smoothly, so it has no derivative.

    Shapes: `residual`, `unknown` and the result are alike. Raises: ShapeError, DerivativeError, UnknownSymbolError.
    NaN where the iteration has not converged: where the last Newton step is longer than tol * max(1, |unknown|) and
    the residual is more than rounding. `fn.trace` names such a root.
    Method: Newton with the exact Jacobian, steps halved until the residual falls (Deuflhard 2004, chapter 3).
    Cost: a Jacobian and a linear system a step; one transposed system for the gradient by any number of parameters.

    >>> import symdiff as sd
    >>> x, a = sd.symbols("x a")
    >>> cube_root = sd.root(x**3 - a, x, start=1.0)
    >>> sd.compile([cube_root, sd.gradient(cube_root, a)], [a])(8.0)
    [2.0, 0.08333333333333333]
    """
    equation = _equation("root", residual, unknown, start, tol, max_steps)
    return _attached("root", equation, solution(equation, equation.start))


def fixed_point(g: Any, x: Any, start: Any, tol: float = 1e-12, max_steps: int = 500) -> Node:
    """Return the value of `x` at which `g` equals `x`, found by iterating `g` from `start`.

    The iteration runs for as long as |g(x) - x| falls; Newton's method finishes it, or does the work where `g` does
    not contract. Everything else is as for `root`; the derivative is that of x - g = 0.

    >>> import symdiff as sd
    >>> x, a = sd.symbols("x a")
    >>> y = sd.fixed_point(sd.cos(a * x), x, start=0.5)
    >>> print(f"{sd.compile(y, [a])(1.0):.10f}")
    0.7390851332
    """
    unknown = as_symbol(x)
    value = as_node(g)
    if value.shape != unknown.shape:
        raise _unlike("fixed_point", "g", value, unknown)
    equation = _equation("fixed_point", unknown - value, unknown, start, tol, max_steps)
    return _attached("fixed_point", equation, solution(equation, iterate(equation)))


def argmin(f: Any, x: Any, start: Any, tol: float = 1e-12, max_steps: int = 100) -> Node:
    """Return the value of `x` at a local minimum of the scalar `f`, found from `start` by a descending Newton method.

    The derivative is that of the gradient's root, so minima may be nested: an outer objective can be differentiated
    through an inner minimum. NaN also where the Hessian is not positive definite at the end: a saddle, a maximum.
    Everything else is as for `root`.
    Method: Newton steps with a multiple of the identity added until `f` falls (Nocedal & Wright 2006, chapter 3.4).

    >>> import symdiff as sd
    >>> x, a = sd.symbols("x a")
    >>> best = sd.argmin(sd.exp(x) - a * x, x, start=0.0)
    >>> [round(v, 12) for v in sd.compile([best, sd.diff(best, a)], [a])(2.0)]
    [0.69314718056, 0.5]
    """
    unknown = as_symbol(x)
    objective = as_scalar_function(f, "argmin")
    equation = _equation("argmin", gradient(objective, unknown), unknown, start, tol, max_steps)
    value = solution(equation, descend(equation, objective))
    good = equation.is_positive_at(value)
    return _attached("argmin", equation, where(good, value, const(_NAN, value.dtype)))


def _equation(name: str, residual: Any, unknown: Any, start: Any, tol: float, max_steps: int) -> Equation:
    """Check what the user gave."""
    if isinstance(unknown, (list, tuple)):
        raise DerivativeError(f"{name} finds one unknown, got {len(unknown)}; join them to a vector of unknowns.")
    x, r, first = as_symbol(unknown), as_node(residual), as_node(start)
    if r.shape != x.shape:
        raise _unlike(name, "the residual", r, x)
    if not r.dtype.startswith("float"):
        raise DerivativeError(f"{name}: the residual {brief(r)} ({r.line}) has dtype {r.dtype}, and must be real.")
    if x not in free_symbols([r]):
        what = "the gradient of f" if name == "argmin" else "the residual"
        raise UnknownSymbolError(f"{name}: {what}, {brief(r)} ({r.line}), does not contain the unknown {brief(x)}.")
    if x in free_symbols([first]):
        raise UnknownSymbolError(f"{name}: start ({first.line}) contains the unknown {brief(x)}; give it a value.")
    if first.ndim and first.shape != x.shape:
        raise _unlike(name, "start", first, x)
    if not isinstance(tol, (int, float)) or not 0 < tol < 1:
        raise DomainError(f"{name}: tol is a number between 0 and 1, got {tol!r}.")
    if not isinstance(max_steps, int) or isinstance(max_steps, bool) or max_steps < 1:
        raise DomainError(f"{name}: max_steps is a positive int, got {max_steps!r}.")
    start_node = broadcast_to(cast(first, x.dtype), shape=x.shape)
    return Equation(cast(r, x.dtype), jacobian(cast(r, x.dtype), x), x, start_node, float(tol), max_steps)


def _unlike(name: str, what: str, got: Node, unknown: Node) -> ShapeError:
    return ShapeError(
        f"{name}: {what} has shape {shape_text(got.shape)} ({got.line}), the unknown {brief(unknown)} "
        f"{shape_text(unknown.shape)}; they must be alike."
    )


def _attached(name: str, equation: Equation, value: Node) -> Node:
    """Give a solution its derivative by all parameters."""
    r, x = equation.residual, equation.unknown
    parameters = [s for s in free_symbols([r]) if s is not x and s.dtype.startswith("float")]

    def rule(y: Node, ps: list[Node], dots: list[Node], extra: list[Node]) -> Node:
        place = {x: y, **dict(zip(parameters, ps, strict=True))}
        (here,) = substitute([r], place)
        # The unknown is held: y is a mark that carries no tangent here.
        (drift,) = push([here], {y: None, **dict(zip(ps, dots, strict=True))})
        return zeros_like(y) if drift is None else -equation.solve(substitute([equation.jacobian], place)[0], drift)

    return attach(name, value, parameters, rule)


__all__ = ["argmin", "fixed_point", "root"]
