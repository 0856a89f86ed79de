"""Primitives: one definition holds everything known about one operation.

An `Elementwise` primitive is data. A `Structured` one (reduction, product, view, loop) is a final class with
the rules below. Forward mode uses `jvp`; reverse mode linearises with `jvp` and transposes the linear part
with `transpose`; there is no second table of rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, broadcast_shapes, shape_text
from symdiff.ir.errors import DerivativeError, DTypeError
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, const, make, promote

Params = Mapping[str, Any]


class Primitive(ABC):
    """An operation of the IR. `name` is its only identity; registering a second one of that name is an error."""

    name: str
    doc: str

    @abstractmethod
    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        """Return (shape, dtype) of the result. Raises ShapeError or DTypeError."""

    @abstractmethod
    def evaluate(self, params: Params, *values: Any) -> Any:
        """Return the value for NumPy arrays of any dtype, object arrays of mpmath numbers included."""

    @abstractmethod
    def __call__(self, *args: Any, **params: Any) -> Node:
        """Build a node from anything that converts to nodes."""

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return PRIMITIVES.__getitem__, (self.name,)


def register(primitive: Primitive) -> None:
    """Enter a primitive in the table; names are unique."""
    if primitive.name in PRIMITIVES:
        raise ValueError(f"a primitive named {primitive.name!r} exists already")
    PRIMITIVES[primitive.name] = primitive


@dataclass(frozen=True, eq=False, repr=False)
class Elementwise(Primitive):
    """A function of numbers, applied entry by entry with NumPy's broadcasting.

    `partials(y, *x)` returns the derivative by each argument as a node or number, None where it is zero.
    `native` is an operation of `backends.emit` or the name of a C library function; a primitive without it
    has an `expansion` in others. `samples` are the intervals from which tests draw each argument.
    `neutral(*x)` returns a simpler equal node when an argument is a literal such as 0 or 1, else None.
    `kinds` is "float" (integers become float64), "promote" (NumPy's promotion), "bool", "where" or "integer".
    """

    name: str
    doc: str
    evaluate_: Callable[..., Any]
    reference: Callable[..., Any]
    samples: tuple[tuple[float, float], ...]
    partials: Callable[..., Sequence[Any]] | None = None
    native: str | None = None
    expansion: Callable[..., Node] | None = None
    kinds: str = "float"
    complex_step: Callable[..., Any] | None = None
    sympy: str | None = None
    neutral: Callable[..., Node | None] | None = None

    def __post_init__(self) -> None:
        register(self)

    @property
    def n_args(self) -> int:
        """The number of arguments."""
        return len(self.samples)

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        shape = args[0].shape
        for a in args:
            if a.shape != shape:
                shape = broadcast_shapes(*(b.shape for b in args))
                break
        match self.kinds:
            case "bool":
                return shape, "bool"
            case "cast":
                return shape, params["dtype"]
            case "where":
                return shape, args[1].dtype
            case _:
                return shape, args[0].dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return self.evaluate_(*values, **params)

    def __call__(self, *args: Any, **params: Any) -> Node:
        if len(args) != len(self.samples):
            raise DTypeError(f"{self.name} takes {self.n_args} arguments, got {len(args)}.")
        # The hot path of graph building: float64 nodes need no conversion.
        if self.kinds in ("float", "promote"):
            for a in args:
                if type(a) is not Node or a.dtype != "float64":
                    break
            else:
                return self._finish(args, params)
        return self._finish(self._convert(args), params)

    def _finish(self, args: tuple[Node, ...], params: dict[str, Any]) -> Node:
        """Fold literals and drop neutral elements; everything else is left to the passes."""
        literals = [a for a in args if a.op.name == "const"]
        if not literals and self.name != "neg":
            return make(self, args, params) if params else make(self, args)
        if len(literals) == len(args):
            with np.errstate(all="ignore"):
                value = self.evaluate(params, *(np.asarray(a.params["value"], dtype=a.dtype) for a in args))
            return const(np.asarray(value).item(), self.infer(args, params)[1])
        if self.neutral is not None:
            simpler = self.neutral(*args)
            if simpler is not None:
                return simpler
        return make(self, args, params) if params else make(self, args)

    def _convert(self, args: tuple[Any, ...]) -> tuple[Node, ...]:
        """Bring the arguments to the one dtype that the operation works in."""
        known = [a.dtype for a in args if isinstance(a, Node)]
        partner = promote(*known) if known else "int64" if self.kinds == "integer" else None
        nodes = [as_node(a, like=partner) for a in args]
        for n in nodes:
            if n.dtype == "tuple":
                raise DTypeError(f"{self.name} got the state of a loop; take its items first.")
        match self.kinds:
            case "cast":
                return tuple(nodes)
            case "where":
                value = promote(*(n.dtype for n in nodes[1:]))
                return (cast(nodes[0], "bool"), cast(nodes[1], value), cast(nodes[2], value))
            case "logic":
                return tuple(cast(n, "bool") for n in nodes)
            case "integer":
                for n in nodes:
                    if n.dtype.startswith("float"):
                        raise DTypeError(f"{self.name} takes integers, got {brief(n)} of dtype {n.dtype} ({n.line}).")
                return tuple(cast(n, "int64") for n in nodes)
            case _:
                dtype = promote(*(n.dtype for n in nodes))
                if self.kinds == "float" and dtype in ("bool", "int64"):
                    dtype = "float64"
                if dtype == "bool" and self.kinds == "promote":
                    dtype = "int64"
                return tuple(cast(n, dtype) for n in nodes)


def cast(node: Node, dtype: str) -> Node:
    """Convert to a dtype; the node itself when it has it already."""
    if node.dtype == dtype:
        return node
    if node.op.name == "const":
        return const(node.params["value"], dtype)
    return make(PRIMITIVES["cast"], (node,), {"dtype": dtype})


class Structured(Primitive):
    """A primitive that is not elementwise. Subclasses are final and register one instance."""

    def __init__(self) -> None:
        register(self)

    @abstractmethod
    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        """Return the tangent of `node` for tangents of its arguments (None is zero): linear in them."""

    @abstractmethod
    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        """Return the cotangent of argument `k`, in which `node` is linear, for the cotangent `x_bar` of the node."""

    @abstractmethod
    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        """Return `node` on `args` of which the `batched` ones have an additional leading axis; so has the result."""

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, tuple(as_node(a) for a in args), params)


class Linear(Structured):
    """A structured primitive that is linear in its first argument and constant in the others."""

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        if tangents[0] is None:
            return None
        return make(self, (tangents[0], *node.args[1:]), node.params)


class Constant(Structured):
    """A structured primitive without a derivative: leaves, indices, sizes."""

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        return None

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(
            f"{self.name} of shape {shape_text(node.shape)} ({node.line}) is not linear in its arguments."
        )

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError(f"{self.name} ({node.line}) cannot be mapped over a leading axis.")
