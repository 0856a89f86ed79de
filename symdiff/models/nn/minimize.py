"""Train networks: `sd.minimize` on trees of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.node import Node
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.training import STEP, Training, is_average
from symdiff.models.nn.tree import Tree, leaves, pairs, symbols, values
from symdiff.models.nn.while_training import WhileTraining
from symdiff.optimize.batches import check_rule
from symdiff.optimize.methods import as_rule
from symdiff.optimize.minimize import minimize as minimize_function
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Rule


@dataclass(frozen=True, slots=True)
class Trained:
    """Trained parameters, a tree of arrays like the start, and what `sd.minimize` says about the run."""

    params: Tree
    result: OptimizeResult


def minimize(
    loss: Callable[[Tree, Training], Any],
    start: Tree,
    data: Mapping[Any, Any] | None = None,
    method: str | Rule = "adam",
    seed: int = 0,
    **options: Any,
) -> Trained:
    """Minimise `loss(w, training)` over a tree of parameters, from the arrays of `start`.

    `loss` gets a tree of symbols like `start` and returns a scalar expression; it hands `training` to the layers, of
    which Dropout and BatchNorm need it. `data`, `method` and `options` are those of `sd.minimize`, such as
    `batch_size=64`, `max_steps=1000`, `progress=True`; `seed` is for batches and dropout.

    >>> import numpy as np, symdiff as sd
    >>> from symdiff.models import mse, nn
    >>> net = nn.Sequential(nn.Linear(1, 4), nn.tanh, nn.Linear(4, 1))
    >>> X, Y = sd.matrix("X", "n", 1), sd.matrix("Y", "n", 1)
    >>> x = np.linspace(-1, 1, 9)[:, None]
    >>> fit = nn.minimize(lambda w, training: mse(net(w, X, training), Y), net.init(seed=3), {X: x, Y: x**2}, "bfgs")
    >>> predict = nn.compile(net, fit.params, X)
    >>> bool(abs(predict(x) - x**2).max() < 0.01)
    True
    """
    w, training = symbols(start), Training(seed)
    try:
        signature(loss).bind(w, training)
    except TypeError:
        raise DTypeError("nn.minimize: loss takes two arguments, as in lambda w, training: ….") from None
    f = training.loss(loss(w, training))
    _check_averages(w, training)
    if training.needs_rows and options.get("batch_size") == 1:
        raise DomainError(f"nn.minimize: {training.needs_rows} takes the variance of a batch; batch_size is 2 or more.")
    if training.rates or training.is_random:
        rule = as_rule(method)
        if training.is_random or options.get("batch_size") is not None:
            _check_rule(rule, training)
        method = WhileTraining(rule, tuple(training.rates.items()))
    if training.is_random:
        data = {**(data or {}), STEP: 0}  # at the start; from then on the rule counts
    result = minimize_function(f, pairs(w, start), data, method, seed=seed, **options)
    return Trained(values(w, result.x), result)


def _check_averages(w: Tree, training: Training) -> None:
    """Raise DomainError where a loss was made without `training`: running averages would be trained like weights."""
    forgotten = [s for s in leaves(w) if is_average(s) and s.params["name"] not in training.rates]
    if forgotten:
        name = forgotten[0].params["name"]
        raise DomainError(
            f"nn.minimize: the loss does not hand `training` to the BatchNorm that {name!r} belongs to; call the "
            "network as net(w, X, training)."
        )


def _check_rule(rule: Rule, training: Training) -> None:
    try:
        check_rule(rule)
    except DomainError as error:
        if not training.is_random:
            raise
        raise DomainError(
            f"nn.minimize: Dropout makes every step's loss another one, and {type(rule).__name__} compares losses; "
            "choose a rule that reads gradients only, such as SGD or Adam."
        ) from error


def compile(net: Layer, params: Tree, x: Node, target: str = "cpu") -> Callable[[Any], np.ndarray]:
    """Return the trained network as a compiled function: `net(params, x)` for the values of the symbol x."""
    # Late: the compiler loads LLVM.
    from symdiff.compile import compile as compile_function

    w = symbols(params)
    fn = compile_function(net(w, x), [x, *leaves(w)], target=target)
    fixed = [np.asarray(a) for a in leaves(params)]
    return lambda values: fn(values, *fixed)
