"""Checks that every derivative makes first: what is differentiated, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.passes.stabilise import stabilise


def as_functions(fs: Sequence[Any]) -> list[Node]:
    """Return functions as nodes that have derivatives, in their numerically stable form.

    Raises DerivativeError for integers and booleans.
    """
    nodes = [as_node(f) for f in fs]
    for node in nodes:
        if not node.dtype.startswith("float"):
            raise DerivativeError(
                f"Asked for the derivative of {brief(node)} ({node.line}), which has dtype {node.dtype}; "
                "only real expressions have derivatives. Convert with .astype('float64') if that is meant."
            )
    return stabilise(nodes)


def as_function(f: Any) -> Node:
    """Return one function as `as_functions` does."""
    return as_functions([f])[0]


def as_scalar_function(f: Any, what: str) -> Node:
    """Return `f` as a scalar node. Raises ShapeError for arrays."""
    node = as_function(f)
    if node.shape != ():
        raise ShapeError(
            f"{what} needs a scalar function, got {brief(node)} ({node.line}); use jacobian, or sum it first."
        )
    return node


def as_symbol(x: Any) -> Node:
    """Return `x` if it is a real symbol. Raises DerivativeError otherwise."""
    if not isinstance(x, Node):
        x = as_node(x)
    if x.op.name not in ("symbol", "input"):
        raise DerivativeError(
            f"Derivatives are taken by symbols, got {brief(x)} ({x.line}); introduce a symbol and use .subs."
        )
    if not x.dtype.startswith("float"):
        raise DerivativeError(f"{brief(x)} has dtype {x.dtype}; derivatives are taken by real symbols.")
    return x


def as_list(value: Any) -> tuple[list[Any], bool]:
    """Return (list, was a single item): a list in gives a list out."""
    if isinstance(value, (list, tuple)):
        return list(value), False
    return [value], True


def check_like(values: Sequence[Any], nodes: Sequence[Node], what: str) -> list[Node]:
    """Return tangents or cotangents as nodes of the shapes of `nodes`. Raises ShapeError."""
    if len(values) != len(nodes):
        raise ShapeError(f"Expected {len(nodes)} {what}, one for each, got {len(values)}.")
    out = []
    for value, node in zip(values, nodes, strict=True):
        v = as_node(value, like=node.dtype)
        if v.shape != node.shape:
            raise ShapeError(
                f"The {what[:-1]} of {brief(node)} has its shape {shape_text(node.shape)}, got {shape_text(v.shape)}."
            )
        out.append(v)
    return out
