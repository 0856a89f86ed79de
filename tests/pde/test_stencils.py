"""Weights, ghosts and closures against SymPy, polynomials and eigenvalues."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

from symdiff.pde import stencils
from symdiff.pde.formula import SLOPE, VALUE, Formula
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


@pytest.mark.parametrize(("order", "degree"), [(2, 3), (4, 5), (6, 5), (8, 7)])
def test_ghosts_continue_polynomials(order: int, degree: int) -> None:
    h = Fraction(2, 3)
    coefficients = [Fraction(3 * j + 1, j + 2) for j in range(max(order, degree) + 1)]

    def p(s: Fraction, degree: int) -> Fraction:
        return sum((c * s**j for j, c in enumerate(coefficients[: degree + 1])), Fraction(0))

    for j, ghost in enumerate(dirichlet_ghosts(order, 5)):
        inner = sum((w * p((k + 1) * h, degree) for k, w in ghost.weights.items()), Fraction(0))
        assert ghost.data * p(Fraction(0), degree) + inner == p(-j * h, degree)
    for j, ghost in enumerate(slope_ghosts(order, 5), start=1):
        inner = sum((w * p(k * h, order) for k, w in ghost.weights.items()), Fraction(0))
        # Outwards is towards negative numbers: the slope is -p'(0).
        assert ghost.data * h * -coefficients[1] + inner == p(-j * h, order)


def test_second_order_neumann_is_the_classical_ghost() -> None:
    (ghost,) = slope_ghosts(2, 1)
    assert ghost.data == 2
    assert ghost.weights == {1: 1}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sides", [(VALUE, VALUE), (VALUE, SLOPE), (SLOPE, SLOPE)], ids=["values", "mixed", "slopes"])
@pytest.mark.parametrize("kind", ["central", "flux"])
def test_second_derivatives_between_sides_have_real_eigenvalues(order: int, sides: Any, kind: str) -> None:
    """With complex ones every wave between these sides would grow, whatever dt is."""
    formula = Formula(kind, 2 if kind == "central" else 1)
    for size in (14, 15, 16, 18, 24, 33, 60):
        points = size + sum(closure == VALUE for closure in sides)
        values, vectors = np.linalg.eig(formula.matrix(order, sides, points))
        assert np.abs(values.imag).max() == 0
        # Two free ends leave the eigenvalue 0, which rounding errors move by their condition.
        assert values.real.max() < 1e-12
        assert sides != (VALUE, VALUE) or np.linalg.cond(vectors) < 10


@pytest.mark.parametrize("order", [2, 6])
def test_first_derivatives_between_given_values_do_not_grow(order: int) -> None:
    for size in (14, 24, 33, 60):
        values = np.linalg.eigvals(Formula("central", 1).matrix(order, (VALUE, VALUE), size))
        assert np.abs(values.real).max() < 1e-12


@pytest.mark.parametrize("accuracy", range(1, 9))
def test_leaning_formulas_have_no_growing_mode_at_sides(accuracy: int) -> None:
    """Whatever the order of the other formulas: those beyond the sides fit the leaning one."""
    formula = Formula("biased", 1, -1, accuracy)
    for sides in ((VALUE, VALUE), (VALUE, SLOPE), (SLOPE, VALUE), (SLOPE, SLOPE)):
        for points in (16, 24, 49):
            values = np.linalg.eigvals(-formula.matrix(4, sides, points))
            # Where waves come in through a side of given slope, zero is as many times an eigenvalue as rows are alike.
            assert values.real.max() < 1e-4
