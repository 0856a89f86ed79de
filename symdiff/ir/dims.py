"""Array extents: Python ints, or `Dim`, a polynomial in named run-time sizes.

`"n"` in a shape stands for a size that is known only when a function is called. Slicing, padding and
flattening do arithmetic on extents (`n - 1`, `n + 2`, `n*m`), so extents form the polynomials with integer
coefficients over the names and over `ceil(dim / k)` (a strided slice). Equal polynomials are equal extents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

from symdiff.ir.errors import ShapeError, UnknownSymbolError


@dataclass(frozen=True, slots=True, order=True)
class CeilDiv:
    """The integer ceil(dim / step), an atom of the polynomials; `step` is positive."""

    dim: Dim
    step: int

    def __str__(self) -> str:
        return f"ceil({self.dim}, {self.step})"


Atom = Union[str, CeilDiv]
Extent = Union[int, "Dim"]
Shape = tuple[Extent, ...]


@dataclass(frozen=True, slots=True)
class Dim:
    """A polynomial: pairs (monomial, coefficient), a monomial being a sorted tuple of atoms."""

    terms: tuple[tuple[tuple[Atom, ...], int], ...]

    def __str__(self) -> str:
        return " + ".join(_term_text(monomial, c) for monomial, c in self.terms).replace("+ -", "- ")

    __repr__ = __str__

    def __lt__(self, other: Dim) -> bool:
        return str(self) < str(other)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (int, Dim)):
            return _combine(self, other, 1)
        return _as_node(self) + other

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, (int, Dim)):
            return _combine(self, other, -1)
        return _as_node(self) - other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (int, Dim)):
            return multiply(self, other)
        return _as_node(self) * other

    def __neg__(self) -> Any:
        return multiply(self, -1)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Any:
        if isinstance(other, (int, Dim)):
            return _combine(multiply(self, -1), other, 1)
        return other - _as_node(self)

    def __truediv__(self, other: Any) -> Any:
        return _as_node(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / _as_node(self)

    def __pow__(self, other: Any) -> Any:
        return _as_node(self) ** other

    def __index__(self) -> int:
        raise ShapeError(
            f"The size {self} is known only when the function is called; it cannot be used as an int here."
        )

    @property
    def names(self) -> frozenset[str]:
        """The run-time sizes that occur in it."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.dim.names
        return frozenset(found)


def _as_node(dim: Dim) -> Any:
    from symdiff.ir.node import as_node

    return as_node(dim)


def _term_text(monomial: tuple[Atom, ...], c: int) -> str:
    factors = [str(a) for a in monomial]
    if c != 1 or not factors:
        factors.insert(0, str(c))
    return "*".join(factors)


def _terms(extent: Extent) -> dict[tuple[Atom, ...], int]:
    if isinstance(extent, Dim):
        return dict(extent.terms)
    return {(): int(extent)} if extent else {}


def _build(terms: Mapping[tuple[Atom, ...], int]) -> Extent:
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    # Highest degree first, constant last: prints as people write it.
    order = sorted(kept.items(), key=lambda item: (-len(item[0]), [str(a) for a in item[0]]))
    return Dim(tuple(order))


def _combine(a: Extent, b: Extent, sign: int) -> Extent:
    terms = _terms(a)
    for monomial, c in _terms(b).items():
        terms[monomial] = terms.get(monomial, 0) + sign * c
    return _build(terms)


