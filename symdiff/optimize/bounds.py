"""Bounds: each unknown in a box, low <= x <= high entry by entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError, ShapeError, UnknownSymbolError
from symdiff.ir.node import PRIMITIVES, Node, brief, make
from symdiff.ops.elementwise import maximum, minimum
from symdiff.ops.index import zeros_like
from symdiff.optimize.inputs import Problem
from symdiff.optimize.objective import GRADIENT_NORM, Arrays, Objective, Point, infinity_norm, pack
from symdiff.optimize.rule import Rule

Side = dict[Node, np.ndarray]


@dataclass(frozen=True, slots=True)
class Box(Objective):
    """A function of unknowns within bounds; the norm of a point is that of the projected gradient P(x - g) - x.

    That vector is zero exactly where no feasible direction leads downhill. P takes each entry to the nearest one within
    the bounds; a point is taken there before the function sees it, so rounding leads no run out of the box.
    """

    lower: Arrays
    upper: Arrays

    @property
    def measure(self) -> str:
        """What the norm of a point is called."""
        return f"projected {GRADIENT_NORM}"

    def project(self, x: Sequence[Node]) -> Arrays:
        """Return the nearest point within the bounds."""
        return tuple(minimum(maximum(w, low), high) for w, low, high in zip(x, self.lower, self.upper, strict=True))

    def at(self, x: Sequence[Node]) -> Point:
        """Return the point `x` with its loss and gradient."""
        # A slotted dataclass is a new class: the zero-argument super() would look for the old one.
        free = Objective.at(self, self.project(x))
        sides = zip(free.x, free.grad, self.lower, self.upper, strict=True)
        return replace(free, norm=infinity_norm([step_within(w, -g, low, high) for w, g, low, high in sides]))

    def is_nearer(self, new: Point, old: Point) -> Node:
        """Whether the projected gradient is shorter: the gradient itself need not vanish at a solution."""
        return new.norm < old.norm


def step_within(x: Node, step: Node, low: Node, high: Node) -> Node:
    """Return P(x + step) - x for a point within the bounds, without the cancellation: a large x may hide a step."""
    return minimum(maximum(step, low - x), high - x)


def walls(objective: Objective) -> tuple[Node, Node]:
    """Return the bounds as two vectors in the order of `pack`, infinities where there are none."""
    if isinstance(objective, Box):
        return pack(objective.lower), pack(objective.upper)
    none = zeros_like(pack(objective.unknowns))
    return none - float("inf"), none + float("inf")


def with_bounds(problem: Problem, bounds: Any) -> Problem:
    """Return the problem within bounds, its start taken to the nearest point there.

    `bounds` maps unknowns to pairs (low, high) of numbers or arrays that broadcast to them; None is no bound. The
    bounds become data, so that other bounds need no other code.
    """
    lower, upper = read_bounds(problem, bounds)
    low_names, high_names = _symbols(problem, "lower"), _symbols(problem, "upper")
    objective = problem.objective
    data = problem.data | dict(zip(low_names, lower.values(), strict=True))
    data |= dict(zip(high_names, upper.values(), strict=True))
    return replace(
        problem,
        objective=Box(objective.f, objective.unknowns, low_names, high_names),
        start={s: np.clip(v, lower[s], upper[s]) for s, v in problem.start.items()},
        data=data,
    )


def read_bounds(problem: Problem, bounds: Any) -> tuple[Side, Side]:
    """Return lower and upper bounds as arrays like the unknowns, infinite where there is none.

    Raises DTypeError, UnknownSymbolError, ShapeError, DomainError, each naming the symbol.
    """
    if not isinstance(bounds, Mapping):
        raise DTypeError(f"minimize: bounds is a dict {{symbol: (low, high)}}, got {type(bounds).__name__}.")
    by_key = {key: node for node, key in problem.keys.items()}
    strange = [key for key in bounds if key not in by_key]
    if strange:
        names = ", ".join(brief(node) for node in problem.keys)
        what = f"the string {strange[0]!r}" if isinstance(strange[0], str) else str(strange[0])
        raise UnknownSymbolError(f"bounds gives {what}, which is no unknown; its keys are symbols among {names}.")
    lower: Side = {}
    upper: Side = {}
    for symbol, value in problem.start.items():
        low, high = _pair(symbol, bounds.get(problem.keys[symbol], (None, None)))
        lower[symbol] = _bound(symbol, value, low, -np.inf)
        upper[symbol] = _bound(symbol, value, high, np.inf)
        crossed = lower[symbol] > upper[symbol]
        if crossed.any():
            at = tuple(int(k) for k in np.argwhere(crossed)[0])
            raise DomainError(
                f"minimize: the bounds of {brief(symbol)} cross: low {lower[symbol][at]} > high {upper[symbol][at]}"
                + (f" at entry {list(at)}." if at else ".")
            )
    return lower, upper


def check_takes_bounds(rule: Rule) -> None:
    """Raise DomainError for a rule that may leave the box."""
    if not rule.takes_bounds:
        raise DomainError(
            f"minimize: {type(rule).__name__} takes no bounds; choose 'lbfgs-b', 'projected-gradient' or a method of "
            "SciPy's such as 'scipy:L-BFGS-B'."
        )


def _pair(symbol: Node, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise DTypeError(f"minimize: the bounds of {brief(symbol)} are a pair (low, high), got {value!r}.")
    return value[0], value[1]


def _bound(symbol: Node, like: np.ndarray, value: Any, none: float) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype == object:  # None may also stand for single entries, as in SciPy's pairs
            array = np.array([none if v is None else v for v in array.ravel()]).reshape(array.shape)
        if array.dtype.kind not in "biuf":
            raise DTypeError(f"minimize: a bound of {brief(symbol)} is a number, got {value!r}.")
        array = array.astype(like.dtype, casting="same_kind")
        array = np.array(np.broadcast_to(array, like.shape), order="C")
    except DTypeError:
        raise
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"minimize: a bound of {brief(symbol)}, of shape {like.shape}, is None, a number or an array like it: "
            f"{error}."
        ) from None
    if np.isnan(array).any():
        raise DomainError(f"minimize: a bound of {brief(symbol)} is NaN.")
    return array


def _symbols(problem: Problem, side: str) -> Arrays:
    # A leading NUL cannot occur in a user's name.
    return tuple(
        make(PRIMITIVES["symbol"], (), {**s.params, "name": f"\0{side}{k}"}) for k, s in enumerate(problem.start)
    )


__all__ = ["Box", "check_takes_bounds", "read_bounds", "step_within", "walls", "with_bounds"]
