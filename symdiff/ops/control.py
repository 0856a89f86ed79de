"""Loops as primitives: `while_loop` carries a state, `item` takes one value out of it.

Every turn makes new values (SSA): nothing is updated in place in the IR. The derivative of a loop is a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symdiff.ir.dims import Shape, shape_text
from symdiff.ir.errors import DerivativeError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, make
from symdiff.ir.primitive import Constant, Params, Structured, cast
from symdiff.ir.subgraph import trace


class _WhileLoop(Structured):
    name = "while_loop"
    doc = "The state after the last turn; args are the initial state and the outer values that the body reads."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        body, cond = params["body"], params["cond"]
        if tuple((a.shape, a.dtype) for a in args) != body.inputs or cond.inputs != body.inputs:
            raise ShapeError("while_loop: the initial state does not fit the inputs of the body.")
        return (), "tuple"

    def evaluate(self, params: Params, *values: Any) -> Any:
        raise DTypeError("while_loop is run by the interpreter, which knows the sizes.")

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        raise DerivativeError(
            "while_loop is differentiated by symdiff.diff.forward, as a loop over state and tangents."
        )

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(
            f"Reverse mode through while_loop ({node.line}) is not implemented; use mode='forward' or jvp."
        )

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError(f"while_loop ({node.line}) cannot be mapped over a leading axis.")


class _Item(Constant):
    name = "item"
    doc = "Value k of a loop's state."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return args[0].params["body"].inputs[params["k"]]

    def evaluate(self, params: Params, *values: Any) -> Any:
        return values[0][params["k"]]


def while_loop(cond: Callable[..., Any], body: Callable[..., Any], init: Sequence[Any]) -> list[Node]:
    """Return the state after `while cond(*state): state = body(*state)`.

    Shapes: `body` returns a sequence of the shapes and dtypes of `init`; `cond` a scalar bool.
    Raises ShapeError where they differ.
    """
    start = [as_node(x) for x in init]

    def checked_cond(*state: Node) -> list[Node]:
        test = as_node(cond(*state))
        if test.shape != ():
            raise ShapeError(f"while_loop: the condition is a scalar, got shape {shape_text(test.shape)}.")
        return [cast(test, "bool")]

    def checked_body(*state: Node) -> list[Node]:
        result = body(*state)
        after = [as_node(x) for x in (result if isinstance(result, (tuple, list)) else [result])]
        if len(after) != len(state):
            raise ShapeError(f"while_loop: the body returns {len(after)} values for a state of {len(state)}.")
        out = []
        for k, (old, new) in enumerate(zip(state, after, strict=True)):
            if new.shape != old.shape:
                raise ShapeError(
                    f"while_loop: value {k} of the state has shape {shape_text(old.shape)}, "
                    f"the body returns {shape_text(new.shape)}."
                )
            out.append(cast(new, old.dtype))
        return out

    (closed_cond, closed_body), outer = trace([checked_cond, checked_body], start)
    node = make(loop, (*start, *outer), {"cond": closed_cond, "body": closed_body})
    return [make(item, (node,), {"k": k}) for k in range(len(start))]


loop = _WhileLoop()
item = _Item()
