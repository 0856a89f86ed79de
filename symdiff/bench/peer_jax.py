"""JAX: jit, reverse mode, loops on the device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symdiff.bench.cases import (
    ADAM,
    GMM_GAMMA,
    GRAY_SCOTT,
    HEAT_RATE,
    MLP_MOMENTUM,
    MLP_RATE,
    RIDGE,
    RK4_STEP,
    Sizes,
    Straight,
    gmm_constant,
)
from symdiff.bench.measure import Job

jax.config.update("jax_enable_x64", True)


def _job(make: Any, *args: Any, arrays: Any = tuple) -> Job:
    """A job that calls the compiled function which `make` returns and waits for its result."""
    held = [jnp.asarray(a) for a in args]

    def build() -> Any:
        fn = make()
        return lambda: jax.block_until_ready(fn(*held))

    return Job(build, arrays)


def map_(p: Sizes, x: np.ndarray) -> Job:
    """`value_and_grad` of a scalar, mapped."""

    def f(x: Any) -> Any:
        return jnp.exp(-x * x) * jnp.sin(3 * x) + jnp.log1p(x * x)

    return _job(lambda: jax.jit(jax.vmap(jax.value_and_grad(f))), x)


def scalar_ops(p: Sizes, program: Straight, point: np.ndarray) -> Job:
    """`jacrev`, which compiles faster here than `jacfwd`."""

    def f(x: Any) -> Any:
        return jnp.stack(program(x, jnp.sin, jnp.exp))

    return _job(lambda: jax.jit(lambda x: (f(x), jax.jacrev(f)(x))), point)


def gmm(p: Sizes, *data: np.ndarray) -> Job:
    """`value_and_grad` by the three parameters; the same gather and matrix product as ours."""
    *held, places = data

    def objective(parameters: Any, x: Any) -> Any:
        alphas, means, factors = parameters
        n, d, k = p["n"], p["d"], p["k"]
        q, lower = factors[:, :d], factors[:, d:]
        entries = jnp.concatenate([jnp.zeros((k, 1)), jnp.exp(q), lower], axis=1)
        full = entries[:, places]
        centred = (x @ full.reshape(k * d, d).T).reshape(n, k, d) - jnp.einsum("kij,kj->ki", full, means)
        inner = alphas + q.sum(1) - 0.5 * jnp.sum(centred * centred, axis=2)
        fit = jnp.sum(jax.nn.logsumexp(inner, axis=1)) - n * jax.nn.logsumexp(alphas)
        return fit + 0.5 * GMM_GAMMA**2 * (jnp.sum(jnp.exp(q) ** 2) + jnp.sum(lower**2)) + gmm_constant(p)

    def both(alphas: Any, means: Any, factors: Any, x: Any) -> Any:
        value, gradient = jax.value_and_grad(objective)((alphas, means, factors), x)
        return value, *gradient

    return _job(lambda: jax.jit(both), *held)


def _loss(w: Any, features: Any, labels: Any) -> Any:
    return 0.5 * RIDGE * (w @ w) - jnp.mean(jax.nn.log_sigmoid(labels * (features @ w)))


def logreg(p: Sizes, features: np.ndarray, labels: np.ndarray, w: np.ndarray) -> Job:
    """`value_and_grad` of the loss."""
    return _job(lambda: jax.jit(jax.value_and_grad(_loss)), w, features, labels)


def adam_loop(p: Sizes, features: np.ndarray, labels: np.ndarray, start: np.ndarray) -> Job:
    """The whole loop in one compiled function."""
    lr, b1, b2, eps = ADAM.values()

    def train(features: Any, labels: Any) -> Any:
        def step(k: Any, carry: Any) -> Any:
            w, m, v = carry
            g, t = jax.grad(_loss)(w, features, labels), k + 1.0
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            return w - lr * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + eps), m, v

        zero = jnp.zeros(p["d"])
        return jax.lax.fori_loop(0, p["steps"], step, (zero, zero, zero))[0]

    return _job(lambda: jax.jit(train), features, labels, arrays=lambda w: (w,))


def heat2d(p: Sizes, start: np.ndarray) -> Job:
    """A padded update, two steps to a turn: the fastest of the usual forms."""

    def step(_: Any, u: Any) -> Any:
        near = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        return u + jnp.pad(HEAT_RATE * (near - 4 * u[1:-1, 1:-1]), 1)

    def advance(u: Any) -> Any:
        return jax.lax.fori_loop(0, p["steps"], step, u, unroll=2)

    return _job(lambda: jax.jit(advance), start, arrays=lambda u: (u,))


def heat3d_rk4(p: Sizes, start: np.ndarray) -> Job:
    """A padded array for every stage: rolled ones were several times slower."""
    h = RK4_STEP

    def rate(u: Any) -> Any:
        wide, out = jnp.pad(u, 2, mode="wrap"), -7.5 * u
        for axis in range(3):
            for shift, weight in ((1, 4 / 3), (2, -1 / 12)):
                for move in (-shift, shift):
                    part = [slice(2, -2)] * 3
                    part[axis] = slice(2 + move, 2 + move + p["n"])
                    out = out + weight * wide[tuple(part)]
        return out

    def step(_: Any, u: Any) -> Any:
        k1 = rate(u)
        k2 = rate(u + 0.5 * h * k1)
        k3 = rate(u + 0.5 * h * k2)
        k4 = rate(u + h * k3)
        return u + h / 6 * (k1 + 2 * (k2 + k3) + k4)

    advance = jax.jit(lambda u: jax.lax.fori_loop(0, p["steps"], step, u))
    return _job(lambda: advance, start, arrays=lambda u: (u,))


def gray_scott(p: Sizes, start_u: np.ndarray, start_v: np.ndarray) -> Job:
    """Padded arrays, as above."""
    du, dv, feed, kill = GRAY_SCOTT.values()

    def near(x: Any) -> Any:
        wide = jnp.pad(x, 1, mode="wrap")
        return wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * x

    def step(_: Any, state: Any) -> Any:
        u, v = state
        reaction = u * v * v
        return u + du * near(u) - reaction + feed * (1 - u), v + dv * near(v) + reaction - (feed + kill) * v

    advance = jax.jit(lambda u, v: jax.lax.fori_loop(0, p["steps"], step, (u, v)))
    return _job(lambda: advance, start_u, start_v)


def call(p: Sizes, x: Any, y: Any) -> Job:
    """Arguments that are on the device already."""
    return _job(lambda: jax.jit(lambda x, y: x * y + x - y), x, y, arrays=lambda r: (r,))


def mlp(p: Sizes, layers: list[np.ndarray], x: np.ndarray, labels: np.ndarray) -> Job:
    """A scan over the batches in one compiled function."""

    def loss(weights: Any, rows: Any, classes: Any) -> Any:
        for k in (0, 2):
            rows = jax.nn.relu(rows @ weights[k] + weights[k + 1])
        logits = rows @ weights[4] + weights[5]
        chosen = jnp.take_along_axis(logits, classes[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)

    def step(carry: Any, batch: Any) -> Any:
        weights, speeds = carry
        value, slopes = jax.value_and_grad(loss)(weights, *batch)
        speeds = [MLP_MOMENTUM * v + g for v, g in zip(speeds, slopes, strict=True)]
        return ([w - MLP_RATE * v for w, v in zip(weights, speeds, strict=True)], speeds), value

    def train(batches: Any, targets: Any, *weights: Any) -> Any:
        zeros = [jnp.zeros_like(w) for w in weights]
        (last, _), losses = jax.lax.scan(step, (list(weights), zeros), (batches, targets))
        return losses, last[4]

    return _job(lambda: jax.jit(train), x, labels, *layers)


CASES = {
    "map": map_,
    "map32": map_,
    "scalar_ops": scalar_ops,
    "gmm": gmm,
    "logreg": logreg,
    "adam_loop": adam_loop,
    "mlp": mlp,
    "heat2d": heat2d,
    "heat3d_rk4": heat3d_rk4,
    "gray_scott": gray_scott,
    "call": call,
}
