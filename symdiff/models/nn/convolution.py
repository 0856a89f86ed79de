"""Convolution and pooling over the last two axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdiff.front.convolution import conv2d
from symdiff.front.pooling import avg_pool2d, max_pool2d
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.models.nn.initialisers import Initialiser
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.linear import DEFAULT, check_sizes, with_bias
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree


@dataclass(frozen=True, slots=True)
class Conv2d(Layer):
    """Kernels that slide over the last two axes, as `torch.nn.Conv2d`; see `sd.conv2d`.

    Parameters: weight (out_channels, in_channels/groups, height, width), bias (out_channels,).
    Shapes: x (instances, in_channels, height, width).
    """

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | str | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    weight: Initialiser = field(default=DEFAULT, repr=False)

    def __post_init__(self) -> None:
        """Raise DomainError for sizes that are no positive ints and channels that do not fit the groups."""
        check_sizes(self, "in_channels", "out_channels", "groups", "kernel_size", "stride", "dilation")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise DomainError(f"{self}: the channels are multiples of the groups.")

    def parameters(self, random: np.random.Generator) -> Tree:
        size = self.kernel_size
        extents = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        shape = (self.out_channels, self.in_channels // self.groups, *extents)
        return with_bias(self.weight, shape, self.bias, random)

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        bias = p["bias"] if self.bias else None
        return conv2d(x, p["weight"], bias, self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True, slots=True)
class MaxPool2d(Layer):
    """The largest entry of every window of the last two axes; see `sd.max_pool2d`."""

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0

    def __post_init__(self) -> None:
        """Raise DomainError for sizes that are no positive ints."""
        check_sizes(self, "kernel_size", *(["stride"] if self.stride is not None else []))

    def parameters(self, random: np.random.Generator) -> Tree:
        return ()

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)


@dataclass(frozen=True, slots=True)
class AvgPool2d(Layer):
    """The mean of every window of the last two axes; see `sd.avg_pool2d`."""

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0

    def __post_init__(self) -> None:
        """Raise DomainError for sizes that are no positive ints."""
        check_sizes(self, "kernel_size", *(["stride"] if self.stride is not None else []))

    def parameters(self, random: np.random.Generator) -> Tree:
        return ()

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)
