"""Nodes: the one expression type. Immutable, typed, hash-consed.

Equal structure is the same object, so `==` between nodes is identity and common subexpressions never exist
twice. Operators go through `apply`, which finds the primitive by its name; the primitives themselves are
registered by `symdiff.ops`, and NumPy-like methods are attached by `symdiff.front`.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.ir.dims import Dim, Shape, shape_text
from symdiff.ir.errors import DTypeError, ShapeError, SymdiffError
from symdiff.ir.literals import FrozenArray, Literal

if TYPE_CHECKING:
    from symdiff.ir.primitive import Primitive

DTYPES = ("bool", "int64", "float32", "float64")
_RANK = {name: k for k, name in enumerate(DTYPES)}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NO_PARAMS: Mapping[str, Any] = MappingProxyType({})

Source = tuple[CodeType, int]


class Node:
    """One value of an expression graph: a primitive applied to nodes.

    `shape` is a tuple of ints and `Dim`s, `dtype` one of `DTYPES` (or "tuple" for the value of a loop),
    `source` the user's line that made it, `number` counts nodes in the order of their making. Make nodes with
    `make`, operators and functions, never directly.
    """

    __slots__ = ("op", "args", "params", "shape", "dtype", "source", "number", "__weakref__")

    op: Primitive
    args: tuple[Node, ...]
    params: Mapping[str, Any]
    shape: Shape
    dtype: str
    source: Source | None
    number: int

    if TYPE_CHECKING:  # attached by symdiff.front.methods

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, key: Any) -> Node: ...

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def line(self) -> str:
        """The user's place that made this node, "file:line", or "unknown line"."""
        return f"{self.source[0].co_filename}:{self.source[1]}" if self.source else "unknown line"

    def __add__(self, other: Any) -> Node:
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return _binary("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return _binary("sub", self, other)

    def __rsub__(self, other: Any) -> Node:
        return _binary("sub", other, self)

    def __mul__(self, other: Any) -> Node:
        return _binary("mul", self, other)

    def __rmul__(self, other: Any) -> Node:
        return _binary("mul", other, self)

    def __truediv__(self, other: Any) -> Node:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return _binary("div", other, self)

    def __mod__(self, other: Any) -> Node:
        return _binary("mod", self, other)

    def __rmod__(self, other: Any) -> Node:
        return _binary("mod", other, self)

    def __pow__(self, other: Any) -> Node:
        return _binary("pow", self, other)

    def __rpow__(self, other: Any) -> Node:
        return _binary("pow", other, self)

    def __matmul__(self, other: Any) -> Node:
        return _binary("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return _binary("matmul", other, self)

    def __lt__(self, other: Any) -> Node:
        return _binary("lt", self, other)

    def __le__(self, other: Any) -> Node:
        return _binary("le", self, other)

    def __gt__(self, other: Any) -> Node:
        return _binary("gt", self, other)

    def __ge__(self, other: Any) -> Node:
        return _binary("ge", self, other)

    def __xor__(self, other: Any) -> Node:
        return _binary("xor", self, other)

    def __and__(self, other: Any) -> Node:
        return _binary("and", self, other)

    def __or__(self, other: Any) -> Node:
        return _binary("or", self, other)

    def __invert__(self) -> Node:
        return apply("not", self)

    def __neg__(self) -> Node:
        return apply("neg", self)

    def __pos__(self) -> Node:
        return self

    def __abs__(self) -> Node:
        return apply("abs", self)

    def __bool__(self) -> bool:
        raise SymdiffError(
            f"The truth value of {_brief(self)} ({self.line}) is not known before it runs; "
            "use where(condition, a, b), &, | and ~ instead of if, and, or and not."
        )

    def __float__(self) -> float:
        if self.op.name == "const":
            return float(self.params["value"])
        raise SymdiffError(
            f"{_brief(self)} ({self.line}) has no number yet; compile it or call .subs(...) and evaluate."
        )

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError(f"{_brief(self)} ({self.line}) is a scalar and has no length.")
        if isinstance(self.shape[0], Dim):
            raise ShapeError(
                f"The length of {_brief(self)} ({self.line}) is the run-time size {self.shape[0]}; use .shape[0]."
            )
        return self.shape[0]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Node:
        """Let np.sin(x) and array * x build nodes; without it NumPy would loop over its own array."""
        if method == "__call__" and not options:
            for primitive in PRIMITIVES.values():
                same = getattr(primitive, "evaluate_", None) is ufunc
                if same or (ufunc is np.matmul and primitive.name == "matmul"):
                    return primitive(*inputs)
        raise DTypeError(f"np.{ufunc.__name__} does not build expressions; use the function of that name in symdiff.")

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: Any) -> Node:
        return self

    def __reduce__(self) -> Any:
        from symdiff.ir.text import parse_text, to_text

        return _unpickle, (to_text([self]), parse_text.__module__)


def _unpickle(text: str, _module: str) -> Node:
    from symdiff.ir.text import parse_text

    return parse_text(text)[0]


class _Entry(weakref.ref[Node]):
    """A weak reference that knows its key; WeakValueDictionary's own Python layers cost 1 us a node."""

    __slots__ = ("key",)
    key: tuple[Any, ...]


_table: dict[tuple[Any, ...], _Entry] = {}
# Held while an entry is replaced, and at a fork by `symdiff.background`.
TABLE_LOCK = threading.RLock()


def _forget(entry: _Entry) -> None:
    # The key may hold a newer node already; only its own entry may go.
    if _table.get(entry.key) is entry:
        del _table[entry.key]


class _Here(threading.local):
    """Where new nodes come from, in this thread.

    `source` is set while a pass rewrites a node: what it makes inherits that node's line. `said` replaces the
    caller's line, for text that does not stand in a file.
    """

    def __init__(self) -> None:
        self.source: Source | None = None
        self.said: Source | None = None


here = _Here()


def _user_source() -> Source | None:
    """Return the innermost frame outside this package."""
    if here.said is not None:
        return here.said
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return (frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return None


def make(op: Primitive, args: tuple[Node, ...], params: Mapping[str, Any] = _NO_PARAMS) -> Node:
    """Return the node `op(*args, **params)`, the same object for the same structure.

    Raises ShapeError or DTypeError, naming the user's line, when the arguments do not fit.
    """
    key = (op, args, tuple(params.items())) if params else (op, args)
    entry = _table.get(key)
    if entry is not None:
        known = entry()
        if known is not None:
            if here.source is None:
                # The user has written it again: from now on errors point at the newer line.
                known.source = _user_source() or known.source
            return known
    source = here.source or _user_source()
    try:
        shape, dtype = op.infer(args, params)
    except SymdiffError as error:
        if "(in " in str(error):
            raise
        where = f", {source[0].co_filename}:{source[1]}" if source else ""
        operands = f" of {' and '.join(map(_brief, args))}" if args else ""
        raise type(error)(f"{error} (in {op.name}{operands}{where})") from None
    node = _new(Node)
    node.op, node.args, node.params = op, args, params
    node.shape, node.dtype, node.source = shape, dtype, source
    node.number = next(_numbers)
    made = _Entry(node, _forget)
    made.key = key
    if _table.setdefault(key, made) is not made:
        with TABLE_LOCK:
            entry = _table.get(key)
            known = entry() if entry is not None else None
            if known is not None:  # another thread was faster
                return known
            _table[key] = made
    return node


_new = object.__new__
_numbers = itertools.count()

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by name; filled when `symdiff.ops` is imported and only read afterwards."""

COERCIONS: list[tuple[Callable[[Any], bool], Callable[[Any], Node]]] = []
"""(test, convert) pairs for foreign objects accepted wherever a node is, such as SymPy's."""


def apply(name: str, *args: Any, **params: Any) -> Node:
    """Apply a primitive by name to anything that converts to nodes."""
    return PRIMITIVES[name](*args, **params)


def _is_operand(value: Any) -> bool:
    return isinstance(value, (Node, int, float, Dim, np.ndarray, np.generic)) or any(t(value) for t, _ in COERCIONS)


def _binary(name: str, a: Any, b: Any) -> Node:
    other = b if type(a) is Node else a
    if type(other) is not Node and not _is_operand(other):
        if isinstance(other, complex):
            raise DTypeError(f"Expressions are real; got the complex number {other!r}. Keep real and imaginary parts.")
        return NotImplemented
    return PRIMITIVES[name](a, b)


def const(value: Any, dtype: str = "float64") -> Node:
    """Return a scalar literal of the given dtype."""
    held: Any = Literal(value) if dtype.startswith("float") else int(value)
    if dtype == "float32":
        held = Literal(np.float32(value))
    return make(PRIMITIVES["const"], (), {"value": held, "dtype": dtype})


def as_node(value: Any, like: str | None = None) -> Node:
    """Convert to a node: nodes, Python and NumPy numbers, arrays, run-time sizes, and whatever `COERCIONS` knows.

    A Python number takes the dtype `like` of its partner where that loses nothing (NumPy's weak scalars).
    Raises DTypeError for anything else.
    """
    if type(value) is Node:
        return value
    if isinstance(value, (bool, np.bool_)):
        return const(value, "bool")
    if isinstance(value, int):
        if like == "int64":
            return const(value, "int64") if -(2**63) <= value < 2**63 else _too_large(value)
        try:
            return const(float(value), like if like in ("float32", "float64") else "float64")
        except OverflowError:
            _too_large(value)
    if isinstance(value, float) and not isinstance(value, np.generic):
        return const(value, "float32" if like == "float32" else "float64")
    if isinstance(value, Dim):
        return apply("size", dim=value)
    if isinstance(value, (np.ndarray, np.generic)):
        return _as_data(np.asarray(value))
    for accepts, convert in COERCIONS:
        if accepts(value):
            return convert(value)
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, Node) for v in value):
            return apply("stack", *value)
        return _as_data(np.asarray(value))
    hint = "; sd.parse reads formulas" if isinstance(value, str) else ""
    raise DTypeError(f"Expected an expression or a number, got {value!r} of type {type(value).__name__}{hint}.")


