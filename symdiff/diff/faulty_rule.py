"""Which primitive's derivative is wrong: each node's rule alone, at the values that it meets, against 50 digits.

The tangent of one node along a random direction of one of its arguments is compared with the slope of the node's
own values, computed from mpmath values as the reference of a comparison is; its transpose is compared with the
tangent by <J v, w> = <v, J' w>. Where the node is too large for mpmath, Ridders' extrapolation takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.diff.exact import FAINT, distance, exact_derivative
from symdiff.diff.finite import Values, richardson
from symdiff.diff.forward import push_one
from symdiff.diff.parting import Parting, is_compound, name_of
from symdiff.diff.reverse import pull
from symdiff.diff.rounding import rounding_error
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import LEAVES, made_order, substitute
from symdiff.ir.interpret import interpret
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ir.primitive import Elementwise, Structured
from symdiff.ops.index import zeros_like

# Above this many numbers in arguments and result, mpmath gives way to floating-point extrapolation.
_LARGE = 2000
# A node inside a loop is looked at in its first turns only.
_TURNS = 3
_SIDE = 2.0**-24


def first_faulty_rule(roots: Sequence[Node], values: Mapping[Node, Any]) -> Parting | None:
    """Return the first node under `roots` whose derivative rule is wrong at these values, bodies of loops included.

    Cost: five values of each node with 200 digits, for each of its arguments.
    """
    sizes = dict(values)
    seen: dict[Node, int] = {}
    found: list[Parting] = []

    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        turn = seen[node] = seen.get(node, 0) + 1
        if not found and turn <= _TURNS and _has_rule(node):
            parting = _judge(node, args, sizes)
            if parting is not None:
                found.append(parting)
        return evaluate(args)

    interpret(roots, values, around=around)
    return found[0] if found else None


def _has_rule(node: Node) -> bool:
    is_own = node.op.name == "custom" or not is_compound(node)
    return is_own and node.op.name not in LEAVES and node.dtype.startswith("float")


def _symbol(name: str, like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": like.shape, "dtype": like.dtype})


def _judge(node: Node, args: Sequence[Any], sizes: Values) -> Parting | None:
    """Check the rule of `node` for each of its real arguments alone."""
    marks = [_symbol(f"argument {k}", a) for k, a in enumerate(node.args)]
    if node.op.name == "custom":
        # Its first argument is the value, a function of those that follow; the rule speaks of that function.
        inner = dict(zip(node.args[1 : node.params["k"] + 1], marks[1:], strict=False))
        if any(n.op.name == "input" for n in made_order([node.args[0]], known=inner)):
            return None  # inside a loop the function is not to be had apart from its turn
        marks[0] = substitute([node.args[0]], inner)[0]
    alone = make(node.op, tuple(marks), node.params)
    here = {**sizes, **{m: np.asarray(a) for m, a in zip(marks, args, strict=True) if m.op.name == "symbol"}}
    rng = np.random.default_rng(11)
    for k, mark in enumerate(marks):
        if not mark.dtype.startswith("float") or mark not in here or k > node.params.get("k", k):
            continue
        size = np.where(np.isfinite(here[mark]) & (here[mark] != 0), np.abs(here[mark]), 1.0)
        direction = (rng.uniform(0.5, 1.5, size.shape) * rng.choice([-1.0, 1.0], size.shape) * size).astype(mark.dtype)
        parting = _along(node, alone, k, here, direction)
        if parting is not None:
            return parting
    return None


def _along(node: Node, alone: Node, k: int, here: Values, direction: np.ndarray) -> Parting | None:
    mark = alone.args[k]
    dot, t = _symbol("direction", mark), make(PRIMITIVES["symbol"], (), _STEP)
    values = {**here, dot: direction, t: np.asarray(0.0)}
    (moved,) = substitute([alone], {mark: mark + dot * t})
    try:
        tangent = push_one(alone, [dot if m is mark else None for m in alone.args])
    except DerivativeError:
        return None  # a missing rule is not a wrong one; the method that needs it is left out with this error
    tangent = zeros_like(alone) if tangent is None else tangent
    got = np.asarray(interpret([tangent], values)[0])
    low, high, slack = _reference(moved, values, t)
    with np.errstate(all="ignore"):
        bound = rounding_error([tangent], values)[0] + slack
        error = distance(got, low, high)
        wrong = ~(error <= bound + FAINT) & (bound != np.inf)
    if np.any(wrong):
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        return _parting(node, k, values, alone, (index, got[index].item(), low[index]), "derivative")
    return _transposed(node, alone, k, values, tangent, dot)


_STEP = {"name": "\0step", "shape": (), "dtype": "float64"}


def _reference(moved: Node, values: Values, t: Node) -> tuple[np.ndarray, np.ndarray, Any]:
    """The slope of a node's values in `t`, as intervals, and the error of these."""
    sizes = [np.size(values[s]) for s in values if s.params["name"].startswith("\0")]
    if sum(sizes) <= _LARGE and not any(n.op.name == "opaque" for n in made_order([moved])):
        exact = exact_derivative(moved, values, t)
        return exact.low, exact.high, 0.0
    value, error = (np.asarray(v) for v in richardson(moved, values, t))
    # Between the two one-sided slopes of a kink every value is right.
    f0, right, left = (interpret([moved], {**values, t: np.asarray(h)})[0] for h in (0.0, _SIDE, -_SIDE))
    with np.errstate(all="ignore"):
        slack = 100 * error + np.abs(right - 2 * f0 + left) / _SIDE + 1e-7 * np.abs(value).max(initial=0.0)
    return value.astype(object), value.astype(object), np.nan_to_num(slack, nan=np.inf)


