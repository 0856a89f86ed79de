"""str(f): an expression as people write it in Python.

The text of a scalar float64 expression reads back to the identical object with `sd.parse`, as long as it is
not truncated: brackets follow Python's precedence and literals are printed in full.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.front.layout import (
    ATOM,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    COMPARE,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Text,
    lay_out,
)
from symdiff.ir.dims import Dim, Extent, shape_text
from symdiff.ir.graph import count_ops, free_symbols
from symdiff.ir.node import Node
from symdiff.ir.subgraph import Subgraph

# operator, level of the result, least level of the left and of the right operand
INFIX: dict[str, tuple[str, int, int, int]] = {
    "add": (" + ", SUM, SUM, PRODUCT),
    "sub": (" - ", SUM, SUM, PRODUCT),
    "mul": ("*", PRODUCT, PRODUCT, UNARY),
    "div": ("/", PRODUCT, PRODUCT, UNARY),
    "mod": (" % ", PRODUCT, PRODUCT, UNARY),
    "matmul": (" @ ", PRODUCT, PRODUCT, UNARY),
    "pow": ("**", POWER, ATOM, UNARY),
    "and": (" & ", BIT_AND, BIT_AND, SUM),
    "xor": (" ^ ", BIT_XOR, BIT_XOR, BIT_AND),
    "or": (" | ", BIT_OR, BIT_OR, BIT_XOR),
    **{
        n: (f" {c} ", COMPARE, BIT_OR, BIT_OR)
        for n, c in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items()
    },
}
PREFIX = {"neg": "-", "not": "~"}
CALLED = {"rem": "fmod"}


def to_str(root: Node) -> str:
    """Print an expression; a large one with named common subexpressions, one a line, the result last."""
    taken = {n.params["name"] for n in free_symbols([root])}
    prefix = "t"
    while any(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in taken):
        prefix += "_"
    layout = lay_out(root, write, lambda k: f"{prefix}{k}")
    lines = [f"{name} = {text}" for name, text in layout.lines]
    if layout.n_hidden:
        lines.append(f"... {layout.n_hidden} more lines; {count_ops([root])} operations in all")
    return "\n".join([*lines, layout.result])


def number_text(value: Any, dtype: str) -> Text:
    """Print a literal so that it reads back to the same number: 2.0 as 2, 0.1 as 0.1."""
    if dtype == "bool":
        return Text(str(bool(value)))
    # A Literal compares by its bits and only with literals; a plain float compares with numbers.
    value = float(value) if dtype != "int64" else int(value)
    if dtype == "int64":
        text = str(value)
    elif value == math.pi:
        text = "pi"
    elif value == math.e:
        text = "E"
    elif (
        math.isfinite(value)
        and value == int(value)
        and abs(value) < 1e16
        and not (value == 0 and math.copysign(1, value) < 0)
    ):
        text = str(int(value))
    else:
        text = str(np.float32(value)) if dtype == "float32" else repr(float(value))
    return Text(text, UNARY if text.startswith("-") else ATOM)


def bracket(piece: Text, least: int) -> str:
    """Put brackets around a piece that binds less than `least`."""
    return piece.text if piece.level >= least else f"({piece.text})"


def write(node: Node, args: list[Text]) -> Text:
    """Write one node from the texts of its arguments."""
    name = node.op.name
    if name in INFIX:
        sign, level, left, right = INFIX[name]
        return Text(f"{bracket(args[0], left)}{sign}{bracket(args[1], right)}", level)
    if name in PREFIX:
        return Text(f"{PREFIX[name]}{bracket(args[0], UNARY)}", UNARY)
    texts = [a.text for a in args]
    match name:
        case "symbol":
            return Text(node.params["name"])
        case "const":
            return number_text(node.params["value"], node.dtype)
        case "size":
            return Text(str(node.params["dim"]), ATOM if str(node.params["dim"]).isidentifier() else SUM)
        case "input":
            return Text(f"state{node.params['k']}")
        case "data":
            return Text(_data_text(node.params["array"].array))
        case "iota":
            return Text(f"arange({node.params['n']})")
        case "cast":
            return Text(f"{node.dtype}({texts[0]})")
        case "polygamma":
            return Text(f"polygamma({node.params['n']}, {texts[0]})")
        case "jv" | "yv" | "iv" | "kv" | "ive" | "kve":
            return Text(f"{name}({number_text(node.params['v'], 'float64').text}, {texts[0]})")
        case "item":
            return Text(f"{texts[0]}[{node.params['k']}]")
        case "custom":
            return Text(f"{node.params['name']}({', '.join(texts)})")
        case "opaque":
            return Text(f"{node.params['function'].name}({', '.join(texts)})")
    if node.params:
        return Text(_structured(node, args, texts))
    return Text(f"{CALLED.get(name, name)}({', '.join(texts)})")


def _structured(node: Node, args: list[Text], texts: list[str]) -> str:
    """Write views, reductions and loops."""
    x, p = node.args[0] if node.args else node, node.params
    match node.op.name:
        case "sum" | "prod" | "max" | "min" as name:
            axes = p["axes"]
            if len(axes) == x.ndim:
                return f"{name}({texts[0]})"
            return f"{name}({texts[0]}, axis={axes[0] if len(axes) == 1 else axes})"
        case "slice":
            return f"{bracket(args[0], ATOM)}[{slices_text(node)}]"
        case "reshape":
            if x.op.name == "slice" and node.shape == tuple(d for d in x.shape if d != 1) and texts[0].endswith("]"):
                # An int index is a slice of extent 1 whose axis is dropped.
                return f"{texts[0][: -len(slices_text(x)) - 1]}{slices_text(x, drop=True)}]"
            return f"reshape({texts[0]}, {shape_text(node.shape)})"
        case "broadcast_to":
            return f"broadcast_to({texts[0]}, {shape_text(node.shape)})"
        case "transpose":
            if p["perm"] == tuple(range(x.ndim))[::-1]:
                return f"{bracket(args[0], ATOM)}.T"
            return f"transpose({texts[0]}, {p['perm']})"
        case "take" if p["axis"] == 0:
            return f"{bracket(args[0], ATOM)}[{texts[1]}]"
        case "recurrence" if not p["reverse"] and _is_one(x):
            return f"cumsum({texts[1]}, axis={p['axis']})"
        case "concatenate":
            return f"concatenate([{', '.join(texts)}], axis={p['axis']})"
    shown = [f"{k}={_parameter(v)}" for k, v in p.items()]
    return f"{node.op.name}({', '.join([*texts, *shown])})"


def _is_one(x: Node) -> bool:
    """Whether every entry is the literal 1."""
    while x.op.name == "broadcast_to":
        (x,) = x.args
    return x.op.name == "const" and float(x.params["value"]) == 1


def slices_text(node: Node, drop: bool = False) -> str:
    """Print the key of a slice node; `drop` shows axes of extent 1 as ints. Trailing full slices are left out."""
    p, shape = node.params, node.args[0].shape
    keys = []
    for d, start, extent, step in zip(shape, p["starts"], p["extents"], p["steps"], strict=True):
        keys.append(str(_end(start, d)) if drop and extent == 1 else _slice_text(d, start, extent, step))
    while len(keys) > 1 and keys[-1] == ":":
        keys.pop()
    return ", ".join(keys)


def _end(position: Extent, extent: Extent) -> Extent:
    """A position counted from the end where the extent is a formula and that is a plain number."""
    if isinstance(position, Dim):
        back = position - extent
        return back if isinstance(back, int) and back < 0 else position
    return position


def _slice_text(d: Extent, start: Extent, extent: Extent, step: int) -> str:
    if (start, extent, step) == (0, d, 1):
        return ":"
    stop = start + extent * step
    if step > 0:
        first = "" if start == 0 else str(_end(start, d))
        # A strided slice to the end has a stop beyond it, which is as good as none.
        beyond = isinstance(stop, int) and isinstance(d, int) and stop > d
        last = "" if stop == d or beyond or "ceil" in str(stop) else str(_end(stop, d))
    else:
        first = "" if start == d - 1 else str(_end(start, d))
        last = "" if "ceil" in str(stop) or stop == -1 or (isinstance(stop, int) and stop < 0) else str(_end(stop, d))
    return f"{first}:{last}" + (f":{step}" if step != 1 else "")


def _data_text(array: np.ndarray) -> str:
    if array.size > 12:
        return f"array(<{array.dtype} of shape {array.shape}>)"
    return f"array({array.tolist()})"


def _parameter(value: Any) -> str:
    if isinstance(value, Subgraph):
        return f"<{count_ops(value.outputs)} operations>"
    if isinstance(value, tuple):
        return shape_text(value)
    return str(value)
