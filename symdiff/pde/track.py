"""Numbers that a run records after its steps: after every one inside of the compiled loop, or between its calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.dims import as_extent
from symdiff.ir.errors import DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.ops import leaves
from symdiff.pde.domain import Grid
from symdiff.pde.functional import Functional
from symdiff.pde.jets import TIME
from symdiff.pde.monitors import Monitor, Start, Watched, monitor_from, parsed
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.text import parse

# The most steps that one call of the loop can record.
MOST_STEPS = 4096
RECORD_TIME = "t_tracked"


@final
@dataclass(frozen=True, slots=True)
class Tracked:
    """What a run recorded: `tracked["mass"][k]` is the number of this name at `times[k]`, at the start and every step.

    >>> Tracked(np.array([0.0, 0.5]), {"mass": np.array([1.0, 1.0])})
    Tracked(mass: 2 values)
    """

    times: np.ndarray = field(default_factory=lambda: np.empty(0))
    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the numbers of a name. Raises UnknownSymbolError."""
        if name not in self.values:
            every = ", ".join(self.values) or "nothing: pass track={…} to run"
            raise UnknownSymbolError(f"The run did not track {name!r}; it tracked {every}.")
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Tracked({', '.join(f'{name}: {len(a)} values' for name, a in self.values.items())})"


@final
class Track:
    """The numbers to record, by name: expressions, their text, or monitors, which record and have to hold.

    Raises DTypeError for what has no names, DomainError for a name that is taken, and what `Functional` raises for what
    is not a number of the problem.
    """

    def __init__(self, semi: Semidiscrete, given: Mapping[str, Any], shape: tuple[int, ...], every: int = 1):
        self.semi, self.every = semi, every
        if not hasattr(every, "__index__") or isinstance(every, bool) or every < 1:
            raise DomainError(f"track_every is the number of steps from one record to the next, got {every!r}.")
        if not isinstance(given, Mapping):
            raise DTypeError(
                f"track has a name for each number, such as track={{'mass': pde.integral(u)}}, got {given!s}."
            )
        problem = semi.problem
        taken = [TIME, RECORD_TIME, *semi.axes, *(u.params["name"] for u in problem.states)]
        known = {s.params["name"]: s for s in (*problem.coordinates, symbols(TIME), *problem.parameters)}
        self.functionals: dict[str, Functional] = {}
        self.monitors: dict[str, Monitor] = {}

        def read(text: Any) -> Any:
            return parse(text, problem.all_fields, known) if isinstance(text, str) else text

        numbers: dict[str, Any] = {}
        for name, one in given.items():
            made = monitor_from(one, read) if isinstance(one, str) else one
            if isinstance(made, Monitor):
                self.monitors[name] = parsed(made, read)
                numbers |= self.monitors[name].numbers(str(name))
            else:
                numbers[name] = read(one)
        for name, expression in numbers.items():
            if not isinstance(name, str) or not name.isidentifier() or name in taken:
                raise DomainError(
                    f"The name of a tracked number is a word that is no field, axis or {RECORD_TIME!r}, got {name!r}."
                )
            self.functionals[name] = Functional(semi, expression, f"The tracked number {name!r}")
            self.functionals[name].check(shape)

    @property
    def is_inside(self) -> bool:
        """Whether there are numbers, and the compiled loop records them."""
        return bool(self.functionals) and self.every == 1

    @property
    def key(self) -> tuple[Node, ...]:
        """What tells compiled loops apart."""
        return tuple(f.expression for f in self.functionals.values())

    def at(self, blocks: Mapping[Node, Node], t: Node, extended: Mapping[Node, Node] | None = None) -> list[Node]:
        """Return the numbers for the unknowns at a time."""
        return [f.at(blocks, t, extended) for f in self.functionals.values()]

    def measured(self) -> tuple[list[Node], list[Node]]:
        """Return (outputs, inputs) of the numbers at a time, for the unknowns with the points beyond them."""
        semi, t = self.semi, leaves.symbol(name="\0t", shape=(), dtype="float64")
        extended = semi.extensions
        blocks = {u: semi.inner(u, extended[u]) for u in semi.blocks}
        return self.at(blocks, t, extended), [t, *semi.spacings, *semi.points, *semi.parameters, *extended.values()]

    def first(self, inputs: Mapping[Node, Any]) -> list[float]:
        """Return the numbers at the start, from the values of `semi.blocks` and of all that is fixed."""
        return [float(x) for x in interpret(self.at(self.semi.blocks, const(0.0)), dict(inputs))]

    def watches(self, grid: Grid, values: Mapping[Node, Any], inputs: Mapping[Node, Any]) -> list[Watched]:
        """Return what looks at the records of the monitors."""

        def number(node: Node) -> float:
            at_start = Functional(self.semi, node, "The size of a conserved number").at(self.semi.blocks, const(0.0))
            return float(interpret([at_start], dict(inputs))[0])

        start, names = Start(self.semi.problem, grid, values, number), list(self.functionals)
        return [
            Watched(name, m.warn, m.watch(name, start), [names.index(n) for n in m.numbers(name)])
            for name, m in self.monitors.items()
        ]

    def records(self, also: int = 0) -> list[Node]:
        """Return the symbols of the arrays that a loop writes the numbers into, and of `also` more."""
        extent = as_extent("records")
        names = [f"\0record {k}" for k in range(len(self.functionals) + also)] if self.functionals else []
        return [leaves.symbol(name=name, shape=(extent,), dtype="float64") for name in names]


@final
class Records:
    """What a run has recorded so far, in the order of the steps."""

    def __init__(self, names: Sequence[str]):
        self.names = names
        # Each part is added whole: (steps, times, numbers).
        self._parts: list[tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]] = []

    def add(self, steps: np.ndarray, times: np.ndarray, rows: Sequence[np.ndarray]) -> None:
        """Add the numbers after some steps."""
        self._parts.append((steps, times, rows))

    def until(self, step: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Return the steps, their times and the numbers up to a step."""
        steps = np.concatenate([part[0] for part in self._parts])
        count = int(np.searchsorted(steps, step, side="right"))
        times = np.concatenate([part[1] for part in self._parts])[:count]
        columns = zip(*(part[2] for part in self._parts), strict=True)
        return steps[:count], times, [np.concatenate(column)[:count] for column in columns]

    def tracked(self, step: int) -> Tracked:
        """Return what was recorded up to a step."""
        if not self.names:
            return Tracked()
        _, times, columns = self.until(step)
        return Tracked(times, dict(zip(self.names, columns, strict=True)))
