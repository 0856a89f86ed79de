"""sd.lambdify: SymPy's lambdify, with a compiled function instead of generated Python.

It stands beside `compile`, which it needs, and not in `front`, which knows no compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.compile import compile
from symdiff.front.symbols import array
from symdiff.front.sympy_bridge import from_sympy, is_sympy
from symdiff.function import Function
from symdiff.ir.errors import DTypeError, ShapeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, as_node, brief

Build = Callable[[Sequence[Any]], Any]


def lambdify(
    args: Any,
    expr: Any,
    modules: Any = None,
    printer: Any = None,
    use_imps: bool = True,
    dummify: bool = False,
    cse: bool = False,
    docstring_limit: int | None = 1000,
    *,
    target: str = "cpu",
) -> Callable[..., Any]:
    """Return a function of `args` that computes `expr`, as `sympy.lambdify(args, expr, "numpy")` does.

    `args` is a symbol or a list of symbols, nested tuples or lists of them, matrices of symbols and
    MatrixSymbols; `expr` an expression of SymPy or symdiff, a matrix, or a list, tuple or dict of those, whose
    form the result has: a Matrix gives a 2-D array. Numbers in give floats out; arrays broadcast against each
    other, entry by entry, and an expression without symbols stays a number, as in SymPy. Everything is computed
    in float64. SymPy's other options are accepted and have no effect: common subexpressions are always shared.

    Raises UnknownSymbolError for a symbol of `expr` that is not in `args`.

    >>> import sympy
    >>> a, b = sympy.symbols("a b")
    >>> lambdify([a, b], [a + b, a * b], target="reference")(2, 3)
    [5.0, 6.0]
    """
    many = isinstance(args, (list, tuple, set, frozenset)) or not (
        isinstance(args, Node) or is_sympy(args) or isinstance(args, str)
    )
    spec = _Arguments(list(args) if many else [args])
    roots: list[Node] = []
    build = _form(expr, roots, spec.names)
    spec.check(roots)
    used = [[k for k, s in enumerate(spec.inputs) if s in needed] for needed in (set(free_symbols([r])) for r in roots)]
    numbers = [float(np.asarray(r.params["value"])) if r.op.name == "const" else None for r in roots]
    if build is _first and spec.is_flat and len(used[0]) == len(spec.inputs) > 0:
        return _direct(compile(roots[0], spec.inputs, target=target), spec.text)
    wanted = [r for r, n in zip(roots, numbers, strict=True) if n is None]
    function = compile(wanted, spec.inputs, target=target) if wanted else None

    def call(*values: Any, **named: Any) -> Any:
        flat = spec.flatten(values, named)
        found = iter(function(*flat)) if function is not None else iter(())
        results = []
        for number, indices, root in zip(numbers, used, roots, strict=True):
            results.append(number if number is not None else _own_shape(next(found), flat, indices, spec.inputs, root))
        return build(results)

    return _named(call, spec.text)


def _direct(function: Function, text: str) -> Callable[..., Any]:
    """One expression of all the arguments: nothing to take apart or put together, which saves most of a call."""

    def call(*values: Any, **named: Any) -> Any:
        return function(*values, **named)

    return _named(call, text)


def _named(call: Callable[..., Any], text: str) -> Callable[..., Any]:
    call.__name__ = call.__qualname__ = "lambdified"
    call.__doc__ = f"Compute the lambdified expression of {text}."
    return call


def _own_shape(value: Any, flat: Sequence[Any], used: Sequence[int], inputs: Sequence[Node], root: Node) -> Any:
    """Undo the broadcast against arguments that a result does not depend on: x*2 keeps the shape of x."""
    if root.shape or not isinstance(value, np.ndarray) or not value.shape:
        return value
    own = np.broadcast_shapes(*(np.shape(flat[k]) for k in used if not inputs[k].shape))
    if own == value.shape:
        return value
    lead = value.ndim - len(own)
    picked = value[(0,) * lead]
    return picked[tuple(slice(0, 1) if d == 1 else slice(None) for d in own)] if own else float(picked)


class _Matrix(list[Any]):
    """The entries of a matrix of symbols, row by row: its value may be a 2-D array or a flat sequence."""


class _Arguments:
    """The arguments of the function: a tree of symbols, and the flat list of inputs that it stands for."""

    def __init__(self, args: list[Any]):
        self.inputs: list[Node] = []
        self.names: dict[Any, Node] = {}
        self.tree = [self._read(a) for a in args]
        self.is_flat = all(isinstance(tree, int) for tree in self.tree)
        self.text = ", ".join(str(s.params["name"]) for s in self.inputs)
        if len(set(self.inputs)) != len(self.inputs):
            raise DTypeError(f"lambdify: an argument occurs twice in ({self.text}).")

    def _read(self, arg: Any) -> Any:
        """Return the index of an input, or a list of such trees."""
        if isinstance(arg, str):
            arg = array(arg, ())
        if isinstance(arg, (list, tuple)):
            return [self._read(a) for a in arg]
        if is_sympy(arg) and hasattr(arg, "flat") and not getattr(arg, "is_MatrixExpr", False):
            return _Matrix(self._read(a) for a in arg.flat())
        if isinstance(arg, Node):
            node = arg
        elif is_sympy(arg) and (arg.is_Symbol or getattr(arg, "is_MatrixExpr", False)):
            node = from_sympy(arg)
        elif is_sympy(arg):
            # SymPy also takes f(t) and Derivative(f(t), t): unknowns of their own, whatever they are called.
            node = array(f"argument{len(self.inputs)}", ())
        else:
            raise DTypeError(f"lambdify takes symbols as arguments, got {arg!r}.")
        if node.op.name != "symbol":
            raise DTypeError(f"lambdify takes symbols as arguments, got {brief(node)}.")
        if is_sympy(arg):
            self.names[arg] = node
        self.inputs.append(node)
        return len(self.inputs) - 1

    def check(self, roots: Sequence[Node]) -> None:
        """Raise UnknownSymbolError for a symbol that is no argument."""
        known = set(self.inputs)
        missing = [s.params["name"] for s in free_symbols(roots) if s not in known]
        if missing:
            raise UnknownSymbolError(
                f"lambdify: the expression contains {', '.join(missing)}, the arguments are ({self.text})."
            )

    def flatten(self, values: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """Return the values of the inputs in order."""
        if named:
            values = [*values, *(self._named(tree, named) for tree in self.tree[len(values) :])]
            unknown = set(named) - {self.inputs[t].params["name"] for t in self.tree if isinstance(t, int)}
            if unknown:
                raise TypeError(f"The function of ({self.text}) has no argument {', '.join(sorted(unknown))}.")
        if len(values) != len(self.tree):
            raise TypeError(f"The function of ({self.text}) takes {len(self.tree)} arguments, got {len(values)}.")
        flat: list[Any] = [None] * len(self.inputs)
        for tree, value in zip(self.tree, values, strict=True):
            self._fill(tree, value, flat)
        return flat

    def _named(self, tree: Any, named: Mapping[str, Any]) -> Any:
        name = str(self.inputs[tree].params["name"]) if isinstance(tree, int) else "a nested argument"
        if name not in named:
            raise TypeError(f"The function of ({self.text}) needs a value for {name}.")
        return named[name]

    def _fill(self, tree: Any, value: Any, flat: list[Any]) -> None:
        if isinstance(tree, int):
            flat[tree] = value
            return
        items = list(np.ravel(value)) if isinstance(tree, _Matrix) else list(value)
        if len(items) != len(tree):
            raise ShapeError(
                f"A nested argument of the function of ({self.text}) has {len(tree)} entries, got {len(items)}."
            )
        for branch, item in zip(tree, items, strict=True):
            self._fill(branch, item, flat)


def _form(expr: Any, roots: list[Node], names: Mapping[Any, Node]) -> Build:
    """Append the scalar parts of `expr` to `roots`; return the function that puts their values in its form."""
    if isinstance(expr, Mapping):
        parts = [(key, _form(value, roots, names)) for key, value in expr.items()]
        return lambda values: {key: build(values) for key, build in parts}
    if isinstance(expr, (list, tuple)):
        builds = [_form(item, roots, names) for item in expr]
        kind = list if isinstance(expr, list) else tuple
        return lambda values: kind(build(values) for build in builds)
    if is_sympy(expr) and hasattr(expr, "shape") and not getattr(expr, "is_MatrixExpr", False):
        return _entries(expr, roots, names)
    k = len(roots)
    roots.append(from_sympy(expr, names) if is_sympy(expr) else as_node(expr))
    return (lambda values: values[k]) if k else _first


def _first(values: Sequence[Any]) -> Any:
    return values[0]


def _entries(matrix: Any, roots: list[Node], names: Mapping[Any, Node]) -> Build:
    """A matrix or array: its entries, put together as NumPy's array of them (arrays inside add axes at the end)."""
    import sympy

    shape = tuple(int(d) for d in matrix.shape)
    entries = list(matrix.flat()) if isinstance(matrix, sympy.MatrixBase) else list(sympy.flatten(matrix.tolist()))
    first = len(roots)
    roots.extend(from_sympy(entry, names) for entry in entries)

    def build(values: Sequence[Any]) -> Any:
        parts = np.broadcast_arrays(*values[first : first + len(entries)]) if entries else []
        return np.array(parts).reshape(shape + (parts[0].shape if parts else ()))

    return build
