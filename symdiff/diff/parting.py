"""Where two methods part: the first node whose error exceeds what its own arguments explain.

A graph is evaluated twice, in floating-point numbers and with 100 digits, and compared node by node. Three things
can go wrong at a node: its own function is inaccurate (`value`), it takes another branch or turn because its
arguments are rounded (`decision`), or it magnifies the rounding of its arguments (`cancellation`). The last are many
in any formula and few matter: the culprit is the first whose correctly rounded value repairs the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symdiff.diff.finite import Values, read_point
from symdiff.ir.interpret import interpret, mp_array
from symdiff.ir.node import Node
from symdiff.ir.subgraph import Subgraph
from symdiff.ops.linalg import LINALG

# Enough for a formula that loses all of its digits three times over.
_DIGITS = 100
# No implementation of a function is wrong by more; sums and products of long vectors are judged by their size.
_OWN_ULPS = 64
# A node that loses less than four bits of its arguments' digits is not worth an experiment.
_LOSES = 16.0
_REPAIRED = 0.1
# Experiments at most: each is one evaluation of the graph.
_TRIALS = 200
_TEXT = 48


@dataclass(frozen=True, slots=True)
class Parting:
    """The node at which two computations part, and why.

    `kind` is "value", "decision", "cancellation", "rule" or "accumulation";
    `got` and `exact` are the two values at the entry `index`, `arguments` what the node was given there.
    """

    node: Node
    kind: str
    index: tuple[int, ...]
    got: Any
    exact: Any
    arguments: tuple[Any, ...]
    text: str

    def __str__(self) -> str:
        """Name the operation, the user's line and the values."""
        return self.text


class _Event(NamedTuple):
    node: Node
    args: list[Any]
    value: Any


def name_of(node: Node) -> str:
    """Return a node's formula and the user's line, or its operation where the formula is long."""
    text = str(node)
    shown = node.op.name if len(text) > _TEXT or "\0" in text or "\n" in text else text
    return f"{shown} ({node.line})"


def first_parting(roots: Sequence[Node], values: Mapping[Node, Any], kinds: Sequence[str] = ()) -> Parting | None:
    """Return the first node that keeps `roots` from their exact values, None where every digit is kept.

    `kinds` restricts the search to "value", "decision" or "cancellation".
    Cost: two evaluations with floating-point numbers and 100 digits, and one more for each node that cancels.
    """
    events: list[_Event] = []
    interpret(roots, values, around=_recorder(events))
    candidates = [c for c in _candidates(roots, values, events) if not kinds or c[1].kind in kinds]
    for _, parting in candidates:
        if parting.kind != "cancellation":
            return parting
    return _culprit(roots, values, candidates[:_TRIALS]) if candidates else None


def _recorder(events: list[_Event]) -> Callable[..., Any]:
    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        value = evaluate(args)
        if not is_compound(node):
            events.append(_Event(node, args, value))
        return value

    return around


def is_compound(node: Node) -> bool:
    """Whether a node runs a body, whose nodes are looked at instead, or only takes a value out of one that does."""
    return node.op.name == "item" or any(isinstance(v, Subgraph) for v in node.params.values())


def _candidates(
    roots: Sequence[Node], values: Mapping[Node, Any], events: Sequence[_Event]
) -> list[tuple[int, Parting]]:
    """Evaluate with many digits beside the recorded events; return the events that part and their numbers."""
    import mpmath

    found: list[tuple[int, Parting]] = []
    clock = iter(range(len(events)))
    errors: dict[int, float] = {}  # relative errors by the identity of exact values, which `kept` keeps alive
    kept: list[Any] = []

    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        exact = evaluate(args)
        if is_compound(node) or any(p.kind == "decision" for _, p in found):
            return exact
        k = next(clock, None)
        if k is None or events[k].node is not node:
            return exact
        event = events[k]
        kept.append(exact)
        if np.asarray(event.value).dtype.kind != "f":
            differs = np.asarray(event.value) != np.asarray(exact)
            if np.any(differs):
                found.append((k, _decision(event, exact, differs)))
            return exact
        inherited = max((errors.get(id(a), 0.0) for a in args), default=0.0)
        errors[id(exact)] = error = _relative(event.value, exact)
        if not event.args:
            return exact
        own = _own_ulps(event, evaluate)
        if own > _OWN_ULPS * _length(event):
            found.append((k, _inaccurate(event, evaluate)))
        elif error > _LOSES * max(inherited, float(np.finfo(event.value.dtype).eps)):
            found.append((k, _cancelling(event, exact, error)))
        return exact

    with mpmath.workdps(_DIGITS):
        interpret(roots, values, "mpmath", around=around)
    return found


