"""The rows of a comparison: each method's value, its error against the reference, and what it may honestly lose."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from symdiff.diff.bounds import difference_bound
from symdiff.diff.exact import DIGITS, FAINT, Exact, distance
from symdiff.diff.finite import Values, as_number, default_step, finite_difference, richardson, ridders_steps
from symdiff.diff.jacobian import jacobian
from symdiff.diff.rounding import rounding_error
from symdiff.diff.rules import Rule
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node

Compiler = Callable[[Sequence[Node], Sequence[Node]], Callable[..., Sequence[Any]]]
Blocks = list[np.ndarray]

DIFFERENCES = {
    "forward": "forward difference",
    "central": "central difference",
    "complex": "complex step",
    "richardson": "richardson",
}
SPARSE = "sparse"
# SciPy's special functions of complex arguments are right to some thousand ulp.
_COMPLEX_ULPS = 4096
# Two rules for one formula at a kink differ by a few roundings, of terms that may cancel.
_KINK_ULPS = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One method's result: value like `wrt`, errors as the largest over all entries, cost, and whether it passed."""

    method: str
    value: Any
    max_abs_error: float
    max_ulp: float
    ops: int
    seconds: float
    passed: bool


@dataclass(slots=True)
class Study:
    """Everything that the rows of one comparison share; `graphs` keeps what each rule made."""

    f: Node
    values: Values
    symbols: list[Node]
    single: bool
    exact: list[Exact]
    compiler: Compiler | None
    graphs: dict[str, list[Node]]

    def form(self, blocks: Sequence[np.ndarray]) -> Any:
        """Bring one array per symbol into the form of `wrt`."""
        out = [as_number(b) for b in blocks]
        return out[0] if self.single else out

    def by_rule(self, method: str, build: Rule) -> Row:
        """The row of a method that makes an expression."""
        graph = build(self.f, self.symbols)
        blocks, seconds = timed(graph, self.values, self.compiler)
        self.graphs[method] = graph
        return self.row(method, blocks, rounding_error(graph, self.values), count_ops(graph), seconds)

    def by_triplets(self) -> Row:
        """The row of the sparse Jacobian, written out in full; entries that come up twice are added."""
        matrices = [jacobian(self.f, x, sparse=True) for x in self.symbols]
        graph = [node for m in matrices for node in (m.rows, m.cols, m.values)]
        found, seconds = timed(graph, self.values, self.compiler)
        self.graphs[SPARSE] = values = graph[2::3]
        shape = np.shape(interpret([self.f], self.values)[0])
        blocks, bounds = [], []
        for k, (x, noise) in enumerate(zip(self.symbols, rounding_error(values, self.values), strict=True)):
            rows, cols, numbers = found[3 * k : 3 * k + 3]
            into = (*shape, *self.values[x].shape)
            blocks.append(_dense(rows, cols, numbers, shape, into))
            added = noise + np.nan_to_num(np.finfo(numbers.dtype).eps * np.abs(numbers))
            bounds.append(_dense(rows, cols, added, shape, into))
        return self.row(SPARSE, blocks, bounds, count_ops(graph), seconds)

    def agreeing(self, rows: list[Row]) -> list[Row]:
        """Fail the rows whose finite entries differ from the first row's by more than rounding.

        Between the one-sided slopes of a kink every value is right, but all rules must choose the same.
        """
        out = rows[:1]
        for row in rows[1:]:
            same = True
            for a, b, exact in zip(self._blocks(rows[0].value), self._blocks(row.value), self.exact, strict=True):
                chosen = (exact.low != exact.high) & np.isfinite(a) & np.isfinite(b)
                scale = np.spacing(np.maximum(np.abs(a[chosen]), np.abs(b[chosen])))
                same = same and bool(np.all(np.abs(a[chosen] - b[chosen]) <= _KINK_ULPS * scale))
            out.append(row if same else replace(row, passed=False))
        return out

    def _blocks(self, value: Any) -> Blocks:
        return [np.asarray(v) for v in ([value] if self.single else value)]

    def rounding(self) -> Blocks:
        """The rounding errors of exact differentiation: what the complex step may lose as well."""
        made = [graph for method, graph in self.graphs.items() if method != SPARSE]
        return rounding_error(made[0] if made else [self.f] * len(self.symbols), self.values)

    def by_difference(self, method: str, rounding: Blocks) -> Row:
        """The row of a method that only evaluates `f`."""
        point, many = self.values, list(self.symbols)
        start = time.perf_counter()
        if method == "richardson":
            blocks, errors = richardson(self.f, point, many)
        else:
            blocks, errors = finite_difference(self.f, point, many, method), None  # type: ignore[arg-type]  # a name of its list
        seconds = time.perf_counter() - start
        blocks = [np.asarray(b) for b in blocks]
        finite = np.isfinite(interpret([self.f], point)[0])
        beyond = [~(finite[(..., *[None] * point[x].ndim)] & np.isfinite(point[x])) for x in many]
        match method:
            case "complex":
                bounds = [
                    r * 4 + _COMPLEX_ULPS * ulp_of(e.value, b.dtype)
                    for r, b, e in zip(rounding, blocks, self.exact, strict=True)
                ]
                # A difference of finite values is never infinite.
                bounds = [
                    np.where(np.isinf(e.value.astype(float)), np.inf, b)
                    for e, b in zip(self.exact, bounds, strict=True)
                ]
            case "richardson":
                pairs = zip(errors, rounding, strict=True)
                bounds = [self._ridders_bound(blocks[k], 10 * np.asarray(e) + r, k) for k, (e, r) in enumerate(pairs)]
            case _:
                bounds = [
                    self._bound(k, partial(default_step, method, eps=self._eps(k)), method) for k in range(len(many))
                ]
        # Differences of infinities, and steps from them, have no value.
        bounds = [np.where(far, np.inf, bound) for far, bound in zip(beyond, bounds, strict=True)]
        entries = sum(point[x].size for x in many)
        evaluations = {"forward": entries + 1, "central": 2 * entries, "complex": entries}.get(method, 24 * entries)
        return self.row(DIFFERENCES[method], blocks, bounds, evaluations * count_ops([self.f]), seconds)

    def _eps(self, k: int) -> float:
        return float(max(np.finfo(node.dtype).eps for node in (self.f, self.symbols[k])))

    def _bound(self, k: int, step: Callable[[float], float], method: str) -> np.ndarray:
        return difference_bound(self.f, self.values, self.symbols[k], self.exact[k], step, method == "forward")

    def _ridders_bound(self, value: np.ndarray, estimate: np.ndarray, k: int) -> np.ndarray:
        """The error that Ridders' table estimates itself, or that of its worst difference.

        Extrapolation supposes that f is smooth over the widest step. Where a kink is nearer, an entry of the table
        is still a combination of differences whose weights sum to 1 and their absolute values to less than 4.
        """
        if np.all(distance(value, self.exact[k].low, self.exact[k].high) <= estimate):
            return estimate
        x = self.values[self.symbols[k]]
        rows = max((len(ridders_steps(float(v))) for v in x.ravel()), default=0)
        for j in range(rows):
            step = partial(_nth_step, j=j)
            estimate = np.maximum(estimate, 4 * self._bound(k, step, "central"))
        return estimate

    def row(self, method: str, blocks: Sequence[Any], bounds: Sequence[Any], ops: int, seconds: float) -> Row:
        """Judge one method: its values may differ from the reference by `bounds`."""
        worst = ulps = 0.0
        passed = True
        for block, bound, exact in zip(blocks, bounds, self.exact, strict=True):
            value = np.asarray(block)
            error = distance(value, exact.low, exact.high)
            if not error.size:
                continue
            worst, ulps = _larger(worst, np.max(error)), _larger(ulps, np.max(error / ulp_of(exact.value, value.dtype)))
            with np.errstate(invalid="ignore"):
                # Where any value is right there is no error, whatever the bound.
                passed = passed and bool(np.all((error <= bound + FAINT) | (bound == np.inf) | (error == 0)))
        return Row(method, self.form([np.asarray(b) for b in blocks]), worst, ulps, ops, seconds, passed)


