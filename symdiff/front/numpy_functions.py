"""NumPy's functions on expressions: np.sum(v) is sd.sum(v), by NumPy's own protocol (NEP 18)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.ir.errors import DTypeError

# Functions that mean the same in both. np.gradient and np.diff do not: they difference the entries of an array.
_SAME = (
    "argmax argmin argsort astype broadcast_to clip concatenate convolve cross cumprod cumsum diag diagonal dot einsum "
    "expand_dims flip hstack i0 max mean median min moveaxis ones_like outer pad prod quantile ravel repeat reshape "
    "roll sort split squeeze stack std sum swapaxes take take_along_axis tensordot tile trace transpose tril triu var "
    "vstack where zeros_like"
)
_SAME_LINALG = "cholesky det eigh eigvalsh inv matmul norm qr slogdet solve"

_ATTRIBUTES: dict[Any, str] = {np.shape: "shape", np.ndim: "ndim", np.size: "size"}
# sd.argmin is the minimiser of a function; the position of the least entry is a method.
_METHODS = {"argmin"}
SAME: dict[Any, str] = {
    **{getattr(np, name): name for name in _SAME.split() if hasattr(np, name)},
    **{getattr(np.linalg, name): name for name in _SAME_LINALG.split() if hasattr(np.linalg, name)},
}


def array_function(
    self: Any, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Answer a call of NumPy's `func` on expressions. Raises DTypeError for a function that has no twin here.

    >>> import numpy as np, symdiff as sd
    >>> v = sd.vector("v", 3)
    >>> print(np.sum(v, axis=0), np.linalg.norm(v).shape)
    sum(v) ()
    """
    if func in _ATTRIBUTES and len(args) == 1 and not kwargs:
        return getattr(args[0], _ATTRIBUTES[func])
    name = SAME.get(func)
    if name is None:
        raise DTypeError(
            f"{func.__module__}.{func.__name__} does not build expressions; compile the expression and call it with "
            "numbers first, or look for a function of symdiff."
        )
    if name in _METHODS:
        return getattr(args[0], name)(*args[1:], **kwargs)
    return getattr(importlib.import_module("symdiff"), name)(*args, **kwargs)
