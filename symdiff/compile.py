"""compile: the one place that knows the whole way: passes, schedule, target.

expressions -> optimised graph -> Program -> code of a target -> Function
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from symdiff.form import flatten, is_sparse
from symdiff.function import Function
from symdiff.ir.errors import CompileError, DTypeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols, made_order
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, make
from symdiff.loader import Loader

if TYPE_CHECKING:
    from symdiff.background import Later
    from symdiff.matrices import MatrixFunction

TARGETS = ("cpu", "cuda", "reference")


def compile(
    outputs: Any,
    inputs: Sequence[Any],
    target: str = "cpu",
    threads: int | None = None,
    dtype: str | None = None,
    wait: bool = True,
) -> Any:
    """Compile expressions into a function of `inputs`.

    `outputs` is an expression, or a list, tuple or dict of them, nested as you like; the result has the same form.
    `inputs` are symbols in the order of the call. Arrays where scalars were declared map the function over them with
    broadcasting. A `SparseExpr` gives a `scipy.sparse.csr_array` at every call: then this is a `MatrixFunction`.
    `dtype` "float32" converts all real symbols first; `threads` limits the threads of a call.

    With `wait=False` it returns at once and compiles in the background. Calls of a large graph are then answered by
    the interpreter until the code is there: the same formulas up to the order of sums and products and the last
    digits of functions, so the same values up to rounding. What compiling raises is raised by the next call.
    `fn.ready` tells whether the code is there, `fn.wait()` waits for it.

    Raises: UnknownSymbolError for a symbol that is not among `inputs`, CompileError for what a target lacks.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> fn = sd.compile([x * y, x + y], [x, y])
    >>> fn(3.0, 0.5)
    [1.5, 3.5]
    """
    if target not in TARGETS:
        raise CompileError(f"The target is one of {', '.join(TARGETS)}, got {target!r}.")
    if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
        raise CompileError(f"threads is a positive int or None, got {threads!r}.")
    if not wait and target != "cpu":
        raise CompileError(f"wait=False compiles in the background for target='cpu' only, got {target!r}.")
    symbols = [_symbol(x) for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
    _check_names(symbols)
    form, roots = flatten(outputs)
    if any(map(is_sparse, roots)):
        if dtype is not None:
            raise CompileError("dtype= does not reach into a SparseExpr; declare its symbols with that dtype instead.")
        return _with_matrices(roots, symbols, form, _loader(target, threads, wait))
    roots = [as_node(r) for r in roots]
    _check_given(roots, symbols)
    if dtype is not None:
        roots, symbols = _convert(roots, symbols, dtype)
    with _paused_collection():
        return Function(symbols, roots, form, _loader(target, threads, wait))


def _loader(target: str, threads: int | None, wait: bool) -> Loader | Later:
    loader = Loader(target, threads)
    if wait:
        return loader
    from symdiff.background import Later

    return Later(loader)


def _with_matrices(outputs: Sequence[Any], symbols: list[Node], form: Any, loader: Loader | Later) -> MatrixFunction:
    from symdiff.matrices import MatrixFunction

    outputs = [r if is_sparse(r) else as_node(r) for r in outputs]
    _check_given([r.function if is_sparse(r) else r for r in outputs], symbols)

    def build(roots: list[Node], inputs: list[Node]) -> Function:
        with _paused_collection():
            return Function(inputs, roots, "list", loader)

    return MatrixFunction(outputs, symbols, form, build)


def _check_given(roots: Sequence[Node], symbols: Sequence[Node]) -> None:
    given = set(symbols)
    if any(s.op.name == "symbol" and s not in given for s in made_order(roots)):
        missing = [s for s in free_symbols(roots) if s not in given]
        raise UnknownSymbolError(_missing_text(missing, symbols))


@contextlib.contextmanager
def _paused_collection() -> Iterator[None]:
    """Pause the cyclic garbage collector: a graph makes many objects and no cycles, and scans cost a quarter."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _symbol(x: Any) -> Node:
    node = as_node(x)
    if node.op.name != "symbol":
        raise DTypeError(f"The inputs of a function are symbols, got {brief(node)} ({node.line}).")
    return node


def _check_names(symbols: Sequence[Node]) -> None:
    names: set[str] = set()
    for s in symbols:
        name = s.params["name"]
        if name in names:
            raise DTypeError(f"Two inputs are named {name!r}; every input needs a name of its own.")
        names.add(name)


def _missing_text(missing: Sequence[Node], symbols: Sequence[Node]) -> str:
    """Name what is missing, and the twin of the same name but another shape if there is one."""
    given = {s.params["name"]: s for s in symbols}
    parts = []
    for m in missing:
        name = m.params["name"]
        twin = given.get(name)
        hint = f", of shape {m.shape} while the input of that name has shape {twin.shape}" if twin is not None else ""
        parts.append(f"{name!r} ({m.line}){hint}")
    return (
        f"The expression contains {', '.join(parts)}, not among the inputs {', '.join(map(repr, given)) or '(none)'}."
    )


def _convert(roots: Sequence[Node], symbols: Sequence[Node], dtype: str) -> tuple[list[Node], list[Node]]:
    """Replace all real symbols and literals by ones of `dtype`."""
    from symdiff.passes import settle
    from symdiff.passes.retype import retype

    if dtype not in ("float32", "float64"):
        raise DTypeError(f"dtype is 'float32' or 'float64', got {dtype!r}.")

    def converted(s: Node) -> Node:
        if not s.dtype.startswith("float"):
            return s
        return make(PRIMITIVES["symbol"], (), {**s.params, "dtype": dtype})

    new = [converted(s) for s in symbols]
    return retype(settle(roots), dict(zip(symbols, new, strict=True)), dtype), new
