"""Losses of a margin y*z: scores z of any sign, labels y of -1 and 1."""

from __future__ import annotations

from typing import Any

from symdiff.ir.node import Node
from symdiff.models.losses.common import Reduction, pair, reduced
from symdiff.ops.elementwise import relu, softplus


def logistic(scores: Any, labels: Any, reduction: Reduction = "mean") -> Node:
    """Return log(1 + exp(-y*z)) for scores z and labels y of -1 and 1 (PyTorch's SoftMarginLoss).

    Shapes: scores and labels agree.
    """
    z, y = pair("logistic", scores, labels)
    return reduced("logistic", softplus(-(y * z)), reduction)


def hinge(scores: Any, labels: Any, reduction: Reduction = "mean") -> Node:
    """Return max(0, 1 - y*z) for scores z and labels y of -1 and 1; the derivative at y*z = 1 is 0."""
    z, y = pair("hinge", scores, labels)
    return reduced("hinge", relu(1 - y * z), reduction)


def squared_hinge(scores: Any, labels: Any, reduction: Reduction = "mean") -> Node:
    """Return max(0, 1 - y*z)**2 for scores z and labels y of -1 and 1."""
    z, y = pair("squared_hinge", scores, labels)
    return reduced("squared_hinge", relu(1 - y * z) ** 2, reduction)


def perceptron(scores: Any, labels: Any, reduction: Reduction = "mean") -> Node:
    """Return max(0, -y*z) for scores z and labels y of -1 and 1 (Rosenblatt 1958); the derivative at z = 0 is 0.

    z = 0 is thus a stationary point: descent starts elsewhere. The `Perceptron` counts z = 0 as a mistake instead.
    """
    z, y = pair("perceptron", scores, labels)
    return reduced("perceptron", relu(-(y * z)), reduction)


__all__ = ["hinge", "logistic", "perceptron", "squared_hinge"]
