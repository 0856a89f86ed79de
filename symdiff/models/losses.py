"""Losses: expressions of predictions and targets, with PyTorch's definitions.

Every loss takes `reduction`: "mean", "sum" or "none" (one number for each sample).
"""

from __future__ import annotations

from typing import Any, Literal

from symdiff.ir.dims import product, shape_text
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops.elementwise import exp, isfinite, log, softplus, where
from symdiff.ops.index import reshape
from symdiff.ops.reduce import max_, sum_

Reduction = Literal["mean", "sum", "none"]


def mse(prediction: Any, target: Any, reduction: Reduction = "mean") -> Node:
    """Return the squared error (prediction - target)**2.

    Shapes: prediction and target agree; NumPy's broadcasting would hide a forgotten axis.

    >>> import symdiff as sd
    >>> p, t = sd.symbols("p t")
    >>> print(mse(p, t))
    (p - t)**2
    """
    p, t = _pair("mse", prediction, target)
    error = p - t
    return _reduce("mse", error**2, reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: Reduction = "mean") -> Node:
    """Return -t*log(sigmoid(z)) - (1 - t)*log(1 - sigmoid(z)) for logits z and targets t in [0, 1].

    Shapes: logits and target agree.
    Method: PyTorch's (1 - t)*z + softplus(-z): no overflow, an error of a few eps*|z|, and one sigmoid in the
    gradient. A form with max(z, 0) would keep more digits of tiny losses but has no second derivative at z = 0.
    """
    z, t = _pair("binary_cross_entropy_with_logits", logits, target)
    return _reduce("binary_cross_entropy_with_logits", (1 - t) * z + softplus(-z), reduction)


def logistic(scores: Any, labels: Any, reduction: Reduction = "mean") -> Node:
    """Return log(1 + exp(-y*z)) for scores z and labels y of -1 and 1 (PyTorch's SoftMarginLoss).

    Shapes: scores and labels agree.
    """
    z, y = _pair("logistic", scores, labels)
    return _reduce("logistic", softplus(-(y * z)), reduction)


def cross_entropy(logits: Any, target: Any, reduction: Reduction = "mean") -> Node:
    """Return -sum_k t_k log(softmax(z)_k) for each row of logits z and target probabilities t.

    Shapes: (..., n_classes) both; one number a row.
    Method: log-sum-exp with the row's maximum taken out. Rows of t add up to 1.
    """
    z, t = _pair("cross_entropy", logits, target)
    if not z.ndim:
        raise ShapeError(f"cross_entropy: the last axis holds the classes, got the scalar {brief(z)}.")
    last = z.ndim - 1
    top = max_(z, axes=(last,))
    # The value does not depend on what is taken out; an infinite maximum stays in and gives inf or NaN as it should.
    shift = where(isfinite(top), top, const(0.0, z.dtype))
    shifted = z - reshape(shift, shape=(*shift.shape, 1))
    normaliser = log(sum_(exp(shifted), axes=(last,)))
    return _reduce("cross_entropy", normaliser - sum_(t * shifted, axes=(last,)), reduction)


def _pair(name: str, prediction: Any, target: Any) -> tuple[Node, Node]:
    p, t = as_node(prediction), as_node(target)
    if p.shape != t.shape:
        raise ShapeError(
            f"{name}: {brief(p)} of shape {shape_text(p.shape)} and {brief(t)} of shape {shape_text(t.shape)} differ; "
            "reshape or broadcast one of them."
        )
    return p, t


def _reduce(name: str, losses: Node, reduction: str) -> Node:
    match reduction:
        case "none":
            return losses
        case "sum":
            return sum_(losses, axes=range(losses.ndim))
        case "mean":
            return sum_(losses, axes=range(losses.ndim)) / as_node(product(losses.shape), like=losses.dtype)
    raise DomainError(f"{name}: reduction is 'mean', 'sum' or 'none', got {reduction!r}.")
