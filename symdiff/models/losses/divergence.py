"""The Kullback–Leibler divergence."""

from __future__ import annotations

from typing import Any, Literal

from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ir.primitive import cast
from symdiff.models.losses.common import Reduction, pair, reduced
from symdiff.ops.elementwise import exp, log, where


def kl(
    log_prediction: Any,
    target: Any,
    reduction: Reduction | Literal["batchmean"] = "mean",
    *,
    log_target: bool = False,
) -> Node:
    """Return t*(log(t) - log_prediction) for target probabilities t, entry by entry, 0 where t = 0.

    `log_target=True` reads `target` as log(t). "mean" divides by the number of entries, as in PyTorch; "batchmean" by
    the first extent, which is the mean divergence of the rows.

    Shapes: both agree.
    """
    q, t = pair("kl", log_prediction, target)
    if log_target:
        losses = exp(t) * (t - q)
    else:
        losses = where(t > 0, t * log(t), 0.0) - t * q
    if reduction == "batchmean":
        if not losses.ndim:
            raise ShapeError(f"kl: reduction 'batchmean' needs an axis of samples, got the scalar {brief(q)}.")
        return reduced("kl", losses, "sum") / cast(as_node(losses.shape[0]), losses.dtype)
    return reduced("kl", losses, reduction)


__all__ = ["kl"]
