"""blame: which operation makes the first NaN or Inf of a result, and where the user wrote it.

The graph is evaluated with the interpreter. From the entries of the results that are not finite the search goes back
to arguments that are not finite either, of `where` only along the branch taken, until it meets a node that has
finite arguments. A loop is searched in the first turn that leaves its state not finite.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdiff.front.printing import to_str
from symdiff.ir.graph import count_ops, topological
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise

# Formulas of up to this many operations are shown, larger ones by the name of their last operation.
_SHOWN_OPS = 6
# Solutions of equations are NaN where their iteration fails: they are to blame, not a node inside.
_SOLVERS = ("root", "fixed_point", "argmin")


@dataclass(frozen=True, slots=True)
class Blame:
    """What made a result not finite; prints as a sentence or two, and as a panel where rich is used.

    `kind` is "NaN", "Inf" or "" if all is finite. `operation` is the formula of the node, `line` where the user wrote
    it, as "file:line", `code` that line; a node of a derivative has the line of what it is the derivative of.
    `arguments` are its operands at `entry`, the first entry that is not finite; `turn` counts the turns of a loop
    from 1. `outputs` names the results that are not finite because of it, or for another reason.
    """

    kind: str = ""
    operation: str = ""
    line: str = ""
    code: str = ""
    arguments: tuple[str, ...] = ()
    entry: tuple[int, ...] = ()
    turn: int | None = None
    outputs: tuple[str, ...] = ()
    note: str = ""

    @property
    def finite(self) -> bool:
        """Whether every result is finite."""
        return not self.kind

    def __str__(self) -> str:
        if self.finite:
            return "All results are finite."
        at = f" in entry {list(self.entry)}" if self.entry else ""
        when = f", in turn {self.turn} of its loop" if self.turn is not None else ""
        lines = [f"{self.kind} comes from {self.operation} at {self.line}{at}{when}."]
        if self.code:
            lines.append(f"    {self.code}")
        if self.arguments:
            lines.append(f"Its arguments: {', '.join(self.arguments)}.")
        if self.note:
            lines.append(self.note)
        lines.append(f"Not finite: {', '.join(self.outputs)}.")
        return "\n".join(lines)

    def __rich__(self) -> Any:
        from rich.panel import Panel
        from rich.text import Text

        title = "all finite" if self.finite else f"{self.kind} from {self.operation}"
        return Panel(Text(str(self)), title=Text(title), border_style="green" if self.finite else "red", expand=False)


@dataclass(slots=True)
class _Seen:
    """What a node was evaluated with; `turns` of a loop."""

    args: list[Any]
    value: Any
    turns: _Turns | None = None


_Record = dict[Node, _Seen]


@dataclass(slots=True)
class _Turns:
    """Follows a loop: keeps the first turn after which its state is not finite.

    The interpreter evaluates the nodes of the condition and then those of the body, each list in one order.
    """

    n_cond: int
    n_body: int
    outputs: tuple[Node, ...]
    turn: int = 1
    place: int = 0
    record: _Record = field(default_factory=dict)
    bad: bool = False

    @staticmethod
    def of(loop: Node) -> _Turns:
        cond, body = loop.params["cond"], loop.params["body"]
        slots = body.input_nodes()
        n_cond, n_body = (sum(1 for n in topological(s.outputs) if n not in slots) for s in (cond, body))
        return _Turns(n_cond, n_body, body.outputs)

    def see(self, node: Node, seen: _Seen) -> None:
        if self.bad:
            return
        self.place += 1
        if self.place > self.n_cond:
            self.record[node] = seen
        if self.place == self.n_cond + self.n_body:
            self.bad = any(_is_bad(self.record[f].value) for f in self.outputs if f in self.record)
            if not self.bad:
                self.turn, self.place, self.record = self.turn + 1, 0, {}


def blame(outputs: Sequence[Node], values: Mapping[Node, Any], names: Sequence[str]) -> Blame:
    """Return what makes `outputs`, called `names`, not finite for the given values of the symbols.

    Cost: one evaluation with the interpreter, which keeps every value.
    """
    record: _Record = {node: _Seen([], np.asarray(value)) for node, value in values.items()}
    open_loops: list[_Turns] = []

    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        turns = _Turns.of(node) if node.op.name == "while_loop" else None
        if turns is not None:
            open_loops.append(turns)
        try:
            value = evaluate(args)
        finally:
            if turns is not None:
                open_loops.pop()
        seen = _Seen(args, value, turns)
        if open_loops:
            open_loops[-1].see(node, seen)
        else:
            record[node] = seen
        return value

    results = interpret(outputs, values, around=around)
    bad = [k for k, r in enumerate(results) if _is_bad(r)]
    if not bad:
        return Blame()
    return _report([outputs[k] for k in bad], record, None, tuple(names[k] for k in bad))


def _report(roots: Sequence[Node], record: _Record, turn: int | None, outputs: tuple[str, ...]) -> Blame:
    node = _origin(roots, record)
    seen = record[node]
    if seen.turns is not None and seen.turns.bad:
        turns = seen.turns
        inner = [f for f in turns.outputs if f in turns.record and _is_bad(turns.record[f].value)]
        # A branch of cond is a loop of at most one turn.
        return _report(inner, turns.record, turn if node.params.get("turns") == "once" else turns.turn, outputs)
    entry = _first_bad(seen.value)
    kind = "NaN" if np.isnan(np.asarray(seen.value)[entry]) else "Inf"
    operation, note = _described(node)
    return Blame(
        kind, operation, node.line, _code(node), _arguments(node, seen, entry), entry, turn, outputs, note
    )  # fmt: skip


def _origin(roots: Sequence[Node], record: _Record) -> Node:
    """Return the node that was evaluated first of those that made something not finite of finite arguments."""
    found: set[Node] = set()
    stack, done = list(roots), set(roots)
    while stack:
        node = stack.pop()
        causes = [a for a in _causes(node, record[node]) if a in record]
        if not causes:
            found.add(node)
        stack += [a for a in causes if a not in done]
        done.update(causes)
    return next(n for n in record if n in found)


def _causes(node: Node, seen: _Seen) -> list[Node]:
    """The arguments that are not finite and that the value depends on."""
    bad = [_is_bad(a) for a in seen.args]
    match node.op.name:
        case "custom":
            if node.params["name"] in _SOLVERS and not any(bad[1:]):
                return []
            bad = [bad[0], *([False] * (len(bad) - 1) if bad[0] else bad[1:])]
        case "where":
            taken, x, y = (np.asarray(a) for a in seen.args)
            bad = [False, bool(np.any(~np.isfinite(x) & taken)), bool(np.any(~np.isfinite(y) & ~taken))]
        case "item":
            return list(node.args)
    return [a for a, b in zip(node.args, bad, strict=True) if b]


def _is_bad(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(_is_bad(v) for v in value)
    array = np.asarray(value)
    return array.dtype.kind == "f" and not bool(np.all(np.isfinite(array)))


def _first_bad(value: Any) -> tuple[int, ...]:
    array = np.asarray(value)
    # NaN is worse news than Inf, which may be meant.
    where = np.isnan(array) if np.any(np.isnan(array)) else ~np.isfinite(array)
    return tuple(int(k) for k in np.argwhere(where)[0])


def _described(node: Node) -> tuple[str, str]:
    name = node.op.name
    if name == "custom" and node.params["name"] in _SOLVERS:
        solver = node.params["name"]
        return solver, f"{solver} did not converge: try another start, more max_steps or a larger tol."
    if name == "symbol":
        return f"the argument {node.params['name']!r}", "It was given so."
    if name in ("const", "data"):
        return f"the literal {to_str(node)}", ""
    return (to_str(node) if count_ops([node]) <= _SHOWN_OPS else f"{name}(…)"), ""


def _code(node: Node) -> str:
    return linecache.getline(node.source[0].co_filename, node.source[1]).strip() if node.source else ""


def _arguments(node: Node, seen: _Seen, entry: tuple[int, ...]) -> tuple[str, ...]:
    out = []
    # The value of a solution is the iteration itself; what it was given follows.
    pairs = list(zip(node.args, seen.args, strict=True)) if seen.args else []
    for arg, value in pairs[1:] if node.op.name == "custom" else pairs:
        if arg.op.name == "const" or isinstance(value, tuple):
            continue
        array = np.asarray(value)
        if isinstance(node.op, Elementwise):
            shape = np.shape(seen.value)
            text = f"{np.broadcast_to(array, shape)[entry]!s}"
        elif array.ndim == 0:
            text = str(array)
        else:
            text = f"shape {array.shape}" + (f" from {array.min():.6g} to {array.max():.6g}" if array.size else "")
        name = to_str(arg) if count_ops([arg]) <= _SHOWN_OPS else f"{arg.op.name}(…)"
        out.append(f"{name} = {text}")
    return tuple(out)
