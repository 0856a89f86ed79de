"""One direction through many entries: what is tested of arrays that are too large for entry by entry.

phi(t) = <w, f(x + t v)> with random v and w has the derivative <w, J v> = <J' w, v> at 0: forward mode computes the
left side, reverse mode the right one, and differences of phi need a few values of `f` whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.finite import Values
from symdiff.diff.forward import jvp_nodes
from symdiff.diff.parting import is_compound
from symdiff.diff.reverse import vjp_nodes
from symdiff.diff.rules import Rule
from symdiff.ir.graph import LEAVES, substitute
from symdiff.ir.interpret import interpret
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ir.primitive import Constant, Elementwise, Linear

_T = {"name": "step along the direction", "shape": (), "dtype": "float64"}


@dataclass(frozen=True, slots=True)
class Line:
    """The function `f` of `symbols` along random `directions`, weighted by `weight` (None for a scalar).

    `values` are those of the point, of the directions, of the weight and of the step `t`, which is 0.
    """

    f: Node
    symbols: tuple[Node, ...]
    directions: tuple[Node, ...]
    weight: Node | None
    t: Node
    values: Values

    @property
    def phi(self) -> Node:
        """The scalar <w, f(x + t v)>."""
        moved = {x: x + self.t * v for x, v in zip(self.symbols, self.directions, strict=True)}
        return self.weighted(substitute([self.f], moved)[0])

    def weighted(self, node: Node) -> Node:
        """Return <w, node> for a node of the shape of `f`."""
        return node if self.weight is None else _dot(self.weight, node)

    def forward(self) -> Node:
        """Return <w, J v> by forward mode."""
        return self.weighted(jvp_nodes([self.f], self.symbols, self.directions)[0])

    def reverse(self) -> Node:
        """Return <J' w, v> by reverse mode."""
        bar = const(1.0, self.f.dtype) if self.weight is None else self.weight
        return self._paired(vjp_nodes([self.f], self.symbols, [bar]))

    def _paired(self, bars: Sequence[Node]) -> Node:
        total: Node = const(0.0)
        for bar, v in zip(bars, self.directions, strict=True):
            total = total + _dot(bar, v)
        return total

    def curvature(self, mode: str) -> Node:
        """Return <v, H v> for the Hessian H of <w, f>: forward mode over the slope of `mode`."""
        slope = self.forward() if mode == "forward" else self.reverse()
        return jvp_nodes([slope], self.symbols, self.directions)[0]

    def rules(self) -> Mapping[str, Rule]:
        """The methods as a comparison takes them."""
        return {"forward": lambda f, symbols: [self.forward()], "reverse": lambda f, symbols: [self.reverse()]}

    def moved(self, h: float) -> tuple[Values, Values]:
        """Return the values at x + h v, and those whose directions are the displacements as they were rounded."""
        at, along = dict(self.values), dict(self.values)
        for x, v in zip(self.symbols, self.directions, strict=True):
            here = self.values[x]
            at[x] = here + (h * self.values[v]).astype(here.dtype)
            along[v] = at[x] - here
        return at, along


def random_line(f: Node, values: Values, symbols: Sequence[Node], seed: int) -> Line:
    """Return `f` along random directions, sized like the entries of the point."""
    rng = np.random.default_rng(seed)
    directions = [_mark(f"direction of {x.params['name']}", x) for x in symbols]
    everything = dict(values)
    for x, v in zip(symbols, directions, strict=True):
        here = values[x]
        size = np.where(np.isfinite(here), np.maximum(np.abs(here), 1.0), 1.0)
        everything[v] = (_random(rng, here.shape) * size).astype(here.dtype)
    weight = None
    if f.shape:
        weight = _mark("weight", f)
        everything[weight] = _random(rng, np.shape(interpret([f], values)[0])).astype(f.dtype)
    t = make(PRIMITIVES["symbol"], (), _T)
    everything[t] = np.asarray(0.0)
    return Line(f, tuple(symbols), tuple(directions), weight, t, everything)


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of either sign, none of them near 0 or 1 in size: a forgotten entry or factor shows."""
    return np.asarray(rng.uniform(0.3, 0.9, shape) * rng.choice([-1.0, 1.0], shape))


def _mark(name: str, like: Node) -> Node:
    # A space in the name: no name that text can be parsed into.
    return make(PRIMITIVES["symbol"], (), {"name": name, "shape": like.shape, "dtype": like.dtype})


def _dot(a: Node, b: Node) -> Node:
    product = a * b
    return PRIMITIVES["sum"](product, axes=tuple(range(product.ndim))) if product.ndim else product


def work(f: Node, values: Values) -> float:
    """Return about how many operations on numbers one value of `f` takes, loops included.

    It is infinite where a part of `f` is a function of floats only, so that there is no value with many digits.
    """
    total = 0.0

    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        nonlocal total
        value = evaluate(args)
        if node.op.name not in LEAVES and not is_compound(node):
            size: float = max(np.size(value), *(np.size(a) for a in args), 1)
            if node.op.name == "opaque":
                size = np.inf
            elif node.op.name == "matmul":
                size = np.size(value) * np.shape(args[0])[-1]
            elif not isinstance(node.op, (Elementwise, Linear, Constant)):
                # A factorisation or a solve: one pass over the longest axis for each entry.
                size *= max((e for a in args for e in np.shape(a)), default=1)
            total += size
        return value

    interpret([f], values, around=around)
    return total
