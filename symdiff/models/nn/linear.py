"""Dense layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdiff.ir.dims import product
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.models.nn.initialisers import Initialiser, fans, kaiming_uniform
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree
from symdiff.ops.index import reshape, transpose

DEFAULT = kaiming_uniform(a=math.sqrt(5))  # PyTorch's: the interval of ±1/sqrt(fan_in)


@dataclass(frozen=True, slots=True)
class Linear(Layer):
    """x W' + b over the last axis of x: the dense layer.

    Parameters: weight W (out_features, in_features), bias b (out_features,), as `torch.nn.Linear`.
    """

    in_features: int
    out_features: int
    bias: bool = True
    weight: Initialiser = field(default=DEFAULT, repr=False)

    def __post_init__(self) -> None:
        """Raise DomainError for sizes that are not positive ints."""
        check_sizes(self, "in_features", "out_features")

    def parameters(self, random: np.random.Generator) -> Tree:
        return with_bias(self.weight, (self.out_features, self.in_features), self.bias, random)

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        node = as_node(x)
        if not node.ndim or node.shape[-1] != self.in_features:
            raise ShapeError(
                f"{self} takes {self.in_features} features in the last axis, got {brief(node)} ({node.line})."
            )
        # All leading axes as one: a single product, and a single one for the gradient by W.
        flat = node if node.ndim < 3 else reshape(node, shape=(product(node.shape[:-1]), self.in_features))
        out = flat @ transpose(as_node(p["weight"]), perm=(1, 0))
        if self.bias:
            out = out + p["bias"]
        return out if flat is node else reshape(out, shape=(*node.shape[:-1], self.out_features))


@dataclass(frozen=True, slots=True)
class Flatten(Layer):
    """All axes behind the first one as one axis."""

    def parameters(self, random: np.random.Generator) -> Tree:
        return ()

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        node = as_node(x)
        return reshape(node, shape=(*node.shape[:1], product(node.shape[1:])))


def with_bias(weight: Initialiser, shape: tuple[int, ...], bias: bool, random: np.random.Generator) -> Tree:
    """Draw a weight and PyTorch's bias for it, from ±1/sqrt(fan_in)."""
    tree = {"weight": weight(random, shape)}
    bound = 1 / math.sqrt(fans(shape)[0])
    return tree | {"bias": random.uniform(-bound, bound, shape[0])} if bias else tree


def check_sizes(layer: Layer, *names: str) -> None:
    """Raise DomainError unless these settings are positive ints, or tuples of them."""
    for name in names:
        value = getattr(layer, name)
        several = value if isinstance(value, (tuple, list)) else (value,)
        if not several or any(isinstance(v, bool) or not isinstance(v, (int, np.integer)) or v < 1 for v in several):
            raise DomainError(f"{type(layer).__name__}: {name} is a positive int, got {value!r}.")