def _too_large(value: int) -> Any:
    raise DTypeError(f"The integer literal with {value.bit_length()} bits does not fit the number type.")


def _as_data(array: np.ndarray) -> Node:
    if array.dtype.kind == "b":
        dtype = "bool"
    elif array.dtype.kind in "iu":
        dtype = "int64"
    elif array.dtype == np.float32:
        dtype = "float32"
    elif array.dtype.kind == "f":
        dtype = "float64"
    else:
        raise DTypeError(f"An array of dtype {array.dtype} is not supported; use {', '.join(DTYPES)}.")
    array = array.astype(dtype)
    if array.ndim == 0:
        return const(array.item(), dtype)
    return make(PRIMITIVES["data"], (), {"array": FrozenArray(array)})


def promote(*dtypes: str) -> str:
    """Return the dtype that NumPy's promotion gives; int64 with float32 gives float64 as in NumPy."""
    top = max(dtypes, key=_RANK.__getitem__)
    if top == "float32" and "int64" in dtypes:
        return "float64"
    return top


def _brief(node: Node) -> str:
    """Name a node in an error: a symbol by its name, anything else by primitive and shape."""
    if node.op.name == "symbol":
        return f"{node.params['name']!r}"
    return f"{node.op.name} of shape {shape_text(node.shape)}"


brief = _brief
