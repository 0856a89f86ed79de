"""unroll: the point that a rule reaches in some steps, as an expression of everything that it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symdiff.diff.wrt import as_scalar_function, as_symbol
from symdiff.front.loops import scan
from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DomainError, DTypeError, ShapeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.ops.index import broadcast_to
from symdiff.optimize.line_search import flatten, unflatten
from symdiff.optimize.methods import as_rule
from symdiff.optimize.objective import Objective
from symdiff.optimize.rule import Rule


def unroll(
    f: Any, start: Mapping[Any, Any], method: str | Rule, steps: int, max_bytes: int | None = None
) -> dict[Any, Node]:
    """Return the point after `steps` steps of a rule on `f`, an expression for each symbol of `start`.

    Nothing is run: the result is one `scan`, differentiable in both modes by every symbol that `f`, the start values or
    the rule's settings contain. A setting may be a scalar expression here, as in `SGD(lr=sd.symbols("lr"))`; its range
    is then not checked. The derivative of a loss at that point by a setting is a hypergradient; in reverse mode it
    keeps the points of all steps, or what fits into `max_bytes` (binomial checkpoints). Where the rule has converged,
    `sd.argmin` gives the same derivative by a parameter of `f` from one linear system.

    Shapes: each result is like its symbol. A rule that can go no further stays where it is for the remaining steps.
    Raises: as `minimize`; DomainError for a rule that goes by batches.
    Method: Domke 2012; Maclaurin, Duvenaud & Adams 2015.

    >>> import symdiff as sd
    >>> from symdiff.optimize import SGD
    >>> w, lr = sd.symbols("w lr")
    >>> end = unroll((w - 3) ** 2 / 2, {w: 0.0}, SGD(lr=lr), steps=2)[w]  # 3 - 3 (1 - lr)**2
    >>> sd.compile([end, sd.gradient(end, lr)], [lr])(0.5)
    [2.25, 3.0]
    """
    rule = as_rule(method)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise DomainError(f"unroll: steps is an int >= 0, got {steps!r}.")
    node, keys = as_scalar_function(f, "unroll"), _unknowns(start)
    strange = [brief(s) for s in keys if s not in free_symbols([node])]
    if strange:
        raise UnknownSymbolError(f"unroll: start gives {', '.join(strange)}, which the function does not contain.")
    objective = rule.view(Objective(node, tuple(keys)))
    first = objective.at([_value(s, start[key]) for s, key in keys.items()])
    state = rule.init(objective, first)
    n = len(flatten(first))

    def turn(carry: Sequence[Node], _: None) -> tuple[list[Node], None]:
        t, now, before = carry[0], carry[1 : n + 1], carry[n + 1 :]
        move = rule.step(objective, unflatten(now, first), tuple(before), t)
        return [t + 1.0, *flatten(move.point), *move.state], None

    (_, *last), _ = scan(turn, [const(1.0), *flatten(first), *state], length=steps, max_bytes=max_bytes)
    return dict(zip(keys.values(), unflatten(last[:n], first).x, strict=True))


def _unknowns(start: Any) -> dict[Node, Any]:
    """The unknowns as symbols, with the user's keys."""
    if not isinstance(start, Mapping) or not start:
        raise DTypeError(f"unroll: start is a dict {{symbol: value}} with at least one symbol, got {start!r}.")
    return {as_symbol(key): key for key in start}


def _value(symbol: Node, given: Any) -> Node:
    """A start value in its symbol's shape and dtype."""
    value = as_node(given)
    if value.ndim and value.shape != symbol.shape:
        raise ShapeError(
            f"unroll: {brief(symbol)} has shape {shape_text(symbol.shape)}, its start {shape_text(value.shape)}."
        )
    return broadcast_to(cast(value, symbol.dtype), shape=symbol.shape)


__all__ = ["unroll"]
