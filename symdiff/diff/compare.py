"""compare: one derivative by every method, against a 50-digit reference that shares no rule with them.

A row passes when its error is within what that method must lose: for symbolic, forward and reverse the rounding
of their own expression (Monte Carlo arithmetic), for differences also their truncation, which is known exactly
because the same difference quotient is evaluated with mpmath. Arrays too large for every entry are compared along a
random direction, and tested for transposition and by Taylor remainders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.accumulated import first_wrong_accumulation
from symdiff.diff.along import random_line, work
from symdiff.diff.dot_product import run_dot_product
from symdiff.diff.exact import DIGITS, exact_derivative
from symdiff.diff.faulty_rule import first_faulty_rule
from symdiff.diff.finite import Values, read_point
from symdiff.diff.parting import Parting, first_parting
from symdiff.diff.rules import RULES, Rule
from symdiff.diff.study import DIFFERENCES, SPARSE, Compiler, Row, Study
from symdiff.diff.sweep import Sweep, sweep
from symdiff.diff.taylor_remainder import run_taylor
from symdiff.diff.wrt import as_function
from symdiff.ir.errors import DerivativeError
from symdiff.ir.node import Node

# Operations on numbers, summed over all entries, up to which every entry is compared: some ten seconds.
LIMIT = 60_000
# A method that passes but has lost half of its digits owes an explanation.
_LOSS = 2.0**26
_SEED = 17


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; prints as a table. `reference` is in mpmath numbers, in the form of a row's value.

    `sweep` has the errors of differences over their steps. `parting` is the first node at which a method that
    fails, or loses half of its digits, parts from the exact values. `direction` maps symbols to the random direction
    that was followed, None where every entry was compared; then the values of rows are derivatives along it.
    `is_defined` says whether `f` is finite somewhere: where it is not, one derivative is as good as another.
    """

    rows: tuple[Row, ...]
    reference: Any
    point: Mapping[Node, np.ndarray]
    wrt: tuple[Node, ...]
    notes: tuple[str, ...]
    sweep: Sweep | None = None
    parting: Parting | None = None
    direction: Mapping[Node, np.ndarray] | None = None
    is_defined: bool = True

    @property
    def passed(self) -> bool:
        """Whether every method is as accurate as it can be, and something was compared: `f` is finite somewhere."""
        return self.is_defined and all(row.passed for row in self.rows)

    def __rich__(self) -> Any:
        from symdiff.diff.table import comparison_table

        return comparison_table(self)

    def __str__(self) -> str:
        from symdiff.diff.table import printed

        return printed(self)


def compare(
    f: Any, point: Mapping[Any, Any], wrt: Any = None, compiler: Compiler | None = None, limit: float = LIMIT
) -> Comparison:
    """Return the derivative of `f` at a point by every method, with errors against a 50-digit reference.

    `point` maps symbols, or their names, to numbers or arrays; `wrt` is by default every real symbol of `f`.
    `compiler` makes functions from expressions, as `sd.compile` does; without one the graphs are interpreted.
    `limit` bounds the operations of `f` times the entries of `wrt`. Above it the derivative is compared along one
    random direction, with a dot-product test and Taylor tests of both modes and of the Hessian-vector product as
    further rows; where even one value of `f` takes more, these tests remain.

    An ulp is the spacing of floating-point numbers at the reference's entry, and at the largest entry where that
    is 0. At a kink the error is the distance to the interval between the two one-sided derivatives, and a note
    says so. A method that has no rule for `f` is left out with a note. Where a method fails, `parting` and a note
    name the first node at which it goes wrong.
    Raises: UnknownSymbolError, DerivativeError, ShapeError.
    Cost: dominated by nine values of `f` with 200-digit numbers per entry of `wrt`, up to `limit`.

    >>> import symdiff as sd
    >>> x, y = sd.symbols("x y")
    >>> sd.compare(sd.exp(-x**2) * sd.sin(y), {x: 1.2, y: 0.7}).passed
    True
    """
    node, values, symbols, single = read_point(f, point, wrt)
    effort = work(node, values)
    if np.isfinite(effort) and effort * sum(values[x].size for x in symbols) <= limit:
        return _by_entries(node, values, symbols, single, compiler)
    exactly = np.isfinite(effort) and effort <= limit
    why = "too large for every entry" if np.isfinite(effort) else "a part of f has no value with many digits"
    return _along_a_line(node, values, symbols, compiler, bool(exactly), why)


def _by_entries(node: Node, values: Values, symbols: list[Node], single: bool, compiler: Compiler | None) -> Comparison:
    exact = [exact_derivative(node, values, x) for x in symbols]
    study = Study(node, values, symbols, single, exact, compiler, {})
    rows, notes = _judged(study, RULES)
    curves = sweep(node, values, symbols, exact)
    parting, more = _explained(study, rows, node, values, symbols)
    notes += more
    reference = study.form([_fifty(e.value) for e in exact])
    defined = not exact or any(e.defined for e in exact)
    return Comparison(tuple(rows), reference, values, tuple(symbols), tuple(notes), curves, parting, is_defined=defined)


