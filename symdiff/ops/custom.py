"""Values whose derivative is given by other means: `custom` carries a rule, `stop_gradient` carries none.

    y = custom(value, x_1 … x_k, c_1 … c_m)      y = value      y_dot = rule(y, x, x_dot, c)

The value is args[0]; no derivative flows through it. Solutions of equations, users' own rules and calls of Python
functions are all this one primitive. Nothing but derivatives needs it: the pass `settle` puts the value in its
place when a function is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symdiff.ir.dims import Shape
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.graph import depends_on, made_order, substitute
from symdiff.ir.node import Node, as_node, brief, make
from symdiff.ir.primitive import Params, Structured
from symdiff.ir.subgraph import Subgraph, trace
from symdiff.ops.index import zeros_like

# rule(y, xs, x_dots, extra) -> y_dot and pull(y, xs, y_bar, extra) -> x_bars, on nodes.
Rule = Callable[[Node, list[Node], list[Node], list[Node]], Node]
Pull = Callable[[Node, list[Node], Node, list[Node]], Sequence[Node]]


class _Custom(Structured):
    """`rule` and `pull` share the inputs (y, x_1 … x_k, x_dot_1 … x_dot_k, y_bar, c_1 … c_m); either may be None."""

    name = "custom"
    doc = "A value with a derivative of its own by the k arguments that follow it."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        value, *rest = args
        k = params["k"]
        like = (value, *rest[:k], *rest[:k], value, *rest[k:])
        wanted = tuple((n.shape, n.dtype) for n in like)
        for rule in (params["rule"], params["pull"]):
            if rule is not None and rule.inputs != wanted:
                raise ShapeError(f"{params['name']}: its arguments have other shapes or dtypes than its rule.")
        return value.shape, value.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return values[0]

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        k, name = node.params["k"], node.params["name"]
        xs, dots, extra = node.args[1 : k + 1], tangents[1 : k + 1], node.args[k + 1 :]
        for c, c_dot in zip(extra, tangents[k + 1 :], strict=True):
            if c_dot is not None:
                raise DerivativeError(
                    f"{name} ({node.line}) reads {brief(c)} ({c.line}) from outside its arguments, and its own rule "
                    "says nothing of the derivative by it; make it an argument."
                )
        if all(d is None for d in dots):
            return None
        if node.params["pull"] is None:
            return _push(node, dots)
        held = [zeros_like(x) if d is None else d for x, d in zip(xs, dots, strict=True)]
        return make(linear_map, (node, *xs, *held, *extra), node.params)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(f"{node.params['name']} ({node.line}) is not linear in its arguments.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError("custom is mapped by symdiff.diff.batch, which can map its rule.")


class _LinearMap(Structured):
    """Stands for rule(y, x, x_dot, c) between linearising and transposing; no finished graph holds it."""

    name = "linear_map"
    doc = "The tangent of a custom value, a linear map whose transpose is given; args are (y, x…, x_dot…, c…)."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return args[0].shape, args[0].dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        raise DerivativeError(f"The tangent of {params['name']} was not replaced by its rule.")

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        raise DerivativeError(f"The tangent of {node.params['name']} ({node.line}) was not replaced by its rule.")

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        n = node.params["k"]
        if not n < k <= 2 * n:
            raise DerivativeError(f"The tangent of {node.params['name']} ({node.line}) is linear in tangents only.")
        y, xs, dots, extra = node.args[0], node.args[1 : n + 1], node.args[n + 1 : 2 * n + 1], node.args[2 * n + 1 :]
        return node.params["pull"].call([y, *xs, *dots, x_bar, *extra])[k - n - 1]

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError(f"The tangent of {node.params['name']} ({node.line}) was not replaced by its rule.")


class _StopGradient(Structured):
    name = "stop_gradient"
    doc = "x, as a constant of every derivative."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return args[0].shape, args[0].dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return values[0]

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        return None

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(f"stop_gradient ({node.line}) has no transpose: its derivative is zero.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return self(args[0])


def attach(
    name: str,
    value: Node,
    xs: Sequence[Node],
    rule: Rule | None,
    pull: Pull | None = None,
    extra: Sequence[Node] = (),
) -> Node:
    """Return `value` with a derivative by `xs` that `rule` (forward), `pull` (its transpose) or both define.

    What the rules read besides their arguments becomes an argument of the node, so substitutions reach it.
    """
    k, m = len(xs), 2 * len(xs) + 1

    def pushed(*s: Node) -> list[Node]:
        assert rule is not None
        return [rule(s[0], list(s[1 : k + 1]), list(s[k + 1 : m]), list(s[m + 1 :]))]

    def pulled(*s: Node) -> list[Node]:
        assert pull is not None
        return list(pull(s[0], list(s[1 : k + 1]), s[m], list(s[m + 1 :])))

    bodies = {"rule": pushed} if rule is not None else {}
    if pull is not None:
        bodies["pull"] = pulled
    closed, outer = trace(list(bodies.values()), [value, *xs, *xs, value, *extra])
    params: dict[str, Any] = {"name": name, "k": k, "rule": None, "pull": None}
    params |= zip(bodies, closed, strict=True)
    return make(custom, (value, *xs, *extra, *outer), params)


def forward_form(node: Node) -> Node:
    """Return the tangent of a custom value written out; other nodes as they are. Raises DerivativeError."""
    if node.op is not linear_map:
        return node
    k = node.params["k"]
    return _push(node.args[0], node.args[k + 1 : 2 * k + 1])


def _push(node: Node, dots: Sequence[Node | None]) -> Node:
    rule: Subgraph | None = node.params["rule"]
    if rule is None:
        raise DerivativeError(
            f"{node.params['name']} ({node.line}) has a vjp only, which cannot be turned round; give it a jvp too, "
            "or use reverse mode (gradient, vjp, mode='reverse')."
        )
    k = node.params["k"]
    xs, extra = node.args[1 : k + 1], node.args[k + 1 :]
    return call_linear(rule, [node, *xs, *dots, node, *extra], range(k + 1, 2 * k + 1))


def call_linear(sub: Subgraph, args: Sequence[Node | None], linear: range) -> Node:
    """Return the output of `sub`, which is linear in the inputs `linear`; None among them is an exact zero.

    What such a zero makes zero is left out, so that a rule costs what the tangents at hand need.
    """
    slots = sub.input_nodes()
    memo = {s: a for s, a in zip(slots, args, strict=True) if a is not None}
    zeros = {slots[k] for k in linear if args[k] is None}
    moving = depends_on(sub.outputs, [slots[k] for k in linear])
    if not zeros:
        return substitute(sub.outputs, memo)[0]
    for node in made_order(sub.outputs, known=[*memo, *zeros]):
        moved = [a for a in node.args if a in moving]
        if moved and node.dtype != "tuple" and all(a in zeros for a in moved):
            zeros.add(node)
            continue
        kept = [a for a in node.args if a not in zeros]
        if node.op.name in ("add", "sub") and len(kept) == 1 and memo[kept[0]].shape == node.shape:
            (x,) = kept
            memo[node] = -memo[x] if node.op.name == "sub" and node.args[1] is x else memo[x]
            continue
        new = tuple(zeros_like(a) if a in zeros else memo[a] for a in node.args)
        memo[node] = node if new == node.args else make(node.op, new, node.params)
    (out,) = sub.outputs
    return zeros_like(out) if out in zeros else memo[out]


custom = _Custom()
linear_map = _LinearMap()
_stop = _StopGradient()


def stop_gradient(x: Any) -> Node:
    """Return `x` as a constant of every derivative: the same value, the derivative zero.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> print(sd.diff(x * sd.stop_gradient(x), x))
    stop_gradient(x)
    """
    node = as_node(x)
    return node if node.dtype not in ("float32", "float64") else _stop(node)


__all__ = ["attach", "call_linear", "custom", "forward_form", "linear_map", "stop_gradient"]
