"""Optax on JAX: L-BFGS with its line search, the loop on the device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symdiff.bench.cases import PAIRS_KEPT, PAIRS_TOLERANCE, Sizes, pairs_check
from symdiff.bench.measure import Job

jax.config.update("jax_enable_x64", True)
_MOST_STEPS = 10_000


def lbfgs(p: Sizes, start: np.ndarray) -> Job:
    """`optax.lbfgs` in a `while_loop` that looks at the gradient."""

    def f(x: Any) -> Any:
        a, b = x[0::2], x[1::2]
        return jnp.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)

    rule = optax.lbfgs(memory_size=PAIRS_KEPT)
    evaluate = optax.value_and_grad_from_state(f)

    def step(carry: Any) -> Any:
        x, state = carry
        value, grad = evaluate(x, state=state)
        change, state = rule.update(grad, state, x, value=value, grad=grad, value_fn=f)
        return optax.apply_updates(x, change), state

    def goes_on(carry: Any) -> Any:
        count = optax.tree.get(carry[1], "count")
        size = jnp.max(jnp.abs(optax.tree.get(carry[1], "grad")))
        return (count == 0) | ((count < _MOST_STEPS) & (size > PAIRS_TOLERANCE))

    def build() -> Any:
        run = jax.jit(lambda x: jax.lax.while_loop(goes_on, step, (x, rule.init(x)))[0])
        x = jnp.asarray(start)
        return lambda: jax.block_until_ready(run(x))

    return Job(build, lambda x: pairs_check(np.asarray(x)))


CASES = {"lbfgs": lbfgs}
