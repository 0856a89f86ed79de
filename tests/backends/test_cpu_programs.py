"""The cpu target against the interpreter: random programs, and every structured primitive on views and odd sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import symdiff as sd
from symdiff.function import Function
from symdiff.ir.node import Node
from symdiff.ir.text import to_text
from symdiff.ops.control import while_loop
from symdiff.ops.index import broadcast_to, embed, scatter_add, take
from symdiff.ops.leaves import iota
from tests.backends.emulated import THREADS
from tests.backends.random_programs import SIZES, SYMBOLS, programs, values

# Without a GPU, where kernels for one run on threads, it is their turn.
TARGET = "cuda" if THREADS else "cpu"
# Values are near 1 and a program has some dozen operations of a few ulp each; a solve has the condition of its
# matrix, below 1e3 here.
TOLERANCE = 4096 * np.finfo(float).eps


def agree(outputs: Sequence[Node], inputs: Sequence[Node], args: Sequence[Any], tolerance: float = TOLERANCE) -> None:
    """Check that both targets give the same values, or both a DomainError."""
    reference = sd.compile(list(outputs), list(inputs), target="reference")
    compiled = sd.compile(list(outputs), list(inputs), target=TARGET)
    compare(reference, compiled, outputs, args, tolerance)


def compare(
    reference: Function, compiled: Function, outputs: Sequence[Node], args: Sequence[Any], tolerance: float
) -> None:
    try:
        expected = reference(*args)
    except sd.DomainError:
        with pytest.raises(sd.DomainError):
            compiled(*args)
        return
    for node, got, want in zip(outputs, compiled(*args), expected, strict=True):
        got, want = np.asarray(got), np.asarray(want)
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=node.line)


@given(programs())
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_random_programs_at_many_sizes(roots: list[Node]) -> None:
    print(to_text(roots))  # the failing program, as text that parses back
    reference, compiled = sd.compile(roots, SYMBOLS, target="reference"), sd.compile(roots, SYMBOLS, target=TARGET)
    for seed, (n, m) in enumerate(SIZES):
        compare(reference, compiled, roots, values(n, m, seed), TOLERANCE)


RNG = np.random.default_rng(7)
A, B = sd.matrix("A", "n", "m"), sd.matrix("B", "m", "k")
X, Y = sd.vector("x", "n"), sd.vector("y", "m")
PICK, GRID = sd.array("I", ("k",), dtype="int64"), sd.array("J", ("k", "p"), dtype="int64")
S = sd.symbols("s")


@pytest.mark.parametrize(
    ("n", "m", "k"),
    [(1, 1, 1), (0, 3, 2), (3, 0, 2), (3, 2, 0), (5, 7, 3), (17, 9, 16), (2, 1, 3), (1, 4, 1), (8, 8, 8)],
)
def test_products_of_views(n: int, m: int, k: int) -> None:
    products = [
        A @ B, A.T @ A, A @ A.T, A[::-1] @ B, A @ B[::-1], A[:, ::-1] @ B, (A * 2) @ B, A @ B[:, ::-1], B.T @ A.T,
        A[::2] @ B, A[:, ::2] @ B[::2], (A @ B) @ (A @ B).T, A @ Y, X @ A, Y @ B, A.T @ X, X @ A @ B, A[::-1] @ Y,
        A[:, ::-1] @ Y[::-1], X @ X, sd.stack([A, A * 2]) @ B, sd.stack([A, A]) @ Y,
        sd.reshape(A.T, (A.shape[0], A.shape[1])) @ B, sd.concatenate([A, A], axis=1)[:, A.shape[1] :] @ B,
    ]  # fmt: skip
    args = [RNG.normal(size=s) for s in ((n, m), (m, k), (n,), (m,))]
    agree(products, [A, B, X, Y], args)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 4, 5), (2, 17, 9), (9, 1, 16), (0, 2, 3), (2, 0, 3), (2, 3, 0)], ids=str
)
def test_reductions(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    t = sd.array("t", ("n", "m", "k"))
    u = sd.transpose(t, (2, 0, 1))
    sums = [f(g, axis=axes) for f in (sd.sum, sd.prod, sd.mean) for g in (t, sd.sin(t) + u.T.shape[0], u)]
    extremes = [f(g, axis=axes) for f in (sd.max, sd.min) for g in (t, u[::-1])]
    # The mean over no entries is 0/0.
    with np.errstate(invalid="ignore"):
        agree(sums, [t], [RNG.normal(size=shape)])
    for e in extremes:
        agree([e], [t], [RNG.normal(size=shape)])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 9, 40])
def test_slices_of_a_run_time_size(n: int) -> None:
    a = RNG.normal(size=(n, 3))
    x = sd.matrix("x", "n", 3)
    for cut in (
        x[1:], x[:-1], x[2:5], x[:, 0], x[-1], x[::-2, ::3], x[5:], x[::7], x[-3:], x[3], x[10:20:3], x[1:][::2],
        sd.sum(x[2:5]), sd.sum(x[1:4], axis=0), x[1:] - x[:-1], x[::-1][1:][::-1], x[:, None, ::-1], x[3:1:-1],
    ):  # fmt: skip
        agree([cut], [x], [a])
        if cut.dtype == "float64":
            agree([sd.gradient(sd.sum(sd.sin(cut)), x)], [x], [a])


def test_embedding_over_run_time_sizes() -> None:
    n = X.shape[0]
    parts = [
        embed(X, shape=(n + 3,), starts=(2,), steps=(1,)), embed(X, shape=(2 * n,), starts=(0,), steps=(2,)),
        embed(X, shape=(n,), starts=(n - 1,), steps=(-1,)), embed(X * 2, shape=(n + 3,), starts=(2,), steps=(1,))[1:-1],
    ]  # fmt: skip
    for size in (1, 4, 9):
        agree(parts, [X], [RNG.normal(size=size)])
    with pytest.raises(sd.DomainError, match="out of range"):
        sd.compile(embed(X, shape=(n + 1,), starts=(2,), steps=(1,)), [X])(np.zeros(4))


@pytest.mark.parametrize("n", [0, 1, 3, 8])
def test_concatenations(n: int) -> None:
    e = sd.sin(X)
    joined = [
        sd.concatenate([e, e]), sd.concatenate([e, e, X, e]), sd.concatenate([e, e]) + 1, sd.stack([e, X, e], axis=1),
        sd.concatenate([sd.concatenate([e, X]), sd.concatenate([e, X])]), e, e, sd.concatenate([e[::-1], X[::-1]]),
        sd.concatenate([sd.sum(A, axis=1), X, np.arange(3.0)]), sd.stack([S, S, S * 2, 2.0]), X, X,
        sd.stack([sd.sum(X), sd.sum(e), S]), sd.concatenate([e, e * 2])[1::2] if n else e,
        sd.concatenate([A, A], axis=1).T,
        sd.reshape(sd.concatenate([A, A]), (-1,)), sd.concatenate([sd.max(A + 1, axis=1), e]) * e.shape[0],
    ]  # fmt: skip
    agree(joined, [A, X, S], [RNG.normal(size=(n, 3)), RNG.normal(size=n), 0.3])


@pytest.mark.parametrize(("n", "k", "p"), [(5, 3, 2), (1, 1, 1), (7, 0, 2), (9, 17, 1)])
def test_take_and_scatter(n: int, k: int, p: int) -> None:
    f = sd.sum(take(A, PICK, axis=0) ** 3)
    taken = [
        take(A, PICK, axis=0), take(A, GRID, axis=0), take(X, GRID, axis=0), sd.gradient(f, A), take(A.T, PICK, axis=1),
        sd.sum(take(A, GRID, axis=0), axis=1), scatter_add(take(A, GRID, axis=0), GRID, axis=0, extent=A.shape[0]),
        take(A[::-1], PICK, axis=0), take(broadcast_to(X[:, None], shape=(X.shape[0], 3)), PICK, axis=0),
        take(sd.exp(A), PICK, axis=0) * 2, sd.hessian(sd.sum(take(X, PICK, axis=0) ** 3), X),
    ]  # fmt: skip
    a, x, i, j = RNG.normal(size=(n, 4)), RNG.normal(size=n), RNG.integers(-n, n, k), RNG.integers(-n, n, (k, p))
    agree(taken, [A, X, PICK, GRID], [a, x, i, j])
    for wrong in (n, -n - 1, 2**62):
        if k:
            i[-1] = wrong
            for node in (taken[0], taken[3], taken[9]):
                agree([node], [A, PICK], [a, i])


def test_indices_into_nothing() -> None:
    agree([take(X, PICK, axis=0)], [X, PICK], [np.zeros(0), np.array([0])])
    agree([take(sd.exp(X), PICK, axis=0)], [X, PICK], [np.zeros(0), np.array([0])])
    agree([take(X, PICK, axis=0)], [X, PICK], [np.zeros(0), np.zeros(0, int)])


def test_an_index_out_of_range_in_a_program_of_plain_numbers() -> None:
    t = sd.symbols("t")
    index = sd.stack([S, t]).astype("int64")
    agree([sd.sum(scatter_add(sd.stack([S, t]), index, axis=0, extent=3))], [S, t], [7.0, 1.0])
    agree([sd.sum(take(sd.stack([S, t]), index, axis=0))], [S, t], [7.0, 1.0])


LOOPS = {
    "swapped": lambda: while_loop(lambda i, a, b: i < 5, lambda i, a, b: (i + 1, b, a + b), [0, X, X * 2]),
    "rotated": lambda: while_loop(lambda i, a, b, c: i < 4, lambda i, a, b, c: (i + 1, b, c, a), [0, X, X * 2, X + 1]),
    "constant": lambda: while_loop(lambda i, a, b: i < 3, lambda i, a, b: (i + 1, a, X), [0, X, X * 2]),
    "literal": lambda: while_loop(lambda i, a, b: i < 3, lambda i, a, b: (i + 1, a * 0 + 7.0, 2.0), [0, X, 1.0]),
    "no turn": lambda: while_loop(lambda i, a: i < 0, lambda i, a: (i + 1, a + 1), [0, X]),
    "twice": lambda: while_loop(lambda i, a, b: i < 4, lambda i, a, b: (i + 1, sd.sin(a), sd.sin(a)), [0, X, X * 2]),
    "views": lambda: while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, sd.concatenate([a[1:], a[:1]])), [0, X]),
    "reversed": lambda: while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a[::-1]), [0, X]),
    "data": lambda: while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a + np.arange(4.0) @ np.ones(4)), [0, X]),
    "reduced": lambda: while_loop(
        lambda v, q: sd.sum(v * v) > 0.1, lambda v, q: (v * 0.5 + sd.max(v) * 0.01, sd.sum(v) + q), [X, S]
    ),
    "iota": lambda: while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a + sd.sin(iota(n=X.shape[0]) + i)), [0, X]),
    "nested": lambda: while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, _inner(i, a)), [0, X]),
    "nested swap": lambda: while_loop(
        lambda i, a, b: i < 3, lambda i, a, b: (i + 1, b, _inner(i, a) + b * S), [0, X, X * 0.5]
    ),
}


def _inner(i: Node, a: Node) -> Node:
    """As many turns as the outer loop says, over a state that changes places, reading a value from outside."""
    return while_loop(lambda j, b, c: j < i + 2, lambda j, b, c: (j + 1, c, sd.sin(b) + a * S), [0, a, a * 2])[1]


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("n", [1, 5, 9])
def test_loops(name: str, n: int) -> None:
    agree(LOOPS[name](), [X, S], [RNG.normal(size=n), 0.4])


@pytest.mark.parametrize("name", [k for k in LOOPS if k not in ("literal",)])
def test_tangents_of_loops(name: str) -> None:
    last = LOOPS[name]()[1]
    if last.dtype == "float64":
        dot = sd.vector("dot", "n")
        agree([sd.jvp(last, X, dot)], [X, S, dot], [RNG.normal(size=7), 0.4, RNG.normal(size=7)])


def test_linear_algebra_inside_a_loop() -> None:
    m, y = sd.matrix("M", 6, 6), sd.vector("y", 6)
    eye = np.eye(6)

    def body(i: Node, a: Node, v: Node) -> tuple[Node, Node, Node]:
        spd = a @ a.T + eye
        return i + 1, sd.cholesky(spd) / 2, sd.solve(spd, v) + sd.sum(a, axis=0)

    agree(while_loop(lambda i, a, v: i < 4, body, [0, m, y]), [m, y], [RNG.normal(size=(6, 6)), RNG.normal(size=6)])


@pytest.mark.parametrize("n", [0, 1, 2, 5, 9])
def test_solve_and_cholesky(n: int) -> None:
    a, z, zz = sd.matrix("a", "n", "n"), sd.vector("z", "n"), sd.matrix("Z", "n", "m")
    spd = a @ a.T + 0.1 * a @ a.T
    solved = [
        sd.solve(a, z), sd.solve(a.T, zz), sd.solve(spd, z), sd.solve(a[::-1], z[::-1]), sd.cholesky(spd),
        sd.solve(a, zz[:, ::-1]), sd.solve(a, zz).T, sd.solve(a, sd.solve(a, z)), sd.solve(a, z) + sd.solve(a, z * 2),
    ]  # fmt: skip
    m = RNG.normal(size=(n, n)) + 3 * np.eye(n)
    args = [m, RNG.normal(size=n), RNG.normal(size=(n, 3))]
    agree(solved, [a, z, zz], args)
    agree([sd.gradient(sd.sum(sd.solve(spd, z) ** 2) + sd.sum(sd.cholesky(spd)), a)], [a, z], args[:2])
    # Singular and indefinite: NaN everywhere, on both targets.
    agree([sd.solve(a * 0, z), sd.solve(a * 0, zz), sd.cholesky(-spd - 1)], [a, z, zz], args)
    if n:
        out = sd.compile([sd.solve(a * 0, z), sd.cholesky(-spd)], [a, z])(*args[:2])
        assert all(np.isnan(o).all() for o in out)


def test_integers_and_booleans() -> None:
    k, j, p = (sd.array(name, ("n",), dtype=d) for name, d in (("k", "int64"), ("j", "int64"), ("p", "bool")))
    nodes = [
        k + j, k * j, k - j, -k, abs(k), sd.sign(k), sd.maximum(k, j), sd.minimum(k, j), k % j, sd.mod(k, j),
        k / (j + 9), sd.sum(k), sd.prod(k), sd.max(k), sd.min(j), k < j, sd.equal(k, j), sd.not_equal(k, j),
        sd.where(p, k, j), ~p, sd.where(p, k * 1.5, j), p & (k < j), p | (k < j), sd.sum(p), sd.max(p),
        p.astype("float64"), k**2, p ^ (k < j), k.astype("float32"), sd.floor(k * 1.5), k.astype("bool"),
        sd.sum(k) * p, sd.exp(k * 0.1), p * 2, sd.sum(p[::-1] & p), (k * 0.37).astype("int64"),
        iota(n=k.shape[0]) * 3 + j,
    ]  # fmt: skip
    for n in (1, 5, 8, 17):
        args = [RNG.integers(-9, 9, n), RNG.integers(-3, 3, n), RNG.random(n) > 0.5]
        agree(nodes, [k, j, p], args, tolerance=4 * np.finfo(float).eps)


@pytest.mark.parametrize("n", [1, 5, 16, 33])
def test_float32(n: int) -> None:
    f, g = (sd.array(name, shape, dtype="float32") for name, shape in (("f", ("n", "n")), ("g", ("n",))))
    k = sd.array("k", ("n",), dtype="int64")
    nodes = [
        sd.exp(f) + g[:, None], f @ f.T, sd.sum(f), sd.sum(f, axis=0), f @ g, sd.erf(g), sd.gammaln(sd.exp(g)),
        sd.sin(g) * k, sd.cbrt(g), sd.where(g > 0, g, k), sd.tanh(g) ** 3.3, sd.max(f, axis=1), g.astype("float64") * 2,
    ]  # fmt: skip
    args = [RNG.uniform(0.1, 1, (n, n)).astype("f"), RNG.uniform(0.1, 1, n).astype("f"), np.arange(n)]
    # Sums of up to 33 terms.
    agree(nodes, [f, g, k], args, tolerance=64 * np.finfo(np.float32).eps)


def test_results_that_are_inputs_constants_and_views() -> None:
    a = sd.matrix("a", "n", 4)
    table = np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::-1]
    spread = sd.broadcast_to(X[:, None], a.shape)
    nodes = [X, X, X[::-1], a.T, spread, sd.sum(table + 0 * S), table @ a[0], table @ a.T, table * S, S, S]
    agree(nodes, [a, X, S], [RNG.normal(size=(5, 4)), RNG.normal(size=5), 2.0])
    assert sd.compile([3.0, S, 2], [S])(5) == [3.0, 5.0, 2.0]


def test_hessians_of_array_programs() -> None:
    f = sd.sum(sd.log1p(sd.exp(A @ Y))) + sd.sum(Y**3) + sd.max(Y) * sd.prod(Y)
    v = sd.vector("v", "m")
    agree(
        [sd.hvp(f, Y, v), sd.hessian(f, Y), sd.gradient(f, Y)], [A, Y, v], [RNG.normal(size=s) for s in ((7, 5), 5, 5)]
    )


def test_a_size_that_no_input_gives_is_named() -> None:
    with pytest.raises(sd.UnknownSymbolError, match="'w', which the shape of no input gives"):
        sd.compile(sd.sum(iota(n=sd.vector("q", "w").shape[0])), [S])
