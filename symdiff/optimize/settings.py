"""Settings of rules: numbers, or scalar expressions by which the result of `unroll` can be differentiated."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from symdiff.ir.errors import UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, brief
from symdiff.ir.primitive import cast

Setting = float | Node


def is_expression(setting: Any) -> bool:
    """Whether a setting is a real scalar expression, whose value only a run knows."""
    return isinstance(setting, Node) and setting.shape == () and setting.dtype.startswith("float")


def is_used(setting: Setting) -> bool:
    """Whether a setting is not the number 0."""
    return isinstance(setting, Node) or setting != 0


def like(setting: Setting, w: Node) -> Setting:
    """Return a setting ready for arithmetic with `w`: an expression in w's dtype, a number as it is."""
    return cast(setting, w.dtype) if isinstance(setting, Node) else setting


def check_bound(rule: Any, known: Collection[Node]) -> None:
    """Raise UnknownSymbolError for settings with symbols whose values a run does not know."""
    for name, setting in _named(rule):
        strange = [brief(s) for s in free_symbols([setting]) if s not in known]
        if strange:
            raise UnknownSymbolError(
                f"{type(rule).__name__}: the setting {name} contains {', '.join(strange)}, which no data give a value; "
                "give a number, or let unroll make the result an expression."
            )


def _named(rule: Any, name: str = "") -> Iterator[tuple[str, Node]]:
    """The expressions among the settings of a rule, and of the rules and schedules it holds, with their names."""
    if isinstance(rule, Node):
        yield name, rule
    elif isinstance(rule, tuple):
        for part in rule:
            yield from _named(part, name)
    elif is_dataclass(rule) and not isinstance(rule, type):
        # `only` names unknowns, which are no values.
        for one in (f for f in fields(rule) if f.name != "only"):
            yield from _named(getattr(rule, one.name), one.name)


__all__ = ["Setting", "check_bound", "is_expression", "is_used", "like"]
