"""An inverse problem: the diffusivity of a plate from a few noisy thermometers.

A plate is heated from within, and what it is made of is not known: somewhere it conducts well, somewhere badly. From
temperatures with one percent of noise at 72 points and 6 times, L-BFGS finds the logarithm q of the diffusivity at
every point of the grid: 725 unknowns, whose gradient is one run of the discrete adjoint. A penalty on grad(q) keeps
what the data do not determine smooth. The gradient is tested first and the result at the end: the demo fails if either
is wrong.
Run with: python demos/09_inverse_problem.py
"""

import sys
import time

import numpy as np
from rich.columns import Columns
from rich.console import Console, Group

import symdiff as sd
from symdiff import pde
from symdiff.draw.heatmap import HeatMap

END, NOISE, PENALTY, ACCEPTED = 0.3, 0.01, 3.0, 0.4
console = Console()

x, y = pde.coordinates("x y")
u, q = pde.field("u"), pde.field("q")
problem = pde.Problem(
    equations=[pde.Eq(pde.dt(u), pde.div(sd.exp(q) * pde.grad(u)) + 10 * sd.sin(sd.pi * y) ** 2)],
    domain=pde.Box(x=(0, 1.2), y=(0, 1)),
    boundary={"x": (pde.Dirichlet(0), pde.Dirichlet(1)), "y": pde.Neumann(0)},
    initial={u: 0.0},
    known=[q],
)
solver = problem.discretize(shape=(29, 25))


def bump(height: float, at_x: float, at_y: float) -> sd.Expr:
    """A peak or a hollow."""
    return height * sd.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / 0.04)


# What the thermometers show: the run with the true diffusivity, and noise.
truth = bump(1.0, 0.35, 0.6) + bump(-1.2, 0.85, 0.4)
method, dt = "heun", 0.9 * solver.stable_dt("heun", parameters={q: 1.2})  # the largest q that is expected
sol = solver.run(END, method, dt, parameters={q: truth}, save_every=END / 6)
points = np.s_[2:-2:3, 1:-1:3]
at = {name: a[points].ravel() for name, a in zip("xy", np.meshgrid(*solver.grid.points, indexing="ij"), strict=True)}
exact = sol.saved[u][1:, *points].reshape(6, -1)
sigma = NOISE * np.abs(exact).max()
noise = sigma * np.random.default_rng(7).normal(size=exact.shape)
goal = [pde.Observations(u, sol.times[1:], exact + noise, at, sigma), PENALTY * pde.integral(pde.gradient_squared(q))]

small = problem.discretize(shape=(7, 6))
test = pde.taylor_test(small, pde.integral(u**2), q, until=0.02, method=method, parameters={q: 0.3 * x})
console.print(test)

began = time.perf_counter()
found = pde.fit(solver, goal, {q: 0.0}, until=END, run=method, dt=dt, tol=0.2, max_steps=60)
seconds = time.perf_counter() - began
true = np.asarray(sd.compile(truth, [x, y])(*solver.grid.mesh()))
error = np.linalg.norm(found[q] - true) / np.linalg.norm(true)
maps = {"true q": true, "start": np.zeros_like(true), "found": found[q]}
low, high = true.min(), true.max()
pictures = (Group(name, HeatMap(a, low, high, width=24, height=12, aspect=1 / 1.2)) for name, a in maps.items())
console.print(Columns(list(pictures), width=25))
print(f"{found.result.steps} steps in {seconds:.1f} s; loss {found.loss:.1f}, noise alone gives {exact.size / 2:.0f}")
print(f"relative error of q: {error:.2f} (at the start 1.00)")
if not (test.passed and error < ACCEPTED):
    sys.exit("The diffusivity was not found.")
