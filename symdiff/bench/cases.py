"""The cases: sizes, data, and the numbers that stand for a result. NumPy only: every implementation gets the same.

A case is stated by its docstring; the data come from NumPy's default generator with a fixed seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 20240607
Sizes = Mapping[str, int]
Check = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work.

    `names` are the parts of a result. `work` counts what a run does, in `unit`: the run time divided by it should
    not depend on the size. Two results agree if no number of their fingerprints differs by more than `tolerance`
    times the largest number of the same part.
    """

    name: str
    doc: str
    sizes: tuple[Sizes, ...]
    tiny: Sizes
    names: tuple[str, ...]
    tolerance: float
    unit: str
    work: Callable[[Sizes], float]
    data: Callable[[Sizes], tuple[Any, ...]]

    def check(self, arrays: Sequence[Any]) -> Check:
        """Return the fingerprints of a result."""
        return {name: fingerprint(a) for name, a in zip(self.names, arrays, strict=True)}

    def sized(self, text: str) -> Sizes:
        """Return the first size, changed by text such as "n=1000,d=8". Raises ValueError for other names."""
        out = dict(self.sizes[0])
        for item in filter(None, text.split(",")):
            name, _, value = item.partition("=")
            if name not in out:
                raise ValueError(f"{self.name} has the sizes {', '.join(out)}, got {item!r}.")
            out[name] = int(float(value))
        return out


