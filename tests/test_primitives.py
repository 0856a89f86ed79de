"""Every primitive, in every mode, on every backend, against 40 digits and never against our rules.

The reference of a derivative is a central difference of the reference of the value, with steps of 1e-60 at 200
digits. A tolerance is a few eps times the condition of the entry: what rounding the arguments once would change.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest

import symdiff as sd
from backends.cuda.lacking import EXCEPTIONS as LACKING
from symdiff.diff.batch import batch
from symdiff.diff.finite import finite_difference
from symdiff.diff.forward import jvp_nodes
from symdiff.diff.jacobian import jvp, vjp
from symdiff.ir.errors import SymdiffError
from symdiff.ir.interpret import mp_array
from symdiff.ir.node import PRIMITIVES, Node
from symdiff.ops.leaves import symbol
from symdiff.passes.tidy import tidy
from tests.backends.emulated import RUNS
from tests.primitive_cases import CASES, LEAVES_IN_EVERY_CASE, NEVER_LEFT, Case

EPS = np.finfo(float).eps
# A value costs one call of a function that is right to 4 ulp, or a sum of some dozen terms.
VALUE_ULPS = 8
# A derivative is a product of a handful of such calls.
SLOPE_ULPS = 32

# Amos's routines, which SciPy has for Bessel functions of real order, lose a digit and a half.
ULPS = dict.fromkeys(("jv", "yv", "iv", "kv", "ive", "kve"), 64)

# Slopes that may be wrong by so many eps in absolute terms.
SATURATED = {"tanh": 8}
"""tanh: (1 - r)(1 + r) turns the last digits of r near 1, where the slope is small, into leading ones."""

# Factorisations are stable against the largest entry (Higham 2002, theorem 19.4): zeros come out as roundings of it.
NORMWISE = frozenset({"adjugate", "qr_q", "qr_r", "qr"})

MODES = ("value", "forward", "reverse", "symbolic", "batch", "complex")
BACKENDS = ("reference", "cpu")

BOOLEAN = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not", "isfinite", "isnan")
WHOLE = ("cast-dtype=int64", "cast-dtype=bool", "argsort-indices", "bit_and", "bit_xor", "shift_right")

# (case or primitive, mode, backend or "*") -> what the error says. The cell must raise exactly that.
EXCEPTIONS: dict[tuple[str, str, str], str] = {
    **{
        (name, mode, "*"): "only real expressions have derivatives"
        for name in (*BOOLEAN, *WHOLE)
        for mode in ("forward", "reverse", "symbolic", "complex")
    },
    **{
        (name, mode, "*"): text
        for name in ("lu", "lu_solve", "eigh", "qr")
        for mode, text in (
            *((mode, "made after derivatives are taken") for mode in ("forward", "reverse", "symbolic")),
            ("batch", "made after mapping"),
        )
    },
    ("opaque", "complex", "*"): "has no value for complex numbers",
    # What its case says of the derivative is a formula.
    **{(name, mode, "cuda"): "cannot run on target='cuda'" for name in LACKING for mode in ("value", "batch")},
}
"""Cells that are empty on purpose, with the reason, which is also the text of the error."""

# A mode that is a property of evaluation, not of generated code, has its cells on the reference backend only.
NOT_COMPILED = ("complex",)

# Without a GPU each of its threads is one of the system: every so many cases are enough, all with the slow tests.
EVERY = 1 if os.environ.get("SYMDIFF_SLOW") == "1" else 12


def cells(backends: Sequence[str]) -> list[Any]:
    """Every case in every mode on some backends."""
    return [
        pytest.param(case, mode, backend, id=f"{case}-{mode}-{backend}")
        for k, case in enumerate(CASES)
        for mode, backend in itertools.product(MODES, backends)
        if backend == "reference" or mode not in NOT_COMPILED
        if backend != "cuda" or not RUNS or k % EVERY == 0
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Walk over the targets that `--target` names."""
    if "backend" not in metafunc.fixturenames:
        return
    backends = metafunc.config.getoption("--target") or BACKENDS
    if "cuda" in backends:
        require_device()
    metafunc.parametrize(("case", "mode", "backend"), cells(backends))


def require_device() -> None:
    """Raise UsageError where nothing runs kernels."""
    from backends.cuda.kernel import here

    try:
        here()
    except SymdiffError as error:
        raise pytest.UsageError(
            f"--target cuda runs on a GPU, or with SYMDIFF_CUDA_THREADS=1 without one. {error}"
        ) from None


def run(backend: str, outputs: Sequence[Node], inputs: Sequence[Node], values: Sequence[np.ndarray]) -> list[Any]:
    """Return the values of `outputs`, compiled for a backend."""
    return list(sd.compile(list(outputs), list(inputs), target=backend)(*values))


def exception(case: Case, mode: str, backend: str) -> str | None:
    """The reason why a cell is empty."""
    keys = itertools.product((str(case), case.primitive), (backend, "*"))
    return next((EXCEPTIONS[c, mode, b] for c, b in keys if (c, mode, b) in EXCEPTIONS), None)


