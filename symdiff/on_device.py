"""on_device: calls of a function for target="cuda" with arrays that lie on a GPU, and on streams.

    fn(x, y)                   NumPy's arrays and numbers in, NumPy's arrays and numbers out
    fn(x_gpu, y)               an array on a GPU among them: all results stay there, as arrays of its library
    fn(x_gpu, out=f_gpu)       results go into given arrays on the GPU
    fn(..., stream=s)          the work goes on a stream of CuPy, PyTorch, Numba or cuda.core, or on its handle

No array on a GPU is copied or converted. Work waits for the streams that make its arguments, and they for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.ir.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from backends.cuda.arrays import View
    from symdiff.function import Function

STREAM = "stream"


def on_device(fn: Function, args: tuple[Any, ...], named: Mapping[str, Any], out: Any) -> Any:
    """Make a call, or return NotImplemented where neither a stream nor an array on a GPU is in it.

    Raises: ShapeError, DTypeError for arrays that do not fit, naming the argument.
    """
    from backends.cuda.arrays import stream_of, view
    from backends.cuda.call import on_stream

    if STREAM in named and STREAM not in fn.names:
        rest = {name: value for name, value in named.items() if name != STREAM}
        with on_stream(0 if named[STREAM] is None else stream_of(named[STREAM])):
            return fn._general(args, rest, out)
    values = fn.arguments(args, named)
    views = [view(v, f"The argument {name!r}") for name, v in zip(fn.names, values, strict=True)]
    into = [] if out is None else [view(t, f"out[{k}]") for k, t in enumerate(fn._unpacked(out))]
    held = [v for v in (*views, *into) if v is not None]
    if not held:
        return NotImplemented
    if len({v.ordinal for v in held}) > 1:
        places = ", ".join(str(n) for n in sorted({v.ordinal for v in held}))
        raise ShapeError(f"The arrays of a call lie on the GPUs {places}; bring them to one.")
    arrays = [fn._arguments.array(k, values[k]) if v is None else _checked(fn, k, v) for k, v in enumerate(views)]
    return _called(fn, arrays, None if out is None else into, out, held[0])


def look(fn: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[tuple[bool, ...], dict[str, int]]:
    """Return over which arguments a call would be mapped, and its sizes, without making it. Raises: as a call."""
    from symdiff.function import POINTS

    arrays = fn._arrays(args, named)
    mapped = tuple(s and a.ndim > 0 for s, a in zip(fn._scalar, arrays, strict=True))
    sizes = fn._arguments.sizes([np.empty(()) if m else a for a, m in zip(arrays, mapped, strict=True)])
    if any(mapped):
        shapes = [a.shape for a, m in zip(arrays, mapped, strict=True) if m]
        sizes[POINTS] = math.prod(_broadcast(shapes))
    return mapped, sizes


def _checked(fn: Function, k: int, array: View) -> View:
    dtype = fn.inputs[k].dtype
    if array.dtype != dtype:
        raise DTypeError(
            f"The argument {fn.names[k]!r} has dtype {dtype}, got an array of {array.dtype} on the GPU, where none is "
            "converted unasked."
        )
    return array


def _called(
    fn: Function, arrays: Sequence[np.ndarray | View], into: Sequence[View | None] | None, out: Any, like: View
) -> Any:
    from backends.cuda.arrays import given_to

    mapped = tuple(s and a.ndim > 0 for s, a in zip(fn._scalar, arrays, strict=True))
    shape = _common_shape(fn, [a for a, m in zip(arrays, mapped, strict=True) if m])
    looks: list[Any] = [np.empty(()) if m else a for a, m in zip(arrays, mapped, strict=True)]
    sizes = fn._arguments.sizes(looks)
    shapes = [(*shape, *fn._result_shape(f, sizes)) for f in fn.outputs]
    flat = [_flat(a, shape) if m else _ready(a) for a, m in zip(arrays, mapped, strict=True)]
    if any(mapped):
        from symdiff.function import POINTS

        sizes = {**sizes, POINTS: math.prod(shape)}
    code = fn.code_for(mapped)
    targets = None if into is None else [_target(fn, k, v, shapes[k]) for k, v in enumerate(into)]
    if fn._patience:  # a run that is timed is waited for
        results = fn._run(mapped, code.on_device_and_wait, flat, sizes, targets)
    else:
        results = code.on_device(flat, sizes, targets)
    if out is not None:
        return out
    return fn._pack([given_to(like.library, r.reshaped(s)) for r, s in zip(results, shapes, strict=True)])


def _common_shape(fn: Function, arrays: Sequence[np.ndarray | View]) -> tuple[int, ...]:
    """The shape over which scalar arguments are mapped: that of all arrays on the GPU, for none is broadcast there."""
    if not arrays:
        return ()
    shapes = [a.shape for a in arrays]
    shape = _broadcast(shapes)
    if any(a.shape != shape for a in arrays if not isinstance(a, np.ndarray)):
        text = ", ".join(map(str, shapes))
        raise ShapeError(f"Arrays on the GPU in place of scalars have one shape, for none is copied there; got {text}.")
    return shape


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = ", ".join(map(str, shapes))
        raise ShapeError(f"The arrays given for scalar arguments do not broadcast together: {text}.") from None


def _flat(array: np.ndarray | View, shape: tuple[int, ...]) -> np.ndarray | View:
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1)
    return replace(array, shape=(math.prod(shape),))


def _ready(array: np.ndarray | View) -> np.ndarray | View:
    return np.array(array, order="C") if isinstance(array, np.ndarray) and not array.flags.carray else array


def _target(fn: Function, k: int, target: View | None, shape: tuple[int, ...]) -> View:
    dtype = fn.outputs[k].dtype
    if target is None:
        raise DTypeError(f"out[{k}] must lie on the GPU, where the other arrays of the call are.")
    if target.shape != shape or target.dtype != dtype or not target.is_writeable:
        raise ShapeError(
            f"out[{k}] must be a writeable {dtype} array of shape {shape}, got {target.dtype} {target.shape}"
            f"{'' if target.is_writeable else ', which is read-only'}."
        )
    return target
