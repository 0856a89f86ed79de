"""Properties of derivatives of random expressions, against 50 digits that share no rule with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, note, settings

import symdiff as sd
from symdiff.diff.exact import exact_derivative
from symdiff.diff.rounding import rounding_error
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ir.text import to_text
from tests.diff.programs import array_programs, scalar_programs


def arrays(values: dict[Node, Any]) -> dict[Node, np.ndarray]:
    return {x: np.asarray(v) for x, v in values.items()}


def show(f: Node, values: dict[Node, Any]) -> None:
    """Print a failing case as code."""
    note(f"f = parse_text({to_text([f])!r})[0]")
    note("values = " + repr({x.params["name"]: np.asarray(v).tolist() for x, v in values.items()}))


def check(graph: list[Node], values: dict[Node, Any], exact: list[np.ndarray]) -> None:
    """Assert that every value is within its own rounding of the exact one."""
    got = interpret(graph, values)
    for g, bound, e in zip(got, rounding_error(graph, arrays(values)), exact, strict=True):
        assert g.shape == e.shape
        error = np.abs(g - e.astype(float))
        # The reference rounded to a double is half an ulp off itself; 1e-300 is for entries that are 0.
        assert np.all(error <= bound + np.spacing(np.abs(g)) + 1e-300), (g, e.astype(float), bound)


@given(scalar_programs())
@settings(max_examples=60)
def test_comparison_of_all_methods_passes(program: tuple[Node, dict[Node, float]]) -> None:
    f, values = program
    show(f, values)
    result = sd.compare(f, values)
    note(str(result))
    assert [row.method for row in result.rows[:3]] == ["symbolic", "forward", "reverse"]
    assert result.passed


@given(scalar_programs())
@settings(max_examples=40)
def test_hessian_is_symmetric_and_right(program: tuple[Node, dict[Node, float]]) -> None:
    f, values = program
    show(f, values)
    xs = list(values)
    hess = sd.hessian(f, xs)
    point = arrays(values)
    for i, g in enumerate(sd.gradient(f, xs)):
        exact = [exact_derivative(g, point, x) for x in xs]
        check(hess[i], values, [e.value for e in exact])
        direct = [sd.diff(sd.diff(f, xs[i]), x) for x in xs]
        check(direct, values, [e.value for e in exact])
    mixed = interpret([hess[0][1], hess[1][0]], values)
    assert abs(mixed[0] - mixed[1]) <= sum(rounding_error([hess[0][1], hess[1][0]], point))


@given(array_programs())
@settings(max_examples=50)
def test_jacobians_of_both_modes_are_right(program: tuple[Node, dict[Node, np.ndarray]]) -> None:
    f, values = program
    show(f, values)
    for x in values:
        exact = exact_derivative(f, values, x)
        assert not exact.notes
        forward, reverse = (sd.jacobian(f, x, mode=mode) for mode in ("forward", "reverse"))
        check([forward], values, [exact.value])
        check([reverse], values, [exact.value])


@given(array_programs())
@settings(max_examples=50)
def test_forward_and_reverse_are_transposes(program: tuple[Node, dict[Node, np.ndarray]]) -> None:
    f, values = program
    show(f, values)
    rng = np.random.default_rng(7)
    xs = list(values)
    dots = [rng.uniform(-2, 2, v.shape) for v in values.values()]
    bar = rng.uniform(-2, 2, f.shape)
    pushed = sd.jvp(f, xs, dots)
    pulled = sd.vjp(f, xs, bar)
    # <J v, w> = <v, J' w> as expressions, so that both get a rounding bound.
    left = sd.sum(pushed * bar) if f.shape else pushed * bar
    right = sum(sd.sum(p * d) if p.shape else p * d for p, d in zip(pulled, dots, strict=True))
    a, b = interpret([left, right], values)
    assert abs(a - b) <= sum(rounding_error([left, right], values)) + 1e-300


@given(array_programs())
@settings(max_examples=25)
def test_hessian_products(program: tuple[Node, dict[Node, np.ndarray]]) -> None:
    f, values = program
    show(f, values)
    f = sd.sum(sd.tanh(f)) if f.shape else sd.tanh(f)
    x = next(iter(values))
    v = np.random.default_rng(3).uniform(-2, 2, x.shape)
    product = sd.hvp(f, x, v)
    through = sd.sum(sd.reshape(sd.hessian(f, x), (*x.shape, v.size)) * v.ravel(), axis=-1)
    a, b = interpret([product, through], values)
    bounds = rounding_error([product, through], values)
    assert np.all(np.abs(a - b) <= sum(bounds) + 1e-300)


@given(scalar_programs(), array_programs())
@settings(max_examples=40)
def test_compiled_code_agrees_with_the_interpreter(
    scalar: tuple[Node, dict[Node, float]], array: tuple[Node, dict[Node, np.ndarray]]
) -> None:
    for f, values in (scalar, array):
        show(f, values)
        xs = list(values)
        bar = np.random.default_rng(9).uniform(0.3, 2.2, f.shape)
        graph = [f, *sd.vjp(f, xs, bar), *(sd.jacobian(f, x, mode="forward") for x in xs)]
        compiled = sd.compile(graph, xs)(*values.values())
        for got, want, bound in zip(
            compiled, interpret(graph, values), rounding_error(graph, arrays(values)), strict=True
        ):
            assert np.shape(got) == want.shape
            # Both differ from the exact value by their own rounding; optimised formulas may round differently.
            assert np.all(np.abs(got - want) <= 4 * bound + 1e-300), (got, want, bound)
