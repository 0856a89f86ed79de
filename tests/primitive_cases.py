"""One or more cases for every primitive, each with a reference that is written here a second time.

A reference takes and returns NumPy object arrays of mpmath numbers (plain arrays for integers and booleans) and
uses only NumPy's object loops and mpmath: no code of the primitive under test except an elementwise function's
own 40-digit definition, `Elementwise.reference`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from symdiff.front.custom import custom_derivative, opaque
from symdiff.ir.literals import Literal
from symdiff.ir.node import PRIMITIVES, Node, as_node, const
from symdiff.ir.primitive import Elementwise
from symdiff.ops.bits import bit_and, bit_xor, shift_right
from symdiff.ops.control import while_loop
from symdiff.ops.custom import stop_gradient
from symdiff.ops.elementwise import ELEMENTWISE, bessel, cos, sign, sin
from symdiff.ops.elementwise.bessel import OF_ORDER
from symdiff.ops.leaves import iota, size
from symdiff.ops.recurrence import recurrence
from symdiff.ops.rows import empty, set_row
from symdiff.ops.sorting import argsort
from tests.case import Case, draw
from tests.linalg_cases import linalg_cases

# Sizes differ and none is a number of vector lanes: a forgotten transpose or remainder shows.
# mpmath takes milliseconds for one of these with 200 digits.
SLOW = frozenset({"digamma", "polygamma", "erfinv", "erfcinv", "ndtri", *bessel.__all__})
SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {1: ((3, 5),), 2: ((3, 5), (5,)), 3: ((3, 1), (5,), (3, 5))}


def by_entry(function: Callable[..., Any], *arrays: Any) -> np.ndarray:
    """Apply a function of numbers to arrays that broadcast."""
    full = np.broadcast_arrays(*arrays)
    out = np.empty(full[0].shape, dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = function(*(a[index] for a in full))
    return out


def _reference(op: Elementwise, params: dict[str, Any], *x: Any) -> Any:
    if op.name not in bessel.__all__:
        return op.reference(*x, **params)
    # Orders that are integers are limits for mpmath, which takes seconds for 200 digits; 130 are enough for
    # differences over 1e-60.
    with mpmath.workdps(min(mpmath.mp.dps, 130)):
        return op.reference(*x, **params)


def _elementwise() -> list[Case]:
    cases = []
    variants: dict[str, list[dict[str, Any]]] = {
        "polygamma": [{"n": 1}, {"n": 2}],
        **{op.name: [{"v": Literal(0.0)}, {"v": Literal(2.5)}] for op in OF_ORDER},
        "cast": [{"dtype": "float32"}, {"dtype": "int64"}, {"dtype": "bool"}],
    }
    for number, op in enumerate(ELEMENTWISE):
        shapes = ((1, 2),) if op.name in bessel.__all__ else ((1, 3),) if op.name in SLOW else SHAPES[op.n_args]
        values = [
            draw(*interval, shape, 100 * number + k)
            for k, (interval, shape) in enumerate(zip(op.samples, shapes, strict=True))
        ]
        if op.kinds == "logic":
            values = [v > 0.5 for v in values]
        if op.name == "where":
            values[0] = values[0] > 0.5
        for k, (low, high) in enumerate(op.samples):
            if low < 0 < high:
                # Where log1p, expm1 and others lose their digits if they are not written with care.
                values[k].flat[0] = 1e-9 * (k + 1)
        if op.name in ("eq", "ne", "le", "ge"):
            values[0][1, 2] = values[1][2]
        if op.name in ("isnan", "isfinite"):
            values[0][1, 2], values[0][0, 3] = np.nan, np.inf
        for params in variants.get(op.name, [{}]):
            cases.append(
                Case(
                    op.name,
                    ",".join(f"{k}={v}" for k, v in params.items()),
                    tuple(values),
                    lambda *x, op=op, params=params: op(*x, **params),
                    lambda *x, op=op, params=params: by_entry(functools.partial(_reference, op, params), *x),
                )
            )
    return cases


def _bits() -> list[Case]:
    """Words, negative numbers and shifts by 0 to 63 places."""
    words = np.array([[3, -7, 2**40 + 5, 0, -1], [12, 2**62, -(2**63), 255, 2**31], [1, 2, 77, -(2**33), 6]])
    places = np.array([5, 0, 31, 63, 32])
    return [
        Case(
            op.name,
            "",
            (words, places),
            op,
            functools.partial(by_entry, lambda x, y, op=op: op.reference(int(x), int(y))),
        )
        for op in (bit_and, bit_xor, shift_right)
    ]


A = draw(-2.0, 2.0, (2, 3, 4), 1)
TIED = np.array([[0.5, -1.25, 3.0, 2.0, -0.75], [1.5, 4.0, -2.0, 0.25, 3.5], [-3.0, 1.0, 0.75, -4.0, 2.25]])
ZEROS = A.copy()
ZEROS[0, 1, 2] = ZEROS[1, 0, 3] = ZEROS[1, 1, 3] = 0.0
INDEX = np.array([[2, 0], [-1, 2], [1, 1]])


def _reduce(name: str, values: np.ndarray, axes: tuple[int, ...], reference: Callable[..., Any]) -> Case:
    label = "all" if len(axes) == values.ndim else "axes=" + "".join(map(str, axes))
    return Case(
        name,
        label,
        (values,),
        lambda x: PRIMITIVES[name](x, axes=axes),
        lambda x: np.asarray(np.apply_over_axes(lambda a, k: _over(reference, a, k), x, axes)).reshape(
            tuple(d for k, d in enumerate(values.shape) if k not in axes)
        ),
    )


def _over(reference: Callable[..., Any], a: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(a, axis, -1)
    out = np.empty(moved.shape[:-1], dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = reference(list(moved[index]))
    return out


def _embedded(x: np.ndarray) -> np.ndarray:
    out = np.full((5, 7), mpmath.mpf(0), dtype=object)
    for i in range(2):
        for j in range(3):
            out[1 + 3 * i, 6 - 2 * j] = x[i, j]
    return out


def _scattered(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    out = np.full((2, 3, 4), mpmath.mpf(0), dtype=object)
    for position in np.ndindex(index.shape):
        out[:, index[position], :] += x[(slice(None), *position)]
    return out


def _recurred(a: np.ndarray, b: np.ndarray, axis: int, from_end: bool = False) -> np.ndarray:
    """The sum over j <= k of b_j times the product of the factors between; `from_end`: a and b by another count."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    if from_end:
        # Entry k counted from the end takes the factor of entry k - 1.
        a = np.concatenate([a[:1], a[::-1]])
    rows = [sum(np.prod(a[j + 1 : k + 1], axis=0) * b[j] for j in range(k + 1)) for k in range(len(b))]
    return np.moveaxis(np.array(rows, dtype=object), 0, axis)


