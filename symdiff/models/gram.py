"""Kernel matrices in numbers: whole, one row at a time inside a loop, or times a matrix, block of rows by block."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.front.arrays import expand_dims, ravel
from symdiff.front.diagonals import diagonal
from symdiff.front.loops import scan
from symdiff.front.symbols import array, matrix
from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.models.checks import check_count, check_not_negative, check_positive
from symdiff.models.kernels import KERNELS, polynomial
from symdiff.ops.index import take

PRECOMPUTED = "precomputed"
_BLOCK = 2**20  # entries of the kernel matrix at a time: 8 MB

_X, _Z, _V = matrix("X", "n", "d"), matrix("Z", "m", "d"), matrix("V", "m", "k")
_GAMMA, _COEF0 = array("gamma"), array("coef0")


@dataclass(frozen=True, slots=True)
class Gram:
    """A kernel with the values of its parameters, which are arguments of the compiled code and not part of it."""

    kernel: str | Callable[[Node, Node], Any]
    degree: int
    gamma: float
    coef0: float
    target: str

    @property
    def is_precomputed(self) -> bool:
        """Whether the data are kernel matrices already."""
        return self.kernel == PRECOMPUTED

    @property
    def parameters(self) -> tuple[float, float]:
        """The values of `SYMBOLS`."""
        return self.gamma, self.coef0

    def matrix(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return K(x, z) as a whole."""
        return np.asarray(_matrix(self.kernel, self.degree, self.target)(x, z, *self.parameters))

    def times(self, x: np.ndarray, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return K(x, z) @ v, of which no more than a block of rows exists at a time."""
        function = _times(self.kernel, self.degree, self.target)
        v = np.ascontiguousarray(v)
        rows = max(1, _BLOCK // max(1, len(z)))
        parts = [function(x[k : k + rows], z, v, *self.parameters) for k in range(0, len(x), rows)]
        return np.concatenate(parts) if parts else np.zeros((0, v.shape[1]))


SYMBOLS = (_GAMMA, _COEF0)


def expression(kernel: str | Callable[[Node, Node], Any], degree: int, X: Node, Z: Node) -> Node:
    """Return K(X, Z) with the parameters `SYMBOLS`. Raises ShapeError if a kernel of the user's is no such matrix."""
    if isinstance(kernel, str):
        match KERNELS[kernel].__name__:
            case "linear":
                return KERNELS[kernel](X, Z)
            case "polynomial":
                return polynomial(X, Z, _GAMMA, degree, _COEF0)
            case _:
                return KERNELS[kernel](X, Z, _GAMMA)
    out = as_node(kernel(X, Z))
    if out.shape != (X.shape[0], Z.shape[0]):
        raise ShapeError(
            f"A kernel is a function of two matrices of samples, (n, d) and (m, d), that returns a matrix (n, m); "
            f"this one returns {brief(out)} of shape {shape_text(out.shape)}."
        )
    return out


def row_and_diagonal(
    kernel: str | Callable[[Node, Node], Any], degree: int, data: Node
) -> tuple[Callable[[Node], Node], Node]:
    """Return row i of the kernel matrix of `data` as a function of i, and its diagonal.

    Where the kernel is precomputed `data` is the matrix itself; else one row is computed when it is asked for.
    """
    if kernel == PRECOMPUTED:
        return lambda i: take(data, i, axis=0), diagonal(data)

    def row(i: Node) -> Node:
        return ravel(expression(kernel, degree, expand_dims(take(data, i, axis=0), 0), data))

    def with_itself(_: Node, x: Node) -> tuple[Node, Node]:
        one = expand_dims(x, 0)
        return _, ravel(expression(kernel, degree, one, one))[0]

    return row, scan(with_itself, 0.0, data)[1]


def read_kernel(who: Any, x: np.ndarray, weights: np.ndarray) -> Gram:
    """Return the kernel that the settings of `who` mean for samples x with weights.

    Raises: DomainError for a setting that is wrong; ShapeError for a precomputed kernel that is not square.
    """
    kernel, settings = who.kernel, who.get_params(deep=False)
    name = type(who).__name__
    if not callable(kernel) and kernel not in (*KERNELS, PRECOMPUTED):
        known = ", ".join(map(repr, (*KERNELS, PRECOMPUTED)))
        raise DomainError(f"{name}: kernel is one of {known} or a function of two matrices, got {kernel!r}.")
    if kernel == PRECOMPUTED:
        _check_kernel_matrix(name, x)
    check_count(who, degree=settings["degree"])
    check_not_negative(who, coef0=settings["coef0"])
    gamma = read_gamma(who, x, weights)
    return Gram(kernel, settings["degree"], gamma, float(settings["coef0"]), settings["target"])


def read_gamma(who: Any, x: np.ndarray, weights: np.ndarray) -> float:
    """Return the number that the setting gamma of `who` means for samples x with weights.

    None and "auto" are 1 / n_features, "scale" is 1 / (n_features var(X)). Raises DomainError.
    """
    gamma = who.gamma
    if gamma is None or (isinstance(gamma, str) and gamma == "auto"):
        return 1 / x.shape[1]
    if isinstance(gamma, str) and gamma == "scale":
        mean = np.average(x.mean(axis=1), weights=weights)
        spread = float(np.average(((x - mean) ** 2).mean(axis=1), weights=weights))
        return 1 / (x.shape[1] * spread) if spread else 1.0
    if isinstance(gamma, str):
        raise DomainError(f"{type(who).__name__}: gamma is a number > 0, 'scale' or 'auto', got {gamma!r}.")
    check_positive(who, gamma=gamma)
    return float(gamma)


def _check_kernel_matrix(name: str, k: np.ndarray) -> None:
    if k.shape[0] != k.shape[1]:
        raise ShapeError(
            f"{name}: X is the precomputed kernel matrix, with one row and one column a sample; got shape {k.shape}. "
            "Precomputed matrix must be a square matrix."
        )
    skew = float(np.max(np.abs(k - k.T)))
    # A kernel computed in float32 is symmetric to its precision.
    if skew > 1e-6 * float(np.max(np.abs(k))):
        raise DomainError(f"{name}: the precomputed kernel matrix is not symmetric: entries differ by {skew:.3g}.")


@functools.lru_cache(maxsize=64)
def _matrix(kernel: Any, degree: int, target: str) -> Any:
    from symdiff.compile import compile  # late: the compiler loads LLVM

    return compile(expression(kernel, degree, _X, _Z), [_X, _Z, *SYMBOLS], target=target)


@functools.lru_cache(maxsize=64)
def _times(kernel: Any, degree: int, target: str) -> Any:
    from symdiff.compile import compile

    return compile(expression(kernel, degree, _X, _Z) @ _V, [_X, _Z, _V, *SYMBOLS], target=target)
