"""stabilise: replace formulas that lose digits or overflow by equal formulas that do not.

Runs before differentiation too, so that derivatives are those of the stable forms.
Needs: nothing.  Keeps: exact value, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.graph import transform
from symdiff.ir.node import Node, const
from symdiff.ops import elementwise as el
from symdiff.ops.reduce import keep_axes, max_, sum_
from symdiff.passes.pattern import Rule, rewriter, variable

x = variable("x")
y = variable("y")

RULES = (
    Rule(el.log(1 + x), el.log1p(x), why="1 + x rounds x away when |x| < 1e-16"),
    Rule(el.log(x + 1), el.log1p(x), why="1 + x rounds x away when |x| < 1e-16"),
    Rule(el.exp(x) - 1, el.expm1(x), why="exp(x) - 1 cancels near x = 0"),
    Rule(el.log1p(el.exp(x)), el.softplus(x), why="exp(x) overflows for x > 709"),
    Rule(1 / (1 + el.exp(-x)), el.sigmoid(x), why="the derivative of 1/(1 + exp(-x)) is inf/inf for x < -709"),
    Rule(1 / (1 + el.exp(x)), el.sigmoid(-x), why="the derivative of 1/(1 + exp(x)) is inf/inf for x > 709"),
    Rule(el.exp(x) / (1 + el.exp(x)), el.sigmoid(x), why="inf/inf for x > 709"),
    Rule(el.log(el.exp(x) + el.exp(y)), el.logaddexp(x, y), why="exp overflows"),
    Rule(1 - el.erf(x), el.erfc(x), why="1 - erf(x) cancels for x > 1"),
)

_rewrite = rewriter(RULES)


def _log_sum_exp(node: Node) -> Node:
    """log(sum(exp(x))) -> m + log(sum(exp(x - m))), m the maximum: exp never overflows."""
    if node.op is not el.log or node.args[0].op is not sum_ or node.args[0].args[0].op is not el.exp:
        return node
    total = node.args[0]
    inner = total.args[0].args[0]
    axes = total.params["axes"]
    if inner.op is el.sub and inner.args[1].op.name in ("reshape", "broadcast_to", "where", "max"):
        return node  # shifted already
    if any(d == 0 for d in inner.shape):
        return node
    top = max_(inner, axes=axes)
    # An infinite maximum would give inf - inf; shifting by 0 then leaves the right infinity.
    shift = el.where(el.isfinite(top), top, const(0.0, top.dtype))
    return shift + el.log(sum_(el.exp(inner - keep_axes(shift, inner.shape, axes)), axes=axes))


def stabilise(roots: Sequence[Node]) -> list[Node]:
    """Replace every match of `RULES` under `roots`, innermost first."""
    return transform(roots, lambda node: _log_sum_exp(_rewrite(node)))
