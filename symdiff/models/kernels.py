"""Kernels: expressions K(X, Z) of two matrices of samples, with scikit-learn's definitions and names of parameters.

Entry [i, j] of a kernel belongs to row i of X and row j of Z. Sums and products of kernels are kernels again, and any
function of two matrices that returns such an expression can be the `kernel` of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from symdiff.front.arrays import expand_dims, sum, transpose
from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ops.elementwise import abs_, exp


def linear(X: Any, Z: Any) -> Node:
    """Return the inner products x·z.

    >>> import symdiff as sd
    >>> linear(sd.matrix("X", "n", 3), sd.matrix("Z", "m", 3)).shape
    (n, m)
    """
    x, z = _samples("linear", X, Z)
    return x @ transpose(z)


def polynomial(X: Any, Z: Any, gamma: Any = None, degree: int = 3, coef0: Any = 1.0) -> Node:
    """Return (gamma x·z + coef0)**degree; gamma is 1 / n_features by default."""
    if isinstance(degree, bool) or not isinstance(degree, int) or degree < 1:
        raise DomainError(f"polynomial: degree is an int >= 1, got {degree!r}.")
    x, z = _samples("polynomial", X, Z)
    return (_gamma(gamma, x) * (x @ transpose(z)) + coef0) ** degree


def gaussian(X: Any, Z: Any, gamma: Any = None) -> Node:
    """Return exp(-gamma |x - z|²), scikit-learn's RBF kernel; gamma is 1 / n_features by default.

    Method: the differences themselves are squared. The usual |x|² + |z|² - 2 x·z cancels for near points, and is
    slower where the sum runs in one pass with the exponential.

    >>> import symdiff as sd
    >>> X = sd.matrix("X", "n", 1)
    >>> sd.compile(gaussian(X, X, gamma=1.0), [X], target="reference")([[0.0], [0.0]])
    array([[1., 1.],
           [1., 1.]])
    """
    x, z = _samples("gaussian", X, Z)
    return exp(-_gamma(gamma, x) * sum((expand_dims(x, 1) - expand_dims(z, 0)) ** 2, axis=2))


def laplacian(X: Any, Z: Any, gamma: Any = None) -> Node:
    """Return exp(-gamma |x - z|₁), with the sum of the magnitudes; gamma is 1 / n_features by default."""
    x, z = _samples("laplacian", X, Z)
    return exp(-_gamma(gamma, x) * sum(abs_(expand_dims(x, 1) - expand_dims(z, 0)), axis=2))


# The names that models take: ours, and scikit-learn's where they differ.
KERNELS: Mapping[str, Callable[..., Node]] = MappingProxyType(
    {
        "linear": linear,
        "poly": polynomial,
        "polynomial": polynomial,
        "rbf": gaussian,
        "gaussian": gaussian,
        "laplacian": laplacian,
    }
)


def _samples(name: str, X: Any, Z: Any) -> tuple[Node, Node]:
    x, z = as_node(X), as_node(Z)
    if x.ndim != 2 or z.ndim != 2 or x.shape[1] != z.shape[1]:
        raise ShapeError(
            f"{name}: X and Z are matrices with one sample a row and the same columns, "
            f"got {brief(x)} of shape {shape_text(x.shape)} and {brief(z)} of shape {shape_text(z.shape)}."
        )
    return x, z


def _gamma(gamma: Any, x: Node) -> Node:
    return 1.0 / as_node(x.shape[1]) if gamma is None else as_node(gamma)


__all__ = ["KERNELS", "gaussian", "laplacian", "linear", "polynomial"]
