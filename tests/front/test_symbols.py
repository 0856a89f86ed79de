"""symbols, vector, matrix, array: names, shapes, dtypes."""

import re

import pytest

import symdiff as sd


def test_one_name_gives_one_expression_and_several_a_tuple():
    x = sd.symbols("x")
    assert isinstance(x, sd.Expr)
    assert x.shape == ()
    assert x.dtype == "float64"
    assert sd.symbols("x, y z") == (x, *sd.symbols("y z"))
    assert sd.symbols("x,") == (x,)


def test_sizes_are_ints_or_names():
    assert sd.vector("w", 3).shape == (3,)
    assert str(sd.matrix("A", "n", 3).shape) == "(n, 3)"
    assert sd.matrix("A", "n", 3).shape[0] == sd.vector("v", "n").shape[0]
    labels = sd.array("L", ("n",), dtype="int64")
    assert labels.dtype == "int64"
    assert labels.ndim == 1
    assert sd.array("s").shape == ()


@pytest.mark.parametrize("name", ["", "1x", "x y!", "a.b", "lambda", "pi", "E", "ﬁ", "x-1"])
def test_bad_names_are_named_in_the_error(name):
    with pytest.raises(sd.ParseError, match=re.escape(repr(name))):
        sd.array(name, ())
    with pytest.raises(sd.ParseError):
        sd.symbols(name)


def test_bad_shapes_and_dtypes():
    with pytest.raises(sd.ShapeError, match="-1"):
        sd.vector("w", -1)
    with pytest.raises(sd.ShapeError):
        sd.vector("w", 2.5)
    with pytest.raises(sd.DTypeError, match="complex128"):
        sd.array("z", (2,), dtype="complex128")
    with pytest.raises(sd.DTypeError):
        sd.symbols(3)
