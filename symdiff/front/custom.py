"""Users' own derivatives: `custom_derivative` for functions of expressions, `opaque` for Python functions of arrays."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from symdiff.diff.check_rule import check_rule
from symdiff.diff.reverse import pull as pull_back
from symdiff.ir.callback import Callback
from symdiff.ir.dims import as_shape, shape_text
from symdiff.ir.errors import DerivativeError, DTypeError, ShapeError
from symdiff.ir.graph import depends_on
from symdiff.ir.node import DTYPES, PRIMITIVES, Node, as_node, make
from symdiff.ir.primitive import cast
from symdiff.ir.subgraph import trace
from symdiff.ops import opaque as ops_opaque
from symdiff.ops.custom import attach
from symdiff.ops.index import broadcast_to, zeros_like
from symdiff.ops.linearity import is_zero_literal, lasting_output, nonlinear_node

Jvp = Callable[[tuple[Node, ...], tuple[Node | None, ...]], Any]
Vjp = Callable[[tuple[Node, ...], Node, Node], Any]


class CustomFunction:
    """A function of expressions with a derivative of its own; made by `custom_derivative`."""

    def __init__(self, function: Callable[..., Any], check: bool, domain: Any):
        functools.update_wrapper(self, function)
        self.function, self.name = function, getattr(function, "__name__", "function")
        self._jvp: Jvp | None = None
        self._vjp: Vjp | None = None
        self._check, self._domain = check, domain
        self._checked: set[Any] = set()

    def __repr__(self) -> str:
        rules = " and ".join(n for n, r in (("jvp", self._jvp), ("vjp", self._vjp)) if r is not None)
        return f"<{self.name} with its own {rules or 'derivative, not given yet'}>"

    def jvp(self, rule: Jvp) -> Jvp:
        """Take `rule(primals, tangents)`, which returns the tangent of the result, linear in the tangents."""
        self._jvp = rule
        return rule

    def vjp(self, rule: Vjp) -> Vjp:
        """Take `rule(primals, result, cotangent)`, which returns one cotangent for each argument, linear in it."""
        self._vjp = rule
        return rule

    def __call__(self, *args: Any) -> Node:
        """Build the expression. Raises DerivativeError if there is no rule yet, or if it is found wrong."""
        if self._jvp is None and self._vjp is None:
            raise DerivativeError(f"{self.name} has no derivative yet; give it one with @{self.name}.jvp or .vjp.")
        nodes = [as_node(a) for a in args]
        key = tuple((n.shape, n.dtype) for n in nodes)
        if self._check and key not in self._checked:
            check_rule(self.name, _names(self.function, len(nodes)), self._build, nodes, self._domain)
            self._checked.add(key)
        return self._build(nodes)

    def _build(self, nodes: Sequence[Node]) -> Node:
        (closed,), outer = trace([lambda *marks: [as_node(self.function(*marks))]], nodes)
        value = closed.call([*nodes, *outer])[0]
        if not value.dtype.startswith("float"):
            raise DerivativeError(f"{self.name} returns {value.dtype}; only real functions have derivatives.")
        return with_rules(self.name, value, nodes, self._jvp, self._vjp, outer)


def custom_derivative(function: Callable[..., Any] | None = None, *, check: bool = False, domain: Any = None) -> Any:
    """Give a Python function of expressions a derivative of its own, with `.jvp` or `.vjp` (decorator).

    A jvp rule gets (primals, tangents), a vjp rule (primals, result, cotangent); either serves forward and reverse
    mode and is differentiated for higher orders; with both, each serves its own mode. Arguments that are not real
    have the tangent None. With `check`, the first call with arguments of new shapes compares the rule with finite
    differences at random points of `domain`: one interval, or one for each argument, by default (0.1, 2.0).

    Raises: DerivativeError for a rule that is not linear in the tangents or in the cotangent, that leaves them out or,
    with `check`, is wrong; ShapeError for a result unlike the value or argument (0.0 stands for zero of any shape);
    DTypeError for a rule that takes other arguments.

    >>> import symdiff as sd
    >>> @sd.custom_derivative
    ... def clipped(x):
    ...     return sd.clip(x, -1.0, 1.0)
    >>> @clipped.jvp
    ... def through(primals, tangents):
    ...     return tangents[0]
    >>> x = sd.symbols("x")
    >>> print(sd.diff(clipped(3 * x), x))
    3
    """
    if function is None:
        return lambda f: CustomFunction(f, check, domain)
    if not callable(function):
        raise DTypeError(f"custom_derivative decorates a function, got {function!r}.")
    return CustomFunction(function, check, domain)


class Opaque:
    """A Python function of arrays as a function of expressions; made by `opaque`."""

    def __init__(
        self, function: Callable[..., Any], shape: Any, dtype: str, jvp: Any, vjp: Any, check: bool, domain: Any
    ):
        if not callable(function):
            raise DTypeError(f"opaque takes a Python function, got {function!r}.")
        if dtype not in DTYPES:
            raise DTypeError(f"The dtype of opaque is one of {', '.join(DTYPES)}, got {dtype!r}.")
        if not dtype.startswith("float") and (jvp is not None or vjp is not None):
            raise DerivativeError(f"An opaque function that returns {dtype} has no derivative; leave out jvp and vjp.")
        self.function, self.name = function, getattr(function, "__name__", type(function).__name__)
        self.shape, self.dtype = as_shape(shape), dtype
        self._jvp, self._vjp, self._check, self._domain = jvp, vjp, check, domain
        self._callbacks: dict[Any, Callback] = {}
        self._checked: set[Any] = set()

    def __repr__(self) -> str:
        return f"<opaque {self.name}, returns {self.dtype} of shape {shape_text(self.shape)}>"

    def __call__(self, *args: Any) -> Node:
        """Build the expression that calls the function when it runs."""
        nodes = [as_node(a) for a in args]
        key = tuple((n.shape, n.dtype) for n in nodes)
        if self._check and key not in self._checked:
            check_rule(self.name, _names(self.function, len(nodes)), self._build, nodes, self._domain)
            self._checked.add(key)
        return self._build(nodes)

    def _build(self, nodes: Sequence[Node]) -> Node:
        takes = tuple((n.shape, n.dtype) for n in nodes)
        if takes not in self._callbacks:
            self._callbacks[takes] = Callback(self.function, self.name, takes, self.shape, self.dtype)
        value = ops_opaque.call(self._callbacks[takes], nodes)
        if self._jvp is None and self._vjp is None:
            return value
        return with_rules(self.name, value, nodes, _as_jvp(self._jvp), _as_vjp(self._vjp, nodes))


def opaque(
    python_function: Callable[..., Any],
    shape: Any,
    dtype: str = "float64",
    jvp: Any = None,
    vjp: Any = None,
    check: bool = False,
    domain: Any = None,
) -> Opaque:
    """Return a function of expressions that calls `python_function` with NumPy arrays whenever the expression runs.

    The function must depend on its arguments only: it may be called more or less often than it is written. Its
    result has the given shape, in which names are run-time sizes, and dtype. It is differentiable if a derivative is
    given: `jvp(primals, tangents)` or `vjp(primals, result, cotangent)` as for `custom_derivative`; or an opaque
    function, called with (*primals, *tangents) or (*primals, result, cotangent), for `vjp` one for each argument.
    An opaque jvp serves forward mode only and an opaque vjp reverse mode only. `check`, `domain`: see there.

    What the function raises is raised by the call. Raises: ShapeError, DTypeError for a result that is not as declared;
    CompileError for target="cuda". Cost: some microseconds a call; mapped over arrays it is called point by point.

    >>> import numpy as np, symdiff as sd
    >>> x = sd.symbols("x")
    >>> cube = sd.opaque(lambda x: x**3, (), jvp=lambda primals, tangents: 3 * primals[0] ** 2 * tangents[0])
    >>> sd.compile(sd.diff(cube(2 * x), x), [x])(1.0)
    24.0
    """
    return Opaque(python_function, shape, dtype, jvp, vjp, check, domain)


def _as_jvp(jvp: Any) -> Jvp | None:
    if not isinstance(jvp, Opaque):
        return jvp
    return lambda primals, tangents: jvp(*primals, *(t for t in tangents if t is not None))


def _as_vjp(vjp: Any, nodes: Sequence[Node]) -> Vjp | None:
    functions = [vjp] if isinstance(vjp, Opaque) else vjp
    if not isinstance(functions, (list, tuple)):
        return vjp
    real = [n.dtype.startswith("float") for n in nodes]
    if len(functions) != sum(real):
        raise DerivativeError(f"vjp= has {len(functions)} opaque functions for {sum(real)} real arguments.")

    def rule(primals: tuple[Node, ...], result: Node, bar: Node) -> list[Node | None]:
        waiting = iter(functions)
        return [next(waiting)(*primals, result, bar) if r else None for r in real]

    return rule


def with_rules(
    name: str, value: Node, nodes: Sequence[Node], jvp: Jvp | None, vjp: Vjp | None, outer: Sequence[Node] = ()
) -> Node:
    """Return `value` with a derivative by the real ones of `nodes`, from rules as users write them."""
    real = [k for k, n in enumerate(nodes) if n.dtype.startswith("float")]
    others = [k for k in range(len(nodes)) if k not in real]

    def primals(xs: list[Node], extra: list[Node]) -> tuple[Node, ...]:
        given = {**dict(zip(real, xs, strict=True)), **dict(zip(others, extra[: len(others)], strict=True))}
        return tuple(given[k] for k in range(len(nodes)))

    def rule(y: Node, xs: list[Node], dots: list[Node], extra: list[Node]) -> Node:
        assert jvp is not None
        given = dict(zip(real, dots, strict=True))
        result = _called(jvp, f"jvp of {name}", primals(xs, extra), tuple(given.get(k) for k in range(len(nodes))))
        return _like(result, y, f"the jvp of {name}")

    def pull(y: Node, xs: list[Node], y_bar: Node, extra: list[Node]) -> list[Node]:
        assert vjp is not None
        result = _called(vjp, f"vjp of {name}", primals(xs, extra), y, y_bar)
        bars = list(result) if isinstance(result, (list, tuple)) else [result]
        if len(bars) != len(nodes):
            raise DerivativeError(f"The vjp of {name} returns {len(bars)} cotangents for {len(nodes)} arguments.")
        return [_like(bars[k], x, f"the vjp of {name}") for k, x in zip(real, xs, strict=True)]

    def turned(y: Node, xs: list[Node], dots: list[Node], extra: list[Node]) -> Node:
        bar = make(PRIMITIVES["symbol"], (), {"name": "\0cotangent", "shape": y.shape, "dtype": y.dtype})
        (out,) = pull_back(pull(y, xs, bar, extra), dots, [bar])
        return zeros_like(y) if out is None else broadcast_to(out, shape=y.shape)

    xs, extra = [nodes[k] for k in real], [*(nodes[k] for k in others), *outer]
    node = attach(name, value, xs, None if jvp is None else rule, None if vjp is None else pull, extra)
    _require_linear(name, node)
    if jvp is None:
        try:
            # One rule suffices: the transpose of a transpose is the map itself.
            return attach(name, value, xs, turned, None, extra)
        except DerivativeError:
            return node  # its vjp calls Python functions: it serves reverse mode only, and forward mode says so
    return node


def _called(rule: Callable[..., Any], what: str, *args: Any) -> Any:
    """Call a rule. Raises DTypeError if it takes other arguments, DerivativeError if it returns nothing."""
    try:
        inspect.signature(rule).bind(*args)
    except ValueError:  # functions written in C may have no signature
        pass
    except TypeError as error:
        takes = "(primals, tangents)" if len(args) == 2 else "(primals, result, cotangent)"
        raise DTypeError(f"The {what} is called with {takes}, which it does not take: {error}.") from None
    result = rule(*args)
    if result is None:
        raise DerivativeError(f"The {what} returns None; is its return missing? For a derivative of zero return 0.0.")
    return result


def _like(value: Any, node: Node, what: str) -> Node:
    """Return what a rule gave as a node like `node`; only a literal zero is broadcast."""
    if value is None:
        raise DerivativeError(f"{what[0].upper()}{what[1:]} returns None for a real argument; for zero return 0.0.")
    out = as_node(value, like=node.dtype)
    if out.shape != node.shape and (out.shape or not is_zero_literal(out)):
        raise ShapeError(f"{what} returns shape {shape_text(out.shape)} where {shape_text(node.shape)} is needed.")
    return broadcast_to(cast(out, node.dtype), shape=node.shape)


def _require_linear(name: str, node: Node) -> None:
    """Raise DerivativeError for a rule that is visibly not linear, such as one that leaves its tangents out."""
    k = node.params["k"]
    # Literal arrays that a rule reads have become arguments of the node.
    literal = [k + 1 + j for j in range(k + 1, len(node.args)) if is_zero_literal(node.args[j])]
    for what, slots in (("rule", range(k + 1, 2 * k + 1)), ("pull", range(2 * k + 1, 2 * k + 2))):
        sub = node.params[what]
        if sub is None:
            continue
        kind, by = ("jvp", "tangents") if what == "rule" else ("vjp", "cotangent")
        bad = nonlinear_node(sub, slots)
        if bad is not None:
            raise DerivativeError(
                f"The {kind} of {name} is not linear in the {by}: {bad.op.name} at {bad.line}; what depends on "
                f"the {by} may be added and multiplied by other values only."
            )
        kept = lasting_output(sub, [*slots, *literal])
        if kept is not None:
            fault = "has a term without" if depends_on([kept], [sub.input_nodes()[s] for s in slots]) else "leaves out"
            raise DerivativeError(
                f"The {kind} of {name} {fault} the {by}: {kept.op.name} at {kept.line} is not zero where the {by} "
                f"{'are' if what == 'rule' else 'is'} zero; multiply every term by {_example(kind)}."
            )


def _example(kind: str) -> str:
    return "a tangent, as in cos(primals[0]) * tangents[0]" if kind == "jvp" else "the cotangent"


def _names(function: Callable[..., Any], n: int) -> list[str]:
    """The names of the arguments, as far as Python knows them."""
    try:
        names = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    except (TypeError, ValueError):  # functions written in C may have no signature
        names = []
    return [names[k] if k < len(names) else f"argument {k}" for k in range(n)]


__all__ = ["custom_derivative", "opaque"]
