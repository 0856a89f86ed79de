"""Calls of compiled functions: arguments, mapping, out=, forms of the result, wrong input; on cpu and reference."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import symdiff as sd

X, Y = sd.symbols("x y")
W, A = sd.vector("w", "n"), sd.matrix("A", "n", "m")
K = sd.array("k", ("n",), dtype="int64")
RNG = np.random.default_rng(3)
TARGETS = ("cpu", "reference")
# Four functions of 4 ulp each, and the roundings between them.
CLOSE = {"rtol": 32 * np.finfo(float).eps, "atol": 8 * np.finfo(float).eps}


def by_hand(x: Any, y: Any) -> list[Any]:
    return [np.exp(-(x**2)) * np.sin(y), x + y]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def fn(target: str) -> Any:
    return sd.compile([sd.exp(-(X**2)) * sd.sin(Y), X + Y], [X, Y], target=target)


def check(got: Any, want: Any) -> None:
    for g, w in zip(got, want, strict=True):
        assert np.shape(g) == np.shape(w)
        np.testing.assert_allclose(g, w, **CLOSE)


COLUMN, ROW = RNG.normal(size=(4, 1)), RNG.normal(size=(1, 3))
ARGUMENTS = {
    "floats": (1.5, 2.0),
    "ints": (1, -2),
    "bools": (True, False),
    "numpy scalars": (np.int64(3), np.float32(2)),
    "numpy floats": (np.float64(0.3), np.float64(2)),
    "0-d": (np.array(1.5), np.array(2)),
    "array and number": (RNG.normal(size=5), 2.0),
    "broadcasting": (COLUMN, ROW),
    "empty": (np.zeros((0, 3)), 1.0),
    "empty list": ([], 2.0),
    "one": (np.ones(1), np.ones((1, 1))),
    "Fortran order": (np.asfortranarray(COLUMN * ROW), (COLUMN + ROW)[:, ::-1]),
    "steps": (np.arange(20.0)[::-3] / 7, np.arange(14.0)[::2]),
    "float32 and int": (RNG.normal(size=5).astype("f4"), np.arange(5)),
    "lists": ([1, 2, 3], [[1], [2]]),
    "read-only": (np.broadcast_to(1.5, (3, 2)), 2),
    "big-endian": (RNG.normal(size=5).astype(">f8"), 1.0),
    "array of bools": (np.array([True, False]), 1),
    "unaligned": (np.zeros(81, np.uint8)[1:].view("f8"), 0.5),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_many_kinds(fn: Any, name: str) -> None:
    args = ARGUMENTS[name]
    check(fn(*args), by_hand(*(np.asarray(a, float) for a in args)))
    check(fn(y=args[1], x=args[0]), by_hand(*(np.asarray(a, float) for a in args)))


def test_numbers_give_python_numbers(target: str) -> None:
    assert [type(v) for v in sd.compile([X, X > 1, sd.sum(K)], [X, K], target=target)(2, [1, 2])] == [float, bool, int]


@pytest.mark.parametrize("xs", [(3, 1), (0,), (), (9,)], ids=str)
@pytest.mark.parametrize("n", [0, 1, 4])
def test_mapping_beside_arrays_of_a_declared_shape(target: str, xs: tuple[int, ...], n: int) -> None:
    fn = sd.compile([sd.sum(A * X, axis=1) * Y + W * X, sd.sum(W) + X, W, 2 * Y], [X, W, A, Y], target=target)
    x, w, a, y = RNG.normal(size=xs), RNG.normal(size=n), RNG.normal(size=(3, n)).T, 1.5
    x_ = x[..., None]
    expected = [(a.sum(1) * x_) * y + w * x_, w.sum() + x, np.broadcast_to(w, (*xs, n)), np.full(xs, 2 * y)]
    check(fn(x, w, a, y), expected)


def test_forms(target: str) -> None:
    build: Callable[[Any], Any] = lambda form: sd.compile(form, [X, Y], target=target)  # noqa: E731
    assert build(X * Y)(2, 3) == 6.0
    assert build([X, Y, X, 2.5])(2, 3) == [2.0, 3.0, 2.0, 2.5]
    assert build((X,))(2, 3) == (2.0,)
    assert build({"b": X, "a": Y})(2, 3) == {"b": 2.0, "a": 3.0}
    assert build([])(2, 3) == []
    assert list(build({"b": X, "a": Y})([1.0, 2.0], 3)) == ["b", "a"]


def test_no_inputs(target: str) -> None:
    table = np.arange(4.0)
    assert sd.compile([2.5, sd.sum(X * 0 + table).subs({X: 1.0})], [], target=target)() == [2.5, 6.0]


# --- out= ----------------------------------------------------------------------


def test_out_is_filled_and_returned(target: str) -> None:
    fn = sd.compile([W * 2, sd.sum(W), W > 0], [W], target=target)
    out = [np.empty((4, 2))[:, 0], np.empty(()), np.empty(4, bool)]
    w = RNG.normal(size=4)
    assert fn(w, out=out) is out
    check(out, [w * 2, w.sum(), w > 0])
    single, array = sd.compile(W + 1, [W], target=target), np.empty(4)
    assert single(w, out=array) is array
    check([array], [w + 1])


def test_out_of_a_mapped_call(fn: Any) -> None:
    out = [np.empty((4, 3)), np.asfortranarray(np.empty((4, 3)))]
    fn(COLUMN, ROW, out=out)
    check(out, by_hand(COLUMN, ROW))


def test_out_as_a_dict_goes_by_its_keys(target: str) -> None:
    fn = sd.compile({"a": W * 2, "b": W + 1}, [W], target=target)
    out = {"b": np.empty(3), "a": np.empty(3)}
    fn(np.arange(3.0), out=out)
    check([out["a"], out["b"]], [np.arange(3.0) * 2, np.arange(3.0) + 1])
    with pytest.raises(sd.ShapeError, match="has the keys"):
        fn(np.arange(3.0), out={"a": np.empty(3), "c": np.empty(3)})


def test_out_may_be_an_input_or_overlap_one(target: str) -> None:
    fn = sd.compile([W[::-1] * 2, W + sd.sum(W)], [W], target=target)
    w = np.arange(5.0)
    expected = [w[::-1] * 2, w + 10]
    out = [w, np.empty(5)]
    fn(w, out=out)
    check(out, expected)
    memory = np.arange(9.0)
    out = [memory[2:7], memory[4:]]  # overlap the input, and each other: the later result stays
    fn(memory[:5], out=out)
    check(out[1:], expected[1:])
    x = np.linspace(0, 1, 7)
    sd.compile(sd.sin(X), [X], target=target)(x, out=x)
    check([x], [np.sin(np.linspace(0, 1, 7))])


@pytest.mark.parametrize(
    "out",
    [[np.empty(4)], [np.empty(3), np.empty(4)], [np.empty(4, int), np.empty(4)], [[0.0] * 4, np.empty(4)]],
    ids=["too few", "shape", "dtype", "list"],
)
def test_wrong_out(target: str, out: Any) -> None:
    fn = sd.compile([W * 2, W + 1], [W], target=target)
    with pytest.raises(sd.ShapeError, match="out"):
        fn(np.arange(4.0), out=out)


def test_read_only_out_is_refused(target: str) -> None:
    array = np.empty(3)
    array.flags.writeable = False
    with pytest.raises(sd.ShapeError, match="writeable"):
        sd.compile(W * 2, [W], target=target)(np.arange(3.0), out=array)


def test_later_calls_of_the_same_shapes_are_looked_at_again(target: str) -> None:
    """What is remembered of an earlier call holds for plain arrays only."""
    fn = sd.compile([W[::-1] * 2, W + sd.sum(W)], [W], target=target)
    w = np.arange(5.0)
    expected = [w[::-1] * 2, w + 10]
    for _ in range(2):
        check(fn(w), expected)
    check(fn(w.astype("f4")), expected)
    check(fn(np.repeat(w, 2)[::2]), expected)
    check(fn(list(w)), expected)
    out = [np.empty(5), np.empty((5, 2))[:, 1]]
    check(fn(w, out=out), expected)
    check(fn(w, out=tuple(np.empty((2, 5)))), expected)
    for wrong in ([np.empty(5)], [np.empty(4), np.empty(5)], [np.empty(5, int), np.empty(5)]):
        with pytest.raises(sd.ShapeError, match="out"):
            fn(w, out=wrong)
    shared = w.copy()
    check(fn(shared, out=[shared, np.empty(5)]), expected)
    with pytest.raises(TypeError, match="'w'"):
        fn(w * 1j)
    with pytest.raises(sd.ShapeError, match="'w'"):
        fn(np.zeros((5, 1)))
    mapped = sd.compile([X * Y, X + Y], [X, Y], target=target)
    for args in (
        (COLUMN, ROW),
        (COLUMN * ROW, COLUMN + ROW),
        (COLUMN * ROW, COLUMN + ROW),
        (COLUMN, ROW),
        (COLUMN, 2.0),
    ):
        check(mapped(*args), [args[0] * args[1], args[0] + args[1]])


# --- wrong input ------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "too few": (lambda f: f(1), TypeError, "'y' is missing"),
    "too many": (lambda f: f(1, 2, 3), TypeError, r"2 arguments \(x, y\), got 3"),
    "unknown name": (lambda f: f(1, z=2), TypeError, "no argument 'z'"),
    "twice": (lambda f: f(1, x=2), TypeError, "'x' is given twice"),
    "complex": (lambda f: f(1j, 2), TypeError, "'x' has dtype float64, got complex128"),
    "text": (lambda f: f("a", 2), TypeError, "'x' has dtype float64"),
    "None": (lambda f: f(None, 2), TypeError, "'x'"),
    "huge int": (lambda f: f(10**400, 2), TypeError, "'x'"),
    "expression": (lambda f: f(X, 2), TypeError, "'x' is an expression"),
    "ragged": (lambda f: f([[1], [1, 2]], 2), sd.ShapeError, "'x'"),
    "no broadcast": (lambda f: f(np.zeros(3), np.zeros(4)), sd.ShapeError, r"'x' \(3,\), 'y' \(4,\)"),
    "masked": (lambda f: f(np.ma.masked_array([1.0], [True]), 2), TypeError, "MaskedArray"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(fn: Any, name: str) -> None:
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        call(fn)
    assert isinstance(caught.value, sd.SymdiffError)


def test_shapes_that_disagree(target: str) -> None:
    fn = sd.compile(sd.sum(A * W[:, None]), [A, W], target=target)
    with pytest.raises(sd.ShapeError, match=r"'w' has shape \(n,\) where n = 3, m = 2, got an array of shape \(4,\)"):
        fn(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(sd.ShapeError, match="'A'"):
        fn(np.zeros(3), np.zeros(3))


def test_a_formula_in_a_shape_is_checked(target: str) -> None:
    longer = sd.array("q", (W.shape[0] + 1,))
    fn = sd.compile(sd.sum(longer[1:] * W), [longer, W], target=target)
    assert fn([0, 1, 2], [1, 2]) == 5.0
    with pytest.raises(sd.ShapeError, match=r"'q' has shape \(n \+ 1,\) where n = 3"):
        fn([0, 1, 2], [1, 2, 3])


def test_integers_are_not_taken_from_floats_or_cut(target: str) -> None:
    fn = sd.compile(K + 1, [K], target=target)
    assert fn([1, 2]).tolist() == [2, 3]
    with pytest.raises(TypeError, match="'k' has dtype int64, got float64"):
        fn([1.5])
    with pytest.raises(TypeError, match="larger integer 9223372036854775808"):
        fn(np.array([2**63], dtype=np.uint64))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: sd.compile(X * Y, [X]), sd.UnknownSymbolError, "'y'"),
        (lambda: sd.compile(X * Y, [X, X + Y]), sd.DTypeError, "inputs of a function are symbols"),
        (lambda: sd.compile(X, [X, X]), sd.DTypeError, "Two inputs are named 'x'"),
        (lambda: sd.compile(X, [X], target="fpga"), sd.CompileError, "fpga"),
        (lambda: sd.compile(X, [X], threads=0), sd.CompileError, "threads"),
        (lambda: sd.compile(X, [X], dtype="int64"), sd.DTypeError, "float32"),
        (lambda: sd.compile(X, [X]).inspect("ast"), sd.CompileError, "inspect shows"),
    ],
    ids=["missing", "no symbol", "twice", "target", "threads", "dtype", "inspect"],
)
def test_wrong_compilations(build: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


# --- dtype=, life -----------------------------------------------------------------


def test_dtype_float32(target: str) -> None:
    fn = sd.compile([sd.exp(-(W**2)) * 2.5, sd.sum(W)], [W], dtype="float32", target=target)
    w = np.linspace(-1, 1, 11)
    first, total = fn(w)
    assert first.dtype == np.float32
    np.testing.assert_allclose(first, np.exp(-(w**2)) * 2.5, rtol=8 * np.finfo(np.float32).eps)
    assert abs(total) < 11 * np.finfo(np.float32).eps


def test_code_lives_as_long_as_its_calls(target: str) -> None:
    def results() -> Iterator[float]:
        gc.freeze()  # what is there already need not be looked through 30 times
        try:
            for k in range(30):
                yield sd.compile(X * float(k), [X], target=target)(2.0)
                gc.collect()
        finally:
            gc.unfreeze()

    assert list(results()) == [2.0 * k for k in range(30)]


def test_the_fast_way_in_is_the_general_way_in() -> None:
    """Plain numbers enter through machine code, others through NumPy: the same bits."""
    fn = sd.compile([sd.exp(X) * Y, X / Y], [X, Y])
    for x, y in ((0.3, 2.0), (-1.0, -1.0), (1e308, 1e-308), (float("nan"), 0.0), (2**70, True)):
        np.testing.assert_array_equal(fn(x, y), fn(x=x, y=y))


def test_nested_forms(target: str) -> None:
    """A Hessian by several symbols is a list of lists of blocks of different shapes."""
    v = sd.vector("v", 3)
    f = sd.sum(v) ** 2 * X
    fn = sd.compile({"hessian": sd.hessian(f, [X, v]), "value": f, "pair": (X, [X * 2])}, [X, v], target=target)
    point = np.array([1.0, 2.0, 4.0])
    result = fn(3.0, point)
    (xx, xv), (vx, vv) = result["hessian"]
    assert (xx, result["value"], result["pair"]) == (0.0, 147.0, (3.0, [6.0]))
    np.testing.assert_array_equal(xv, np.full(3, 14.0))
    np.testing.assert_array_equal(vx, xv)
    np.testing.assert_array_equal(vv, np.full((3, 3), 6.0))


def test_numbers_in_lists_are_arrays_still() -> None:
    numbers, x = sd.compile([[1.0, 2.0], X], [X])(3.0)
    np.testing.assert_array_equal(numbers, [1.0, 2.0])
    assert x == 3.0


@pytest.mark.parametrize("wait", [True, False])
def test_functions_can_be_pickled(wait: bool) -> None:
    fn = sd.compile({"product": X * Y, "others": [sd.sin(X), X - Y]}, [X, Y], threads=1, wait=wait)
    again = pickle.loads(pickle.dumps(fn))
    assert again(3.0, 0.5) == fn(3.0, 0.5)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(fn, 3.0, 0.5).result() == fn(3.0, 0.5)
