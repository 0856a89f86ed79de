"""The methods by name."""

from __future__ import annotations

from typing import Any

from symdiff.ir.errors import DomainError, DTypeError
from symdiff.optimize.adagrad import Adagrad
from symdiff.optimize.adam import Adam, AdamW
from symdiff.optimize.bfgs import BFGS, LBFGS
from symdiff.optimize.coordinate_descent import CoordinateDescent
from symdiff.optimize.gradient_descent import GradientDescent
from symdiff.optimize.lbfgs_b import LBFGSB
from symdiff.optimize.newton import Newton
from symdiff.optimize.newton_cg import NewtonCG
from symdiff.optimize.projected_gradient import ProjectedGradient
from symdiff.optimize.proximal import FISTA
from symdiff.optimize.random_search import RandomSearch
from symdiff.optimize.rmsprop import RMSprop
from symdiff.optimize.rule import Rule
from symdiff.optimize.sgd import SGD
from symdiff.optimize.sparse_newton import SparseNewton
from symdiff.optimize.trust_region import TrustRegion

METHODS: dict[str, Rule] = {
    "adagrad": Adagrad(),
    "adam": Adam(),
    "adamw": AdamW(),
    "bfgs": BFGS(),
    "coordinate-descent": CoordinateDescent(),
    "fista": FISTA(),
    "gd": GradientDescent(),
    "lbfgs": LBFGS(),
    "lbfgs-b": LBFGSB(),
    "momentum": SGD(momentum=0.9),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "newton": Newton(),
    "newton-cg": NewtonCG(),
    "projected-gradient": ProjectedGradient(),
    "random-search": RandomSearch(),
    "rmsprop": RMSprop(),
    "sgd": SGD(),
    "sparse-newton": SparseNewton(),
    "trust-cg": TrustRegion("cg"),
    "trust-region": TrustRegion(),
}
"""Each rule with its default settings; pass an object for others."""


def as_rule(method: Any) -> Rule:
    """Return the rule for a name or a rule object. Raises DomainError, DTypeError."""
    if isinstance(method, Rule):
        return method
    if isinstance(method, str):
        if method in METHODS:
            return METHODS[method]
        names = ", ".join(repr(name) for name in METHODS)
        raise DomainError(
            f"minimize has no method {method!r}; the methods are {names}, or an object of symdiff.optimize."
        )
    if isinstance(method, type) and issubclass(method, Rule):
        raise DTypeError(f"The method is a class; make an object of it: {method.__name__}(…).")
    raise DTypeError(f"The method is a name or an object such as symdiff.optimize.Adam(lr=1e-2), got {method!r}.")
