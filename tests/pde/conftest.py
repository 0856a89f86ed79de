"""The problems that several files solve."""

from __future__ import annotations

from typing import Any

import pytest

import symdiff as sd
from symdiff import pde

k = sd.symbols("k")
x = pde.coordinates("x")
u = pde.field("u")


@pytest.fixture(params=["reference", "cpu"])
def target(request: pytest.FixtureRequest) -> str:
    """Run a test on the interpreter and on compiled code."""
    return str(request.param)


@pytest.fixture
def heat() -> Any:
    """u_t = k*u_xx on (0, 1) between cold sides, from one sine wave."""
    equation = pde.Eq(pde.dt(u), k * pde.laplacian(u))
    return pde.Problem(equation, pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: sd.sin(sd.pi * x)})