def timed(graph: Sequence[Node], values: Values, compiler: Compiler | None) -> tuple[Blocks, float]:
    """Evaluate a graph; the time is the shortest of three runs, without building or compiling."""
    if compiler is None:
        run: Callable[[], Sequence[Any]] = partial(interpret, graph, values)
    else:
        run = partial(compiler(graph, list(values)), *values.values())
    seconds = np.inf
    for _ in range(3):
        start = time.perf_counter()
        out = run()
        seconds = min(seconds, time.perf_counter() - start)
    return [np.asarray(v) for v in out], seconds


def _dense(
    rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: tuple[int, ...], into: tuple[int, ...]
) -> np.ndarray:
    entries = int(np.prod(shape, dtype=np.int64))
    out = np.zeros((entries, int(np.prod(into, dtype=np.int64)) // max(entries, 1)), values.dtype)
    np.add.at(out, (rows, cols), values)
    return out.reshape(into)


def ulp_of(reference: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """The spacing of numbers at each entry; at the largest entry, or at 1, for entries that are 0.

    What the reference's own rounding may have left of a 0, below its digits of the largest entry, counts as 0.
    """
    size = np.abs(reference.astype(float)).astype(dtype if dtype.kind == "f" else float)
    finite = size[np.isfinite(size)]
    largest = finite.max() if finite.size and finite.max() > 0 else size.dtype.type(1)
    return np.asarray(np.spacing(np.where(np.isfinite(size) & (size > 10.0**-DIGITS * largest), size, largest)))


def _nth_step(x: float, j: int) -> float:
    steps = ridders_steps(x)
    return steps[min(j, len(steps) - 1)]


def _larger(a: float, b: Any) -> float:
    return float(b) if b != b or b > a else a
