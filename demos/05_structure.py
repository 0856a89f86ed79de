"""Derivatives that know the structure: chains of matrices, sparse Hessians, loops, solutions of equations.

Shows what the order of a chain rule costs, the Hessian of a grid as a picture, the gradient of a simulation with
memory for a handful of its states, and the derivative of a root. Run with: python demos/05_structure.py [TURNS]
"""

import sys

import numpy as np
from rich.console import Console

import symdiff as sd

console = Console()
turns = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000

x = sd.vector("x", 100)
A, B, C = sd.matrix("A", 20, 30), sd.matrix("B", 30, 90), sd.matrix("C", 90, 100)
console.print("The Jacobian of A tanh(B sin(C x)) is a product; its brackets decide the cost:")
console.print(sd.accumulation(A @ sd.tanh(B @ sd.sin(C @ x)), x))

u = sd.matrix("u", 8, 8)
energy = sd.sum((u[1:] - u[:-1]) ** 4) + sd.sum((u[:, 1:] - u[:, :-1]) ** 4)
console.print("\nThe Hessian of an energy on an 8 by 8 grid, from the formula's index maps, without colouring:")
console.print(str(sd.hessian(energy, u, sparse=True)))

# A pendulum, semi-implicit Euler: how does the angle at the end depend on how it began?
angle, speed, step = sd.symbols("angle speed step")


def swing(state, _):
    """One step of time; returns nothing to collect."""
    q, v = state
    v = v - step * sd.sin(q)
    return [q + step * v, v], None


console.print(
    f"\nA pendulum over {turns} steps; the gradient keeps all states, or a few of them (binomial checkpoints):"
)
for max_bytes in (None, 16 * 100, 16 * 10):
    (last, _), _ = sd.scan(swing, [angle, speed], length=turns, max_bytes=max_bytes)
    fn = sd.compile([last, *sd.gradient(last, [angle, speed])], [angle, speed, step])
    end, by_angle, by_speed = fn(1.0, 0.0, 0.01)
    kept = "all" if max_bytes is None else f"{max_bytes // 16} "
    held = sum(b.n_bytes for b in fn.program.temps)
    print(f"  {kept:>4} states  {held:>8} bytes  {end:.15f}  {by_angle:.15f}  {by_speed:.15f}")

print("\nKepler's equation E - e sin(E) = M, solved and differentiated by the implicit function theorem:")
anomaly, e, mean = sd.symbols("anomaly e mean")
solution = sd.root(anomaly - e * sd.sin(anomaly) - mean, anomaly, mean)
value, by_e = sd.compile([solution, sd.gradient(solution, e)], [e, mean])(0.3, 1.0)
exact = np.sin(value) / (1 - 0.3 * np.cos(value))
print(f"  E = {value:.15f}   dE/de = {by_e:.15f}   by hand {exact:.15f}")
