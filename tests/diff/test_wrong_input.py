"""What cannot be differentiated says so, with the symbol, the shapes and the user's line."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import symdiff as sd

x, y = sd.symbols("x y")
v = sd.vector("v", 3)
k = sd.array("k", (3,), dtype="int64")


@pytest.mark.parametrize("derive", [sd.diff, sd.gradient, sd.jacobian, sd.hessian])
def test_by_something_else_than_a_symbol(derive) -> None:
    with pytest.raises(sd.DerivativeError, match=r"by symbols, got mul.*test_wrong_input\.py:\d+"):
        derive(x * y, x * y)
    with pytest.raises(sd.DerivativeError, match="by symbols"):
        derive(x * y, 2.0)
    with pytest.raises(sd.DerivativeError, match="'k' has dtype int64"):
        derive(sd.sum(v * k), k)


def test_of_a_comparison_or_an_integer() -> None:
    here = inspect.currentframe()
    assert here is not None
    line = here.f_lineno + 1
    less = x < y
    with pytest.raises(sd.DerivativeError, match=rf"test_wrong_input\.py:{line}\), which has dtype bool"):
        sd.gradient(less, x)
    with pytest.raises(sd.DerivativeError, match="dtype int64"):
        sd.jacobian(k * 2, x)


def test_shapes() -> None:
    with pytest.raises(sd.ShapeError, match=r"scalar symbol, got 'v' of shape \(3,\); use gradient"):
        sd.diff(sd.sum(v), v)
    with pytest.raises(sd.ShapeError, match="gradient needs a scalar function"):
        sd.gradient(v * 2, v)
    with pytest.raises(sd.ShapeError, match=r"tangent of 'v' has its shape \(3,\), got \(2,\)"):
        sd.jvp(sd.sum(v), v, np.ones(2))
    with pytest.raises(sd.ShapeError, match=r"cotangent of mul.* has its shape \(3,\), got \(\)"):
        sd.vjp(v * 2, v, 1.0)
    with pytest.raises(sd.ShapeError, match="Expected 2 tangents, one for each, got 1"):
        sd.jvp(x * y, [x, y], [1.0])
    with pytest.raises(sd.DerivativeError, match="a symbol is given twice"):
        sd.jvp(x * y, [x, x], [1.0, 2.0])


def test_orders_and_modes() -> None:
    for n in (-1, 1.5, True):
        with pytest.raises(sd.DerivativeError, match="order of a derivative"):
            sd.diff(x * y, x, n)
    with pytest.raises(sd.DerivativeError, match=r"'auto', 'forward', 'reverse'.*got 'backward'"):
        sd.jacobian(x * y, x, mode="backward")


def test_points_of_differences() -> None:
    here = sd.symbols("made_here")
    with pytest.raises(sd.UnknownSymbolError, match=r"no value for 'made_here' .*test_wrong_input\.py"):
        sd.finite_difference(sd.sin(x) * here, {x: 1.0})
    f = sd.sin(x) * y
    with pytest.raises(sd.UnknownSymbolError, match="'z' is no symbol of the expression; it has 'x', 'y'"):
        sd.finite_difference(f, {"x": 1.0, "y": 2.0, "z": 0.0})
    with pytest.raises(sd.UnknownSymbolError, match="twice"):
        sd.finite_difference(f, {x: 1.0, "x": 2.0, y: 1.0})
    with pytest.raises(sd.UnknownSymbolError, match="symbols or their names"):
        sd.finite_difference(f, {x + y: 1.0})
    with pytest.raises(sd.ShapeError, match=r"'x' has shape \(\), got a value of shape \(2,\)"):
        sd.finite_difference(f, {x: [1.0, 2.0], y: 1.0})
    with pytest.raises(sd.DTypeError, match="'y' has dtype float64"):
        sd.compare(f, {x: 1.0, y: "one"})
    with pytest.raises(sd.DerivativeError, match="one of forward, central, complex, richardson, got 'magic'"):
        sd.finite_difference(f, {x: 1.0, y: 1.0}, method="magic")
    with pytest.raises(sd.DerivativeError, match="by symbols"):
        sd.finite_difference(f, {x: 1.0, y: 1.0}, wrt=x * y)
    with pytest.raises(sd.DerivativeError, match="dtype int64"):
        sd.compare(sd.sum(v * k), {v: np.ones(3), k: np.ones(3, int)}, wrt=k)
    with pytest.raises(sd.DerivativeError, match="dtype bool"):
        sd.compare(x < y, {x: 1.0, y: 1.0})
    for step in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(sd.DomainError, match="positive number"):
            sd.finite_difference(f, {x: 1.0, y: 1.0}, step=step)


def test_run_time_sizes_that_disagree() -> None:
    a, b = sd.vector("a", "n"), sd.vector("b", "n")
    with pytest.raises(sd.ShapeError, match="'b' has shape"):
        sd.finite_difference(sd.sum(a * b), {a: np.ones(3), b: np.ones(4)})
