"""Expressions from SymPy and to SymPy: the only place that imports SymPy, and only when it is used.

Both ways visit every node of the DAG once, without recursion. Going out, a graph whose tree form is large is
built with `evaluate=False`, because SymPy's evaluating constructors flatten and sort the whole tree each time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from symdiff.front import arrays, literals
from symdiff.front.vocabulary import FUNCTIONS, piecewise
from symdiff.ir.dims import as_shape
from symdiff.ir.errors import ParseError
from symdiff.ir.node import Node, as_node, const
from symdiff.ops import elementwise as ops
from symdiff.ops import leaves


def is_sympy(value: Any) -> bool:
    """Whether a value is SymPy's; False at once while SymPy is not loaded."""
    sympy = sys.modules.get("sympy")
    # While SymPy is being imported (by another thread) it has no NDimArray yet.
    if sympy is None or not hasattr(sympy, "NDimArray"):
        return False
    return isinstance(value, (sympy.Basic, sympy.MatrixBase, sympy.NDimArray))


def from_sympy(expr: Any, symbols: Mapping[Any, Node] | None = None) -> Node:
    """Convert a SymPy expression, matrix or array; symbols become scalar symbols of the same name.

    `symbols` maps SymPy symbols (or applied functions such as f(t)) to the expressions that stand for them.
    Raises ParseError naming the SymPy class where nothing here means the same. Cost: linear in the DAG.

    >>> import sympy
    >>> print(from_sympy(sympy.sympify("sin(x)/2")))
    sin(x)/2
    """
    if not is_sympy(expr):
        return as_node(expr)
    given = {} if symbols is None else dict(symbols)
    kinds = {type(key) for key in given}
    # `id` is the key: comparing equal SymPy expressions recurses. `keep` holds what `id` stands for.
    memo: dict[int, Any] = {}
    keep: list[Any] = []
    stack: list[tuple[Any, list[Any] | None]] = [(expr, None)]
    while stack:
        node, children = stack.pop()
        if id(node) in memo:
            continue
        if children is None:
            if type(node) in kinds and node in given:
                memo[id(node)] = as_node(given[node])
                continue
            children = _children(node)
            keep.append((node, children))
            stack.append((node, children))
            stack.extend((c, None) for c in children if id(c) not in memo)
        else:
            memo[id(node)] = _convert(node, [memo[id(c)] for c in children])
    return as_node(memo[id(expr)])


def _children(node: Any) -> list[Any]:
    """The operands that have to be converted before a node."""
    import sympy

    if isinstance(node, (sympy.MatrixBase, sympy.NDimArray)):
        return list(node.flat()) if isinstance(node, sympy.MatrixBase) else list(sympy.flatten(node.tolist()))
    if isinstance(node, (sympy.MatrixSymbol, sympy.Symbol, sympy.Number)):
        return []
    if not _is_known(node):
        raise ParseError(
            f"SymPy's {type(node).__name__} has no counterpart in symdiff, found as {_head(node)}; "
            "replace it before converting."
        )
    if type(node).__name__ == "MatrixElement":
        return [node.parent]
    if isinstance(node, sympy.Pow) and node.exp.is_Number:
        return [node.base]
    return list(node.args)


def _is_known(node: Any) -> bool:
    from sympy.core.function import Application, AppliedUndef
    from sympy.logic.boolalg import Boolean

    name = type(node).__name__
    if isinstance(node, AppliedUndef):
        return False
    return name in _RULES or (name in FUNCTIONS and isinstance(node, (Application, Boolean)))


def _convert(node: Any, args: list[Any]) -> Any:
    import sympy

    if isinstance(node, sympy.Dummy):
        # Dummies of one name are different unknowns.
        return leaves.symbol(name=f"{node.name}_{node.dummy_index}", shape=(), dtype="float64")
    if isinstance(node, sympy.Symbol):
        return leaves.symbol(name=node.name, shape=(), dtype="float64")
    if isinstance(node, sympy.Number):
        return _number(node)
    if isinstance(node, (sympy.MatrixBase, sympy.NDimArray)):
        return arrays.reshape(arrays.stack(args), tuple(node.shape)) if args else literals.zeros(tuple(node.shape))
    name = type(node).__name__
    return _RULES[name](node, args) if name in _RULES else FUNCTIONS[name](*args)


def _head(node: Any) -> str:
    # str of a large SymPy expression is slow and recursive; its head is enough for a message.
    return f"{type(node).__name__} of {len(node.args)} arguments"


def _number(value: Any) -> Node:
    """Convert a SymPy number to the nearest float64."""
    try:
        return const(float(value))
    except OverflowError:
        raise ParseError(f"A SymPy {type(value).__name__} is too large for float64.") from None


def _add(node: Any, args: list[Node]) -> Node:
    """Sum up: positive terms first, the literal last, and a - b in place of a + (-1)*b."""
    plus, minus = [], []
    for term, value in zip(node.args, args, strict=True):
        if term.is_Number or not (term.is_Mul and term.args[0].is_Number and term.args[0].is_negative):
            plus.append(value)
        else:
            minus.append(_negated(value))
    plus.sort(key=lambda v: v.op.name == "const")
    if not plus:
        return -reduce(lambda a, b: a + b, minus)
    total = plus[0]
    for value in plus[1:]:
        literal = value.op.name == "const" and float(value.params["value"]) < 0
        total = total - const(-float(value.params["value"])) if literal else total + value
    return reduce(lambda a, b: a - b, minus, total)


