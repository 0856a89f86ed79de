"""The leaves: symbols, literals, data, sizes, indices, and the inputs of loop bodies."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.ir.dims import Dim, Shape
from symdiff.ir.errors import DTypeError, SymdiffError
from symdiff.ir.node import DTYPES, Node, const, make
from symdiff.ir.primitive import Constant, Params


class _Leaf(Constant):
    """A value without arguments whose shape and dtype are parameters."""

    def __init__(self, name: str, doc: str):
        self.name, self.doc = name, doc
        super().__init__()

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        if params["dtype"] not in DTYPES:
            raise DTypeError(f"The dtype is one of {', '.join(DTYPES)}, got {params['dtype']!r}.")
        return params.get("shape", ()), params["dtype"]

    def evaluate(self, params: Params, *values: Any) -> Any:
        raise SymdiffError(f"{self.name} has no value of its own.")

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, (), params)


class _Data(Constant):
    """A literal array; programs take it as a parameter, it is never baked into code."""

    name = "data"
    doc = "A literal array."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        array = params["array"].array
        return array.shape, str(array.dtype)

    def evaluate(self, params: Params, *values: Any) -> Any:
        return params["array"].array


class _Size(Constant):
    """A run-time size as a number, so that a mean can divide by it."""

    name = "size"
    doc = "The value of a run-time size."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return (), "int64"

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.asarray(params["dim"], dtype=np.int64)

    def __call__(self, *args: Any, **params: Any) -> Node:
        dim = params["dim"]
        return make(self, (), {"dim": dim}) if isinstance(dim, Dim) else const(dim, "int64")


class _Iota(Constant):
    """0, 1, …, n-1."""

    name = "iota"
    doc = "The indices of an axis: 0, 1, …, n - 1."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return (params["n"],), "int64"

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.arange(params["n"], dtype=np.int64)


symbol = _Leaf("symbol", "A named unknown.")
literal = _Leaf("const", "A scalar literal.")
input_ = _Leaf("input", "An input of a loop body.")
data = _Data()
size = _Size()
iota = _Iota()
