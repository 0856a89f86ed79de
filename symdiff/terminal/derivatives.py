"""`symdiff diff`: the derivatives of a formula, symbolically and by every method."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from symdiff.diff.compare import Comparison, compare
from symdiff.diff.exact import DIGITS
from symdiff.diff.symbolic import diff
from symdiff.front.parser import parse
from symdiff.ir.errors import ParseError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, here
from symdiff.terminal.comparison import ComparisonTable
from symdiff.terminal.maths import Maths
from symdiff.terminal.sweep import SweepPlot

Point = dict[Node, float]


def run_diff(console: Any, text: str, at: str, wrt: str, form: str) -> None:
    """Print the derivatives of the formula `text` at a point such as "x=1.2,y=0.7", as table, LaTeX or JSON."""
    with from_expression():
        f = parse(text)
        point = parse_point(at, f)
        chosen = parse_wrt(wrt, f)
        derivatives = {x: diff(f, x) for x in chosen}
        result = compare(f, point, chosen)
    match form:
        case "json":
            # print, not the console, which would wrap lines.
            print(json.dumps(as_json(f, derivatives, result), indent=2, ensure_ascii=False), file=console.file)
        case "latex":
            print(as_latex(f, derivatives, result), file=console.file)
        case _:
            console.print(Maths(f, "f"))
            for x, g in derivatives.items():
                console.print()
                console.print(Maths(g, f"∂f/∂{x}"))
            console.print()
            console.print("at " + ", ".join(f"{x} = {v:.6g}" for x, v in point.items()), style="dim")
            console.print(ComparisonTable(result))
            if result.sweep is not None:
                console.print(SweepPlot(result.sweep))


@contextmanager
def from_expression() -> Iterator[None]:
    """Let errors say "the expression:1" where they would name the line of a library that called us."""
    before, here.said = here.said, (compile("", "the expression", "exec"), 1)
    try:
        yield
    finally:
        here.said = before


def parse_point(text: str, f: Node) -> Point:
    """Read "x=1.2,y=pi/4": a number for every symbol of `f` and for no other.

    Raises ParseError, saying what to write.

    >>> x = parse("x")
    >>> {str(k): v for k, v in parse_point("x = 1/4", x**2).items()}
    {'x': 0.25}
    """
    known = {s.params["name"]: s for s in free_symbols([f])}
    point = parse_values(text, known, "--at")
    missing = [name for name, s in known.items() if s not in point]
    if missing:
        raise ParseError(f"--at has no value for {', '.join(missing)}; write --at {example(known)}.")
    return point


def parse_values(text: str, known: dict[str, Node], option: str) -> Point:
    """Read "x=1.2,y=pi/4": a number for some of the `known` symbols. Raises ParseError, naming the option."""
    point: Point = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (p.strip() for p in part.partition("="))
        if not equals or not value:
            raise ParseError(f"{option} has parts such as x=1.2, got {part!r}; write {option} {example(known)}.")
        if name not in known:
            raise ParseError(f"{option} gives {name!r} a value, but the expression has {_names(known)}.")
        if known[name] in point:
            raise ParseError(f"{option} gives {name!r} two values.")
        point[known[name]] = _number(value, f"{option} {name}")
    return point


def _names(known: dict[str, Node]) -> str:
    return ", ".join(known) or "no symbols"


def example(known: dict[str, Node]) -> str:
    """Return what values for symbols look like."""
    return ",".join(f"{name}=…" for name in known) or "nothing"


def _number(text: str, place: str) -> float:
    node = parse(text)
    if free_symbols([node]):
        raise ParseError(f"{place}={text}: the value is a number such as 1.2 or pi/4.")
    value = float(interpret([node], {})[0])
    if not math.isfinite(value):
        raise ParseError(f"{place}={text}: the value is {value}, it should be finite.")
    return value


def parse_wrt(text: str, f: Node) -> list[Node]:
    """Read "x,y": symbols of `f`; all of them for an empty text. Raises ParseError."""
    known = {s.params["name"]: s for s in free_symbols([f])}
    names = list(dict.fromkeys(filter(None, text.replace(",", " ").split()))) or list(known)
    for name in names:
        if name not in known:
            raise ParseError(f"--wrt names {name!r}, but the expression has {_names(known)}.")
    if not names:
        raise ParseError(f"The expression {f} has no symbols, so there is nothing to differentiate by.")
    return [known[name] for name in names]


def as_json(f: Node, derivatives: dict[Node, Node], result: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data; numbers that are not finite as None, exact values as text."""
    import mpmath

    def exact(value: Any) -> str:
        # mpf(…) rounds to the working precision, also what is an mpf already.
        with mpmath.workdps(DIGITS):
            return str(mpmath.nstr(mpmath.mpf(value), DIGITS))

    wrt = [str(x) for x in result.wrt]
    return {
        "expression": str(f),
        "at": {str(x): float(v) for x, v in result.point.items()},
        "derivatives": {str(x): str(g) for x, g in derivatives.items()},
        "reference": {x: exact(v) for x, v in zip(wrt, _scalars(result.reference), strict=True)},
        "methods": [
            {
                "method": row.method,
                "value": {x: _finite(v) for x, v in zip(wrt, _scalars(row.value), strict=True)},
                "max_abs_error": _finite(row.max_abs_error),
                "max_ulp": _finite(row.max_ulp),
                "operations": row.ops,
                "seconds": row.seconds,
                "passed": row.passed,
            }
            for row in result.rows
        ],
        "sweep": [
            {
                "method": curve.method,
                "steps": curve.steps.tolist(),
                "errors": [_finite(e) for e in curve.errors],
                "best_step": _finite(curve.best_step),
                "theory_step": _finite(curve.theory_step),
            }
            for curve in (result.sweep.curves if result.sweep else ())
        ],
        "passed": result.passed,
        "notes": list(result.notes),
    }


def as_latex(f: Node, derivatives: dict[Node, Node], result: Comparison) -> str:
    """Return the formulas as aligned equations and the comparison as a tabular."""
    equations = [f"f &= {f.latex()}"]
    equations += [rf"\frac{{\partial f}}{{\partial {x.latex()}}} &= {g.latex()}" for x, g in derivatives.items()]
    heads = [rf"$\partial f/\partial {x.latex()}$" for x in result.wrt]
    rows = [["method", *heads, "abs.\\ error", "ulp"]]
    rows += [
        [row.method, *(repr(float(v)) for v in _scalars(row.value)), f"{row.max_abs_error:.1e}", f"{row.max_ulp:.1f}"]
        for row in result.rows
    ]
    lines = [" & ".join(row) + r" \\" for row in rows]
    joined = " \\\\\n".join(equations)
    return "\n".join(
        [
            rf"\begin{{align*}}{chr(10)}{joined}{chr(10)}\end{{align*}}",
            rf"\begin{{tabular}}{{l{'r' * (len(heads) + 2)}}}",
            lines[0] + r" \hline",
            *lines[1:],
            r"\end{tabular}",
        ]
    )


def _scalars(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [np.asarray(value, dtype=object).item()]


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