def multiply(a: Extent, b: Extent) -> Extent:
    """Return a*b."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    out: dict[tuple[Atom, ...], int] = {}
    for m1, c1 in _terms(a).items():
        for m2, c2 in _terms(b).items():
            monomial = tuple(sorted(m1 + m2, key=str))
            out[monomial] = out.get(monomial, 0) + c1 * c2
    return _build(out)


def product(extents: Shape) -> Extent:
    """Return the number of entries of an array of this shape."""
    out: Extent = 1
    for extent in extents:
        out = multiply(out, extent)
    return out


def divide(a: Extent, b: Extent) -> Extent | None:
    """Return q with a = q*b for a `b` of one term; None if there is none."""
    terms = _terms(b)
    if len(terms) != 1:
        return 1 if a == b else None
    ((atoms, c),) = terms.items()
    out: dict[tuple[Atom, ...], int] = {}
    for monomial, factor in _terms(a).items():
        left = list(monomial)
        for atom in atoms:
            if atom not in left:
                return None
            left.remove(atom)
        if factor % c:
            return None
        out[tuple(left)] = factor // c
    return _build(out)


def is_at_least(a: Extent, b: Extent) -> bool:
    """Whether a >= b, as far as that shows for all sizes >= 0."""
    difference = _combine(a, b, -1)
    return difference >= 0 if isinstance(difference, int) else all(c > 0 for _, c in difference.terms)


def constant_term(extent: Extent) -> int:
    """Return what an extent is where all sizes are 0.

    >>> constant_term(as_extent("n") * as_extent("m") - 2)
    -2
    """
    return _terms(extent).get((), 0)


def ceil_div(a: Extent, step: int) -> Extent:
    """Return ceil(a / step) for a positive step."""
    if step == 1:
        return a
    if isinstance(a, int):
        return -(-a // step)
    return Dim((((CeilDiv(a, step),), 1),))


def evaluate(extent: Extent, sizes: Mapping[str, int]) -> int:
    """Return the number that an extent stands for. Raises UnknownSymbolError for a size that is not given."""
    if isinstance(extent, int):
        return extent
    total = 0
    for monomial, c in extent.terms:
        for atom in monomial:
            if isinstance(atom, CeilDiv):
                c *= -(-evaluate(atom.dim, sizes) // atom.step)
            elif atom in sizes:
                c *= sizes[atom]
            else:
                raise UnknownSymbolError(f"The run-time size {atom!r} is not fixed by any argument.")
        total += c
    return total


def size_names(shape: Shape) -> frozenset[str]:
    """The run-time sizes that occur in a shape."""
    return frozenset().union(*(d.names for d in shape if isinstance(d, Dim)))


def as_extent(value: Any) -> Extent:
    """Read an extent: an int >= 0, a size's name, or a `Dim`. Raises ShapeError for anything else."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, str):
        if not value.isidentifier():
            raise ShapeError(f"A run-time size is named like a Python variable, got {value!r}.")
        return Dim((((value,), 1),))
    try:
        extent = value.__index__()
    except AttributeError:
        raise ShapeError(f"An extent is an int or the name of a run-time size, got {value!r}.") from None
    if isinstance(value, bool) or extent < 0:
        raise ShapeError(f"An extent is an int >= 0, got {value!r}.")
    return int(extent)


def as_shape(value: Any) -> Shape:
    """Read a shape: one extent or a sequence of them."""
    if isinstance(value, (tuple, list)):
        return tuple(as_extent(v) for v in value)
    return (as_extent(value),)


def shape_text(shape: Shape) -> str:
    """Print a shape as Python prints a tuple: (n, 3), (4,), ()."""
    inner = ", ".join(str(d) for d in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that NumPy's broadcasting gives; a named size fits itself and 1. Raises ShapeError."""
    if len(shapes) == 2 and not (shapes[0] and shapes[1]):
        return shapes[0] or shapes[1]
    first = shapes[0]
    if all(s == first for s in shapes[1:]):
        return first
    rank = max(map(len, shapes))
    out: list[Extent] = []
    for axis in range(-rank, 0):
        extents = [s[axis] for s in shapes if len(s) >= -axis]
        chosen: Extent = 1
        for extent in extents:
            if chosen == 1:
                chosen = extent
            elif extent != 1 and extent != chosen:
                every = " and ".join(shape_text(s) for s in shapes)
                raise ShapeError(f"Shapes {every} do not broadcast together: {chosen} against {extent}.")
        out.append(chosen)
    return tuple(out)
