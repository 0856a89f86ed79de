"""Runge-Kutta tables and stability regions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import factorial

import numpy as np
import pytest

from symdiff.pde import stability
from symdiff.pde.methods import METHODS
from symdiff.pde.tableaux import RK4, TABLEAUX, Tableau


@pytest.mark.parametrize("method", TABLEAUX.values(), ids=TABLEAUX)
def test_stability_polynomial_is_the_exponential_to_its_order(method: Tableau) -> None:
    exact = [Fraction(1, factorial(j)) for j in range(method.order + 1)]
    assert list(method.polynomial()[: method.order + 1]) == exact


def test_a_wrong_table_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"sum b gives"):
        replace(RK4, b=(Fraction(1, 6), Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)))
    with pytest.raises(AssertionError, match=r"sum b c"):
        replace(TABLEAUX["heun"], order=3)


def test_stability_intervals() -> None:
    """The real and imaginary intervals of the textbooks (Hairer & Wanner, Solving ODEs II, IV.2)."""
    real = {"euler": 2.0, "heun": 2.0, "ssprk3": 2.5127453266, "rk4": 2.7852935634}
    imaginary = {"euler": 0.0, "heun": 0.0, "ssprk3": np.sqrt(3.0), "rk4": 2 * np.sqrt(2.0)}
    for name in TABLEAUX:
        found = stability.reach(METHODS[name], np.array([np.pi, np.pi / 2]))
        assert found[0] == pytest.approx(real[name], rel=1e-8)
        # The slack of |R| moves the end of a tangential crossing: euler's and heun's regions touch the axis at 0.
        assert found[1] == pytest.approx(imaginary[name], abs=0.011)


@pytest.mark.parametrize("name", ["backward-euler", "crank-nicolson"])
def test_implicit_methods_have_no_limit(name: str) -> None:
    assert METHODS[name].is_implicit
    z = np.array([-1e-3, -1.0, -1e6, -3.0 + 50j])
    assert (np.abs(METHODS[name].amplification(z)) < 1).all()
