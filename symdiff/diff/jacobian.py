"""Derivatives as users ask for them: jvp, vjp, gradient, jacobian, hessian, hvp.

Columns and rows of a Jacobian are computed together: the linear map is mapped over the rows of an identity
matrix, so the graph does not grow with their number and sizes may be known only at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from symdiff.diff.batch import batch
from symdiff.diff.forward import jvp_nodes, push
from symdiff.diff.reverse import vjp_nodes
from symdiff.diff.sparse import sparse_derivative
from symdiff.diff.wrt import as_functions, as_list, as_scalar_function, as_symbol, check_like
from symdiff.ir.dims import product
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import count_ops, made_order
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ops.control import check_bound
from symdiff.ops.elementwise import eq, where
from symdiff.ops.elementwise.values import is_literal
from symdiff.ops.index import broadcast_to, reshape, slice_, transpose, zeros_like
from symdiff.ops.leaves import iota
from symdiff.passes.tidy import read_order, tidy

Mode = Literal["auto", "forward", "reverse", "cross-country"]

# Up to here a formula is read by people and tidied for them; beyond, it is for the compiler, whose passes tidy anyway.
_READABLE = 300
# Scalar Jacobians of larger graphs carry all columns as one small vector: n times fewer operations to compile.
_VECTOR_COLUMNS = 4


def eye(n: Any, dtype: str = "float64") -> Node:
    """The identity matrix of n rows, n an int or a run-time size."""
    row, col = reshape(iota(n=n), shape=(n, 1)), reshape(iota(n=n), shape=(1, n))
    return where(eq(row, col), const(1.0, dtype), const(0.0, dtype))


def _polish(nodes: list[Node]) -> list[Node]:
    return read_order(tidy(nodes)) if count_ops(nodes) <= _READABLE else nodes


def jvp(f: Any, wrt: Any, tangents: Any) -> Any:
    """Return the derivative of `f` along `tangents` of the symbols `wrt` (forward mode).

    Shapes: a tangent has the shape of its symbol, the result that of `f`; a list of functions gives a list.
    Raises: ShapeError, DerivativeError.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> print(sd.jvp(x * y, [x, y], [1.0, 3.0]))
    y + 3*x
    """
    fs, single = as_list(f)
    xs = [as_symbol(x) for x in as_list(wrt)[0]]
    if len(set(xs)) < len(xs):
        raise DerivativeError("jvp takes one tangent for each symbol; a symbol is given twice.")
    dots = check_like(as_list(tangents)[0], xs, "tangents")
    # A literal 0 is an exact zero: it leaves no 0*… behind.
    given = {x: None if is_literal(d, 0.0) else d for x, d in zip(xs, dots, strict=True)}
    nodes = as_functions(fs)
    pushed = push(nodes, given)
    out = _polish([zeros_like(g) if p is None else p for g, p in zip(nodes, pushed, strict=True)])
    return out[0] if single else out


def vjp(f: Any, wrt: Any, cotangents: Any, max_bytes: int | None = None) -> Any:
    """Return the cotangents of the symbols `wrt` for `cotangents` of `f` (reverse mode).

    `max_bytes` bounds the memory for the states of each loop that has no bound of its own; with less memory more
    turns are computed again (see `while_loop`).

    Shapes: a cotangent has the shape of its function, a result that of its symbol; like `wrt`, list in, list out.
    Raises: ShapeError, DerivativeError.
    """
    check_bound(max_bytes)
    fs = as_functions(as_list(f)[0])
    xs, single = as_list(wrt)
    bars = check_like(as_list(cotangents)[0], fs, "cotangents")
    out = _polish(vjp_nodes(fs, [as_symbol(x) for x in xs], bars, max_bytes))
    return out[0] if single else out


def gradient(f: Any, wrt: Any, max_bytes: int | None = None) -> Any:
    """Return the gradient of a scalar `f` by the symbols `wrt` in reverse mode.

    `max_bytes` bounds the memory for the states of each loop that has no bound of its own (see `while_loop`).

    Shapes: each result has the shape of its symbol; list in, list out; one symbol in, one expression out.
    Raises: ShapeError if `f` is not a scalar; DerivativeError.
    Cost: at most a small multiple of `f`, whatever the number of symbols.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> [str(g) for g in sd.gradient(x**2 * y, [x, y])]
    ['2*x*y', 'x**2']
    """
    node = as_scalar_function(f, "gradient")
    return vjp(node, wrt, const(1.0, node.dtype), max_bytes)


def jacobian(f: Any, wrt: Any, mode: Mode = "auto", sparse: bool | str = False) -> Any:
    """Return the derivatives of all entries of `f` by all entries of `wrt`.

    Shapes: for one function and one symbol (*f.shape, *wrt.shape); lists on either side give (nested) lists.
    `mode` "auto" takes forward mode when the symbol has no more entries than the function; "cross-country" takes
    the order that `accumulation` finds cheapest.
    With `sparse` each block is a `SparseExpr` of shape (f.size, wrt.size) that compiles to a SciPy array; a string
    names the method: "pattern", "column", "row" or "bidirectional".
    Raises: DerivativeError, ShapeError.

    >>> import symdiff as sd
    >>> x = sd.vector("x", 9)
    >>> print(sd.jacobian(x[1:] * x[:-1], x, sparse=True))
    8 × 9, 16 non-zeros (22.22%), 0 products: pattern
    ⎡⠙⢦⡀⠀⠀⎤
    ⎣⠀⠀⠙⢦⡀⎦
    """
    if mode not in get_args(Mode):
        raise DerivativeError(f"The mode of a Jacobian is one of {', '.join(map(repr, get_args(Mode)))}, got {mode!r}.")
    fs, single_f = as_list(f)
    xs, single_x = as_list(wrt)
    fs, xs = as_functions(fs), [as_symbol(x) for x in xs]
    if sparse:
        blocks = [[sparse_derivative(g, x, False, sparse) for x in xs] for g in fs]
        found = [row[0] if single_x else row for row in blocks]
        return found[0] if single_f else found
    rows = _columns_as_vectors(fs, xs) if mode in ("auto", "forward") else None
    if rows is None:
        if mode == "cross-country":
            from symdiff.diff.cross_country import cross_country  # which needs this module

            rows = cross_country(fs, xs)
        else:
            rows = [[_block(g, x, mode) for x in xs] for g in fs]
        flat = _polish([b for row in rows for b in row])
        rows = [flat[k : k + len(xs)] for k in range(0, len(flat), len(xs))]
    out = [row[0] if single_x else row for row in rows]
    return out[0] if single_f else out


def _block(f: Node, x: Node, mode: Mode) -> Node:
    if mode == "auto":
        mode = "forward" if _no_larger(x, f) else "reverse"
    if mode == "forward":
        if x.shape == ():
            return jvp_nodes([f], [x], [const(1.0, x.dtype)])[0]
        n = product(x.shape)
        mark = _mark(x)
        (dot,) = jvp_nodes([f], [x], [mark])
        (columns,) = batch([dot], {mark: reshape(eye(n, x.dtype), shape=(n, *x.shape))})
        moved = transpose(columns, perm=(*range(1, columns.ndim), 0))
        return reshape(moved, shape=(*f.shape, *x.shape))
    if f.shape == ():
        return vjp_nodes([f], [x], [const(1.0, f.dtype)])[0]
    m = product(f.shape)
    mark = _mark(f)
    (bar,) = vjp_nodes([f], [x], [mark])
    (rows,) = batch([bar], {mark: reshape(eye(m, f.dtype), shape=(m, *f.shape))})
    return reshape(rows, shape=(*f.shape, *x.shape))


def _no_larger(x: Node, f: Node) -> bool:
    n, m = product(x.shape), product(f.shape)
    if isinstance(n, int) and isinstance(m, int):
        return n <= m
    # A run-time size counts as larger than any known one.
    return isinstance(n, int) or (not isinstance(m, int) and x.ndim <= f.ndim)


def _mark(like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": "\0direction", "shape": like.shape, "dtype": like.dtype})


def _columns_as_vectors(fs: Sequence[Node], xs: Sequence[Node]) -> list[list[Node]] | None:
    """All columns of a large scalar Jacobian at once: tangents are vectors with one entry per symbol."""
    if len(xs) < _VECTOR_COLUMNS or len(fs) < 2 or any(x.shape for x in xs):
        return None
    # These take scalars as they are declared.
    apart = ("item", "custom", "opaque")
    if any(node.shape or node.op.name in apart for node in made_order(fs)) or count_ops(fs) <= _READABLE // 3:
        return None
    n, index = len(xs), iota(n=len(xs))
    one, zero = const(1.0, xs[0].dtype), const(0.0, xs[0].dtype)
    basis = {x: where(eq(index, k), one, zero) for k, x in enumerate(xs)}
    rows = [broadcast_to(zero, shape=(n,)) if r is None else r for r in push(fs, basis)]
    return [[reshape(slice_(r, starts=(k,), extents=(1,), steps=(1,)), shape=()) for k in range(n)] for r in rows]


def hessian(f: Any, wrt: Any, sparse: bool | str = False) -> Any:
    """Return the second derivatives of a scalar `f`: forward mode over reverse mode.

    Shapes: (*x.shape, *x.shape) for one symbol; a list of symbols gives a list of lists.
    With `sparse` each block is a `SparseExpr` of shape (x.size, y.size) that compiles to a SciPy array; a string
    names the method, as for `jacobian`, or "star" or "acyclic" for one symbol.
    Raises: ShapeError if `f` is not a scalar; DerivativeError.
    """
    node = as_scalar_function(f, "hessian")
    xs, single = as_list(wrt)
    first = gradient(node, xs)
    if sparse:
        xs = [as_symbol(x) for x in xs]
        blocks = [[sparse_derivative(g, x, y is x, sparse) for x in xs] for g, y in zip(first, xs, strict=True)]
        return blocks[0][0] if single else blocks
    if single:
        return jacobian(first[0], xs[0], mode="forward")
    return jacobian(first, xs, mode="forward")


def hvp(f: Any, wrt: Any, v: Any) -> Any:
    """Return the product of the Hessian of a scalar `f` with `v`, without the Hessian.

    Shapes: `v` and the result are like `wrt`. Cost: a few gradients (Pearlmutter 1994).
    """
    node = as_scalar_function(f, "hvp")
    xs, single = as_list(wrt)
    out = jvp(gradient(node, xs), xs, as_list(v)[0])
    return out[0] if single else out
