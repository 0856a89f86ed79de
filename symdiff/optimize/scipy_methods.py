"""SciPy's minimisers on compiled functions: `method="scipy:trust-ncg"` and the like."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.ir.node import PRIMITIVES, make
from symdiff.optimize.bounds import Box
from symdiff.optimize.inputs import Problem
from symdiff.optimize.progress import Progress
from symdiff.optimize.result import OptimizeResult

PREFIX = "scipy:"
# What a method is given beside value and gradient, and the names of the settings that mean tol and max_steps.
_PRODUCTS = frozenset({"Newton-CG", "trust-ncg", "trust-krylov"})
_MATRICES = frozenset({"dogleg", "trust-exact"})
_WITHOUT_GRADIENT = frozenset({"Nelder-Mead", "Powell"})
_GRADIENT_TOLERANCE = frozenset({"CG", "BFGS", "L-BFGS-B", "TNC", "trust-ncg", "trust-krylov", "trust-exact", "dogleg"})
_WITHIN_BOUNDS = frozenset({"Nelder-Mead", "Powell", "L-BFGS-B", "TNC", "SLSQP"})
METHODS = (
    *("Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "SLSQP"),
    *("dogleg", "trust-ncg", "trust-krylov", "trust-exact"),
)


class _Stopped(Exception):
    """The callback asks to stop."""


class ScipyRun:
    """One call of `scipy.optimize.minimize`: functions of one vector, and the best point so far."""

    def __init__(self, problem: Problem, name: str, target: str, callback: Callable[[Progress], Any] | None):
        if name not in METHODS:
            raise DomainError(f"minimize: SciPy's methods are {', '.join(METHODS)}, got {PREFIX + name!r}.")
        self.problem, self.name, self.callback = problem, name, callback
        if isinstance(problem.objective, Box) and name not in _WITHIN_BOUNDS:
            able = ", ".join(m for m in METHODS if m in _WITHIN_BOUNDS)
            raise DomainError(f"minimize: SciPy's {name} takes no bounds; {able} do.")
        self.data = list(problem.data.values())
        self._compile(target)
        self.x = _joined(list(problem.start.values()))
        self.best = (np.inf, np.inf, self.x)
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.began = time.perf_counter()

    def _compile(self, target: str) -> None:
        from symdiff.compile import compile

        objective, data = self.problem.objective, list(self.problem.data)
        unknowns = list(objective.unknowns)
        point = objective.at(unknowns)
        self.value = compile([point.loss, point.norm, *point.grad], [*unknowns, *data], target=target)
        self.hess = self.hessp = None
        if self.name in _MATRICES:
            self.hess = compile(objective.hessian(unknowns), [*unknowns, *data], target=target)
        if self.name in _PRODUCTS:
            along = [make(PRIMITIVES["symbol"], (), {**u.params, "name": f"\0v{k}"}) for k, u in enumerate(unknowns)]
            products = list(objective.product(unknowns, along))
            self.hessp = compile(products, [*unknowns, *along, *data], target=target)

    def go(self, tol: float, max_steps: int) -> OptimizeResult:
        """Run SciPy; Ctrl-C and the callback end the run with the best point so far."""
        from scipy.optimize import Bounds, minimize

        options: dict[str, Any] = {"maxfun" if self.name == "TNC" else "maxiter": max_steps}
        if self.name in _GRADIENT_TOLERANCE:
            options["gtol"] = tol
        if self.name == "L-BFGS-B":
            options["ftol"] = 0.0  # it would stop where the loss seems flat, whatever the gradient
        extra: dict[str, Any] = {}
        if self.hess is not None:
            extra["hess"] = lambda x: self.hess(*self._arrays(x), *self.data)
        if self.hessp is not None:
            extra["hessp"] = lambda x, v: _joined(self.hessp(*self._arrays(x), *self._arrays(v), *self.data))
        objective = self.problem.objective
        if isinstance(objective, Box):
            sides = [[self.problem.data[s] for s in side] for side in (objective.lower, objective.upper)]
            extra["bounds"] = Bounds(*(_joined(side) for side in sides))
        with_gradient = self.name not in _WITHOUT_GRADIENT
        function = self._value_and_gradient if with_gradient else lambda x: self._value_and_gradient(x)[0]
        self._value_and_gradient(self.x)
        self._step(self.x)
        try:
            found = minimize(
                function, self.x, jac=with_gradient, method=self.name, callback=self._step, options=options, **extra
            )
            message = str(found.message)
        except KeyboardInterrupt:
            message = "interrupted"
        except _Stopped:
            message = "stopped by the callback"
        return self._result(tol, message)

    def _value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, grad, norm = self._evaluated(x)
        # Near the minimum losses agree to all digits; the smaller gradient is the better point.
        if np.isfinite(loss) and np.isfinite(norm) and (float(loss), norm) < self.best[:2]:
            self.best = loss, norm, np.array(x, dtype=float)
        return loss, grad

    def _evaluated(self, x: np.ndarray) -> tuple[float, np.ndarray, float]:
        loss, norm, *grads = self.value(*self._arrays(x), *self.data)
        return float(loss), _joined(grads), float(norm)

    def _arrays(self, x: np.ndarray) -> list[np.ndarray]:
        """Cut a vector into arrays like the unknowns."""
        start = list(self.problem.start.values())
        parts = np.split(np.asarray(x, dtype=float), np.cumsum([v.size for v in start])[:-1])
        return [p.reshape(v.shape).astype(v.dtype) for p, v in zip(parts, start, strict=True)]

    def _step(self, x: np.ndarray) -> None:
        loss, _, norm = self._evaluated(x)
        self.losses.append(loss)
        self.norms.append(norm)
        if self.callback is not None:
            elapsed, step = time.perf_counter() - self.began, len(self.losses) - 1
            state = Progress(step, self.losses[-1], self.norms[-1], self._named(x), elapsed, step / max(elapsed, 1e-9))
            if self.callback(state) is True:
                raise _Stopped

    def _named(self, x: np.ndarray) -> dict[Any, Any]:
        return self.problem.named(dict(zip(self.problem.start, self._arrays(x), strict=True)))

    def _result(self, tol: float, message: str) -> OptimizeResult:
        loss, norm, x = self.best
        steps = len(self.losses) - 1
        converged = bool(np.isfinite(loss) and norm <= tol)
        text = f"SciPy's {self.name} after {steps} steps: {message} "
        measure = self.problem.objective.measure
        text += f"{measure[0].upper()}{measure[1:]} {norm:.3e}, tol {tol:.1e}."
        history = {
            "step": np.arange(steps + 1), "loss": np.array(self.losses), "grad_norm": np.array(self.norms)
        }  # fmt: skip
        return OptimizeResult(self._named(x), float(loss), norm, steps, converged, text, history)


def _joined(arrays: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays] or [np.zeros(0)]).astype(float)


__all__ = ["METHODS", "PREFIX", "ScipyRun"]