def _order(x: np.ndarray) -> np.ndarray:
    """Where each entry goes is how many are smaller, or equal and earlier."""
    out = np.zeros(x.shape, dtype=np.int64)
    for row, values in enumerate(x):
        for i, v in enumerate(values):
            out[row, sum(w < v or (w == v and j < i) for j, w in enumerate(values))] = i
    return out


def _newton_loop(x: Node, a: Node) -> Node:
    """The loop runs until the count reaches 2; `a` is captured from outside."""
    turns = while_loop(lambda y, k: k < 2, lambda y, k: (0.5 * (y + a / y), k + 1), [x, const(0, "int64")])
    return turns[0]


def _newton(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    for _ in range(2):
        x = (x + a / x) / 2
    return x


def _with_row(x: np.ndarray, row: np.ndarray, index: np.ndarray) -> np.ndarray:
    out = x.copy()
    out[int(index)] = row
    return out


def _product_by_jvp(x: Node, y: Node) -> Node:
    function = custom_derivative(lambda x, y: sin(x) * y)
    function.jvp(lambda primals, dots: cos(primals[0]) * primals[1] * dots[0] + sin(primals[0]) * dots[1])
    return function(x, y)


def _product_by_vjp(x: Node, y: Node) -> Node:
    function = custom_derivative(lambda x, y: sin(x) * y)
    function.vjp(lambda primals, _, bar: (cos(primals[0]) * primals[1] * bar, sin(primals[0]) * bar))
    return function(x, y)


def _called_product(x: Node, y: Node) -> Node:
    function = opaque(
        lambda x, y: np.sin(x) * y,
        x.shape,
        jvp=lambda primals, dots: cos(primals[0]) * primals[1] * dots[0] + sin(primals[0]) * dots[1],
    )
    return function(x, y)


def _sine_product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return by_entry(lambda a, b: mpmath.sin(a) * b, x, y)


def _structured() -> list[Case]:
    prim = PRIMITIVES
    matmul = prim["matmul"]
    products = {
        "matrix,matrix": ((2, 3), (3, 4)),
        "matrix,vector": ((2, 3), (3,)),
        "vector,matrix": ((3,), (3, 4)),
        "vector,vector": ((5,), (5,)),
        "stack,stack": ((2, 1, 3, 4), (5, 4, 2)),
        "stack,vector": ((2, 3, 4), (4,)),
        "vector,stack": ((3,), (2, 3, 4)),
        "stack,matrix": ((2, 3, 4), (4, 5)),
    }
    largest, smallest = (lambda v: max(v)), (lambda v: min(v))
    return [
        _reduce("sum", A, (0, 2), mpmath.fsum),
        _reduce("sum", A, (0, 1, 2), mpmath.fsum),
        _reduce("prod", A, (1,), mpmath.fprod),
        _reduce("prod", ZEROS, (0, 1), mpmath.fprod),
        _reduce("max", TIED, (1,), largest),
        _reduce("max", TIED, (0, 1), largest),
        _reduce("min", TIED, (0,), smallest),
        Case("broadcast_to", "", (A[:, :1, 0],), lambda x: prim["broadcast_to"](x, shape=(3, 2, 4)),
             lambda x: np.broadcast_to(x, (3, 2, 4))),
        Case("reshape", "", (A,), lambda x: prim["reshape"](x, shape=(4, 6)), lambda x: x.reshape(4, 6)),
        Case("transpose", "", (A,), lambda x: prim["transpose"](x, perm=(2, 0, 1)), lambda x: np.moveaxis(x, 2, 0)),
        Case("slice", "", (A,), lambda x: prim["slice"](x, starts=(1, 0, 3), extents=(1, 2, 2), steps=(1, 2, -2)),
             lambda x: x[1:2, ::2, :0:-2]),
        Case("embed", "", (A[0, :2, :3],),
             lambda x: prim["embed"](x, shape=(5, 7), starts=(1, 6), steps=(3, -2)), _embedded),
        Case("concatenate", "", (A, A[:, :2] + 0.3, A[:, :1] - 0.7),
             lambda *x: prim["concatenate"](*x, axis=1), lambda *x: np.concatenate(x, axis=1)),
        Case("take", "", (A, INDEX), lambda x, i: prim["take"](x, i, axis=1), lambda x, i: x[:, i]),
        Case("scatter_add", "", (draw(-2.0, 2.0, (2, 3, 2, 4), 3), INDEX),
             lambda x, i: prim["scatter_add"](x, i, axis=1, extent=3), _scattered),
        *(Case("matmul", label, (draw(-2.0, 2.0, a, 4), draw(-2.0, 2.0, b, 5)), lambda x, y: matmul(x, y),
               lambda x, y: np.asarray(np.matmul(x, y), dtype=object)) for label, (a, b) in products.items()),
        Case("while_loop", "", (draw(0.5, 2.0, (5,), 8), draw(0.5, 3.0, (5,), 9)), _newton_loop, _newton),
        *(Case("set_row", f"index={k}", (A, A[1] * 0.7, np.array(k)), lambda x, r, i: prim["set_row"](x, r, i),
               _with_row) for k in (1, -1)),
        Case("empty", "", (A,), lambda x: set_row(set_row(empty(shape=(2, 3, 4), dtype="float64"), x[1], 0), x[0], 1),
             lambda x: x[::-1]),
        Case("recurrence", "axis=1", (ZEROS, A), lambda a, b: recurrence(a, b, axis=1, reverse=False),
             lambda a, b: _recurred(a, b, 1)),
        Case("recurrence", "reverse", (ZEROS, A), lambda a, b: recurrence(a, b, axis=2, reverse=True),
             lambda a, b: _recurred(a[..., 1:], b[..., ::-1], 2, from_end=True)[..., ::-1]),
        *_bits(),
        Case("argsort", "indices", (TIED[:, ::-1],), lambda x: argsort(x, axis=1), lambda x: _order(x)),
        Case("argsort", "sorted", (TIED[2],), lambda x: prim["take"](x, argsort(x, axis=0), axis=0), np.sort),
        *(Case("custom", label, (A[0], A[1]), build, _sine_product)
          for label, build in (("jvp", _product_by_jvp), ("vjp", _product_by_vjp))),
        Case("opaque", "", (A[0], A[1]), _called_product, _sine_product),
        Case("stop_gradient", "", (A[0],), lambda x: x * stop_gradient(sign(x)), lambda x: by_entry(abs, x)),
        Case("data", "", (A[0],), lambda x: x * data_node(), lambda x: x * DATA),
        Case("iota", "", (A[0],), lambda x: x * iota(n=4), lambda x: x * np.arange(4)),
        Case("size", "", (A[0],), lambda x: x * size(dim=3), lambda x: x * 3),
    ]  # fmt: skip


DATA = np.array([0.25, -1.5, 3.0, 0.75])


def data_node() -> Node:
    """A literal array as a node."""
    return as_node(DATA)


CASES: tuple[Case, ...] = (*_elementwise(), *_structured(), *linalg_cases())

# Stands for a tangent while a graph is transposed; no finished graph holds it, `custom` tests it.
NEVER_LEFT = frozenset({"linear_map"})

# Leaves without a case of their own: every case has symbols, every loop inputs and items, most graphs literals.
LEAVES_IN_EVERY_CASE = frozenset({"symbol", "const", "input", "item"})