def _transposed(node: Node, alone: Node, k: int, values: Values, tangent: Node, dot: Node) -> Parting | None:
    """Check <J v, w> = <v, J' w> for one node."""
    weight = _symbol("weight", alone)
    shape = np.shape(interpret([alone], values)[0])
    w = np.random.default_rng(13).uniform(0.5, 1.5, shape).astype(node.dtype)
    values = {**values, weight: w}
    try:
        (pulled,) = pull([alone], [weight], [alone.args[k]])
    except DerivativeError:
        return None  # as above
    left = _sum(tangent * weight)
    right = const(0.0, left.dtype) if pulled is None else _sum(pulled * dot)
    a, b = (float(v) for v in interpret([left, right], values))
    bound = sum(float(v) for v in rounding_error([left, right], values))
    if not np.isfinite(a) or abs(a - b) <= bound + FAINT:
        return None
    return _parting(node, k, values, alone, ((), b, a), "transpose")


def _sum(node: Node) -> Node:
    return PRIMITIVES["sum"](node, axes=tuple(range(node.ndim))) if node.ndim else node


def _parting(
    node: Node, k: int, values: Values, alone: Node, entry: tuple[tuple[int, ...], Any, Any], what: str
) -> Parting:
    import mpmath

    index, got, exact = entry
    shape = np.shape(interpret([alone], values)[0])
    arguments = tuple(_entry(values[m], index, shape) for m in alone.args if m in values)
    at = ", ".join(f"an array {a}" if isinstance(a, tuple) else repr(a) for a in arguments)
    kind = "jvp and transpose" if isinstance(node.op, Structured) else "partials"
    if what == "derivative":
        along = "along a random direction, "
        if isinstance(node.op, Elementwise):
            # One entry of the result depends on one of the argument: the slope is the partial derivative.
            along, scale = "", float(np.broadcast_to(values[_symbol("direction", alone.args[k])], shape)[index])
            got, exact = got / scale, exact / scale
        said = (
            f"the derivative of {node.op.name} by its argument {k} {along}at {at} comes out as {got!r}; "
            f"its values give {mpmath.nstr(mpmath.mpf(exact), 17)}"
        )
    else:
        said = f"the transpose of {node.op.name} for argument {k} gives <v, J'w> = {got!r}, its jvp <Jv, w> = {exact!r}"
    text = f"{name_of(node)} has a wrong rule ({kind}): {said}"
    if node.op.name == "stop_gradient":
        text = f"{name_of(node)}: it is a constant to every derivative, as was asked, but not to values and differences"
    return Parting(node, "rule", index, got, exact, arguments, text)


def _entry(value: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The number of an argument at one entry of the result, or the shape of an array that has none there."""
    array = np.asarray(value)
    if array.ndim == 0:
        return array.item()
    return np.broadcast_to(array, shape)[index].item() if index and array.shape == shape else array.shape
