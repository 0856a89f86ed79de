"""Losses of regression: functions of prediction - target."""

from __future__ import annotations

import math
from typing import Any

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.models.losses.common import Reduction, pair, reduced
from symdiff.ops.elementwise import abs_, where


def mse(prediction: Any, target: Any, reduction: Reduction = "mean") -> Node:
    """Return the squared error (prediction - target)**2.

    Shapes: prediction and target agree; NumPy's broadcasting would hide a forgotten axis.

    >>> import symdiff as sd
    >>> p, t = sd.symbols("p t")
    >>> print(mse(p, t))
    (p - t)**2
    """
    p, t = pair("mse", prediction, target)
    return reduced("mse", (p - t) ** 2, reduction)


def l1(prediction: Any, target: Any, reduction: Reduction = "mean") -> Node:
    """Return the absolute error |prediction - target|; its derivative at 0 is 0.

    >>> import symdiff as sd
    >>> p, t = sd.symbols("p t")
    >>> print(l1(p, t))
    abs(p - t)
    """
    p, t = pair("l1", prediction, target)
    return reduced("l1", abs_(p - t), reduction)


def huber(prediction: Any, target: Any, reduction: Reduction = "mean", *, delta: float = 1.0) -> Node:
    """Return e**2/2 for |e| <= delta and delta*(|e| - delta/2) beyond, e = prediction - target (Huber 1964)."""
    _check_scale("huber", "delta", delta)
    p, t = pair("huber", prediction, target)
    return reduced("huber", _huber(p - t, delta), reduction)


def smooth_l1(prediction: Any, target: Any, reduction: Reduction = "mean", *, beta: float = 1.0) -> Node:
    """Return e**2/(2 beta) for |e| <= beta and |e| - beta/2 beyond, e = prediction - target: huber/beta, l1 for 0."""
    if beta == 0:
        return l1(prediction, target, reduction)
    _check_scale("smooth_l1", "beta", beta)
    p, t = pair("smooth_l1", prediction, target)
    return reduced("smooth_l1", _huber(p - t, beta) / beta, reduction)


def _huber(error: Node, delta: float) -> Node:
    size = abs_(error)
    return where(size <= delta, 0.5 * error**2, delta * (size - 0.5 * delta))


def _check_scale(name: str, setting: str, value: float) -> None:
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise DomainError(f"{name}: {setting} is a finite number > 0, got {value!r}.")


__all__ = ["huber", "l1", "mse", "smooth_l1"]
