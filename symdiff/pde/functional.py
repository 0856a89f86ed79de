"""Numbers made of the fields at one time, such as `integral(u**2)`: goals of gradients, and what runs record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

from symdiff.front.symbols import symbols
from symdiff.ir.errors import ShapeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, as_node
from symdiff.pde.equations import lowered
from symdiff.pde.fields import Fields
from symdiff.pde.jets import TIME, all_symbols, is_jet, is_term, jet
from symdiff.pde.layout import fewest_points
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.terms import expanded


@final
class Functional:
    """An expression in the fields of a problem that is one number at each time.

    `title` says in errors what it is. Raises UnknownSymbolError for fields and symbols that the problem does not have,
    ShapeError for an expression that has a value at every point.
    """

    def __init__(self, semi: Semidiscrete, expression: Any, title: str):
        problem, self.title = semi.problem, title
        self.expression = expanded(lowered(as_node(expression), problem.velocities), semi.axes)
        known = [*problem.coordinates, symbols(TIME), *problem.parameters]
        for s in all_symbols([self.expression]):
            if is_jet(s) and jet(s.params["field"], ()) not in problem.all_fields:
                every = ", ".join(map(str, problem.all_fields))
                raise UnknownSymbolError(f"{title} contains {s!s}, of no field of the problem; it has {every}.")
            if is_jet(s) and TIME in s.params["by"]:
                raise UnknownSymbolError(
                    f"{title} contains {s!s}, which is no state; write the right-hand side of its equation instead."
                )
            if not is_jet(s) and not is_term(s) and s not in known:
                every = ", ".join(map(str, known))
                raise UnknownSymbolError(f"{title} contains {s!s}, which the problem does not have; it has {every}.")
        if any(is_jet(s) or s in problem.coordinates for s in free_symbols([self.expression])):
            raise ShapeError(
                f"{title} is one number, and {expression!s} has a value at every point; take pde.integral, pde.mean, "
                "pde.largest or pde.smallest of it."
            )
        # Its derivatives may reach further than those of the equations.
        self._semi = replace(semi, also=(self.expression,))
        self._is_within = self._semi.layout == semi.layout

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ShapeError for a grid that its formulas do not fit."""
        semi = self._semi
        for k, (axis, n) in enumerate(zip(semi.axes, shape, strict=True)):
            need = fewest_points(semi.problem, semi.layout, k, semi.order, semi.also)
            if n < need:
                raise ShapeError(
                    f"{self.title} needs at least {need} points along {axis!r} between its sides, got {n}."
                )

    def at(self, blocks: Mapping[Node, Node], t: Node, extended: Mapping[Node, Node] | None = None) -> Node:
        """Return its value for the unknowns at a time, whose extensions may be known."""
        fields = Fields(self._semi, blocks, t, extended=extended if self._is_within else None)
        (value,) = fields.evaluate([self.expression], self._semi.layout[self._semi.problem.fields[0]].region)
        return value
