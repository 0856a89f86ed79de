"""scan and cond: loops and branches of whole expressions, made of `while_loop`.

Their derivatives are loops as well, so graphs do not grow with the number of turns, and a branch that is not
taken is not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symdiff.ir.dims import Dim, Extent, Shape, as_extent, shape_text
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, const, make, promote
from symdiff.ir.primitive import cast
from symdiff.ops.control import build_loop
from symdiff.ops.index import take
from symdiff.ops.rows import empty, set_row


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: Any = None,
    reverse: bool = False,
    max_bytes: int | None = None,
) -> tuple[Any, Any]:
    """Carry a value along the rows of arrays: `carry, y = f(carry, x)` for every row x of `xs`.

    `init` and `xs` are expressions or lists of them; `f` gets and returns the carry in the form of `init` and rows in
    the form of `xs` (None without `xs`; then `length` says how many turns there are). `y` is an expression, a list
    or None. `reverse` begins with the last row. `max_bytes` bounds what a gradient may remember; see `while_loop`.

    Returns the last carry and the stacked ys, row k of which belongs to row k of `xs`.
    Shapes: all `xs` have one leading extent; the carry keeps its shapes and dtypes. Python's numbers in `init` are
    float64, or float32 where the rows are.
    Raises: ShapeError, DTypeError.

    >>> import symdiff as sd
    >>> r = sd.vector("r", "n")
    >>> last, every = sd.scan(lambda c, x: (c * x, c + x), 1.0, r)
    >>> sd.compile([last, every, sd.gradient(last, r)], [r])([2.0, 3.0, 5.0])
    [30.0, array([ 3.,  5., 11.]), array([15., 10.,  6.])]
    """
    rows, one_row = _parts(xs) if xs is not None else ([], True)
    # A Python number takes the precision of the rows: a carry of float64 would make all that follows float64.
    single = bool(rows) and all(x.dtype != "float64" for x in rows) and any(x.dtype == "float32" for x in rows)
    start, one_carry = _parts(init, "float32" if single else None)
    n = _length(rows, length)
    first = _call(f, _marks(start), _marks([_row(x, const(0, "int64")) for x in rows]), one_carry, one_row, xs is None)
    kinds = [(y.shape, y.dtype) for y in first[1]]
    stacks = [empty(shape=(n, *shape), dtype=dtype) for shape, dtype in kinds]
    m = len(start)

    def turn(t: Node, *state: Node) -> list[Node]:
        k = as_node(n) - 1 - t if reverse else t
        k = cast(k, "int64")
        after, ys, _ = _call(f, state[:m], [_row(x, k) for x in rows], one_carry, one_row, xs is None)
        return [t + 1, *after, *(set_row(s, y, k) for s, y in zip(state[m:], ys, strict=True))]

    end = as_node(n) if isinstance(n, Dim) else const(n, "int64")
    result = build_loop(lambda t, *_: t < end, turn, [const(0, "int64"), *start, *stacks], turns=n, max_bytes=max_bytes)
    carry, ys = result[1 : m + 1], result[m + 1 :]
    form = first[2]
    return carry[0] if one_carry else carry, None if form is None else ys[0] if form == "one" else ys


def cond(test: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], *operands: Any) -> Any:
    """Return `if_true(*operands)` where the scalar `test` holds, else `if_false(*operands)`; only that one runs.

    Both return an expression or a list of expressions of the same shapes. For a choice between entries of arrays use
    `where`. Raises: ShapeError, DTypeError.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> y = sd.cond(x > 0, lambda x: sd.sqrt(x), lambda x: -x, x)
    >>> sd.compile([y, sd.gradient(y, x)], [x])(-3.0)
    [3.0, -1.0]
    """
    chosen = as_node(test)
    if chosen.shape != ():
        raise ShapeError(f"cond takes a scalar test, got {brief(chosen)} ({chosen.line}); use where for arrays.")
    chosen = cast(chosen, "bool")
    if not callable(if_true) or not callable(if_false):
        raise DTypeError(f"The branches of cond ({chosen.line}) are functions; for a choice between values use where.")
    nodes = [as_node(x) for x in operands]
    # Each branch is a loop of at most one turn, which begins with what the other one left.
    kinds, single = _kinds(chosen, nodes, if_true, if_false)
    state = [empty(shape=shape, dtype=dtype) for shape, dtype in kinds]
    for go, branch in ((chosen, if_true), (~chosen, if_false)):
        state = _once(go, branch, nodes, state)
    return state[0] if single else state


def _kinds(
    test: Node, operands: Sequence[Node], if_true: Callable[..., Any], if_false: Callable[..., Any]
) -> tuple[list[tuple[Shape, str]], bool]:
    """Return (shape, dtype) of the values of both branches, and whether each is a single expression.

    The branches' nodes are forgotten again: what is built anew inside a loop is computed inside it.
    """
    (yes, single), (no, other) = (_parts(branch(*operands)) for branch in (if_true, if_false))
    if [y.shape for y in yes] != [y.shape for y in no] or single != other:
        shapes = " and ".join(", ".join(shape_text(y.shape) for y in ys) for ys in (yes, no))
        raise ShapeError(f"The branches of cond ({test.line}) return values of different shapes: {shapes}.")
    return [(y.shape, promote(y.dtype, n.dtype)) for y, n in zip(yes, no, strict=True)], single


def _once(go: Node, branch: Callable[..., Any], operands: Sequence[Node], state: Sequence[Node]) -> list[Node]:
    def turn(*_: Node) -> list[Node]:
        return [const(0, "bool"), *_parts(branch(*operands))[0]]

    return build_loop(lambda go, *_: go, turn, [go, *state], turns="once")[1:]


def _parts(value: Any, like: str | None = None) -> tuple[list[Node], bool]:
    if isinstance(value, (list, tuple)):
        return [as_node(v, like=like) for v in value], False
    return [as_node(value, like=like)], True


def _length(rows: Sequence[Node], length: Any) -> Extent:
    for x in rows:
        if not x.ndim:
            raise ShapeError(f"scan runs over the rows of arrays, got the scalar {brief(x)} ({x.line}).")
    extents = {x.shape[0] for x in rows} | ({as_extent(length)} if length is not None else set())
    if len(extents) > 1:
        every = ", ".join(map(str, extents))
        raise ShapeError(f"scan: the arrays and length= have different numbers of rows: {every}.")
    if not extents:
        raise ShapeError("scan needs arrays to run over, or length=.")
    return extents.pop()


def _row(x: Node, k: Node) -> Node:
    return take(x, k, axis=0)


def _marks(nodes: Sequence[Node]) -> list[Node]:
    """Symbols like some nodes: `f` is called on them once, to learn what it returns."""
    symbol = PRIMITIVES["symbol"]
    return [make(symbol, (), {"name": f"\0scan{k}", "shape": x.shape, "dtype": x.dtype}) for k, x in enumerate(nodes)]


def _call(
    f: Callable[[Any, Any], Any],
    carry: Sequence[Node],
    rows: Sequence[Node],
    one_carry: bool,
    one_row: bool,
    no_xs: bool,
) -> tuple[list[Node], list[Node], str | None]:
    """Return carry, ys and the form of the ys ("one", "list" or None)."""
    row: Any = None if no_xs else rows[0] if one_row else list(rows)
    result = f(carry[0] if one_carry else list(carry), row)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise DTypeError("The function of a scan returns the pair (carry, y); y may be None.")
    after, _ = _parts(result[0])
    for k, (old, new) in enumerate(zip(carry, after, strict=False)):
        if old.shape != new.shape:
            raise ShapeError(
                f"scan: value {k} of the carry has shape {shape_text(old.shape)}, the function returns "
                f"{shape_text(new.shape)} ({new.line})."
            )
    if len(after) != len(carry):
        raise ShapeError(f"scan: the carry has {len(carry)} values, the function returns {len(after)}.")
    if result[1] is None:
        return after, [], None
    ys, one = _parts(result[1])
    return after, ys, "one" if one else "list"
