"""Chapters 1 and 2 of the tour: a formula, its gradient, and the comparison of all methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdiff.diff.compare import Comparison, compare
from symdiff.diff.symbolic import diff
from symdiff.front import functions as fn
from symdiff.front.symbols import symbols
from symdiff.ir.node import Node
from symdiff.terminal.comparison import ComparisonTable
from symdiff.terminal.maths import Maths

if TYPE_CHECKING:
    from symdiff.terminal.tour import Stage


def example() -> tuple[Node, Node, Node]:
    """Return the formula of the tour and its two symbols."""
    x, y = symbols("x y")
    return fn.exp(-(x**2)) * fn.sin(y) + fn.log(1 + fn.exp(x * y)), x, y


def example_comparison() -> Comparison:
    """Return the derivatives of the formula of the tour at one point by every method."""
    f, x, y = example()
    return compare(f, {x: 1.2, y: 0.7})


def expression(stage: Stage) -> None:
    """Build an expression, print it as mathematics, and its gradient."""
    f, x, y = example()
    stage.say('[dim]x, y = sd.symbols("x y")\nf = sd.exp(-x**2) * sd.sin(y) + sd.log(1 + sd.exp(x*y))[/]')
    stage.show(Maths(f, "f"))
    stage.say("Its derivatives are expressions of the same kind, [dim]sd.diff(f, x)[/] and [dim]sd.diff(f, y)[/]:")
    for s in (x, y):
        stage.show(Maths(diff(f, s), f"∂f/∂{s}"))


def comparison(stage: Stage) -> None:
    """Compare every method of differentiation with a reference of 50 digits."""
    stage.say(
        "[dim]sd.compare(f, {x: 1.2, y: 0.7})[/] differentiates by rules (symbolic, forward, reverse) and by "
        "differences, and holds each against a derivative with 50 digits that uses none of these rules. Wrong digits "
        "are red. One ulp is the distance to the next number; ✓ means: as accurate as this method can be."
    )
    stage.show(ComparisonTable(example_comparison()))
