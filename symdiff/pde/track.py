"""Numbers that a run records after every step, inside of the compiled loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.dims import as_extent
from symdiff.ir.errors import DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.node import Node
from symdiff.ops import leaves
from symdiff.pde.functional import Functional
from symdiff.pde.jets import TIME
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
    """The numbers to record, by name: expressions, or their text.

    Raises DTypeError for what has no names, DomainError for a name that is taken, and what `Functional` raises for what
    is not a number of the problem.
    """

    def __init__(self, semi: Semidiscrete, given: Mapping[str, Any], shape: tuple[int, ...]):
        if not isinstance(given, Mapping):
            raise DTypeError(
                f"track has a name for each number, such as track={{'mass': pde.integral(u)}}, got {given!s}."
            )
        problem = semi.problem
        taken = [TIME, RECORD_TIME, *semi.axes, *(u.params["name"] for u in problem.fields)]
        known = {s.params["name"]: s for s in (*problem.coordinates, symbols(TIME), *problem.parameters)}
        self.functionals: dict[str, Functional] = {}
        for name, expression in given.items():
            if not isinstance(name, str) or not name.isidentifier() or name in taken:
                raise DomainError(
                    f"The name of a tracked number is a word that is no field, axis or {RECORD_TIME!r}, got {name!r}."
                )
            title = f"The tracked number {name!r}"
            node = parse(expression, problem.all_fields, known) if isinstance(expression, str) else expression
            self.functionals[name] = Functional(semi, node, title)
            self.functionals[name].check(shape)

    @property
    def key(self) -> tuple[Node, ...]:
        """What tells compiled loops apart."""
        return tuple(f.expression for f in self.functionals.values())

    def at(self, blocks: Mapping[Node, Node], t: Node, extended: Mapping[Node, Node] | None = None) -> list[Node]:
        """Return the numbers for the unknowns at a time."""
        return [f.at(blocks, t, extended) for f in self.functionals.values()]

    def records(self, also: int = 0) -> list[Node]:
        """Return the symbols of the arrays that a loop writes the numbers into, and of `also` more."""
        extent = as_extent("records")
        names = [f"\0record {k}" for k in range(len(self.functionals) + also)] if self.functionals else []
        return [leaves.symbol(name=name, shape=(extent,), dtype="float64") for name in names]

    def tracked(self, times: Sequence[np.ndarray], rows: Sequence[Sequence[np.ndarray]], count: int) -> Tracked:
        """Return the first `count` numbers of the parts `rows`, at times in parts too."""
        if not self.functionals:
            return Tracked()
        columns = [np.concatenate(parts)[:count] for parts in zip(*rows, strict=True)]
        return Tracked(np.concatenate(times)[:count], dict(zip(self.functionals, columns, strict=True)))
