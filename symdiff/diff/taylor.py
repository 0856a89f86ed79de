"""Taylor mode: all coefficients of f(x + t d) up to an order, in one pass.

A series is the list of the coefficients of t^0, t^1, … of one node; None is an exact zero. A coefficient of a node
is made from those of its arguments, by a rule of `taylor_rules`. A rule that needs the series of another node asks
for it, so only what is needed is expanded, each node to the order that is needed.

Method: Griewank & Walther 2008, chapter 13. For y = phi(x) with partial derivative P = phi'(x), itself a graph,
y' = P x' gives coefficient k of y from coefficients < k of P. Equal nodes are the same object, so exp finds itself
in its own partial, and sin and cos find each other; there is no table of Taylor rules for single functions.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from symdiff.diff.taylor_rules import Ask, Expansion, Series, coefficient
from symdiff.diff.wrt import as_functions, as_list, as_symbol, check_like
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.graph import count_ops
from symdiff.ir.node import Node, brief, const, here
from symdiff.ops.elementwise.values import is_literal
from symdiff.ops.index import zeros_like
from symdiff.passes.tidy import read_order, tidy

_READABLE = 300


def taylor(f: Any, x: Any, order: int, directions: Any = None) -> Any:
    """Return the Taylor coefficients c_0 … c_order of `f`, c_k being the k-th derivative divided by k!.

    With a scalar symbol `x` they are those of `f` in `x`. With `directions` d, one for each symbol of `x`, scalars
    and arrays, they are those of f(x + t*d) in t.

    Shapes: a direction has the shape of its symbol, a coefficient that of `f`; a list of functions gives a list.
    Raises: DerivativeError, ShapeError. A coefficient that does not exist is infinite or NaN when it is evaluated.
    Cost: about (order + 1)**2 / 2 products for every operation of `f`; (order + 1)**3 / 6 for the gamma family.
    Method: Griewank & Walther 2008, chapter 13.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> [str(c) for c in sd.taylor(sd.sin(x), x, 3)]
    ['sin(x)', 'cos(x)', '-(sin(x)/2)', '-(cos(x)/6)']
    """
    fs, single = as_list(f)
    xs = [as_symbol(s) for s in as_list(x)[0]]
    if not isinstance(order, int) or isinstance(order, bool) or order < 0:
        raise DerivativeError(f"The order of a Taylor expansion is an int >= 0, got {order!r}.")
    if len(set(xs)) < len(xs):
        raise DerivativeError("taylor takes one direction for each symbol; a symbol is given twice.")
    dots = _directions(xs, directions)
    given: dict[Node, Series] = {s: [s, None if is_literal(d, 0.0) else d] for s, d in zip(xs, dots, strict=True)}
    nodes = as_functions(fs)
    rows = expand(nodes, given, order)
    flat = [zeros_like(g) if c is None else c for g, row in zip(nodes, rows, strict=True) for c in row]
    if count_ops(flat) <= _READABLE:
        flat = read_order(tidy(flat))
    out = [flat[k : k + order + 1] for k in range(0, len(flat), order + 1)]
    return out[0] if single else out


def _directions(xs: Sequence[Node], directions: Any) -> list[Node]:
    if directions is not None:
        return check_like(as_list(directions)[0], xs, "directions")
    if len(xs) != 1:
        raise DerivativeError(f"taylor by {len(xs)} symbols needs directions=[…], one for each symbol.")
    if xs[0].shape != ():
        raise ShapeError(f"taylor by the array {brief(xs[0])} needs directions=[…], an array of its shape.")
    return [const(1.0, xs[0].dtype)]


def expand(outputs: Sequence[Node], given: Mapping[Node, Series], order: int) -> list[Series]:
    """Return the series of `outputs` for those of some inner nodes, where the graph is cut.

    A given series may end early: the rest is zero.
    """
    book = Expansion({x: [*s, *[None] * (order + 1 - len(s))][: order + 1] for x, s in given.items()}, order, expand)
    saved = here.source
    try:
        for node in outputs:
            _run(book, node)
    finally:
        here.source = saved
    return [book.series[node][: order + 1] for node in outputs]


def _run(book: Expansion, node: Node) -> None:
    """Expand one node and what it needs: a work list of suspended rules, no recursion over the graph."""
    stack = [(node, _extend(book, node, book.order))]
    busy = {node}
    reply: Series | None = None
    while stack:
        owner, task = stack[-1]
        here.source = owner.source
        try:
            wanted, order = task.send(reply)  # type: ignore[arg-type]  # a fresh generator is started with None
        except StopIteration as done:
            stack.pop()
            busy.discard(owner)
            reply = done.value
            continue
        known = book.series.get(wanted)
        if known is not None and len(known) > order:
            reply = known
            continue
        if wanted in busy:
            raise DerivativeError(
                f"taylor: the derivative of {brief(owner)} ({owner.line}) runs a loop over the result itself; "
                "differentiate repeatedly with sd.diff or sd.jvp instead."
            )
        busy.add(wanted)
        stack.append((wanted, _extend(book, wanted, order)))
        reply = None


def _extend(book: Expansion, node: Node, order: int) -> Generator[Ask, Series, Series]:
    """Bring the series of `node` to `order`, coefficient by coefficient."""
    known = book.series.setdefault(node, [])
    while len(known) <= order:
        c = yield from coefficient(book, node, len(known))
        known.append(None if known and c is not None and is_literal(c, 0.0) else c)
    return known
