"""check_rule: compare a user's derivative with finite differences, argument by argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.diff.finite import richardson
from symdiff.diff.forward import push
from symdiff.diff.reverse import pull
from symdiff.ir.dims import Shape, size_names
from symdiff.ir.errors import DerivativeError, DomainError
from symdiff.ir.graph import free_symbols, substitute
from symdiff.ir.interpret import concrete_shape, interpret
from symdiff.ir.node import PRIMITIVES, Node, as_node, make

DOMAIN = (0.1, 2.0)
_POINTS = 3
_DIRECTIONS = (0.3, 1.7)
# Richardson's tables are right to ten digits or better where their own estimate says so.
_TOLERANCE = 1e-7
_MARGIN = 100.0


def check_rule(
    name: str, names: Sequence[str], build: Callable[[Sequence[Node]], Node], like: Sequence[Node], domain: Any
) -> None:
    """Raise DerivativeError, naming the argument, if the derivative of `build(args)` is not that of its value.

    `domain` is an interval or one for each argument. Raises DomainError where the function is not finite.
    """
    intervals = _intervals(domain, len(like), name)
    args = [_symbol(f"x{k}", n.shape, n.dtype) for k, n in enumerate(like)]
    node = build(args)
    rng = np.random.default_rng(11)
    drawn = dict(zip(args, intervals, strict=True))
    drawn |= {s: DOMAIN for s in free_symbols([node]) if s not in drawn}
    # Run-time sizes that differ: a forgotten transpose shows.
    sizes = {s: 2 + k for k, s in enumerate(sorted({s for n in drawn for s in size_names(n.shape)}))}
    for _ in range(_POINTS):
        values = {s: _draw(rng, s, sizes, interval) for s, interval in drawn.items()}
        if not np.all(np.isfinite(interpret([node], values)[0])):
            raise DomainError(
                f"{name} is checked at arguments from {', '.join(map(str, intervals))}, where it is not finite; give "
                "domain=(low, high), or one such pair for each argument."
            )
        for k, x in enumerate(args):
            if x.dtype.startswith("float"):
                _check_argument(name, names[k], node, x, values, (rng, sizes))


def _check_argument(name: str, argument: str, node: Node, x: Node, at: dict[Node, Any], random: Any) -> None:
    """Compare <w, J d> by the rule and by differences along one direction d."""
    rng, sizes = random
    d, w = _symbol("d", x.shape, x.dtype), _symbol("w", node.shape, node.dtype)
    values = at | {s: _draw(rng, s, sizes, _DIRECTIONS) for s in (d, w)}
    got = float(np.sum(interpret([_by_rule(node, x, d, w)], values)[0]))
    t = _symbol("\0t", (), "float64")
    total = PRIMITIVES["sum"](w * node, axes=tuple(range(node.ndim))) if node.ndim else w * node
    (along,) = substitute([total], {x: x + t * d})
    known = set(free_symbols([along]))
    want, error = richardson(along, {**{s: v for s, v in values.items() if s in known}, t: 0.0}, t)
    scale = max(abs(want), abs(got))
    if not abs(got - want) <= _MARGIN * error + _TOLERANCE * scale:
        point = ", ".join(np.array2string(np.asarray(v), precision=4, threshold=6) for v in at.values())
        raise DerivativeError(
            f"The derivative of {name} by {argument!r} is wrong: along a random direction at ({point}) its rule gives "
            f"{got:.10g}, finite differences {want:.10g} ± {error:.1g}."
        )


def _by_rule(node: Node, x: Node, d: Node, w: Node) -> Node:
    """w * (J d) by forward mode, or d * (J' w) where the rule serves reverse mode only."""
    if node.op.name == "custom" and node.params["rule"] is None:
        (bar,) = pull([node], [w], [x])
        return as_node(0.0) if bar is None else d * bar
    (dot,) = push([node], {x: d})
    return as_node(0.0) if dot is None else w * dot


def _symbol(name: str, shape: Shape, dtype: str) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": shape, "dtype": dtype})


def _draw(rng: Any, x: Node, sizes: Mapping[str, int], interval: tuple[float, float]) -> Any:
    shape = concrete_shape(x.shape, sizes)
    if x.dtype == "bool":
        return rng.uniform(size=shape) > 0.5
    if x.dtype == "int64":
        return rng.integers(0, 3, shape)
    return np.asarray(rng.uniform(*interval, shape)).astype(x.dtype)


def _intervals(domain: Any, n: int, name: str) -> list[tuple[float, float]]:
    given = DOMAIN if domain is None else domain
    pairs = [given] * n if np.ndim(given) == 1 else list(given)
    if len(pairs) != n or any(np.shape(p) != (2,) or not p[0] < p[1] for p in pairs):
        raise DomainError(f"{name}: domain is a pair (low, high) or one for each of {n} arguments, got {domain!r}.")
    return [(float(low), float(high)) for low, high in pairs]
