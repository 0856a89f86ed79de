"""Fields on all points of the grid, from their unknowns: given values stand between them and the sides."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.pde.evaluate import on_points
from symdiff.pde.fields import Fields, Side
from symdiff.pde.jets import TIME, is_field, jets
from symdiff.pde.layout import Region, grid_size
from symdiff.pde.parameters import Values

if TYPE_CHECKING:
    from symdiff.pde.solver import Solver

State = list[np.ndarray]


@final
class Whole:
    """The fields of a solver on its whole grid."""

    def __init__(self, solver: Solver):
        self._solver, self._semi, self._grid, self._problem = solver, solver.semi, solver.grid, solver.problem

    def completed(self, state: State, t: float, values: Values, guess: State) -> State:
        """Return the unknowns of the fields that evolve, then those of elliptic equations, sought from `guess`."""
        symbols_of = (*self._semi.blocks.values(), *self._semi.solved.values())
        blocks = dict(zip(symbols_of, (*state, *guess), strict=True))
        inputs = {**self._solver.grid_inputs, **values, **blocks, symbols(TIME): t}
        return [*state, *(np.asarray(a) for a in interpret(self._searched, inputs))]

    @cached_property
    def _searched(self) -> list[Node]:
        """The unknowns of the fields of elliptic equations, as expressions."""
        semi = replace(self._semi, guess=self._semi.solved)
        fields = Fields(semi, semi.blocks, symbols(TIME))
        return [fields.block(u) for u in semi.solved]

    def assemble(self, state: State, t: float, values: Values) -> dict[Node, np.ndarray]:
        """Return the fields on all points: unknowns between given values; the mean of both at a corner of two sides."""
        full: dict[Node, np.ndarray] = {u: values[array] for u, array in self._semi.known.items()}
        sided, none = {u for u, *_ in self._given}, np.broadcast_to(np.uint8(0), self._grid.shape)
        times = dict.fromkeys(full, none)
        for u, block in zip(self._problem.states, state, strict=True):
            if block.shape == self._grid.shape:
                full[u], times[u] = block.copy(), none
                continue
            full[u], times[u] = np.zeros(self._grid.shape), np.zeros(self._grid.shape, dtype=np.uint8)
            full[u][self._solver.block(u)] = block
        nodes = self._differentiated
        inputs = {**self._solver._inputs(values, state), symbols(TIME): t} if nodes else {}
        derived = dict(zip(nodes, interpret(list(nodes.values()), inputs), strict=True))
        for u, axis, end, value in self._given:
            side = _side(axis, end, len(self._grid.axes))
            times[u][side] += 1
            if (u, axis, end) in derived:
                full[u][side] += derived[u, axis, end]
                continue
            others = {v: full[v][side] / np.maximum(times[v][side], 1) for v in jets([value])}
            full[u][side] += on_points(value, self._points(axis, side), t, values, others)
        fields = self._problem.states
        return {u: full[u] / np.maximum(times[u], 1) if u in sided else full[u] for u in fields}

    @cached_property
    def _differentiated(self) -> dict[Side, Node]:
        """The values on the sides where derivatives give them, as expressions."""
        semi, out = self._semi, {}
        fields = Fields(semi, {**semi.blocks, **semi.solved}, symbols(TIME))
        sizes = tuple(grid_size(a) for a in self._grid.axes)
        for u, axis, end, value in self._given:
            if any(not is_field(w) or w in self._problem.definitions for w in jets([value])):
                region = Region((0,) * len(sizes), sizes).along(axis, 0 if end == 0 else sizes[axis] - 1, 1)
                (out[u, axis, end],) = fields.evaluate([u], region)
        return out

    @cached_property
    def _given(self) -> list[tuple[Node, int, int, Node]]:
        """The Dirichlet sides (field, axis, end) and their values, those that contain a field behind its own."""
        waiting = {
            (u, axis, end): condition.data(u)[0]
            for u in self._problem.states
            for axis, name in enumerate(self._grid.axes)
            for end, condition in enumerate(self._problem.boundary[u, name])
            if condition.kind == "value"
        }
        out = [(*side, value) for side, value in waiting.items() if not jets([value])]
        waiting = {side: value for side, value in waiting.items() if jets([value])}
        while waiting:
            for (u, axis, end), value in list(waiting.items()):
                if not any((v, axis, end) in waiting for v in jets([value])):
                    out.append((u, axis, end, waiting.pop((u, axis, end))))
        return out

    def _points(self, axis: int, side: tuple[slice, ...]) -> dict[str, np.ndarray]:
        pairs = zip(self._grid.axes, self._grid.mesh(), strict=True)
        return {name: x[side] if x.shape[axis] > 1 else x for name, x in pairs}


def _side(axis: int, end: int, dim: int) -> tuple[slice, ...]:
    one = slice(-1, None) if end else slice(0, 1)
    return tuple(one if k == axis else slice(None) for k in range(dim))
