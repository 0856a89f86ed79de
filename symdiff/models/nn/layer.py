"""Layers: functions of a tree of parameters and an input, and how they are put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree, map_tree

DTYPES = ("float64", "float32")


class Layer(ABC):
    """A function `layer(p, x)` of parameters p and an input x, built of expressions; it holds no numbers itself.

    `layer(p, x, training)` is the function while it is trained; the two differ for Dropout and BatchNorm only.
    """

    __slots__ = ()

    @abstractmethod
    def parameters(self, random: np.random.Generator) -> Tree:
        """Draw the parameters: a tree of float64 arrays, `()` where there are none."""

    @abstractmethod
    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        """Return the output for parameters p and the input x."""

    def init(self, seed: int = 0, dtype: str = "float64") -> Tree:
        """Return parameters to start from, the same for the same seed.

        >>> from symdiff.models import nn
        >>> nn.Linear(3, 2).init(seed=5)["weight"].shape
        (2, 3)
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
            raise DomainError(f"init: seed is an int from 0 to 2**64 - 1, got {seed!r}.")
        if dtype not in DTYPES:
            raise DTypeError(f"init: dtype is 'float64' or 'float32', got {dtype!r}.")
        random = np.random.Generator(np.random.Philox(key=int(seed)))
        return map_tree(lambda a: np.asarray(a, dtype=dtype), self.parameters(random))


@dataclass(frozen=True, slots=True)
class Function(Layer):
    """A function of the input as a layer without parameters."""

    function: Callable[[Any], Node]

    def parameters(self, random: np.random.Generator) -> Tree:
        return ()

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        return self.function(as_node(x))

    def __repr__(self) -> str:
        return getattr(self.function, "__name__", None) or repr(self.function)


class Sequential(Layer):
    """One layer after the other; plain functions such as `nn.relu` are layers too. The parameters are a tuple.

    >>> import symdiff as sd
    >>> from symdiff.models import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.relu, nn.Linear(3, 2))
    >>> p = net.init(seed=5)
    >>> net(p, sd.matrix("X", "n", 4)).shape
    (n, 2)
    """

    __slots__ = ("layers",)

    def __init__(self, *layers: Layer | Callable[[Any], Node]) -> None:
        self.layers = tuple(as_layer(x) for x in layers)

    def parameters(self, random: np.random.Generator) -> Tree:
        return tuple(layer.parameters(random) for layer in self.layers)

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        if not isinstance(p, (tuple, list)) or len(p) != len(self.layers):
            got = f"{len(p)}" if isinstance(p, (tuple, list)) else type(p).__name__
            raise ShapeError(
                f"Sequential has {len(self.layers)} layers and takes as many trees of parameters, got {got}."
            )
        out = as_node(x)
        for layer, q in zip(self.layers, p, strict=True):
            out = layer(q, out, training)
        return out

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


class Residual(Layer):
    """x + f(x) for the layers f, one after the other (He, Zhang, Ren & Sun 2016)."""

    __slots__ = ("inner",)

    def __init__(self, *layers: Layer | Callable[[Any], Node]) -> None:
        self.inner = Sequential(*layers)

    def parameters(self, random: np.random.Generator) -> Tree:
        return self.inner.parameters(random)

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        given = as_node(x)
        change = self.inner(p, given, training)
        if change.shape != given.shape:
            raise ShapeError(f"Residual adds its input of shape {given.shape} to its layers' output of {change.shape}.")
        return given + change

    def __repr__(self) -> str:
        return f"Residual({', '.join(map(repr, self.inner.layers))})"


def as_layer(value: Any) -> Layer:
    """Return a layer, or a function of one argument as a layer. Raises DTypeError for anything else."""
    if isinstance(value, Layer):
        return value
    if isinstance(value, type) or not callable(value):
        raise DTypeError(f"A layer is an object such as nn.Linear(4, 3) or a function such as nn.relu, got {value!r}.")
    return Function(value)
