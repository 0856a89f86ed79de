"""Normalisation over the batch and over the features of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.front.arrays import mean
from symdiff.ir.dims import product, shape_text
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ir.primitive import cast
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.linear import check_sizes
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree
from symdiff.ops.elementwise import sqrt
from symdiff.ops.index import reshape


@dataclass(frozen=True, slots=True)
class BatchNorm(Layer):
    """(x - mean) / sqrt(var + eps) * weight + bias for every channel, as `torch.nn.BatchNorm1d` and `BatchNorm2d`.

    While it is trained, mean and variance are those of the batch, and the running ones move towards them by
    `momentum` (None: they are the means over all steps). Otherwise the running ones are taken.

    Parameters: weight, bias, running_mean, running_var, (num_features,) each.
    Shapes: x (instances, num_features, …). Method: Ioffe & Szegedy 2015, algorithms 1 and 2; as in PyTorch the batch
    is divided by its biased variance, and the running one follows the unbiased.
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1

    def __post_init__(self) -> None:
        """Raise DomainError for a number of features that is not a positive int."""
        check_sizes(self, "num_features")

    def parameters(self, random: np.random.Generator) -> Tree:
        ones, zeros = np.ones(self.num_features), np.zeros(self.num_features)
        return {"weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones}

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        node = as_node(x)
        if node.ndim < 2 or node.shape[1] != self.num_features:
            raise ShapeError(f"{self} takes {self.num_features} features in axis 1, got {brief(node)} ({node.line}).")
        channels = tuple(self.num_features if k == 1 else 1 for k in range(node.ndim))

        def wide(v: Any) -> Node:
            return reshape(as_node(v), shape=channels)

        if training is None:
            mu, var = p["running_mean"], p["running_var"]
        else:
            axes = tuple(k for k in range(node.ndim) if k != 1)
            if axes == (0,):
                training.takes_variance_of_rows(self)
            mu = mean(node, axes)
            var = mean((node - wide(mu)) ** 2, axes)
            count = cast(as_node(product(tuple(node.shape[k] for k in axes))), node.dtype)
            training.follow(p["running_mean"], mu, self.momentum)
            training.follow(p["running_var"], var * (count / (count - 1)), self.momentum)
        return (node - wide(mu)) / sqrt(wide(var) + self.eps) * wide(p["weight"]) + wide(p["bias"])


@dataclass(frozen=True, slots=True)
class LayerNorm(Layer):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, of each row for itself, as `torch.nn.LayerNorm`.

    Parameters: weight and bias of `normalized_shape`. Method: Ba, Kiros & Hinton 2016.
    """

    normalized_shape: int | tuple[int, ...]
    eps: float = 1e-5

    def __post_init__(self) -> None:
        """Raise DomainError for extents that are no positive ints."""
        check_sizes(self, "normalized_shape")

    @property
    def _shape(self) -> tuple[int, ...]:
        given = self.normalized_shape
        return tuple(given) if isinstance(given, (tuple, list)) else (given,)

    def parameters(self, random: np.random.Generator) -> Tree:
        return {"weight": np.ones(self._shape), "bias": np.zeros(self._shape)}

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        node = as_node(x)
        n = len(self._shape)
        if not n or node.shape[-n:] != self._shape:
            raise ShapeError(f"{self} takes the last axes {shape_text(self._shape)}, got {brief(node)} ({node.line}).")
        axes = tuple(range(node.ndim - n, node.ndim))
        centred = node - mean(node, axes, keepdims=True)
        return centred / sqrt(mean(centred**2, axes, keepdims=True) + self.eps) * p["weight"] + p["bias"]