def _real(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _length(event: _Event) -> int:
    """How many terms one entry of the result may add up."""
    size = max((np.size(a) for a in event.args), default=1)
    return max(1, size // max(1, np.size(event.value)))


def _relative(value: Any, exact: Any) -> float:
    """The largest relative error of finite entries; an entry that should be 0 is measured by the largest one."""
    return float(np.max(_relative_entries(value, exact), initial=0.0))


def _relative_entries(value: Any, exact: Any) -> np.ndarray:
    value, exact = np.asarray(value), np.asarray(exact, dtype=object)
    out = np.zeros(value.shape)
    flat = out.reshape(-1)
    largest = max((abs(e) for e in exact.ravel() if _finite(e)), default=0)
    for j, (v, e) in enumerate(zip(value.ravel(), exact.ravel(), strict=True)):
        v = float(v) if isinstance(v, np.generic) else v
        if _finite(v) and _finite(e):
            scale = abs(e) or largest or 1
            flat[j] = min(float(abs(v - e) / scale), 1e300)
        elif _finite(v) != _finite(e) and not _overflows(e):
            flat[j] = np.inf
    return flat.reshape(value.shape)


def _finite(e: Any) -> bool:
    import mpmath

    return bool(mpmath.isfinite(e))


def _overflows(e: Any) -> bool:
    return _finite(e) and not np.isfinite(float(e))


def _own_ulps(event: _Event, evaluate: Callable[[list[Any]], Any]) -> float:
    """The error of a node for the rounded arguments that it was given, in ulp of its largest entry if structured."""
    if event.node.op.name in _SUMS | _CHOSEN:
        return 0.0
    local = np.asarray(evaluate([mp_array(a) if _real(a) else a for a in event.args]), dtype=object)
    eps = float(np.finfo(event.value.dtype).eps)
    if np.size(local) > 1 and event.node.op.name in _LINALG:
        largest = max((abs(float(e)) for e in local.ravel() if _finite(e)), default=0.0)
        with np.errstate(all="ignore"):
            difference = np.abs(event.value - local.astype(float))
        return float(np.nanmax(np.where(np.isfinite(difference), difference, 0.0)) / (eps * (largest or 1.0)))
    entries = _relative_entries(event.value, local)
    small = np.abs(local.astype(float)) < np.finfo(event.value.dtype).tiny
    return float(np.max(np.where(small, 0.0, entries), initial=0.0)) / eps


# Their rounding is that of their terms, which `_cancelling` judges.
_SUMS = frozenset({"sum", "matmul", "scatter_add", "recurrence"})
# Signs, order and pivots are a matter of choice.
_CHOSEN = frozenset({"lu", "lu_solve", "qr", "qr_q", "qr_r", "eigh", "eigvecsh"})
_LINALG = frozenset(p.name for p in LINALG)


def _worst(entries: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(entries)), entries.shape))


