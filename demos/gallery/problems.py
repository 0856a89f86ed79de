"""All problems of the gallery, in groups."""

from __future__ import annotations

from collections.abc import Callable

from demos.gallery import cavity, finance, fronts, heat, phases, poisson, transport, waves
from demos.gallery.outcome import Outcome

Solve = Callable[..., Outcome]

GROUPS: dict[str, tuple[Solve, ...]] = {
    "heat": heat.ALL,
    "poisson": poisson.ALL,
    "transport": transport.ALL,
    "waves": waves.ALL,
    "fronts": fronts.ALL,
    "phases": phases.ALL,
    "finance": finance.ALL,
    "cavity": cavity.ALL,
}


def chosen(names: list[str]) -> list[Solve]:
    """Return the problems of groups, or single ones, by their names; all for none. Raises SystemExit for others."""
    table = {**GROUPS, **{solve.__name__: (solve,) for group in GROUPS.values() for solve in group}}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise SystemExit(f"There is no problem {', '.join(unknown)}; there are {', '.join(table)}.")
    return list(dict.fromkeys(solve for name in names or GROUPS for solve in table[name]))