def fingerprint(array: Any) -> list[float]:
    """Return the 2-norm and two projections, on cos(i) and cos(0.37 i); of a scalar, the scalar."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    if flat.size == 1:
        return [float(flat[0])]
    index = np.arange(flat.size, dtype=np.float64)
    waves = [np.cos(frequency * index) for frequency in (1.0, 0.37)]
    return [float(np.linalg.norm(flat)), *(float(flat @ w / np.linalg.norm(w)) for w in waves)]


def difference(a: Check, b: Check) -> float:
    """Return the largest difference, relative to the largest number of each part; infinite where one is not finite."""
    if a.keys() != b.keys():
        return float("inf")
    worst = 0.0
    for name in a:
        x, y = np.array(a[name]), np.array(b[name])
        if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
            return float("inf")
        scale = float(max(np.abs(x).max(), np.abs(y).max()))
        worst = max(worst, float(np.abs(x - y).max()) / scale if scale else 0.0)
    return worst


def _generator(stream: int) -> np.random.Generator:
    return np.random.default_rng([SEED, stream])


# --- scalar_ops: a straight-line program on scalars and its Jacobian ------------------------------------------------

WIDTH = 10  # inputs, outputs and layers
OPERATIONS = ("+", "-", "*", "sin", "gauss")


@dataclass(frozen=True, slots=True)
class Straight:
    """A straight-line program: values 0 … 9 are inputs, `steps[k]` = (operation, a, b) computes value 10 + k.

    b is None where there is one operand.
    """

    steps: tuple[tuple[str, int, Any], ...]
    outputs: tuple[int, ...]

    def __call__(self, inputs: Sequence[Any], sin: Callable[[Any], Any], exp: Callable[[Any], Any]) -> list[Any]:
        """Return the outputs for inputs of any kind that has +, -, * and these two functions."""
        v = list(inputs)
        for operation, a, b in self.steps:
            match operation:
                case "+":
                    v.append(v[a] + v[b])
                case "-":
                    v.append(v[a] - v[b])
                case "*":
                    v.append(v[a] * v[b])
                case "sin":
                    v.append(sin(v[a]))
                case _:
                    v.append(exp(-(v[a] * v[a])))
        return [v[k] for k in self.outputs]


def straight_line(n: int) -> Straight:
    """Return a random program of n operations, none dead: ten layers, each value used in the next, then pair sums."""
    if n < WIDTH * WIDTH:
        raise ValueError(f"scalar_ops needs n >= {WIDTH * WIDTH}, got {n}.")
    rng = _generator(0)
    per_layer, left = divmod(n + WIDTH, WIDTH + 1)
    steps: list[tuple[str, int, Any]] = []
    layer = list(range(WIDTH))

    def add(operation: str, a: int, b: int | None = None) -> int:
        steps.append((operation, a, b))
        return WIDTH + len(steps) - 1

    for k in range(WIDTH):
        firsts = rng.permutation(layer).tolist()
        known = WIDTH + len(steps)
        layer = []
        for i in range(per_layer + (left // 2 if k == WIDTH - 1 else 0)):
            operation = OPERATIONS[rng.integers(len(OPERATIONS))]
            second = int(rng.integers(known)) if operation in "+-*" else None
            layer.append(add(operation, firsts[i % len(firsts)], second))
    while len(layer) > WIDTH:
        pairs = min(len(layer) // 2, len(layer) - WIDTH)
        layer = layer[2 * pairs :] + [add("+", layer[2 * i], layer[2 * i + 1]) for i in range(pairs)]
    if left % 2:
        layer[0] = add("sin", layer[0])
    return Straight(tuple(steps), tuple(layer))


def _scalar_ops(p: Sizes) -> tuple[Any, ...]:
    return straight_line(p["n"]), np.random.default_rng([SEED, 100]).uniform(-1.0, 1.0, WIDTH)


# --- the others -----------------------------------------------------------------------------------------------------

PAIRS_KEPT, PAIRS_TOLERANCE = 10, 1e-8  # of lbfgs: stored pairs, the largest entry of the gradient
RIDGE = 1e-3
ADAM = {"lr": 1e-2, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
HEAT_RATE = 0.2
RK4_STEP = 0.1
GRAY_SCOTT = {"du": 0.16, "dv": 0.08, "feed": 0.035, "kill": 0.065}
CN_STEP = 1e-3


def _rows(stream: int) -> Callable[[Sizes], tuple[Any, ...]]:
    def data(p: Sizes) -> tuple[Any, ...]:
        """Features (n, d), labels -1 or 1 (n,), weights (d,)."""
        rng, n, d = _generator(stream), p["n"], p["d"]
        features = rng.standard_normal((n, d))
        truth = rng.standard_normal(d) / np.sqrt(d)
        labels = np.where(features @ truth + 0.5 * rng.standard_normal(n) > 0, 1.0, -1.0)
        return features, labels, 0.1 * rng.standard_normal(d)

    return data


GMM_GAMMA = 1.0  # of the Wishart prior; its m is 0


def _mixture(p: Sizes) -> tuple[Any, ...]:
    """alphas (k,), means (k, d), factors (k, d (d+1)/2), x (n, d); which of (0, *factors) each entry of Q is."""
    rng, n, d, k = _generator(2), p["n"], p["d"], p["k"]
    alphas, means = rng.standard_normal(k), rng.random((k, d))
    factors, x = rng.standard_normal((k, d * (d + 1) // 2)), rng.standard_normal((n, d))
    places = np.zeros((d, d), dtype=np.int64)
    places[np.diag_indices(d)] = 1 + np.arange(d)
    columns, rows = np.triu_indices(d, 1)
    places[rows, columns] = 1 + d + np.arange(len(rows))
    return alphas, means, factors, x, places


def gmm_constant(p: Sizes) -> float:
    """The part of the mixture's objective that depends on sizes only."""
    n, d, k = p["n"], p["d"], p["k"]
    dof = d + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(math.lgamma(0.5 * (dof + 1 - j)) for j in range(1, d + 1))
    prior = dof * d * (math.log(GMM_GAMMA) - 0.5 * math.log(2)) - log_gamma
    return -0.5 * n * d * math.log(2 * math.pi) - k * prior


def _modes(p: Sizes) -> tuple[Any, ...]:
    """A smooth mode and noise at the inner points of the unit square."""
    n = p["n"]
    x = np.arange(1, n + 1) / (n + 1)
    return (np.outer(np.sin(np.pi * x), np.sin(2 * np.pi * x)) + 0.1 * _generator(11).random((n, n)),)


