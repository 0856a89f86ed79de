"""symdiff: the cases as a user would write them."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from symdiff import pde
from symdiff.bench.cases import (
    ADAM,
    CN_STEP,
    GMM_GAMMA,
    GRAY_SCOTT,
    HEAT_RATE,
    MLP_INPUTS,
    MLP_MOMENTUM,
    MLP_RATE,
    PAIRS_KEPT,
    PAIRS_TOLERANCE,
    RIDGE,
    RK4_STEP,
    WIDTH,
    Sizes,
    Straight,
    gmm_constant,
    pairs_check,
)
from symdiff.bench.measure import Job
from symdiff.optimize import LBFGS, Adam


def map_function(target: str, dtype: str) -> Any:
    """The function of one scalar, and its derivative."""
    x = sd.symbols("x")
    f = sd.exp(-(x**2)) * sd.sin(3 * x) + sd.log(1 + x**2)
    return sd.compile([f, sd.diff(f, x)], [x], target=target, dtype=dtype)


def map_(p: Sizes, points: np.ndarray, target: str = "cpu") -> Job:
    """The function of one scalar, called with an array."""
    out = [np.empty_like(points), np.empty_like(points)]

    def build() -> Any:
        fn = map_function(target, points.dtype.name)
        return lambda: fn(points, out=out)

    return Job(build, tuple)


def scalar_ops(p: Sizes, program: Straight, point: np.ndarray, target: str = "cpu") -> Job:
    """Lists of scalars in and out: a call returns 110 Python floats."""
    values = point.tolist()

    def build() -> Any:
        x = [sd.symbols(f"x{k}") for k in range(WIDTH)]
        y = program(x, sd.sin, sd.exp)
        fn = sd.compile([*y, *(entry for row in sd.jacobian(y, x) for entry in row)], x, target=target)
        return lambda: fn(*values)

    return Job(build, lambda r: (r[:WIDTH], r[WIDTH:]))


def scalar_ops_arrays(p: Sizes, program: Straight, point: np.ndarray, target: str = "cpu") -> Job:
    """The same on the entries of a vector: a call fills two arrays."""
    out = [np.empty(WIDTH), np.empty((WIDTH, WIDTH))]

    def build() -> Any:
        x, symbols = sd.vector("x", WIDTH), [sd.symbols(f"x{k}") for k in range(WIDTH)]
        y = program(symbols, sd.sin, sd.exp)
        rows = [sd.stack(row) for row in sd.jacobian(y, symbols)]
        entries = {s: x[k] for k, s in enumerate(symbols)}
        fn = sd.compile([sd.stack(y).subs(entries), sd.stack(rows).subs(entries)], [x], target=target)
        return lambda: fn(point, out=out)

    return Job(build, tuple)


def gmm(
    p: Sizes, alphas: np.ndarray, means: np.ndarray, factors: np.ndarray, x: np.ndarray, places: np.ndarray,
    target: str = "cpu",
) -> Job:  # fmt: skip
    """Q is lower triangular, exp(q) on its diagonal: a gather from (0, exp(q), the lower entries)."""

    def build() -> Any:
        d, k = p["d"], p["k"]
        a, m, f = sd.vector("alphas", k), sd.matrix("means", k, d), sd.matrix("factors", k, d * (d + 1) // 2)
        points = sd.matrix("x", "n", d)
        n = points.shape[0]
        q, lower = f[:, :d], f[:, d:]
        entries = sd.concatenate([sd.zeros((k, 1)), sd.exp(q), lower], axis=1)
        full = sd.take(entries, places, axis=1)
        centred = (points @ full.reshape((k * d, d)).T).reshape((n, k, d)) - sd.einsum("kij,kj->ki", full, m)
        inner = a + sd.sum(q, axis=1) - 0.5 * sd.sum(centred**2, axis=2)
        fit = sd.sum(sd.logsumexp(inner, axis=1)) - n * sd.logsumexp(a)
        prior = 0.5 * GMM_GAMMA**2 * (sd.sum(sd.exp(q) ** 2) + sd.sum(lower**2))
        objective = fit + prior + gmm_constant(p)
        fn = sd.compile([objective, *sd.gradient(objective, [a, m, f])], [a, m, f, points], target=target)
        return lambda: fn(alphas, means, factors, x)

    return Job(build, tuple)


def _loss() -> tuple[Any, Any, Any, Any]:
    w, features, labels = sd.vector("w", "d"), sd.matrix("X", "n", "d"), sd.vector("y", "n")
    loss = sd.mean(sd.log(1 + sd.exp(-labels * (features @ w)))) + 0.5 * RIDGE * (w @ w)
    return loss, w, features, labels


def logreg_function(target: str, dtype: str = "float64") -> Any:
    """Value and gradient of weights, rows and labels; both sizes are known at run time only."""
    loss, w, x, y = _loss()
    return sd.compile([loss, sd.gradient(loss, w)], [w, x, y], target=target, dtype=dtype)


def logreg(p: Sizes, features: np.ndarray, labels: np.ndarray, start: np.ndarray, target: str = "cpu") -> Job:
    """A result of its own for every call."""

    def build() -> Any:
        fn = logreg_function(target)
        return lambda: fn(start, features, labels)

    return Job(build, tuple)


def adam_function(target: str, dtype: str = "float64") -> Any:
    """The loop by itself, of start, rows, labels and the number of steps: data may lie on a device."""
    loss, w, x, y = _loss()
    steps = sd.array("steps", (), "int64")
    slope = sd.gradient(loss, w)
    lr, b1, b2, eps = ADAM.values()

    def step(k: Any, now: Any, m: Any, v: Any) -> list[Any]:
        g, t = slope.subs({w: now}), k + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        return [t, now - lr * (m / (1 - b1**t)) / (sd.sqrt(v / (1 - b2**t)) + eps), m, v]

    zero = sd.zeros_like(w)
    found = sd.while_loop(lambda k, *_: k < steps, step, [0, w, zero, zero])[1]
    return sd.compile(found, [w, x, y, steps], target=target, dtype=dtype)


def adam_loop(p: Sizes, features: np.ndarray, labels: np.ndarray, start: np.ndarray, target: str = "cpu") -> Job:
    """A whole `minimize`: a run includes the checks, the compilation (kept by the store) and the record of losses."""
    rule = Adam(lr=ADAM["lr"], betas=(ADAM["b1"], ADAM["b2"]), eps=ADAM["eps"])

    def build() -> Any:
        loss, w, x, y = _loss()
        data = {x: features, y: labels}

        def run() -> Any:
            zero = {w: np.zeros(p["d"])}
            return sd.minimize(loss, zero, data, method=rule, tol=0.0, max_steps=p["steps"], target=target).x[w]

        return run

    return Job(build, lambda w: (w,))


def lbfgs(p: Sizes, start: np.ndarray, target: str = "cpu") -> Job:
    """A prepared solver with ten stored pairs: a run includes the checks, the record of losses and the result."""

    def build() -> Any:
        v = sd.vector("v", p["n"])
        a, b = v[0::2], v[1::2]
        f = sd.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)
        solve = sd.optimize.solver(f, [v], LBFGS(memory=PAIRS_KEPT), tol=PAIRS_TOLERANCE, target=target)
        return lambda: solve({v: start}).x[v]

    return Job(build, pairs_check)


def heat2d_function(target: str, dtype: str = "float64") -> Any:
    """A loop over arrays: `pde` takes edge values as formulas, and these are an array of random numbers."""
    first, steps = sd.matrix("u", "n", "n"), sd.array("steps", (), "int64")

    def turn(k: Any, u: Any) -> list[Any]:
        near = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        inner = (1 - 4 * HEAT_RATE) * u[1:-1, 1:-1] + HEAT_RATE * near
        rows = sd.concatenate([first[1:-1, :1], inner, first[1:-1, -1:]], axis=1)
        return [k + 1, sd.concatenate([first[:1], rows, first[-1:]], axis=0)]

    u = sd.while_loop(lambda k, u: k < steps, turn, [0, first])[1]
    return sd.compile(u, [first, steps], target=target, dtype=dtype)


def heat2d(p: Sizes, start: np.ndarray, target: str = "cpu") -> Job:
    """The result in a given array."""
    out = np.empty_like(start)

    def build() -> Any:
        fn = heat2d_function(target)
        return lambda: fn(start, p["steps"], out=out)

    return Job(build, lambda u: (u,))


def _around(x: Any, r: int) -> Any:
    """Repeat r points beyond each side."""
    for axis in range(x.ndim):
        first, last = (
            x[tuple(s if a == axis else slice(None) for a in range(x.ndim))] for s in (slice(0, r), slice(-r, None))
        )
        x = sd.concatenate([last, x, first], axis=axis)
    return x


def _neighbours(wide: Any, r: int, distance: int) -> Any:
    """The sum of the points at a distance along the axes, of an array with r points beyond each side."""
    moves = [(axis, move) for axis in range(wide.ndim) for move in (-distance, distance)]
    parts = []
    for axis, move in moves:
        shifts = [move if a == axis else 0 for a in range(wide.ndim)]
        parts.append(wide[tuple(slice(r + s, s - r or None) for s in shifts)])
    return sum(parts[1:], parts[0])


def heat3d_rk4(p: Sizes, start: np.ndarray, target: str = "cpu") -> Job:
    """A loop over arrays that have two points beyond each side."""

    def build() -> Any:
        first, steps = sd.array("u", ("n", "n", "n")), sd.array("steps", (), "int64")
        inside, h = (slice(2, -2),) * 3, RK4_STEP

        def rate(wide: Any) -> Any:
            return 4 / 3 * _neighbours(wide, 2, 1) - 1 / 12 * _neighbours(wide, 2, 2) - 7.5 * wide[inside]

        def turn(k: Any, wide: Any) -> list[Any]:
            u, k1 = wide[inside], rate(wide)
            k2 = rate(_around(u + 0.5 * h * k1, 2))
            k3 = rate(_around(u + 0.5 * h * k2, 2))
            k4 = rate(_around(u + h * k3, 2))
            return [k + 1, _around(u + h / 6 * (k1 + 2 * (k2 + k3) + k4), 2)]

        wide = sd.while_loop(lambda k, u: k < steps, turn, [0, _around(first, 2)])[1]
        fn = sd.compile(wide[inside], [first, steps], target=target)
        out = np.empty_like(start)
        return lambda: fn(start, p["steps"], out=out)

    return Job(build, lambda u: (u,))


def heat3d_rk4_pde(p: Sizes, start: np.ndarray, target: str = "cpu") -> Job:
    """A problem with periodic sides: a run plans its steps, watches for values that are not finite, and saves."""

    def build() -> Any:
        n, u = p["n"], pde.field("u")
        box = pde.Box(x=(0, n), y=(0, n), z=(0, n))
        sides = {axis: pde.Periodic() for axis in "xyz"}
        problem = pde.Problem([pde.Eq(pde.dt(u), pde.laplacian(u))], box, sides, {u: start})
        solver, until = problem.discretize((n, n, n), order=4), p["steps"] * RK4_STEP
        return lambda: solver.run(until, method="rk4", dt=RK4_STEP, target=target)[u]

    return Job(build, lambda u: (u,))


def gray_scott_function(target: str, dtype: str = "float64") -> Any:
    """A loop over arrays that have a point beyond each side."""
    first_u, first_v, steps = sd.matrix("u", "n", "n"), sd.matrix("v", "n", "n"), sd.array("steps", (), "int64")
    inside = (slice(1, -1),) * 2
    du, dv, feed, kill = GRAY_SCOTT.values()

    def turn(k: Any, wide_u: Any, wide_v: Any) -> list[Any]:
        u, v = wide_u[inside], wide_v[inside]
        reaction = u * v * v
        u1 = u + du * (_neighbours(wide_u, 1, 1) - 4 * u) - reaction + feed * (1 - u)
        v1 = v + dv * (_neighbours(wide_v, 1, 1) - 4 * v) + reaction - (feed + kill) * v
        return [k + 1, _around(u1, 1), _around(v1, 1)]

    start = [0, _around(first_u, 1), _around(first_v, 1)]
    _, u, v = sd.while_loop(lambda k, *_: k < steps, turn, start)
    return sd.compile([u[inside], v[inside]], [first_u, first_v, steps], target=target, dtype=dtype)


def gray_scott(p: Sizes, start_u: np.ndarray, start_v: np.ndarray, target: str = "cpu") -> Job:
    """The results in given arrays."""

    def build() -> Any:
        fn = gray_scott_function(target)
        out = [np.empty_like(start_u), np.empty_like(start_v)]
        return lambda: fn(start_u, start_v, p["steps"], out=out)

    return Job(build, tuple)


def gray_scott_pde(p: Sizes, start_u: np.ndarray, start_v: np.ndarray, target: str = "cpu") -> Job:
    """A problem with periodic sides, as for heat3d_rk4."""

    def build() -> Any:
        n, u, v = p["n"], pde.field("u"), pde.field("v")
        du, dv, feed, kill = GRAY_SCOTT.values()
        equations = [
            pde.Eq(pde.dt(u), du * pde.laplacian(u) - u * v**2 + feed * (1 - u)),
            pde.Eq(pde.dt(v), dv * pde.laplacian(v) + u * v**2 - (feed + kill) * v),
        ]
        sides = {"x": pde.Periodic(), "y": pde.Periodic()}
        problem = pde.Problem(equations, pde.Box(x=(0, n), y=(0, n)), sides, {u: start_u, v: start_v})
        solver = problem.discretize((n, n))

        def run() -> tuple[Any, Any]:
            found = solver.run(float(p["steps"]), method="euler", dt=1.0, target=target)
            return found[u], found[v]

        return run

    return Job(build, tuple)


def crank_nicolson(p: Sizes, start: np.ndarray, target: str = "cpu") -> Job:
    """A problem with Dirichlet sides; its grid counts the points on the edge too."""

    def build() -> Any:
        u = pde.field("u")
        problem = pde.Problem(
            [pde.Eq(pde.dt(u), pde.laplacian(u))],
            pde.Box(x=(0, 1), y=(0, 1)),
            {"x": pde.Dirichlet(0), "y": pde.Dirichlet(0)},
            {u: np.pad(start, 1)},
        )
        solver = problem.discretize((p["n"] + 2, p["n"] + 2))
        until = p["steps"] * CN_STEP
        return lambda: solver.run(until, method="crank-nicolson", dt=CN_STEP, target=target)[u]

    return Job(build, lambda u: (u[1:-1, 1:-1],))


def _chained() -> tuple[Any, Any]:
    x = sd.vector("x", "n")
    return sd.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), x


def sparse_hessian(p: Sizes, point: np.ndarray, target: str = "cpu") -> Job:
    """A whole SciPy matrix at every call; the size is known at run time only."""

    def build() -> Any:
        f, x = _chained()
        fn = sd.compile(sd.hessian(f, x, sparse=True), [x], target=target)
        return lambda: fn(point)

    return Job(build, lambda h: (h.diagonal(), h.diagonal(-1)))


def sparse_hessian_values(p: Sizes, point: np.ndarray, target: str = "cpu") -> Job:
    """The numbers alone, as triplets: what a solver with a format of its own takes."""

    def build() -> Any:
        f, x = _chained()
        hessian = sd.hessian(f, x, sparse=True)
        rows, cols = sd.compile([hessian.rows, hessian.cols], [x], target=target)(point)
        fn, out = sd.compile(hessian.values, [x], target=target), np.empty(len(rows))

        def run(_places: Any = (rows, cols)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return rows, cols, fn(point, out=out)

        return run

    def diagonals(found: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        rows, cols, values = found
        n = p["n"]
        picked = [np.zeros(n), np.zeros(n - 1)]
        for k, line in enumerate(picked):
            here = rows == cols + k
            line[cols[here]] = values[here]
        return tuple(picked)

    return Job(build, diagonals)


def call(p: Sizes, x: Any, y: Any, target: str = "cpu") -> Job:
    """Positional arguments, a result of its own for every call."""

    def build() -> Any:
        a, b = sd.symbols("x y") if p["n"] == 1 else (sd.vector("x", "n"), sd.vector("y", "n"))
        fn = sd.compile(a * b + a - b, [a, b], target=target)
        return lambda: fn(x, y)

    return Job(build, lambda r: (r,))


def mlp(p: Sizes, layers: list[np.ndarray], x: np.ndarray, labels: np.ndarray, target: str = "cpu") -> Job:
    """Every step a turn of one loop: a batch, the gradient, the update."""

    def build() -> Any:
        batches = sd.array("x", ("steps", p["batch"], MLP_INPUTS), "float32")
        targets = sd.array("labels", ("steps", p["batch"]), "int64")
        start = [sd.array(f"p{k}", a.shape, "float32") for k, a in enumerate(layers)]
        symbols = [sd.array(f"w{k}", a.shape, "float32") for k, a in enumerate(layers)]
        rows, classes = sd.array("rows", (p["batch"], MLP_INPUTS), "float32"), sd.array("c", (p["batch"],), "int64")
        hidden = rows
        for k in (0, 2):
            hidden = sd.relu(hidden @ symbols[k] + symbols[k + 1])
        logits = hidden @ symbols[4] + symbols[5]
        chosen = sd.take_along_axis(logits, classes.reshape((p["batch"], 1)), axis=1)
        value = sd.mean(sd.logsumexp(logits, axis=1) - chosen[:, 0])
        both = [value, *sd.gradient(value, symbols)]

        def step(carry: Any, batch: Any) -> Any:
            weights, speeds = carry[:6], carry[6:]
            places = {**dict(zip(symbols, weights, strict=True)), rows: batch[0], classes: batch[1]}
            now, *slopes = (e.subs(places) for e in both)
            speeds = [MLP_MOMENTUM * v + g for v, g in zip(speeds, slopes, strict=True)]
            return [*(w - MLP_RATE * v for w, v in zip(weights, speeds, strict=True)), *speeds], now

        zeros = [sd.zeros(a.shape, "float32") for a in layers]
        last, losses = sd.scan(step, [*start, *zeros], [batches, targets])
        fn = sd.compile([losses, last[4]], [*start, batches, targets], target=target)
        return lambda: fn(*layers, x, labels)

    return Job(build, tuple)


CASES = {
    "map": map_,
    "map32": map_,
    "scalar_ops": scalar_ops,
    "scalar_ops:arrays": scalar_ops_arrays,
    "gmm": gmm,
    "logreg": logreg,
    "adam_loop": adam_loop,
    "lbfgs": lbfgs,
    "mlp": mlp,
    "heat2d": heat2d,
    "heat3d_rk4": heat3d_rk4,
    "heat3d_rk4:pde": heat3d_rk4_pde,
    "gray_scott": gray_scott,
    "gray_scott:pde": gray_scott_pde,
    "crank_nicolson": crank_nicolson,
    "sparse_hessian": sparse_hessian,
    "sparse_hessian:values": sparse_hessian_values,
    "call": call,
}