def _judged(study: Study, rules: Mapping[str, Rule]) -> tuple[list[Row], list[str]]:
    """The rows of all methods, and notes on the point and on what is left out."""
    notes = [text for e in study.exact for text in e.notes]
    rows: list[Row] = []
    for method, build in rules.items():
        try:
            rows.append(study.by_rule(method, build))
        except DerivativeError as error:
            notes.append(f"{method} is left out: {error}")
    if study.f.shape and any(x.shape for x in study.symbols):
        try:
            rows.append(study.by_triplets())
        except DerivativeError as error:
            notes.append(f"{SPARSE} is left out: {error}")
    rows = study.agreeing(rows)
    bound = study.rounding()
    rows += [study.by_difference(m, bound) for m in DIFFERENCES]
    notes += [f"{r.method}: a step leaves the domain of f" for r in rows[-4:] if np.isnan(r.max_abs_error)]
    return rows, notes


def _along_a_line(
    node: Node, values: Values, symbols: list[Node], compiler: Compiler | None, exactly: bool, why: str
) -> Comparison:
    """Compare the derivative of <w, f(x + t v)> by t, if one value of `f` has a reference; test both modes."""
    line = random_line(node, values, symbols, _SEED)
    direction = {x: line.values[v] for x, v in zip(symbols, line.directions, strict=True)}
    rows: list[Row] = []
    notes = [f"{why}: one random direction, and tests of the whole derivative"]
    reference, curves, study, defined = None, None, None, False
    if exactly:
        phi = line.phi
        exact = [exact_derivative(phi, line.values, line.t)]
        study = Study(phi, line.values, [line.t], True, exact, compiler, {})
        rows, more = _judged(study, line.rules())
        notes += more
        reference = study.form([_fifty(exact[0].value)])
        curves, defined = sweep(phi, line.values, [line.t], exact), exact[0].defined
    stable = as_function(node)
    more_rows, more = _tests(stable, values, symbols)
    rows, notes = rows + more_rows, notes + more
    parting, more = _explained(study, rows, node, values, symbols)
    found = (tuple(rows), reference, values, tuple(symbols), tuple(notes + more))
    return Comparison(*found, curves, parting, direction, defined or bool(more_rows))


def _tests(f: Node, values: Values, symbols: list[Node]) -> tuple[list[Row], list[str]]:
    """The rows of the tests that need no reference: dot products, and Taylor remainders of orders 1 and 2."""
    rows: list[Row] = []
    notes: list[str] = []
    try:
        dots = run_dot_product(f, values, symbols, trials=3, seed=_SEED)
        ulp = dots.error / np.spacing(abs(dots.forward[0])) if np.isfinite(dots.error) else np.nan
        rows.append(Row("dot product", dots.forward[0], dots.error, float(ulp), dots.ops, dots.seconds, dots.passed))
    except DerivativeError as error:
        notes.append(f"the dot-product test is left out: {error}")
    for mode, order in (("forward", 1), ("reverse", 1), ("reverse", 2)):
        name = f"taylor, {mode}" if order == 1 else f"taylor, {mode} (hvp)"
        try:
            test = run_taylor(f, values, symbols, order, mode, _SEED)
        except DerivativeError as error:
            notes.append(f"{name} is left out: {error}")
            continue
        if not test.conclusive:
            notes.append(f"{name} is left out: {'; '.join(test.notes)}")
            continue
        rows.append(Row(name, test.slope, np.nan, np.nan, test.ops, test.seconds, test.passed))
        notes += [f"{name}: {text}" for text in test.notes]
    return rows, notes


def _explained(
    study: Study | None, rows: Sequence[Row], f: Node, values: Values, symbols: list[Node]
) -> tuple[Parting | None, list[str]]:
    """The node at which a method goes wrong, if one fails or has lost half of its digits, and a note on it.

    Without a `study` one value of `f` with many digits is too dear, and single rules are all that is looked at.
    """
    failed = [r.method for r in rows if not r.passed and r.method not in DIFFERENCES.values()]
    if not failed:
        lossy = [r.method for r in rows if study and r.method in study.graphs and r.max_ulp > _LOSS]
        parting = first_parting(study.graphs[lossy[0]], study.values) if study and lossy else None
        return parting, [f"{lossy[0]} is as good as its formula: {parting}"] if parting else []
    ruled = [m for m in failed if study and m in study.graphs]
    if study and ruled:
        parting = first_parting(study.graphs[ruled[0]], study.values, kinds=("value",))
        if parting is not None:
            return parting, [f"{ruled[0]} goes wrong at {parting}"]
    # Rules are applied to the stable form; what the user wrote may have others.
    parting = first_faulty_rule([as_function(f)], values) or first_faulty_rule([f], values)
    if parting is None and study:
        parting = first_wrong_accumulation(f, values, symbols)
    if parting is not None:
        return parting, [f"the methods part at {parting}"]
    return None, [f"{', '.join(failed)}: every primitive's rule is right alone at these values"]


def _fifty(values: np.ndarray) -> np.ndarray:
    import mpmath

    out = np.empty(values.shape, dtype=object)
    with mpmath.workdps(DIGITS):
        for index in np.ndindex(values.shape):
            out[index] = +mpmath.mpf(values[index])
    return out