def is_real(values: np.ndarray) -> bool:
    return values.dtype.kind == "f"


class Study:
    """A case with its symbols, seeds and references, shared by all of its cells."""

    def __init__(self, case: Case):
        self.case = case
        rng = np.random.default_rng(sum(map(ord, str(case))))
        kinds = {"f": "float64", "i": "int64", "b": "bool"}
        self.values = case.values
        self.symbols = [
            symbol(name=f"x{k}", shape=v.shape, dtype=kinds[v.dtype.kind]) for k, v in enumerate(self.values)
        ]
        self.real = [k for k, v in enumerate(self.values) if is_real(v)]
        self.node = case.build(*self.symbols)
        self.eps = float(np.finfo(self.node.dtype if self.node.dtype == "float32" else float).eps)
        # Never 1: a forgotten factor must show.
        self.dots = [rng.uniform(0.3, 2.2, v.shape) for v in self.values]
        self.bar = rng.uniform(0.3, 2.2, self.node.shape)
        self.stacks = [
            np.stack([v, v[..., ::-1] if is_real(v) and "cast" not in str(case) else v]) for v in self.values
        ]

    def exact(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value with 40 digits and more."""
        return np.asarray(self.case.reference(*(mp_array(v) if is_real(v) else v for v in values)), dtype=object)

    def _slopes(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The Jacobian by each real argument, (*f.shape, x.size), from values of the reference alone."""
        h = mpmath.mpf(10) ** -60
        out = []
        for k in self.real:
            columns = []
            for index in np.ndindex(self.values[k].shape):
                ends = []
                for step in (h, -h):
                    moved = [mp_array(v) if j in self.real else v for j, v in enumerate(values)]
                    moved[k][index] += step
                    ends.append(np.asarray(self.case.reference(*moved), dtype=object))
                columns.append((ends[0] - ends[1]) / (2 * h))
            out.append(np.stack(columns, axis=-1))
        return out

    @functools.cached_property
    def jacobian(self) -> list[np.ndarray]:
        with mpmath.workdps(200):
            return [j.astype(float) for j in self._slopes(self.values)]

    @functools.cached_property
    def drift(self) -> list[np.ndarray]:
        """How far each entry of the Jacobian moves when the arguments move by their own size, to first order."""
        rng = np.random.default_rng(5)
        with mpmath.workdps(200):
            delta = mpmath.mpf(10) ** -40
            moved = [mp_array(v) * (1 + delta * rng.choice([-1, 1], v.shape)) if is_real(v) else v for v in self.values]
            pairs = zip(self._slopes(moved), self._slopes(self.values), strict=True)
            floor = SATURATED.get(self.case.primitive, 0) / SLOPE_ULPS
            drift = [np.abs(((a - b) / delta).astype(float)) + floor * (b != 0) for a, b in pairs]
        if self.case.primitive in NORMWISE:
            return [m + np.abs(j).max() for j, m in zip(self.jacobian, drift, strict=True)]
        return drift

    def value_bound(self) -> np.ndarray:
        """VALUE_ULPS times what rounding the arguments and the result once may change."""
        exact = np.abs(self.exact(self.values).astype(float))
        moved = [np.abs(j) @ np.abs(self.values[k]).ravel() for k, j in zip(self.real, self.jacobian, strict=True)]
        return ULPS.get(self.case.primitive, VALUE_ULPS) * self.eps * (exact + sum(moved))

    def forward(self) -> tuple[np.ndarray, np.ndarray]:
        """The exact directional derivative and the bound of its error."""
        dots = [self.dots[k].ravel() for k in self.real]
        exact = sum(j @ d for j, d in zip(self.jacobian, dots, strict=True))
        bound = sum((np.abs(j) + m) @ np.abs(d) for j, m, d in zip(self.jacobian, self.drift, dots, strict=True))
        return np.asarray(exact), SLOPE_ULPS * self.eps * np.asarray(bound)

    def reverse(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The exact cotangents and the bounds of their errors."""
        bar = self.bar.ravel()
        out = []
        for k, j, m in zip(self.real, self.jacobian, self.drift, strict=True):
            j, m = (a.reshape(bar.size, -1) for a in (j, m))
            exact, bound = bar @ j, SLOPE_ULPS * self.eps * (bar @ (np.abs(j) + m))
            out.append((exact.reshape(self.values[k].shape), bound.reshape(self.values[k].shape)))
        return out

    def outputs(self, mode: str) -> tuple[list[Node], list[Node], list[np.ndarray]]:
        """The nodes of a mode with their inputs and values."""
        xs = [self.symbols[k] for k in self.real]
        dots = [symbol(name=f"d{k}", shape=x.shape, dtype="float64") for k, x in zip(self.real, xs, strict=True)]
        values = list(self.values)
        match mode:
            case "value":
                return [self.node], self.symbols, values
            case "forward":
                out = jvp(self.node, xs, dots)
                return [out], [*self.symbols, *dots], [*values, *(self.dots[k] for k in self.real)]
            case "symbolic":
                # Real functions only; jvp has the check, jvp_nodes none.
                jvp(self.node, xs, dots)
                out = tidy(jvp_nodes([self.node], xs, dots))
                return out, [*self.symbols, *dots], [*values, *(self.dots[k] for k in self.real)]
            case "reverse":
                bar = symbol(name="bar", shape=self.node.shape, dtype="float64")
                return vjp(self.node, xs, bar), [*self.symbols, bar], [*values, self.bar]
        raise AssertionError(mode)


@functools.cache
def study(case: Case) -> Study:
    return Study(case)


def close(got: Any, exact: Any, bound: Any) -> None:
    """Assert |got - exact| <= bound by entry; bound also admits the smallest subnormals."""
    got, exact = np.asarray(got), np.asarray(exact)
    assert got.shape == exact.shape
    if got.dtype.kind in "bi":
        np.testing.assert_array_equal(got, exact.astype(got.dtype))
        return
    exact = exact.astype(float)
    same = (np.isnan(got) & np.isnan(exact)) | (got == exact)
    with np.errstate(invalid="ignore"):
        bad = ~(same | (np.abs(got - exact) <= bound + 5e-324))
    if bad.any():
        worst = np.argwhere(bad)[0]
        k = tuple(worst)
        limit = np.broadcast_to(bound, got.shape)[k]
        raise AssertionError(
            f"entry {k}: got {got[k]!r}, exact {exact[k]!r}, off by {abs(got[k] - exact[k]):.2e} > {limit:.2e}"
        )


def check_value(s: Study, backend: str) -> None:
    (got,) = run(backend, *s.outputs("value"))
    with mpmath.workdps(50):
        bound = s.value_bound() if s.node.dtype.startswith("float") else 0.0
        close(got, s.exact(s.values), bound)


def check_forward(s: Study, backend: str, mode: str = "forward") -> None:
    (got,) = run(backend, *s.outputs(mode))
    close(got, *s.forward())


def check_symbolic(s: Study, backend: str) -> None:
    check_forward(s, backend, "symbolic")


def check_reverse(s: Study, backend: str) -> None:
    for got, expected in zip(run(backend, *s.outputs("reverse")), s.reverse(), strict=True):
        close(got, *expected)


def check_batch(s: Study, backend: str) -> None:
    """Every subset of the arguments gets a leading axis; the rows are the values of the rows."""
    for size in range(1, len(s.symbols) + 1):
        for chosen in itertools.combinations(range(len(s.symbols)), size):
            stacked = {k: symbol(name=f"s{k}", shape=s.stacks[k].shape, dtype=s.symbols[k].dtype) for k in chosen}
            (root,) = batch([s.node], {s.symbols[k]: v for k, v in stacked.items()})
            inputs = [stacked.get(k, x) for k, x in enumerate(s.symbols)]
            values = [s.stacks[k] if k in chosen else v for k, v in enumerate(s.values)]
            (got,) = run(backend, [root], inputs, values)
            for row in range(2):
                plain = [s.stacks[k][row] if k in chosen else v for k, v in enumerate(s.values)]
                (want,) = run(backend, [s.node], s.symbols, plain)
                # A row is computed by the same operations, in another order where a product is blocked.
                np.testing.assert_allclose(got[row], want, rtol=VALUE_ULPS * EPS, atol=VALUE_ULPS * EPS)


def check_complex(s: Study, backend: str) -> None:
    point = dict(zip(s.symbols, s.values, strict=True))
    if not s.real:
        finite_difference(s.node, point, s.symbols[0], method="complex")
    for k, j, m in zip(s.real, s.jacobian, s.drift, strict=True):
        got = finite_difference(s.node, point, s.symbols[k], method="complex")
        shape = (*s.node.shape, *s.values[k].shape)
        # SciPy's special functions of complex arguments lose two digits more than the real ones.
        close(got, j.reshape(shape), 64 * SLOPE_ULPS * s.eps * (np.abs(j) + m).reshape(shape))


CHECKS: dict[str, Callable[[Study, str], None]] = {
    "value": check_value,
    "forward": check_forward,
    "symbolic": check_symbolic,
    "reverse": check_reverse,
    "batch": check_batch,
    "complex": check_complex,
}


def test_cell(case: Case, mode: str, backend: str) -> None:
    reason = exception(case, mode, backend)
    if reason is None:
        CHECKS[mode](study(case), backend)
        return
    with pytest.raises(SymdiffError, match=reason):
        CHECKS[mode](study(case), backend)


def test_every_primitive_has_a_case() -> None:
    covered = {case.primitive for case in CASES} | LEAVES_IN_EVERY_CASE | NEVER_LEFT
    assert covered == set(PRIMITIVES)


def test_every_exception_names_a_cell() -> None:
    names = {str(c) for c in CASES} | {c.primitive for c in CASES}
    assert {(c, m) for c, m, _ in EXCEPTIONS} <= set(itertools.product(names, MODES))