def _negated(value: Node) -> Node:
    """Return -value for a product that `_mul` built with a negative coefficient, without a double sign."""
    spine: list[tuple[Any, Node]] = []
    head = value
    while head.op.name in ("mul", "div") and len(spine) < 50:
        spine.append((head.op, head.args[1]))
        head = head.args[0]
    if head.op.name == "neg":
        out = head.args[0]
    elif head.op.name == "const":
        out = const(-float(head.params["value"]))
    else:
        return -value
    for op, arg in reversed(spine):
        out = op(out, arg)
    return out


def _mul(node: Any, args: list[Node]) -> Node:
    """Multiply: factors with negative exponents form one denominator, a rational p/q divides by q exactly."""
    above: list[Node] = []
    below: list[Node] = []
    sign = False
    for factor, value in zip(node.args, args, strict=True):
        if factor.is_Rational and not factor.is_Integer:
            sign ^= bool(factor.p < 0)
            above.append(const(float(abs(factor.p))))
            below.append(const(float(factor.q)))
        elif factor.is_Pow and factor.exp.is_Number and factor.exp.is_negative:
            below.append(_reciprocal_base(value))
        elif factor.is_Number and factor.is_negative:
            sign ^= True
            above.append(const(-float(value)))
        else:
            above.append(value)
    top = reduce(lambda a, b: a * b, above) if above else const(1.0)
    if sign:
        top = _sign_first(top, above)
    return top / reduce(lambda a, b: a * b, below) if below else top


def _sign_first(top: Node, factors: list[Node]) -> Node:
    head = factors[0]
    if head.op.name == "const" and float(head.params["value"]) != 1:
        return reduce(lambda a, b: a * b, factors[1:], const(-float(head.params["value"])))
    return -top


def _reciprocal_base(value: Node) -> Node:
    """Return d for a value 1/d that `_pow` built."""
    return value.args[1] if value.op.name == "div" else 1 / value


def _pow(node: Any, args: list[Node]) -> Node:
    import sympy

    if len(args) == 2:
        base, power = args
        return ops.exp(power) if node.base is sympy.E else base**power
    base, power = args[0], node.exp
    if power.is_negative and power.is_finite:
        return ops.div(1.0, _positive_power(base, -power))
    return _positive_power(base, power)


def _positive_power(base: Node, power: Any) -> Node:
    if power.is_Rational and power.p == 1 and power.q == 2:
        return ops.sqrt(base)
    return base ** float(power)


def _polygamma(node: Any, args: list[Node]) -> Node:
    if not node.args[0].is_Integer:
        raise ParseError("SymPy's polygamma needs a literal integer order here.")
    return FUNCTIONS["polygamma"](int(node.args[0]), args[1])


def _heaviside(node: Any, args: list[Node]) -> Node:
    return ops.heaviside(args[0], args[1] if len(args) > 1 else 0.5)


def _sinc(x: Node) -> Node:
    at_zero = ops.eq(x, 0)
    return ops.where(at_zero, 1.0, ops.sin(x) / ops.where(at_zero, 1.0, x))


def _matrix_symbol(node: Any, args: list[Node]) -> Node:
    shape = as_shape(tuple(int(d) if d.is_Integer else str(d) for d in node.shape))
    return leaves.symbol(name=str(node.name), shape=shape, dtype="float64")


def _element(node: Any, args: list[Node]) -> Node:
    return args[0][int(node.i), int(node.j)]


def _relation(name: str) -> Callable[[Any, list[Node]], Node]:
    return lambda node, args: FUNCTIONS[name](*args)


_RULES: dict[str, Callable[[Any, list[Any]], Any]] = {
    "Add": _add,
    "Mul": _mul,
    "Pow": _pow,
    "Pi": lambda node, args: _number(node),
    "Exp1": lambda node, args: _number(node),
    "EulerGamma": lambda node, args: _number(node),
    "GoldenRatio": lambda node, args: _number(node),
    "Catalan": lambda node, args: _number(node),
    "BooleanTrue": lambda node, args: const(True, "bool"),
    "BooleanFalse": lambda node, args: const(False, "bool"),
    "ExprCondPair": lambda node, args: tuple(args),
    "Piecewise": lambda node, args: piecewise(*args),
    "polygamma": _polygamma,
    "Heaviside": _heaviside,
    "re": lambda node, args: args[0],
    "conjugate": lambda node, args: args[0],
    "sinc": lambda node, args: _sinc(args[0]),
    "frac": lambda node, args: args[0] - ops.floor(args[0]),
    "MatAdd": lambda node, args: reduce(ops.add, args),
    "MatMul": lambda node, args: reduce(lambda a, b: a @ b if a.shape and b.shape else a * b, args),
    "Transpose": lambda node, args: arrays.transpose(args[0]),
    "MatrixSymbol": _matrix_symbol,
    "MatrixElement": _element,
    "Equality": _relation("Eq"),
    "Unequality": _relation("Ne"),
    "StrictLessThan": _relation("Lt"),
    "LessThan": _relation("Le"),
    "StrictGreaterThan": _relation("Gt"),
    "GreaterThan": _relation("Ge"),
}


def to_sympy(expr: Any) -> Any:
    """Convert to SymPy: a scalar to an expression, an array of known shape to a matrix or N-dimensional array.

    Raises DTypeError for run-time sizes and for operations without a counterpart. Cost: linear in the DAG.
    """
    from symdiff.front.sympy_export import export

    return export(as_node(expr))


__all__ = ["from_sympy", "is_sympy", "to_sympy"]
