"""Properties of derivatives of random expressions, against 50 digits that share no rule with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

import symdiff as sd
from symdiff.diff.batch import batch
from symdiff.diff.exact import exact_derivative
from symdiff.diff.rounding import rounding_error
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ir.text import to_text
from tests.diff.programs import array_programs, loop_programs, scalar_programs, scans


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


@given(st.one_of(array_programs(), array_programs(), loop_programs()), st.integers(0, 4))
@settings(max_examples=40)
def test_jacobians_of_both_modes_are_right(program: tuple[Node, dict[Node, np.ndarray]], k: int) -> None:
    f, values = program
    show(f, values)
    # By one symbol only: 200 digits cost five values of `f` for each of its entries.
    x = list(values)[k]
    exact = exact_derivative(f, values, x)
    assert not exact.notes
    for mode in ("forward", "reverse"):
        check([sd.jacobian(f, x, mode=mode)], values, [exact.value])


@given(st.one_of(array_programs(), loop_programs()))
@settings(max_examples=60)
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


@given(st.one_of(array_programs(), loop_programs()))
@settings(max_examples=30)
def test_second_derivatives_by_every_order_of_modes(program: tuple[Node, dict[Node, np.ndarray]]) -> None:
    f, values = program
    show(f, values)
    f = sd.sum(sd.tanh(f)) if f.shape else sd.tanh(f)
    x = next(iter(values))
    v = np.random.default_rng(3).uniform(-2, 2, x.shape)
    gradient = sd.gradient(f, x)
    products = [
        sd.hvp(f, x, v),
        sd.gradient(sd.sum(gradient * v), x),
        sd.gradient(sd.jvp(f, x, v), x),
        sd.sum(sd.reshape(sd.hessian(f, x), (*x.shape, v.size)) * v.ravel(), axis=-1),
    ]
    exact = np.sum(exact_derivative(gradient, values, x).value.reshape(*x.shape, v.size) * v.ravel(), axis=-1)
    check(products, values, [exact] * len(products))


@given(st.one_of(array_programs(), loop_programs()))
@settings(max_examples=100)
def test_complex_steps_agree(program: tuple[Node, dict[Node, np.ndarray]]) -> None:
    f, values = program
    show(f, values)
    for x in values:
        forward = sd.jacobian(f, x, mode="forward")
        (want,), (bound,) = interpret([forward], values), rounding_error([forward], values)
        got = sd.finite_difference(f, values, wrt=x, method="complex")
        # The complex step rounds the same products in another order.
        assert np.all(np.abs(got - want) <= 4 * bound + 1e-300), (got, want, bound)


@given(st.one_of(array_programs(), loop_programs()))
@settings(max_examples=20)
def test_mapped_graphs_are_the_graph_at_every_row(program: tuple[Node, dict[Node, np.ndarray]]) -> None:
    f, values = program
    show(f, values)
    xs = list(values)
    rng = np.random.default_rng(4)
    graph = [f, *sd.vjp(f, xs, rng.uniform(0.3, 2.2, f.shape))]
    rows = [{x: v + rng.uniform(-0.1, 0.1, v.shape) for x, v in values.items()} for _ in range(3)]
    stacked = {x: sd.array(f"{x.params['name']}s", (3, *x.shape)) for x in xs}
    mapped = interpret(batch(graph, stacked), {stacked[x]: np.stack([row[x] for row in rows]) for x in xs})
    for k, row in enumerate(rows):
        for got, want, bound in zip(mapped, interpret(graph, row), rounding_error(graph, row), strict=True):
            # Sums over stacked arrays may run in another order.
            assert np.all(np.abs(got[k] - want) <= bound + 1e-300), (got[k], want, bound)


@given(scans())
@settings(max_examples=4)
def test_checkpoints_change_nothing(program: tuple[Callable[..., Node], dict[Node, np.ndarray]]) -> None:
    scanned, values = program
    xs = list(values)
    every = [sd.sum(sd.sin(scanned(**options))) for options in ({}, {"max_bytes": 400}, {"max_bytes": 96})]
    show(every[0], values)
    graph = [g for f in every for g in sd.gradient(f, xs)]
    exact = interpret(graph, values)
    for got, want in zip(exact[len(xs) :], exact[: len(xs)] * 2, strict=True):
        np.testing.assert_array_equal(got, want)
    # LLVM fuses a product with a sum where nothing else needs the product: compiled code rounds once more or less.
    compiled = sd.compile(graph, xs)(*values.values())
    for got, want, bound in zip(compiled, exact, rounding_error(graph, values), strict=True):
        assert np.all(np.abs(got - want) <= 4 * bound + 1e-300), (got, want, bound)


@given(scalar_programs(), st.one_of(array_programs(), loop_programs()))
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