def _patterns(p: Sizes) -> tuple[Any, ...]:
    """u = 1 and v = 0, a disturbed square in the middle, and noise."""
    rng, n = _generator(10), p["n"]
    u, v = np.ones((n, n)), np.zeros((n, n))
    middle = slice(n // 2 - n // 16, n // 2 + n // 16)
    u[middle, middle], v[middle, middle] = 0.5, 0.25
    return u + 0.02 * rng.random((n, n)), v + 0.02 * rng.random((n, n))


def _points(p: Sizes) -> tuple[Any, ...]:
    """Two scalars for n = 1, else two arrays of n numbers."""
    x, y = _generator(100).standard_normal((2, p["n"]))
    return (float(x[0]), float(y[0])) if p["n"] == 1 else (x, y)


MLP_INPUTS, MLP_CLASSES = 784, 10
MLP_RATE, MLP_MOMENTUM = 0.02, 0.9


def _perceptron(p: Sizes) -> tuple[Any, ...]:
    """Weights and biases of three layers, W (in, out); batches (steps, batch, 784), labels (steps, batch)."""
    rng = _generator(12)
    sizes = [MLP_INPUTS, p["width"], p["width"], MLP_CLASSES]
    layers: list[np.ndarray] = []
    for rows, columns in itertools.pairwise(sizes):
        w = rng.standard_normal((rows, columns), dtype=np.float32)
        layers += [w * np.float32(np.sqrt(2 / rows)), np.zeros(columns, dtype=np.float32)]
    x = rng.standard_normal((p["steps"], p["batch"], MLP_INPUTS), dtype=np.float32)
    teacher = rng.standard_normal((MLP_INPUTS, MLP_CLASSES), dtype=np.float32)
    return layers, x, (x @ teacher).argmax(-1)


def _chain(p: Sizes) -> tuple[Any, ...]:
    """The start of Rosenbrock's problem, -1.2 and 1 in turns, and a tenth of noise."""
    start = np.where(np.arange(p["n"]) % 2 == 0, -1.2, 1.0)
    return (start + 0.1 * _generator(6).standard_normal(p["n"]),)


def pairs_check(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the point of `lbfgs`, and 1.0 if its gradient there is within the tolerance."""
    a, b = x[0::2], x[1::2]
    gradient = np.concatenate([-400 * a * (b - a**2) - 2 * (1 - a), 200 * (b - a**2)])
    return x, np.asarray(float(np.max(np.abs(gradient)) <= PAIRS_TOLERANCE))


def _grid(n: Sequence[int], steps: int) -> tuple[Sizes, ...]:
    return tuple({"n": k, "steps": steps} for k in n)


CASES = {
    case.name: case
    for case in (
        Case(
            "map", "exp(-x²) sin(3x) + log(1 + x²) and its derivative at n normal points",
            ({"n": 1_000}, {"n": 100_000}, {"n": 4_000_000}), {"n": 37}, ("value", "derivative"), 1e-11,
            "point", lambda p: p["n"], lambda p: (_generator(1).standard_normal(p["n"]),),
        ),
        Case(
            "map32", "map in float32: twice the lanes",
            ({"n": 1_000}, {"n": 100_000}, {"n": 4_000_000}), {"n": 37}, ("value", "derivative"), 4e-6,
            "point", lambda p: p["n"], lambda p: (_generator(1).standard_normal(p["n"]).astype(np.float32),),
        ),
        Case(
            "scalar_ops", "n operations on scalars, 10 inputs, 10 outputs, and the 10×10 Jacobian",
            ({"n": 100}, {"n": 1_000}, {"n": 10_000}), {"n": 123}, ("value", "jacobian"), 1e-9,
            "operation", lambda p: p["n"], _scalar_ops,
        ),
        Case(
            "gmm", "the Gaussian mixture objective of ADBench and its gradient by alphas, means and factors",
            ({"n": 1_000, "d": 10, "k": 25}, {"n": 10_000, "d": 32, "k": 10}), {"n": 7, "d": 3, "k": 2},
            ("value", "alphas", "means", "factors"), 1e-9,
            "point, component and entry of Q", lambda p: p["n"] * p["k"] * p["d"] ** 2, _mixture,
        ),
        Case(
            "logreg", "mean(log(1 + exp(-y X w))) + 0.0005 |w|² and its gradient",
            ({"n": 2_000, "d": 64}, {"n": 20_000, "d": 64}, {"n": 200_000, "d": 64}), {"n": 29, "d": 5},
            ("value", "gradient"), 1e-10, "feature", lambda p: p["n"] * p["d"], _rows(3),
        ),
        Case(
            "adam_loop", "that many steps of Adam on the loss of logreg, all rows, from w = 0",
            ({"n": 2_000, "d": 30, "steps": 2_000}, {"n": 200, "d": 30, "steps": 2_000}),
            {"n": 23, "d": 3, "steps": 50}, ("w",), 1e-9,
            "step and feature", lambda p: p["steps"] * p["n"] * p["d"], _rows(4),
        ),
        Case(
            "mlp", "that many steps of momentum on a 784-width-width-10 network of relu, cross entropy, float32",
            ({"batch": 128, "width": 512, "steps": 50},), {"batch": 7, "width": 9, "steps": 3},
            # A step's rounding grows along the run: neighbouring losses of float32 implementations differ by 1e-4.
            ("losses", "last_weight"), 2e-3,
            "step, row and weight",
            lambda p: p["steps"] * p["batch"] * p["width"] * (MLP_INPUTS + p["width"] + MLP_CLASSES), _perceptron,
        ),
        Case(
            "heat2d", "u += 0.2 (the four neighbours - 4 u) inside an n×n array, the edges held",
            _grid((256, 1024, 4096), 48), {"n": 19, "steps": 7}, ("u",), 1e-12,
            "step and point", lambda p: p["steps"] * p["n"] ** 2, lambda p: (_generator(8).random((p["n"], p["n"])),),
        ),
        Case(
            "heat3d_rk4", "u' = the Laplacian of order 4 on n³ periodic points, classic Runge-Kutta with step 0.1",
            _grid((64, 192), 10), {"n": 9, "steps": 3}, ("u",), 1e-11,
            "step and point", lambda p: p["steps"] * p["n"] ** 3, lambda p: (_generator(9).random((p["n"],) * 3),),
        ),
        Case(
            "gray_scott", "reaction and diffusion of two fields on n×n periodic points, Euler with step 1",
            _grid((256, 1024), 200), {"n": 17, "steps": 9}, ("u", "v"), 1e-10,
            "step and point", lambda p: p["steps"] * p["n"] ** 2, _patterns,
        ),
        Case(
            "crank_nicolson", "heat equation on n×n inner points of the unit square, 0 at the edge, dt = 0.001",
            _grid((128, 256, 512), 20), {"n": 15, "steps": 4}, ("u",), 1e-8,
            "step and point", lambda p: p["steps"] * p["n"] ** 2, _modes,
        ),
        Case(
            "lbfgs", "Σ 100 (b - a²)² + (1 - a)² over n/2 pairs (a, b) from (-1.2, 1) to a gradient within 1e-8",
            ({"n": 2}, {"n": 50}, {"n": 1_000}), {"n": 6}, ("x", "converged"), 1e-7,
            "unknown", lambda p: p["n"], lambda p: (np.tile([-1.2, 1.0], p["n"] // 2),),
        ),
        Case(
            "sparse_hessian", "the Hessian of Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)² as a matrix in CSR, or its diagonals",
            ({"n": 1_000}, {"n": 10_000}, {"n": 100_000}), {"n": 23}, ("diagonal", "off_diagonal"), 1e-12,
            "unknown", lambda p: p["n"], _chain,
        ),
        Case(
            "call", "x y + x - y of two scalars (n = 1), or of two arrays of n numbers: what a call costs",
            ({"n": 1}, {"n": 8}, {"n": 64}), {"n": 5}, ("value",), 1e-14,
            "call", lambda p: 1, _points,
        ),
    )
}  # fmt: skip
