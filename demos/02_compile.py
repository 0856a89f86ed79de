"""From a formula to machine code: one function for numbers, arrays and other people's loops.

Shows the program that a formula becomes, the vector instructions, and the time per point against NumPy.
Run with: python demos/02_compile.py [POINTS]
"""

import sys
import time

import numpy as np

import symdiff as sd

n = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
x, y = sd.symbols("x y")
f = sd.exp(-(x**2)) * sd.sin(3 * y) + sd.log1p(x**2)
fn = sd.compile({"value": f, "slope": sd.diff(f, x)}, [x, y])

print(fn)
print(fn(1.2, y=0.7))
print("\nThe program:\n" + fn.inspect("program"))

rng = np.random.default_rng(0)
a, b = rng.normal(size=n), rng.normal(size=n)
out = {"value": np.empty(n), "slope": np.empty(n)}


def best(call):
    """Return the nanoseconds per point of the fastest of seven calls."""
    times = []
    for _ in range(7):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times) / n * 1e9


def with_numpy():
    """Return value and slope, written by hand."""
    e, s = np.exp(-(a**2)), np.sin(3 * b)
    return {"value": e * s + np.log1p(a**2), "slope": 2 * a / (1 + a**2) - 2 * a * e * s}


fn(a, b, out=out)
for name, expected in with_numpy().items():
    print(f"{name}: largest difference to NumPy {np.max(np.abs(out[name] - expected)):.1e}")
print(f"symdiff {best(lambda: fn(a, b, out=out)):6.2f} ns a point")
print(f"NumPy   {best(with_numpy):6.2f} ns a point")
