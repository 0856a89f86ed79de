"""Chapter 5 of the tour: heat spreads over a plate, watched while it is computed."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff import pde
from symdiff.draw.heatmap import HeatMap
from symdiff.front import functions as fn
from symdiff.front.symbols import symbols
from symdiff.ir.node import Node, const
from symdiff.pde.evaluate import on_points
from symdiff.terminal.tables import seconds, table

if TYPE_CHECKING:
    from symdiff.terminal.tour import Stage

# Hot spots: centre, radius, temperature.
_SPOTS = ((0.45, 0.55, 0.10, 1.0), (1.5, 0.35, 0.14, 0.8), (1.0, 0.8, 0.08, 0.9), (1.2, 0.2, 0.06, 0.7))
_K = 0.05
_PATIENCE = 8.0  # seconds of computing after which a slow machine may stop
_ASPECT = 0.5  # of the plate


def plate() -> tuple[pde.Problem, Node, Node]:
    """Return the problem, its field and its parameter.

    The exact solution is a sum of spreading Gaussians, u = h s²/w exp(-r²/w) with w = s² + 4 k t, which is also the
    temperature on the rim.
    """
    x, y, t = pde.coordinates("x y t")
    u, k = pde.field("u"), symbols("k")
    exact = const(0.0)
    for a, b, s, h in _SPOTS:
        w = s**2 + 4 * k * t
        exact = exact + h * s**2 / w * fn.exp(-((x - a) ** 2 + (y - b) ** 2) / w)
    rim = pde.Dirichlet(exact)
    problem = pde.Problem(
        pde.Eq(pde.dt(u), k * pde.laplacian(u)),
        pde.Box(x=(0, 2), y=(0, 1)),
        {"x": rim, "y": rim},
        {u: exact},
        {u: exact},
    )
    return problem, u, k


def heat_equation(stage: Stage) -> None:
    """Solve the equation with a live map, then hold it against the exact solution."""
    problem, u, k = plate()
    stage.say(
        "[dim]pde.Eq(pde.dt(u), k * pde.laplacian(u))[/] on a plate with four hot spots; fourth order in space, "
        "Runge–Kutta in time, the whole time loop compiled. The time step is near the stability limit, which is found "
        "from the equation."
    )
    shape, until = ((65, 33), 0.05) if stage.fast else ((385, 193), 0.5)
    solver = problem.discretize(shape=shape, order=4)
    # One step first: a clock that runs while code is made and threads start tells nothing about the method.
    compiled = solver.run(until=1e-9, parameters={k: _K}).compile_seconds
    with _live(stage) as live:

        def look(now: pde.Progress) -> bool:
            if live:
                live.update(_picture(now[u], f"t = {now.t:.3f}   step {now.step:,} of {now.steps:,}"), refresh=True)
            return now.elapsed > _PATIENCE

        sol = solver.run(until=until, parameters={k: _K}, callback=look)
    stage.show(_picture(sol[u], f"t = {sol.t:.3f}"))
    if "nterrupted" in sol.message:
        raise KeyboardInterrupt
    stage.show(_summary(sol, solver, error(problem, sol, u, k), compiled))


def error(problem: pde.Problem, sol: pde.Solution, u: Node, k: Node) -> float:
    """Return the largest difference to the exact solution on the grid."""
    points = dict(zip(sol.grid.axes, sol.grid.mesh(), strict=True))
    exact = on_points(problem.exact[u], points, sol.t, {k: _K})
    return float(np.max(np.abs(sol[u] - exact)))


def _live(stage: Stage) -> Any:
    from rich.live import Live

    return Live(console=stage.console, auto_refresh=False, transient=True) if stage.live else nullcontext()


def _picture(field: np.ndarray, text: str) -> Any:
    from rich.console import Group
    from rich.text import Text

    return Group(HeatMap(field, low=0.0, high=0.6, colours="inferno", aspect=_ASPECT), Text(text, "dim"))


def _summary(sol: pde.Solution, solver: pde.Solver, difference: float, compiled: float) -> Any:
    out = table("heat equation", ">", "")
    early = "" if sol.finished else "; stopped early: this machine is busy"
    points = " × ".join(map(str, sol.grid.shape))
    out.add_row("grid", points, f"fourth order, spacing {sol.grid.spacing[0]:.4g}")
    out.add_row("steps", f"{sol.steps:,}", f"of {sol.dt:.3g}, by {sol.method}{early}")
    out.add_row("largest error", f"{difference:.1e}", "against the exact solution")
    out.add_row("time", seconds(sol.seconds), f"after {seconds(compiled)} to make the code")
    out.add_row("throughput", f"{sol.throughput / 1e6:,.0f} million", "points · steps a second")
    return out