def _entry(value: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The number of an argument that meets entry `index` of an elementwise result, else the shape of an array."""
    array = np.asarray(value)
    if array.ndim == 0:
        return array.item()
    try:
        return np.broadcast_to(array, shape)[index]
    except ValueError:
        return array.shape


def _decision(event: _Event, exact: Any, differs: np.ndarray) -> Parting:
    index = _worst(differs.astype(float))
    got, want = np.asarray(event.value)[index].item(), np.asarray(exact)[index]
    arguments = tuple(_entry(a, index, np.shape(event.value)) for a in event.args)
    text = (
        f"{name_of(event.node)} is {got} for rounded arguments {_list(arguments)} and {want} for exact ones: "
        "another branch is taken, or another number of turns"
    )
    return Parting(event.node, "decision", index, got, want, arguments, text)


def _inaccurate(event: _Event, evaluate: Callable[[list[Any]], Any]) -> Parting:
    local = np.asarray(evaluate([mp_array(a) if _real(a) else a for a in event.args]), dtype=object)
    index = _worst(_relative_entries(event.value, local))
    got, want = np.asarray(event.value)[index].item(), local[index]
    arguments = tuple(_entry(a, index, np.shape(event.value)) for a in event.args)
    text = (
        f"{name_of(event.node)} is inaccurate itself: for {_list(arguments)} it gives {got!r}, the exact value "
        f"is {_digits(want)}"
    )
    return Parting(event.node, "value", index, got, want, arguments, text)


def _cancelling(event: _Event, exact: Any, error: float) -> Parting:
    array = np.asarray(exact, dtype=object)
    index = _worst(_relative_entries(event.value, exact))
    got, want = np.asarray(event.value)[index].item(), array[index]
    arguments = tuple(_entry(a, index, np.shape(event.value)) for a in event.args)
    had = -np.log10(np.finfo(event.value.dtype).eps)
    lost = "all digits" if not error < 0.1 else f"{had + np.log10(error):.0f} of {had:.0f} digits"
    text = (
        f"{name_of(event.node)} loses {lost}: from {_list(arguments)} it makes {got!r}, the exact value "
        f"is {_digits(want)}; a form that does not cancel there would keep them"
    )
    return Parting(event.node, "cancellation", index, got, want, arguments, text)


def _list(arguments: Sequence[Any]) -> str:
    return ", ".join(f"an array {a}" if isinstance(a, tuple) else repr(_plain(a)) for a in arguments)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _digits(value: Any) -> str:
    import mpmath

    return str(mpmath.nstr(mpmath.mpf(value), 17))


def _culprit(roots: Sequence[Node], values: Mapping[Node, Any], trials: Sequence[tuple[int, Parting]]) -> Parting:
    """The first node whose exact value, put in its place, repairs the result; else the last that cancels."""
    import mpmath

    exact_events: list[_Event] = []
    with mpmath.workdps(_DIGITS):
        exact = interpret(roots, values, "mpmath", around=_recorder(exact_events))
    error = _distance(interpret(roots, values), exact)
    for k, parting in trials:
        right = np.asarray(exact_events[k].value, dtype=object)
        if _distance(interpret(roots, values, around=_replacing(k, right)), exact) <= _REPAIRED * error:
            return parting
    return trials[-1][1]


def _distance(got: Sequence[Any], exact: Sequence[Any]) -> float:
    return max((_relative(g, e) for g, e in zip(got, exact, strict=True) if _real(g)), default=0.0)


def _replacing(k: int, right: np.ndarray) -> Callable[..., Any]:
    count = iter(range(1 << 62))

    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        value = evaluate(args)
        if is_compound(node) or next(count) != k:
            return value
        return right.astype(float).astype(np.asarray(value).dtype)

    return around


def part(f: Any, g: Any, point: Mapping[Any, Any]) -> Parting | None:
    """Return where two expressions of the same symbols, meant to be equal, part at a point; None where they agree.

    If their exact values differ, that is the root of `g`; else the node that costs the less accurate one its digits.
    Raises: UnknownSymbolError, ShapeError.
    """
    import mpmath

    nodes: list[Node] = []
    values: Values = {}
    for e in (f, g):
        node, given, _, _ = read_point(e, point, [])
        nodes.append(node)
        values |= given
    with mpmath.workdps(_DIGITS):
        exact = interpret(nodes, values, "mpmath")
        apart = _relative(np.asarray(exact[1], dtype=object), exact[0])
    got = interpret(nodes, values)
    if apart > 10.0 ** (-_DIGITS // 2):
        index = _worst(_relative_entries(exact[1], exact[0]))
        a, b = (np.asarray(e, dtype=object)[index] for e in exact)
        text = f"{name_of(nodes[1])} is {_digits(b)} where {name_of(nodes[0])} is {_digits(a)}: they are not equal"
        return Parting(nodes[1], "value", index, got[1][index], a, (), text)
    worse = max((0, 1), key=lambda k: _relative(got[k], exact[k]))
    return first_parting([nodes[worse]], values)
