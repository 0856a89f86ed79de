"""Cross-entropy of two classes: targets t in [0, 1] for the second one."""

from __future__ import annotations

import math
from typing import Any

from symdiff.ir.dims import broadcast_shapes, shape_text
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.models.losses.common import Reduction, pair, reduced
from symdiff.ops.elementwise import log, log1p, softplus, where

# PyTorch's: the logarithm of a probability of 0.
_LEAST_LOG = -100.0


def binary_cross_entropy(probability: Any, target: Any, reduction: Reduction = "mean", *, weight: Any = None) -> Node:
    """Return -weight*(t*log(p) + (1 - t)*log(1 - p)) for probabilities p and targets t, both in [0, 1].

    Logarithms are at least -100, as in PyTorch. The derivative is that of this formula, 0 for a logarithm that is cut
    off; PyTorch's (p - t)/max(p*(1 - p), 1e-12) differs where p*(1 - p) < 1e-12. With logits at hand
    `binary_cross_entropy_with_logits` loses no digits near p = 0 and 1.

    Shapes: probability and target agree; weight broadcasts to them.
    """
    p, t = pair("binary_cross_entropy", probability, target)
    # log(1 - p) is -36 at the largest p < 1.
    log_p, log_q = where(p > math.exp(_LEAST_LOG), log(p), _LEAST_LOG), where(p < 1, log1p(-p), _LEAST_LOG)
    losses = -(t * log_p + (1 - t) * log_q)
    return reduced("binary_cross_entropy", _weighted("binary_cross_entropy", losses, weight), reduction)


def binary_cross_entropy_with_logits(
    logits: Any, target: Any, reduction: Reduction = "mean", *, weight: Any = None, pos_weight: Any = None
) -> Node:
    """Return -weight*(pos_weight*t*log(sigmoid(z)) + (1 - t)*log(1 - sigmoid(z))) for logits z and targets t in [0, 1].

    The mean divides by the number of entries, whatever the weights.

    Shapes: logits and target agree; weight and pos_weight broadcast to them.
    Method: PyTorch's (1 - t)*z + softplus(-z): no overflow, an error of a few eps*|z|, and one sigmoid in the
    gradient. A form with max(z, 0) would keep more digits of tiny losses but has no second derivative at z = 0.
    """
    name = "binary_cross_entropy_with_logits"
    z, t = pair(name, logits, target)
    # pos_weight*t*softplus(-z) + (1 - t)*softplus(z), where softplus(z) = z + softplus(-z)
    share = 1 + (_broadcasting(name, "pos_weight", z, pos_weight) - 1) * t if pos_weight is not None else 1
    return reduced(name, _weighted(name, (1 - t) * z + share * softplus(-z), weight), reduction)


def _weighted(name: str, losses: Node, weight: Any) -> Node:
    return losses if weight is None else _broadcasting(name, "weight", losses, weight) * losses


def _broadcasting(name: str, what: str, losses: Node, weight: Any) -> Node:
    w = as_node(weight)
    if broadcast_shapes(losses.shape, w.shape) != losses.shape:
        raise ShapeError(
            f"{name}: {what} {brief(w)} of shape {shape_text(w.shape)} does not broadcast to the losses' "
            f"{shape_text(losses.shape)}."
        )
    return w


__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]
