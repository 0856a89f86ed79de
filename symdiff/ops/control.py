"""Loops as primitives: `while_loop` carries a state, `item` takes one value out of it.

Every turn makes new values (SSA): nothing is updated in place in the IR. The derivative of a loop is a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symdiff.ir.dims import Extent, Shape, shape_text
from symdiff.ir.errors import DerivativeError, DomainError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, make, promote
from symdiff.ir.primitive import Constant, Params, Structured, cast
from symdiff.ir.subgraph import Subgraph, trace


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
        raise DerivativeError("while_loop is pulled back by symdiff.diff.reverse_loops, as a loop over cotangents.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError("while_loop is mapped by symdiff.diff.batch, as a loop over stacked states.")


class _Item(Constant):
    name = "item"
    doc = "Value k of a loop's state."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return args[0].params["body"].inputs[params["k"]]

    def evaluate(self, params: Params, *values: Any) -> Any:
        return values[0][params["k"]]


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], init: Sequence[Any], max_bytes: int | None = None
) -> list[Node]:
    """Return the state after `while cond(*state): state = body(*state)`.

    `max_bytes` bounds the memory that the loop's gradient may use for states; with less memory more turns are
    computed again. Python's numbers in `init` are float64.

    Shapes: `body` returns a sequence of the shapes of `init`, in dtypes that its dtypes hold; `cond` a scalar bool.
    Raises: ShapeError, DTypeError where they differ; DomainError for a `max_bytes` that is not positive.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> root, _ = sd.while_loop(lambda r, k: k < 6, lambda r, k: [(r + x / r) / 2, k + 1], [x, 0.0])
    >>> sd.compile([root, sd.gradient(root, x)], [x])(4.0)
    [2.0, 0.25]
    """
    return build_loop(cond, body, init, max_bytes=max_bytes)


def build_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    init: Sequence[Any],
    turns: Extent | str | None = None,
    max_bytes: int | None = None,
) -> list[Node]:
    """Return the final state of a `while_loop` of which it may be known how often the body runs.

    `turns` is an extent, or "once" for at most once (then nothing of the body is computed unless it runs). It is not
    checked: whoever builds the loop sees to it that it is true.
    """
    start = [as_node(x) for x in init]
    (closed_cond, closed_body), outer = trace(
        [checked_condition(cond), checked_body(body, start)], start, lazy=turns == "once"
    )
    return items_of(make_loop([*start, *outer], closed_cond, closed_body, turns, max_bytes))


def check_bound(max_bytes: int | None) -> None:
    """Raise DomainError unless `max_bytes` is a positive int or None."""
    if max_bytes is not None and (not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes <= 0):
        raise DomainError(f"max_bytes is a positive int or None, got {max_bytes!r}.")


def make_loop(
    args: Sequence[Node], cond: Subgraph, body: Subgraph, turns: Extent | str | None, max_bytes: int | None
) -> Node:
    """Return the node of a loop: `args` are the initial state and the outer values that the subgraphs read."""
    check_bound(max_bytes)
    params: dict[str, Any] = {"cond": cond, "body": body}
    if turns is not None:
        params["turns"] = turns
    if max_bytes is not None:
        params["max_bytes"] = max_bytes
    return make(loop, tuple(args), params)


def items_of(node: Node) -> list[Node]:
    """Return the values of a loop's final state."""
    return [make(item, (node,), {"k": k}) for k in range(len(node.params["body"].outputs))]


def checked_condition(cond: Callable[..., Any]) -> Callable[..., list[Node]]:
    """Return `cond` with its result checked: one scalar bool."""

    def checked(*state: Node) -> list[Node]:
        test = as_node(cond(*state))
        if test.shape != ():
            raise ShapeError(f"while_loop: the condition is a scalar, got shape {shape_text(test.shape)}.")
        return [cast(test, "bool")]

    return checked


def checked_body(body: Callable[..., Any], start: Sequence[Node]) -> Callable[..., list[Node]]:
    """Return `body` with its result checked: values like `start`."""

    def checked(*state: Node) -> list[Node]:
        result = body(*state)
        after = [as_node(x) for x in (result if isinstance(result, (tuple, list)) else [result])]
        if len(after) != len(start):
            raise ShapeError(f"while_loop: the body returns {len(after)} values for a state of {len(start)}.")
        out = []
        for k, (old, new) in enumerate(zip(start, after, strict=True)):
            if new.shape != old.shape:
                raise ShapeError(
                    f"while_loop: value {k} of the state has shape {shape_text(old.shape)}, "
                    f"the body returns {shape_text(new.shape)}."
                )
            if promote(old.dtype, new.dtype) != old.dtype:
                raise DTypeError(
                    f"while_loop: value {k} of the state has dtype {old.dtype}, which does not hold the {new.dtype} "
                    f"that the body returns ({new.line}); begin with a value of dtype {new.dtype}."
                )
            out.append(cast(new, old.dtype))
        return out

    return checked


loop = _WhileLoop()
item = _Item()
