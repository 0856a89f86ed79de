"""Partial differential equations on boxes: state them, discretise them, run them.

    from symdiff import pde
    x, t = pde.coordinates("x t")
    u = pde.field("u")
    heat = pde.Eq(pde.dt(u), pde.laplacian(u))
    problem = pde.Problem(heat, pde.Box(x=(0, 1)), boundary={"x": pde.Dirichlet(0)}, initial={u: x * (1 - x)})
    sol = problem.discretize(101).run(until=0.1)

The modules go from the statement (`jets`, `conditions`, `domain`, `problem`) over the discretisation (`stencils`,
`layout`, `semidiscrete`) and the time steps (`tableaux`, `explicit`, `implicit`, `stability`) to the run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from symdiff.pde.conditions import Condition, Dirichlet, Neumann, Periodic, Robin
from symdiff.pde.domain import Box, Grid
from symdiff.pde.equations import Eq
from symdiff.pde.errors import RunError
from symdiff.pde.files import load
from symdiff.pde.jets import coordinates, d, dn, dt, dx, dy, dz, field
from symdiff.pde.monitors import conserved, maximum_principle
from symdiff.pde.problem import Problem
from symdiff.pde.solution import Progress, Solution
from symdiff.pde.solver import Solver
from symdiff.pde.terms import (
    div,
    dot,
    grad,
    gradient_squared,
    integral,
    laplacian,
    largest,
    mean,
    smallest,
    upwind,
    vector,
)
from symdiff.pde.text import parse

if TYPE_CHECKING:
    from symdiff.pde.goals import Observations, over_time
    from symdiff.pde.inverse import dot_test, fit, taylor_test
    from symdiff.pde.observed_orders import Convergence, convergence
    from symdiff.pde.problem_file import ProblemFile, from_toml
    from symdiff.pde.truncation import truncation_error
    from symdiff.pde.verify import manufactured

# What a run does not need is loaded when it is asked for: a first result waits for what is imported.
_LATE = {
    **dict.fromkeys(("Observations", "over_time"), "goals"),
    **dict.fromkeys(("dot_test", "fit", "taylor_test"), "inverse"),
    **dict.fromkeys(("ProblemFile", "from_toml"), "problem_file"),
    "truncation_error": "truncation",
    **dict.fromkeys(("Convergence", "convergence"), "observed_orders"),
    "manufactured": "verify",
}

__all__ = [
    "Box",
    "Condition",
    "Convergence",
    "Dirichlet",
    "Eq",
    "Grid",
    "Neumann",
    "Observations",
    "Periodic",
    "Problem",
    "ProblemFile",
    "Progress",
    "Robin",
    "RunError",
    "Solution",
    "Solver",
    "conserved",
    "convergence",
    "coordinates",
    "d",
    "div",
    "dn",
    "dot",
    "dot_test",
    "dt",
    "dx",
    "dy",
    "dz",
    "field",
    "fit",
    "from_toml",
    "grad",
    "gradient_squared",
    "integral",
    "laplacian",
    "largest",
    "load",
    "manufactured",
    "maximum_principle",
    "mean",
    "over_time",
    "parse",
    "smallest",
    "taylor_test",
    "truncation_error",
    "upwind",
    "vector",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    globals()[name] = value
    return value
