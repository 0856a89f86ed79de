"""Weights, ghosts and closures against SymPy, polynomials and eigenvalues."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy

from symdiff.pde import stencils
from symdiff.pde.formula import Formula
from symdiff.pde.stencils import ORDERS, central, dirichlet_ghosts, fornberg, slope_ghosts


@pytest.mark.parametrize("m", [0, 1, 2, 3])
def test_weights_are_sympys(m: int) -> None:
    nodes = [Fraction(-3, 2), Fraction(-1), Fraction(1, 3), Fraction(2), Fraction(5), Fraction(11, 2)]
    z = Fraction(2, 7)
    exact = sympy.finite_diff_weights(m, [sympy.Rational(n) for n in nodes], sympy.Rational(z))[m][-1]
    assert fornberg(z, nodes, m) == tuple(Fraction(int(w.p), int(w.q)) for w in exact)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_central_formulas_are_exact_for_polynomials(n: int, order: int) -> None:
    weights = central(n, order)
    assert max(weights) == stencils.radius(n, order)
    for degree in range(n + order):
        exact = Fraction(sympy.diff(sympy.Symbol("s") ** degree, "s", n).subs("s", 0).__int__())
        assert sum(w * Fraction(k) ** degree for k, w in weights.items()) == exact
    # One degree more is wrong: the order is not higher than stated (odd degrees vanish by symmetry).
    beyond = n + order
    assert sum(w * Fraction(k) ** beyond for k, w in weights.items()) != 0


@pytest.mark.parametrize("order", ORDERS)
def test_ghosts_continue_polynomials(order: int) -> None:
    h = Fraction(2, 3)
    coefficients = [Fraction(3 * j + 1, j + 2) for j in range(order + 1)]

    def p(s: Fraction) -> Fraction:
        return sum((c * s**j for j, c in enumerate(coefficients)), Fraction(0))

    for j, ghost in enumerate(dirichlet_ghosts(order, 5)):
        inner = sum((w * p((k + 1) * h) for k, w in ghost.weights.items()), Fraction(0))
        assert ghost.data * p(Fraction(0)) + inner == p(-j * h)
    for j, ghost in enumerate(slope_ghosts(order, 5), start=1):
        inner = sum((w * p(k * h) for k, w in ghost.weights.items()), Fraction(0))
        # Outwards is towards negative numbers: the slope is -p'(0).
        assert ghost.data * h * -coefficients[1] + inner == p(-j * h)


def test_second_order_neumann_is_the_classical_ghost() -> None:
    (ghost,) = slope_ghosts(2, 1)
    assert ghost.data == 2
    assert ghost.weights == {1: 1}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sides", [("value", "value"), ("value", "slope"), ("slope", "slope")])
@pytest.mark.parametrize("size", [16, 33])
def test_closed_second_derivatives_do_not_grow(order: int, sides: tuple[str, str], size: int) -> None:
    lower, upper = ((kind, 0.0) for kind in sides)
    values = np.linalg.eigvals(Formula("central", 2).matrix(order, (lower, upper), size))
    # 1e-9: the double eigenvalue 0 of the free ends splits by about the root of 1e-16 times the condition.
    assert values.real.max() < 1e-6
