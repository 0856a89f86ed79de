"""The heat equation with boundary conditions of three kinds, and the error against theory.

Shows the temperature of a plate whose left edge is held warm, whose right edge is insulated and which is periodic
upwards, as a heat map; then how the error of a problem with known solution falls with the grid.
Run with: python demos/04_heat_equation.py [POINTS]
"""

import sys

from rich.console import Console

import symdiff as sd
from symdiff import pde
from symdiff.draw.heatmap import HeatMap

n = int(sys.argv[1]) if len(sys.argv) > 1 else 96
console = Console()

x, y, t = pde.coordinates("x y t")
u, k = pde.field("u"), sd.symbols("k")
source = sd.sin(2 * sd.pi * y) * sd.exp(-8 * (x - 1) ** 2)
problem = pde.Problem(
    equations=[pde.Eq(pde.dt(u), k * pde.laplacian(u) + source)],
    domain=pde.Box(x=(0, 2), y=(0, 1)),
    boundary={"x": (pde.Dirichlet(0.3 * sd.sin(sd.pi * y) ** 2), pde.Neumann(0)), "y": pde.Periodic()},
    initial={u: 0.0},
)
solver = problem.discretize(shape=(2 * n + 1, n), order=2)
sol = solver.run(until=0.5, method="crank-nicolson", dt=0.01, parameters={k: 0.1})
print(sol)
console.print(HeatMap(sol[u], aspect=0.5, colours="inferno"))

print("A solution is chosen, its source term derived; the error falls with the square of the spacing:")
exact = sd.exp(-t) * sd.sin(sd.pi * x) * sd.cos(sd.pi * y)
equation = pde.Eq(pde.dt(u), pde.laplacian(u))
box = pde.Box(x=(0, 1), y=(0, 1))
problem = pde.manufactured(equation, {u: exact}, box)
print(problem.equations[0])
print(pde.convergence(problem, shapes=[(m, m) for m in (9, 17, 33)], until=0.05))
