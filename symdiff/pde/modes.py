"""The modes of the second difference between sides that reflect, as matrices: for grids of moderate size.

A mode's angle theta comes from `fourier.FREQUENCIES`. Products with a matrix of n modes take n or 2 n operations a
point, and are faster than a fast transform for up to some hundred points, whatever their number factors into: BLAS
does dozens of them in the time of one operation of a transform.

Between sides of the same kind modes are even or odd about the middle. Even modes come first, then odd ones: sums and
differences of mirrored values see one half of them each, in half the operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symdiff.ir.dims import Extent, ceil_div, product
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.bits import shift_right
from symdiff.ops.elementwise import cos, eq, mod, sin, where
from symdiff.ops.index import concatenate, embed, reshape, slice_
from symdiff.ops.leaves import iota, size
from symdiff.ops.linalg import matmul, matrix_transpose
from symdiff.pde.fourier import FREQUENCIES, Kind
from symdiff.pde.layers import cut


@dataclass(frozen=True)
class Modes:
    """The modes of `n` unknowns between sides of one kind; a periodic axis has cosines and then sines."""

    kind: Kind
    n: Extent

    @property
    def _is_mirrored(self) -> bool:
        return self.kind in (("value", "value"), ("slope", "slope"))

    @property
    def _half(self) -> Extent:
        """The number of even modes."""
        return ceil_div(self.n, 2)

    @cached_property
    def _count(self) -> Node:
        return size(dim=self.n)

    @cached_property
    def _period(self) -> Node:
        factor, more = FREQUENCIES[self.kind][2:]
        return self._count * factor + more

    @cached_property
    def _frequency(self) -> Node:
        first, step, *_ = FREQUENCIES[self.kind]
        k = iota(n=self.n)
        if self._is_mirrored:
            half = size(dim=self._half)
            k = where(k < half, 2 * k, 2 * (k - half) + 1)
        return k * step + first

    @property
    def ends(self) -> tuple[Node, Node]:
        """The places of the mode of the smallest angle and of one of the largest two."""
        last = shift_right(self._count, const(1, "int64")) if self.kind[0] == "periodic" else self._count - 1
        return const(0, "int64"), last

    @cached_property
    def matrix(self) -> Node:
        """The values of mode k in column k."""
        place = reshape(iota(n=self.n) + int(self.kind[0] == "value"), shape=(self.n, 1))
        # Reduced as whole numbers, which a sine of a large angle would round; as floats, which are exact here.
        period = cast(self._period, "float64")
        turn = mod(cast(place, "float64") * cast(reshape(self._frequency, shape=(1, self.n)), "float64"), period)
        angle = turn * (2 * np.pi / period)
        if self.kind[0] != "periodic":
            return sin(angle) if self.kind[0] == "value" else cos(angle)
        return where(reshape(2 * iota(n=self.n) <= self._count, shape=(1, self.n)), cos(angle), sin(angle))

    @cached_property
    def difference(self) -> Node:
        """The second difference of every mode, relative to the mode: 2 cos(theta) - 2, without cancellation."""
        half = sin(cast(self._frequency, "float64") * np.pi / cast(self._period, "float64"))
        return -4.0 * (half * half)

    @cached_property
    def weights(self) -> Node:
        """The inner product in which modes are orthogonal: 1, and 1/2 at an end with a slope."""
        out, place = const(1.0), iota(n=self.n)
        for kind, end in zip(self.kind, (const(0, "int64"), self._count - 1), strict=True):
            if kind == "slope":
                out = out * where(eq(place, end), 0.5, 1.0)
        return out

    @cached_property
    def inverse(self) -> Node:
        """The inverse of the matrix: its transpose, weighed, each row divided by the square of its mode's length."""
        # sin**2 and cos**2 have the mean 1/2, but for the angles 0 and pi, where cos**2 is 1.
        periods = {"periodic": 2.0}.get(self.kind[0], 4.0 if self._is_mirrored else 8.0)
        twice = eq(mod(2 * self._frequency, self._period), const(0, "int64"))
        length2 = where(twice, 2.0, 1.0) * (cast(self._period, "float64") / periods)
        return matrix_transpose(self.matrix) * self.weights / reshape(length2, shape=(self.n, 1))

    def forward(self, x: Node, axis: int) -> Node:
        """Return the coefficients of the modes along an axis."""
        if not self._is_mirrored:
            return _along(self.inverse, x, axis)
        half, rest = self._half, self.n - self._half
        near, far = cut(x, axis, 0, half), cut(x, axis, self.n - 1, half, -1)
        # The middle of an odd number of points is its own mirror image: it is in the sum twice.
        once = where(eq(2 * iota(n=half), self._count - 1), 0.5, 1.0)
        even = _along(_corner(self.inverse, 0, 0, half) * once, near + far, axis)
        difference = cut(near, axis, 0, rest) - cut(far, axis, 0, rest)
        odd = _along(_corner(self.inverse, half, 0, rest), difference, axis)
        return concatenate(even, odd, axis=axis)

    def backward(self, y: Node, axis: int) -> Node:
        """Return the values of coefficients along an axis."""
        if not self._is_mirrored:
            return _along(self.matrix, y, axis)
        half, rest = self._half, self.n - self._half
        even = _along(_corner(self.matrix, 0, 0, half), cut(y, axis, 0, half), axis)
        odd = _along(_corner(self.matrix, 0, half, rest), cut(y, axis, half, rest), axis)
        none = (0,) * y.ndim
        near = even + embed(odd, shape=even.shape, starts=none, steps=(1,) * y.ndim)
        far = cut(even, axis, 0, rest) - odd
        return concatenate(near, cut(far, axis, rest - 1, rest, -1), axis=axis)


def _along(matrix: Node, x: Node, axis: int) -> Node:
    """Return the products of a square matrix with the lines of `x` along an axis."""
    if axis == x.ndim - 1:
        return matmul(x, matrix_transpose(matrix))
    flat = reshape(x, shape=(*x.shape[: axis + 1], product(x.shape[axis + 1 :])))
    return reshape(matmul(matrix, flat), shape=x.shape)


def _corner(matrix: Node, row: Extent, column: Extent, n: Extent) -> Node:
    return slice_(matrix, starts=(row, column), extents=(n, n), steps=(1, 1))
