"""Arguments: the values of a call as arrays of the inputs' dtypes and shapes, checked before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Dim, Extent, evaluate, shape_text
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import Node

_LARGEST_INT = np.iinfo(np.int64).max
_KINDS = {"float64": "biuf", "float32": "biuf", "int64": "biu", "bool": "b"}


class Arguments:
    """What the `inputs` of a function take."""

    def __init__(self, inputs: Sequence[Node]):
        self.inputs = tuple(inputs)
        self.names = tuple(s.params["name"] for s in inputs)
        self._sized = [[(axis, str(d)) for axis, d in enumerate(s.shape) if is_name(d)] for s in inputs]
        # Extents such as n + 1 are checked when the others have given n.
        self._formulas = [
            (k, axis, d)
            for k, s in enumerate(inputs)
            for axis, d in enumerate(s.shape)
            if isinstance(d, Dim) and not is_name(d)
        ]

    def bind(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of a call in the order of the inputs. Raises DTypeError for a wrong number."""
        n = len(self.names)
        if len(args) > n:
            raise DTypeError(f"The function takes {n} arguments ({', '.join(self.names)}), got {len(args)}.")
        values = dict(zip(self.names, args, strict=False))
        for name, value in named.items():
            if name not in self.names:
                raise DTypeError(f"The function has no argument {name!r}; its arguments are {', '.join(self.names)}.")
            if name in values:
                raise DTypeError(f"The argument {name!r} is given twice.")
            values[name] = value
        missing = [name for name in self.names if name not in values]
        if missing:
            raise DTypeError(f"The function takes {n} arguments, {', '.join(map(repr, missing))} is missing.")
        return [values[name] for name in self.names]

    def array(self, k: int, value: Any) -> np.ndarray:
        """Return argument `k` as an array of its dtype. Raises DTypeError, ShapeError, naming the argument."""
        symbol = self.inputs[k]
        dtype = symbol.dtype
        if type(value) is np.ndarray and value.dtype == dtype:
            return value
        if isinstance(value, Node):
            raise DTypeError(f"The argument {self.names[k]!r} is an expression; pass numbers, or use .subs to build.")
        try:
            # Python's integers have no bound, and NumPy's have.
            array = np.asarray(float(value) if type(value) is int and dtype.startswith("float") else value)
        except ValueError as error:
            raise ShapeError(f"The argument {self.names[k]!r} is not an array: {error}.") from None
        except OverflowError:
            raise DTypeError(f"The argument {self.names[k]!r} has dtype {dtype}, got an int that is larger.") from None
        if array.size == 0 and array.dtype.kind == "f":
            return array.astype(dtype)
        if array.dtype.kind not in _KINDS[dtype] or _is_masked(value):
            got = f"{array.dtype} ({type(value).__name__})"
            raise DTypeError(f"The argument {self.names[k]!r} has dtype {dtype}, got {got}.")
        if dtype == "int64" and array.dtype == np.uint64 and array.size and array.max() > _LARGEST_INT:
            raise DTypeError(f"The argument {self.names[k]!r} has dtype int64, got the larger integer {array.max()}.")
        return array.astype(dtype)

    def sizes(self, arrays: Sequence[np.ndarray]) -> dict[str, int]:
        """Return the run-time sizes. Raises ShapeError naming the argument that does not fit."""
        sizes: dict[str, int] = {}
        for k, array in enumerate(arrays):
            shape = self.inputs[k].shape
            ok = array.ndim == len(shape)
            if ok:
                for axis, name in self._sized[k]:
                    ok = ok and sizes.setdefault(name, array.shape[axis]) == array.shape[axis]
                ok = ok and all(not isinstance(d, int) or d == got for d, got in zip(shape, array.shape, strict=True))
            if not ok:
                raise self._wrong_shape(k, array, sizes)
        for k, axis, extent in self._formulas:
            if evaluate(extent, sizes) != arrays[k].shape[axis]:
                raise self._wrong_shape(k, arrays[k], sizes)
        return sizes

    def _wrong_shape(self, k: int, array: np.ndarray, sizes: Mapping[str, int]) -> ShapeError:
        known = ", ".join(f"{n} = {v}" for n, v in sizes.items())
        where = f" where {known}" if known else ""
        wanted = f"{shape_text(self.inputs[k].shape)}{where}"
        return ShapeError(f"The argument {self.names[k]!r} has shape {wanted}, got an array of shape {array.shape}.")


def _is_masked(value: Any) -> bool:
    """Whether a value is a masked array; NumPy loads their module when it is first asked for."""
    module = sys.modules.get("numpy.ma")
    return module is not None and isinstance(value, module.MaskedArray)


def is_name(extent: Extent) -> bool:
    """Whether an extent is a run-time size and no formula of some: an argument's shape fixes it."""
    return isinstance(extent, Dim) and str(extent).isidentifier()


__all__ = ["Arguments", "is_name"]
