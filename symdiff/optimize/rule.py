"""Update rules: how one point becomes the next, written as expressions.

A rule never sees numbers. `minimize` puts `step` into one `while_loop` and compiles it, so a rule is as fast as
the code made from its formula, whatever it is written in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.settings import Setting, is_expression, is_used, like

State = tuple[Node, ...]
OnHost = Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], Sequence[Any]]


def true() -> Node:
    """The literal True."""
    return const(True, "bool")


@dataclass(frozen=True, slots=True)
class Move:
    """The outcome of one step. `moved` is False when no lower point was found, which ends the run."""

    point: Point
    state: State = ()
    moved: Node = field(default_factory=true)


class Rule(ABC):
    """A method of minimisation with its settings; subclasses are final frozen dataclasses.

    The state is a flat tuple of nodes whose shapes and dtypes never change.
    """

    __slots__ = ()
    takes_bounds = False  # whether every point it tries lies within bounds
    on_batches = False  # whether every step may see other rows of the data: a rule that compares losses cannot

    @abstractmethod
    def init(self, objective: Objective, point: Point) -> State:
        """Return the state at the start."""

    @abstractmethod
    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Return the next point. `t` = 1, 2, … counts the steps, as a float64 scalar."""

    def view(self, objective: Objective) -> Objective:
        """Return the function that the rule minimises: this one, unless the rule adds a term of its own."""
        return objective

    def on_host(self, objective: Objective, data: Sequence[Node], target: str) -> OnHost | None:
        """Return a function of x, gradient and data that gives each step its state, run by Python; None: there is none.

        For what no target compiles, such as a sparse factorisation.
        """
        return None


class FirstOrder(Rule):
    """A rule that treats every unknown alike and reads nothing but its gradient: `update` is the textbook line."""

    __slots__ = ()
    on_batches = True

    @abstractmethod
    def start(self, w: Node) -> State:
        """Return the state for one unknown."""

    @abstractmethod
    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return the next value of one unknown and its state, for its gradient `g`."""

    def init(self, objective: Objective, point: Point) -> State:
        """Return the states of all unknowns, one after the other."""
        return tuple(s for w in point.x for s in self.start(w))

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Update every unknown, then evaluate loss and gradient once at the new point."""
        n = len(state) // len(point.x)
        x: list[Node] = []
        after: list[Node] = []
        for k, (w, g) in enumerate(zip(point.x, point.grad, strict=True)):
            w1, s1 = self.update(w, g, state[k * n : (k + 1) * n], t)
            x.append(w1)
            after.extend(s1)
        return Move(objective.at(x), tuple(after))


def descent(w: Node, g: Node, weight_decay: Setting, maximize: bool) -> Node:
    """Return the gradient that PyTorch's rules follow: the sign first, then the pull of weight decay towards 0."""
    g = -g if maximize else g
    return g + like(weight_decay, w) * w if is_used(weight_decay) else g


def check_setting(rule: Rule, name: str, value: Any, low: float, high: float, low_open: bool = True) -> None:
    """Raise DomainError unless low < value < high (low <= value where `low_open` is False), or it is an expression."""
    if is_expression(value):
        return
    inside = isinstance(value, (int, float)) and (low < value < high or (not low_open and value == low))
    if not inside:
        left = "(" if low_open else "["
        raise DomainError(f"{type(rule).__name__}: {name} lies in {left}{low:g}, {high:g}), got {value!r}.")
