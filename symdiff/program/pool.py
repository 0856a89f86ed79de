"""Pool: the buffers of a program, numbered in the order in which they are asked for."""

from __future__ import annotations

from symdiff.ir.dims import Shape, product
from symdiff.program.ir import Buffer
from symdiff.program.views import View, c_strides, whole

# Temporaries of up to this many entries share buffers, of these lengths in entries.
_SMALL = 16
_FIRST_SHARED, _LARGEST_SHARED = 64, 8192


class Pool:
    """Numbers the buffers. Small temporaries share buffers: a large scalar graph has thousands of them."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self._shared: dict[str, tuple[Buffer, int]] = {}

    def temp(self, shape: Shape, dtype: str) -> View:
        """Memory for a temporary that belongs to no loop's state."""
        n = product(shape)
        if not isinstance(n, int) or n > _SMALL:
            return whole(self.new(shape, dtype))
        held, used = self._shared.get(dtype, (None, 0))
        if held is None or used + n > held.shape[0]:  # type: ignore[operator]
            length = _FIRST_SHARED if held is None else min(2 * held.shape[0], _LARGEST_SHARED)
            held, used = self.new((length,), dtype), 0
        self._shared[dtype] = (held, used + n)
        return View(held, used, c_strides(shape), shape)

    def new(self, shape: Shape, dtype: str, kind: str = "temp") -> Buffer:
        buffer = Buffer(len(self.buffers), shape, dtype, kind)
        self.buffers.append(buffer)
        return buffer
