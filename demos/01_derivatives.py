"""One formula, differentiated in every way: watch which digits each method gets right.

Shows the formula and its gradient as mathematics, the comparison table, and what happens where a function has a
kink. Run with: python demos/01_derivatives.py
"""

from rich.console import Console

import symdiff as sd
from symdiff.terminal.comparison import ComparisonTable
from symdiff.terminal.maths import Maths

console = Console()
x, y = sd.symbols("x y")
f = sd.log(x**2 + sd.exp(x * y)) / y

console.print(Maths(f, "f"))
for s, g in zip((x, y), sd.gradient(f, [x, y]), strict=True):
    console.print()
    console.print(Maths(g, f"∂f/∂{s}"))

console.print("\nat x = 0.8, y = 1.3:")
console.print(ComparisonTable(sd.compare(f, {x: 0.8, y: 1.3})))

console.print("|x| sin(x) has a kink in its parts, but not as a whole; at 0 its derivative is 0:")
console.print(ComparisonTable(sd.compare(abs(x) * sd.sin(x), {x: 0.0})))

print("the Hessian is a matrix of expressions:")
for row in sd.hessian(sd.exp(-(x**2)) * sd.sin(y), [x, y]):
    print("  ", [str(h) for h in row])
