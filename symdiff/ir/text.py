"""The text form of a graph: one node a line, and back to the same objects.

    %0 = symbol {"name": "x", "shape": [], "dtype": "float64"}
    %1 = sin %0
    return %1

Parameters are JSON with the few extra kinds of `_encode`, so reading a text never executes anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.callback import Callback, find
from symdiff.ir.dims import CeilDiv, Dim
from symdiff.ir.errors import ParseError
from symdiff.ir.graph import topological
from symdiff.ir.literals import FrozenArray, Literal
from symdiff.ir.node import PRIMITIVES, Node, make
from symdiff.ir.primitive import Elementwise
from symdiff.ir.subgraph import Subgraph


def to_text(roots: Sequence[Node]) -> str:
    """Print the graph under `roots`."""
    order = topological(roots)
    number = {node: k for k, node in enumerate(order)}
    lines = []
    for node in order:
        args = "".join(f" %{number[a]}" for a in node.args)
        params = f" {_params_text(node)}" if node.params else ""
        lines.append(f"%{number[node]} = {node.op.name}{args}{params}")
    lines.append("return" + "".join(f" %{number[r]}" for r in roots))
    return "\n".join(lines)


def _params_text(node: Node) -> str:
    return json.dumps({k: _encode(v) for k, v in node.params.items()})


def parse_text(text: str) -> list[Node]:
    """Read a graph printed by `to_text`; returns its roots. Raises ParseError."""
    nodes: dict[str, Node] = {}
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ParseError("The text form of a graph ends with a line 'return …', got an empty text.")
    try:
        for line in lines[:-1]:
            head, _, tail = line.partition(" {")
            target, equals, name, *args = head.split()
            if equals != "=":
                raise ParseError(f"Expected '%k = primitive …', got {line!r}.")
            params = {k: _decode(v) for k, v in json.loads("{" + tail).items()} if tail else {}
            op = PRIMITIVES[name]
            if isinstance(op, Elementwise) and len(args) != op.n_args:
                raise ParseError(f"{name} takes {op.n_args} arguments, got {line!r}.")
            nodes[target] = make(op, tuple(nodes[a] for a in args), params)
        word, *roots = lines[-1].split()
        if word != "return":
            raise ParseError(f"The text form of a graph ends with a line 'return …', got {lines[-1]!r}.")
        return [nodes[r] for r in roots]
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, ParseError):
            raise
        raise ParseError(f"The text form of the graph is damaged: {error}.") from None


def _encode(value: Any) -> Any:
    match value:
        case bool() | str() | None:
            return value
        case Literal():
            return {"float": float(value).hex()}
        case int():
            return value
        case tuple():
            return [_encode(v) for v in value]
        case Dim():
            return {"dim": [[[_encode_atom(a) for a in m], c] for m, c in value.terms]}
        case FrozenArray():
            data = base64.b64encode(value.array.tobytes()).decode()
            return {"array": data, "shape": list(value.array.shape), "dtype": value.array.dtype.str}
        case Callback():
            return {"callback": value.token}
        case Subgraph():
            inputs = [[_encode(s), d] for s, d in value.inputs]
            return {"graph": to_text(value.outputs), "inputs": inputs, "level": value.level}
    raise TypeError(f"a parameter of type {type(value).__name__} has no text form")


def _encode_atom(atom: str | CeilDiv) -> Any:
    return atom if isinstance(atom, str) else {"ceil": _encode(atom.dim), "step": atom.step}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return Literal(float.fromhex(value["float"]))
    if "dim" in value:
        return Dim(tuple((tuple(_decode_atom(a) for a in m), c) for m, c in value["dim"]))
    if "array" in value:
        flat = np.frombuffer(base64.b64decode(value["array"]), dtype=value["dtype"])
        return FrozenArray(flat.reshape(value["shape"]))
    if "callback" in value:
        return find(value["callback"])
    if "graph" in value:
        inputs = tuple((_decode(s), d) for s, d in value["inputs"])
        return Subgraph(inputs, tuple(parse_text(value["graph"])), value["level"])
    raise ParseError(f"Unknown parameter {value!r} in the text form.")


def _decode_atom(atom: Any) -> str | CeilDiv:
    return atom if isinstance(atom, str) else CeilDiv(_decode(atom["ceil"]), atom["step"])
