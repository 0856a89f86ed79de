"""Extents behave as the integers they stand for, for every value of the run-time sizes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdiff.ir.dims import (
    Dim,
    Extent,
    as_extent,
    as_shape,
    broadcast_shapes,
    ceil_div,
    evaluate,
    multiply,
    product,
    shape_text,
    size_names,
)
from symdiff.ir.errors import ShapeError, UnknownSymbolError

SIZES = st.fixed_dictionaries({"n": st.integers(0, 9), "m": st.integers(0, 9)})


@st.composite
def extents(draw: Any) -> tuple[Extent, Any]:
    """An extent and the same arithmetic as a function of the sizes."""
    pairs: list[tuple[Any, Any]] = [(as_extent("n"), lambda s: s["n"]), (as_extent("m"), lambda s: s["m"])]
    for _ in range(draw(st.integers(1, 5))):
        (a, f), (b, g) = (draw(st.sampled_from(pairs)) for _ in range(2))
        k = draw(st.integers(-4, 4))
        step = draw(st.integers(1, 4))
        pairs.append(
            draw(
                st.sampled_from(
                    [
                        (a + b, lambda s, f=f, g=g: f(s) + g(s)),
                        (a - b, lambda s, f=f, g=g: f(s) - g(s)),
                        (multiply(a, b), lambda s, f=f, g=g: f(s) * g(s)),
                        (a + k, lambda s, f=f, k=k: f(s) + k),
                        (k - a, lambda s, f=f, k=k: k - f(s)),
                        (k * a, lambda s, f=f, k=k: k * f(s)),
                        (ceil_div(a, step), lambda s, f=f, step=step: -(-f(s) // step)),
                    ]
                )
            )
        )
    return pairs[-1]


@given(extents(), SIZES)
def test_arithmetic_is_that_of_integers(pair: tuple[Extent, Any], sizes: dict[str, int]) -> None:
    extent, expected = pair
    assert evaluate(extent, sizes) == expected(sizes)


@given(extents(), extents(), extents())
def test_equal_polynomials_are_equal_extents(a: Any, b: Any, c: Any) -> None:
    x, y, z = a[0], b[0], c[0]
    assert x + y == y + x
    assert (x + y) - y == x
    assert multiply(x, y) == multiply(y, x)
    assert multiply(x, y + z) == multiply(x, y) + multiply(x, z)
    assert hash(x + y) == hash(y + x)
    assert x - x == 0


def test_constants_are_ints_and_not_polynomials() -> None:
    n = as_extent("n")
    assert n - n == 0
    assert isinstance(n - n + 3, int)
    assert isinstance(multiply(n, 0), int)
    assert product(()) == 1
    assert product((2, n, 3)) == 6 * n


def test_printing() -> None:
    n, m = as_extent("n"), as_extent("m")
    assert str(n * m + 2 * n - 1) == "m*n + 2*n - 1"
    assert str(ceil_div(n - 1, 2)) == "ceil(n - 1, 2)"
    assert shape_text((n,)) == "(n,)"
    assert shape_text((n, 3)) == "(n, 3)"
    assert size_names((n * m, 3, ceil_div(n, 2))) == {"n", "m"}


def test_broadcasting() -> None:
    n, m = as_extent("n"), as_extent("m")
    assert broadcast_shapes((n, 1), (3,)) == (n, 3)
    assert broadcast_shapes((), (n, m), (1, m)) == (n, m)
    with pytest.raises(ShapeError, match=r"\(n,\) and \(m,\) do not broadcast together: n against m"):
        broadcast_shapes((n,), (m,))
    with pytest.raises(ShapeError, match="2 against 3"):
        broadcast_shapes((2,), (3,))


@pytest.mark.parametrize("bad", [-1, 1.5, "not a name", "1n", None, True, math.inf])
def test_what_is_no_extent(bad: Any) -> None:
    with pytest.raises(ShapeError):
        as_extent(bad)


def test_reading_shapes() -> None:
    assert as_shape(3) == (3,)
    assert as_shape("n") == (as_extent("n"),)
    assert as_shape([2, "n"]) == (2, as_extent("n"))
    with pytest.raises(UnknownSymbolError, match="'n' is not fixed by any argument"):
        evaluate(as_extent("n"), {})
    with pytest.raises(ShapeError, match="known only when the function is called"):
        range(as_extent("n"))
    assert isinstance(as_extent("n"), Dim)
