"""What all losses share: reading their arguments, and the reduction to one number."""

from __future__ import annotations

from typing import Any, Literal

from symdiff.ir.dims import product, shape_text
from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ir.primitive import cast
from symdiff.ops.reduce import sum_

Reduction = Literal["mean", "sum", "none"]


def pair(name: str, prediction: Any, target: Any) -> tuple[Node, Node]:
    """Return both as nodes. Raises ShapeError unless shapes agree; broadcasting would hide a forgotten axis."""
    p, t = as_floats(name, prediction), as_node(target)
    if p.shape != t.shape:
        raise ShapeError(
            f"{name}: {brief(p)} of shape {shape_text(p.shape)} and {brief(t)} of shape {shape_text(t.shape)} differ; "
            "reshape or broadcast one of them."
        )
    return p, t


def as_floats(name: str, prediction: Any) -> Node:
    """Return a prediction as a node. Raises DTypeError for integers, which have no derivative."""
    p = as_node(prediction)
    if not p.dtype.startswith("float"):
        raise DTypeError(f"{name}: {brief(p)} ({p.line}) holds real numbers, got dtype {p.dtype}; use .astype.")
    return p


def reduced(name: str, losses: Node, reduction: str, weights: Node | None = None) -> Node:
    """Return losses as they are, their sum, or the sum divided by the sum of `weights`, by default by their number."""
    if reduction == "none":
        return losses
    total = sum_(losses, axes=range(losses.ndim))
    if reduction == "sum":
        return total
    if reduction != "mean":
        raise DomainError(f"{name}: reduction is 'mean', 'sum' or 'none', got {reduction!r}.")
    if weights is None:
        return total / cast(as_node(product(losses.shape)), losses.dtype)
    return total / sum_(weights, axes=range(weights.ndim))


__all__ = ["Reduction", "as_floats", "pair", "reduced"]
