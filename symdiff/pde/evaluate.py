"""Expressions in coordinates, time and parameters as NumPy arrays, outside of the compiled loop."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.graph import substitute
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ops import leaves
from symdiff.pde.jets import TIME

Parameters = Mapping[Node, float]


def on_points(
    expression: Node,
    points: Mapping[str, np.ndarray],
    t: float,
    parameters: Parameters,
    values: Mapping[Node, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the values of an expression at points given by broadcastable arrays of coordinates."""
    arrays: dict[Node, np.ndarray] = {symbols(name): np.asarray(x) for name, x in points.items()}
    arrays |= values or {}
    inputs = {s: leaves.symbol(name=f"\0{s.params['name']}", shape=a.shape, dtype="float64") for s, a in arrays.items()}
    given: dict[Node, object] = {inputs[s]: a for s, a in arrays.items()}
    given |= {symbols(TIME): float(t), **parameters}
    (root,) = substitute([expression], inputs)
    (value,) = interpret([root], given)
    shape = np.broadcast_shapes(*(a.shape for a in arrays.values())) if arrays else ()
    return np.broadcast_to(value, np.broadcast_shapes(shape, np.shape(value)))
