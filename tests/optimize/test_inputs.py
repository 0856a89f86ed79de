"""What is asked of `minimize`: wrong input is named before anything runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import symdiff as sd
from symdiff.optimize import Adam


def _bad(case: str) -> Any:
    x, y, w, v = *sd.symbols("x y"), sd.vector("w", "n"), sd.vector("v", "n")
    k = sd.array("k", (), dtype="int64")
    f = x**2 + y**2
    g = sd.sum((w - v) ** 2)
    start = {x: 1.0, y: 2.0}
    return {
        "method": lambda: sd.minimize(f, start, method="lbgfs"),
        "method type": lambda: sd.minimize(f, start, method=3),
        "method class": lambda: sd.minimize(f, start, method=Adam),
        "unknown start": lambda: sd.minimize(x**2, start),
        "missing": lambda: sd.minimize(f, {x: 1.0}),
        "empty start": lambda: sd.minimize(f, {}, {x: 1.0, y: 1.0}),
        "both": lambda: sd.minimize(f, start, {x: 1.0}),
        "sizes": lambda: sd.minimize(g, {w: np.zeros(3)}, {v: np.zeros(4)}),
        "rank": lambda: sd.minimize(g, {w: 0.0}, {v: np.zeros(4)}),
        "not scalar": lambda: sd.minimize(w**2, {w: np.zeros(3)}),
        "int unknown": lambda: sd.minimize(k * x, {x: 1.0, k: 1}),
        "int function": lambda: sd.minimize(k * k, {k: 1}),
        "complex": lambda: sd.minimize(f, {x: 1j, y: 0.0}),
        "text": lambda: sd.minimize(f, {x: "one", y: 0.0}),
        "sparse": lambda: sd.minimize(g, {w: np.zeros(3)}, {v: scipy.sparse.coo_array([1.0, 0.0, 2.0])}),
        "text function": lambda: sd.minimize("x**2 + y**2", start),
        "checkpoint": lambda: sd.minimize(f, start, checkpoint=3),
        "callback": lambda: sd.minimize(f, start, callback=3),
        "ragged": lambda: sd.minimize(g, {w: [[1.0], [2.0, 3.0]]}, {v: np.zeros(2)}),
        "string key": lambda: sd.minimize(f, {"x": 1.0, "y": 2.0}),
        "expression key": lambda: sd.minimize(f, {x: 1.0, 2 * y: 2.0}),
        "no dict": lambda: sd.minimize(f, [1.0, 2.0]),
        "tol": lambda: sd.minimize(f, start, tol=-1.0),
        "tol nan": lambda: sd.minimize(f, start, tol=float("nan")),
        "max_steps": lambda: sd.minimize(f, start, max_steps=1.5),
        "float for int": lambda: sd.minimize(k * x, {x: 1.0}, {k: 1.5}),
    }[case]


@pytest.mark.parametrize(
    ("case", "error", "text"),
    [
        ("method", sd.DomainError, "'adam', 'adamw', 'bfgs', 'coordinate-descent'"),
        ("method type", sd.DTypeError, "name or an object"),
        ("method class", sd.DTypeError, "Adam"),
        ("unknown start", sd.UnknownSymbolError, "'y'.*does not contain.*'x'"),
        ("missing", sd.UnknownSymbolError, "needs 'y'"),
        ("empty start", sd.UnknownSymbolError, "no unknown"),
        ("both", sd.SymdiffError, "'x' appears in start and in data"),
        ("sizes", sd.ShapeError, r"'v' has shape \(n,\) with n=3.*\(4,\)"),
        ("rank", sd.ShapeError, "'w'"),
        ("not scalar", sd.ShapeError, "scalar"),
        ("int unknown", sd.DerivativeError, "'k'.*int64"),
        ("int function", sd.DerivativeError, "int64"),
        ("complex", sd.DTypeError, "'x'.*complex128"),
        ("text", sd.DTypeError, "'x'"),
        ("sparse", sd.DTypeError, r"'v' is a sparse matrix; pass its toarray\(\)"),
        ("text function", sd.DTypeError, "of type str; sd.parse reads formulas"),
        ("checkpoint", sd.DTypeError, "the file is a path such as 'run.npz', got 3"),
        ("callback", sd.DTypeError, "callback is a function of the progress, got 3"),
        ("ragged", sd.DTypeError, "'w'"),
        ("string key", sd.DTypeError, "'x' is a string"),
        ("expression key", sd.DTypeError, "keys of start and data are symbols"),
        ("no dict", sd.DTypeError, "dict"),
        ("tol", sd.DomainError, "tol"),
        ("tol nan", sd.DomainError, "tol"),
        ("max_steps", sd.DomainError, "max_steps"),
        ("float for int", sd.DTypeError, "'k' has dtype int64"),
    ],
)
def test_wrong_input_is_named_before_anything_runs(case: str, error: type[Exception], text: str) -> None:
    call = _bad(case)
    with pytest.raises(error, match=text):
        call()
