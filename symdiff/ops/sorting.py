"""argsort: the order of the entries along an axis. It is piecewise constant, so it has no derivative.

Sorting itself is a gather at that order; its derivative permutes as the values do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief, make
from symdiff.ir.primitive import Constant, Params


class _Argsort(Constant):
    name = "argsort"
    doc = "The indices that sort along an axis: stable, with NaN last."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (x,) = args
        if not 0 <= params["axis"] < x.ndim:
            raise ShapeError(f"Axis {params['axis']} is not an axis of {brief(x)}.")
        return x.shape, "int64"

    def evaluate(self, params: Params, *values: Any) -> Any:
        x = np.real(values[0]) if np.iscomplexobj(values[0]) else values[0]
        if x.dtype != object:
            return np.argsort(x, axis=params["axis"], kind="stable").astype(np.int64)
        moved = np.moveaxis(x, params["axis"], -1)
        out = np.empty(moved.shape, dtype=np.int64)
        for row in np.ndindex(moved.shape[:-1]):
            # NaN differs from itself; it comes last, whatever its place.
            keys = [(bool(v != v), v) for v in moved[row]]
            out[row] = sorted(range(len(keys)), key=keys.__getitem__)
        return np.moveaxis(out, -1, params["axis"])

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return self(args[0], axis=node.params["axis"] + 1)

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, (as_node(args[0]),), {"axis": params["axis"]})


argsort = _Argsort()

__all__ = ["argsort"]
