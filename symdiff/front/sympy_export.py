"""Build SymPy expressions from a graph, one node at a time; arrays are object arrays of SymPy expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from symdiff.ir.dims import Dim
from symdiff.ir.errors import DTypeError
from symdiff.ir.graph import topological
from symdiff.ir.node import Node, brief
from symdiff.ir.primitive import Elementwise
from symdiff.ops.linalg import LINALG

# A longer tree is built unevaluated: SymPy flattens and sorts all terms at every addition.
LONGEST_EVALUATED = 2000
_LACKING = frozenset(p.name for p in LINALG) - {"matmul"} | {"while_loop", "item", "input", "argsort"}


def export(root: Node) -> Any:
    """Return `root` as a SymPy expression, matrix or array."""
    import sympy

    order = topological([root])
    length: dict[Node, int] = {}
    for node in order:
        length[node] = min(1 + sum(length[a] for a in node.args), LONGEST_EVALUATED + 1)
    rules = _Rules(sympy, length[root] <= LONGEST_EVALUATED)
    memo: dict[Node, Any] = {}
    for node in order:
        memo[node] = rules.value(node, [memo[a] for a in node.args])
    value = memo[root]
    if not isinstance(value, np.ndarray):
        return value
    if value.ndim <= 2:
        return sympy.ImmutableMatrix(value.reshape(-1, 1) if value.ndim == 1 else value)
    return sympy.ImmutableDenseNDimArray(list(value.ravel()), value.shape)


class _Rules:
    """The SymPy form of every primitive, evaluated or not."""

    def __init__(self, sympy: Any, evaluate: bool):
        self.sympy, self.evaluate = sympy, evaluate
        self.by_name = self.table()

    def value(self, node: Node, args: list[Any]) -> Any:
        """Return the SymPy value of a node: an expression, or an object array of them."""
        if any(isinstance(d, Dim) for d in node.shape) or node.op.name == "size":
            raise DTypeError(f"{brief(node)} ({node.line}) has a run-time size; SymPy needs known shapes.")
        match node.op.name:
            case "symbol":
                return self.symbol(node)
            case "const":
                return self.number(node.params["value"], node.dtype)
            case "data":
                return self.array([self.number(v, node.dtype) for v in node.params["array"].array.ravel()], node.shape)
            case "iota":
                return self.array([self.sympy.Integer(k) for k in range(node.params["n"])], node.shape)
            case "sum" | "prod" | "max" | "min" as name:
                return self.reduction(name, np.asarray(args[0], dtype=object), node.params["axes"])
        if isinstance(node.op, Elementwise):
            return self.elementwise(node, args)
        if node.op.name in _LACKING:
            raise DTypeError(f"{brief(node)} ({node.line}) has no SymPy form.")
        out = node.op.evaluate(node.params, *(np.asarray(a, dtype=object) for a in args))
        return out.item() if np.ndim(out) == 0 and isinstance(out, np.ndarray) else out

    def array(self, entries: list[Any], shape: Any) -> np.ndarray:
        out = np.empty(len(entries), dtype=object)
        out[:] = entries
        return out.reshape(shape)

    def symbol(self, node: Node) -> Any:
        name, shape = node.params["name"], node.shape
        if not shape:
            return self.sympy.Symbol(name)
        if len(shape) <= 2:
            matrix = self.sympy.MatrixSymbol(name, *(shape if len(shape) == 2 else (*shape, 1)))
            return self.array([matrix[k, j] for k in range(matrix.shape[0]) for j in range(matrix.shape[1])], shape)
        base = self.sympy.IndexedBase(name, shape=shape)
        return self.array([base[k] for k in np.ndindex(*shape)], shape)

    def number(self, value: Any, dtype: str) -> Any:
        """Return a literal: whole numbers and simple binary fractions as rationals, which SymPy keeps exact."""
        s = self.sympy
        if dtype == "bool":
            return s.true if value else s.false
        if dtype == "int64":
            return s.Integer(int(value))
        x = float(value)
        if not math.isfinite(x):
            return s.nan if x != x else s.oo if x > 0 else -s.oo
        if abs(x) in (math.pi, math.e):
            return (s.pi if abs(x) == math.pi else s.E) * (1 if x > 0 else -1)
        if abs(x) < 2**53 and x == int(x):
            return s.Integer(int(x))
        return s.Rational(int(x * 1024), 1024) if abs(x) < 2**20 and (x * 1024).is_integer() else s.Float(x)

    def exponent(self, node: Node, value: Any) -> Any:
        """Return a literal exponent as the simple fraction that rounds to it: a power 1/3 stays a power 1/3."""
        if node.op.name != "const" or not math.isfinite(float(node.params["value"])):
            return value
        exact = float(node.params["value"])
        near = Fraction(exact).limit_denominator(100)
        return self.sympy.Rational(near.numerator, near.denominator) if float(near) == exact else value

    def reduction(self, name: str, x: np.ndarray, axes: tuple[int, ...]) -> Any:
        combine = {"sum": self.sympy.Add, "prod": self.sympy.Mul, "max": self.sympy.Max, "min": self.sympy.Min}[name]
        rest = [k for k in range(x.ndim) if k not in axes]
        shape = tuple(x.shape[k] for k in rest)
        n = math.prod(x.shape[k] for k in axes)
        rows = np.transpose(x, (*rest, *axes)).reshape(math.prod(shape), n)
        found = [combine(*row) for row in rows]
        return self.array(found, shape) if shape else found[0]

    def elementwise(self, node: Node, args: list[Any]) -> Any:
        rule = self.by_name.get(node.op.name)
        if rule is None:
            raise DTypeError(f"{node.op.name} ({node.line}) has no SymPy form.")
        if not any(isinstance(a, np.ndarray) for a in args):
            return self.settled(rule(node, *args))
        boxed = [a if isinstance(a, np.ndarray) else self.array([a], ()) for a in args]
        entries = [
            self.settled(rule(node, *row))
            for row in zip(*(b.ravel() for b in np.broadcast_arrays(*boxed)), strict=True)
        ]
        return self.array(entries, node.shape)

    def settled(self, value: Any) -> Any:
        # SymPy caches this answer; asked first at the top of a deep graph it would recurse to the bottom.
        getattr(value, "is_commutative", None)
        return value

    def table(self) -> dict[str, Callable[..., Any]]:
        s, on = self.sympy, {"evaluate": self.evaluate}

        def add(*terms: Any) -> Any:
            return s.Add(*terms, **on)

        def mul(*factors: Any) -> Any:
            return s.Mul(*factors, **on)

        def power(x: Any, y: Any) -> Any:
            return s.Pow(x, y, **on)

        def neg(x: Any) -> Any:
            return mul(s.Integer(-1), x)

        def call(name: str, *args: Any) -> Any:
            return getattr(s, name)(*args, **on)

        def branch(c: Any, x: Any, y: Any) -> Any:
            if getattr(x, "is_Boolean", False) and getattr(y, "is_Boolean", False):
                return s.ITE(c, x, y)
            return s.Piecewise((x, c), (y, True), **on)

        def trunc(x: Any) -> Any:
            return mul(call("sign", x), call("floor", call("Abs", x)))

        def cast(node: Node, x: Any) -> Any:
            source = node.args[0].dtype
            if node.dtype == "bool":
                return s.Ne(x, 0)
            if source == "bool":
                return branch(x, s.Integer(1), s.Integer(0))
            return trunc(x) if node.dtype == "int64" else x

        def plain(function: Callable[..., Any]) -> Callable[..., Any]:
            return lambda node, *args: function(*args)

        one = s.Integer(1)
        formulas: dict[str, Callable[..., Any]] = {
            "add": add,
            "sub": lambda x, y: add(x, neg(y)),
            "mul": mul,
            "div": lambda x, y: mul(x, power(y, -one)),
            "neg": neg,
            "rem": lambda x, y: add(x, neg(mul(y, trunc(mul(x, power(y, -one)))))),
            "trunc": trunc,
            "cbrt": lambda x: mul(call("sign", x), power(call("Abs", x), s.Rational(1, 3))),
            "hypot": lambda x, y: power(add(power(x, 2 * one), power(y, 2 * one)), s.Rational(1, 2)),
            "exp2": lambda x: power(2 * one, x),
            "expm1": lambda x: add(call("exp", x), -one),
            "log1p": lambda x: call("log", add(x, one)),
            "log2": lambda x: mul(call("log", x), power(s.log(2), -one)),
            "log10": lambda x: mul(call("log", x), power(s.log(10), -one)),
            "logaddexp": lambda x, y: call("log", add(call("exp", x), call("exp", y))),
            "sigmoid": lambda x: power(add(one, call("exp", neg(x))), -one),
            "softplus": lambda x: call("log", add(one, call("exp", x))),
            "relu": lambda x: call("Max", x, s.Integer(0)),
            "erfcx": lambda x: mul(call("exp", power(x, 2 * one)), call("erfc", x)),
            # SymPy has no digits for its own erfcinv.
            "erfcinv": lambda x: call("erfinv", add(one, neg(x))),
            "ndtri": lambda p: mul(s.sqrt(2), call("erfinv", add(mul(2 * one, p), -one))),
            "log_ndtr": lambda x: call(
                "log", mul(s.Rational(1, 2), call("erfc", neg(mul(x, s.sqrt(s.Rational(1, 2))))))
            ),
            "betaln": lambda a, b: call("log", call("Abs", call("beta", a, b))),
            "logit": lambda p: call("log", mul(p, power(add(one, neg(p)), -one))),
            "where": branch,
            "lt": lambda x, y: call("Lt", x, y),
            "le": lambda x, y: call("Le", x, y),
            "gt": lambda x, y: call("Gt", x, y),
            "ge": lambda x, y: call("Ge", x, y),
            # Eq evaluates by trying to prove equality, which may take very long.
            "eq": lambda x, y: s.Eq(x, y, evaluate=False),
            "ne": lambda x, y: s.Ne(x, y, evaluate=False),
            "and": lambda x, y: call("And", x, y),
            "or": lambda x, y: call("Or", x, y),
            "xor": lambda x, y: s.Xor(x, y),
            "not": lambda x: call("Not", x),
        }
        table = {name: plain(function) for name, function in formulas.items()}
        for name, primitive in _named().items():
            table.setdefault(name, plain(lambda *args, known=primitive: call(known, *args)))
        table["pow"] = lambda node, x, y: power(x, self.exponent(node.args[1], y))
        table["polygamma"] = lambda node, x: call("polygamma", s.Integer(node.params["n"]), x)
        table["cast"] = cast
        for letter in "jyik":
            self.bessel(table, letter, call)
        return table

    def bessel(self, table: dict[str, Callable[..., Any]], letter: str, call: Callable[..., Any]) -> None:
        """Enter the Bessel functions of one kind: of order v, of orders 0 and 1, and scaled."""
        s, name = self.sympy, f"bessel{letter}"

        def of_order(v: Any, x: Any, scaled: bool) -> Any:
            value = call(name, v, x)
            growth = -call("Abs", x) if letter == "i" else x
            return s.Mul(call("exp", growth), value) if scaled else value

        for end in ("", "e") if letter in "ik" else ("",):
            scaled = end == "e"
            table[f"{letter}v{end}"] = lambda node, x, e=scaled: of_order(
                self.number(node.params["v"], "float64"), x, e
            )
            for v in (0, 1):
                table[f"{letter}{v}{end}"] = lambda node, x, v=v, e=scaled: of_order(s.Integer(v), x, e)


def _named() -> dict[str, str]:
    """The primitives that SymPy has under a name of its own."""
    from symdiff.ops.elementwise import ELEMENTWISE

    return {p.name: p.sympy for p in ELEMENTWISE if p.sympy is not None}


__all__ = ["export"]
