"""opaque: the value of a Python function, called when the expression runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.callback import Callback
from symdiff.ir.dims import Shape, shape_text
from symdiff.ir.errors import DerivativeError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, make
from symdiff.ir.primitive import Params, Structured


class _Opaque(Structured):
    """args[0] is a literal array that holds the address of the C function: data, which programs take as a parameter."""

    name = "opaque"
    doc = "A Python function of arrays, of which nothing is known but what it takes and returns."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        function: Callback = params["function"]
        for k, (arg, (shape, dtype)) in enumerate(zip(args[1:], function.takes, strict=True)):
            if (arg.shape, arg.dtype) != (shape, dtype):
                raise ShapeError(
                    f"opaque {function.name!r}: argument {k} was {dtype} of shape {shape_text(shape)} when the call "
                    f"was built, and is {arg.dtype} of shape {shape_text(arg.shape)}; build the call with the new one."
                )
        return params["shape"], function.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        function: Callback = params["function"]
        arrays = [np.asarray(v) for v in values[1:]]
        if any(a.dtype == object for a in arrays):
            raise DTypeError(f"opaque {function.name!r} has no value with many digits: it is a function of floats.")
        is_complex = any(np.iscomplexobj(a) for a in arrays)
        if is_complex and any(np.any(np.imag(a) != 0) for a in arrays):
            raise DTypeError(
                f"opaque {function.name!r} has no value for complex numbers, so no complex step; use method='central'."
            )
        result = function.evaluate([np.real(a) if np.iscomplexobj(a) else a for a in arrays], params["shape"])
        return result.astype(complex) if is_complex and result.dtype.kind == "f" else result

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        raise DerivativeError(
            f"opaque {node.params['function'].name!r} ({node.line}) has no derivative; give it jvp= or vjp=, or take "
            "its arguments through stop_gradient if it is to be a constant."
        )

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(
            f"opaque {node.params['function'].name!r} ({node.line}) has no transpose: reverse mode needs vjp=."
        )

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        n = next(a.shape[0] for a, f in zip(args, batched, strict=True) if f)
        shape = (n, *node.params["shape"])
        takes = tuple((a.shape, a.dtype) for a in args[1:])
        return call(node.params["function"].mapped(tuple(batched[1:]), takes, shape), args[1:])


def call(function: Callback, args: Sequence[Node]) -> Node:
    """Return the node that calls `function`."""
    pointer = as_node(np.array([function.address], np.int64))
    return make(opaque, (pointer, *args), {"function": function, "shape": function.shape})


opaque = _Opaque()
