"""The door: what it takes and gives, and that everything else goes the general way with the same result."""

import ctypes
import threading

import numpy as np
import pytest

import symdiff as sd
from backends.cpu import door as door_module
from backends.cpu.threads import pool_word

pytestmark = pytest.mark.skipif(not door_module.is_possible(), reason="another Python, another layout of objects")


def opened(fn, *args):
    """Call until the door answers calls like this one."""
    for _ in range(6):
        fn(*args)
    assert fn._call(*args) is not NotImplemented
    return fn


X, Y = sd.vector("x", "n"), sd.vector("y", "n")
A, B = sd.symbols("a b")


def test_arrays_of_any_length():
    fn = sd.compile(X * Y + X - Y, [X, Y])
    for n in (0, 1, 3, 8, 1003):
        x, y = np.linspace(-1, 2, n), np.linspace(3, 4, n)
        opened(fn, x, y)
        np.testing.assert_array_equal(fn._call(x, y), x * y + x - y)


@pytest.mark.parametrize("form", [list, tuple, lambda items: {"u": items[0], "v": items[1]}, lambda items: [items]])
def test_forms(form):
    fn = sd.compile(form([X + A, sd.sum(X) * A]), [X, A])
    x = np.arange(5.0)
    first = fn(x, 0.5)
    opened(fn, x, 0.5)
    again = fn(x, 0.5)
    assert type(first) is type(again)
    assert str(first) == str(again)


@pytest.mark.parametrize(
    ("dtype", "value"), [("float64", 1.25), ("float32", 1.25), ("int64", -7), ("int64", -1), ("bool", True)]
)
def test_numbers_of_every_dtype(dtype, value):
    s = sd.array("s", (), dtype)
    fn = sd.compile([s, X + 1], [s, X])
    x = np.arange(3.0)
    opened(fn, value, x)
    got = fn._call(value, x)[0]
    assert got == value
    assert type(got) is type(value)


def test_minus_one_and_whole_numbers():
    fn = opened(sd.compile(A * 3 + B, [A, B]), 0.5, 0.25)
    assert fn._call(-1.0, -1) == -4.0
    assert fn._call(True, np.float64(2.0)) == 5.0


@pytest.mark.parametrize("value", [10**400, "1", None, 1j, [1.0], np.float32(1.5), np.array(2.0), np.arange(2.0)])
def test_refuses_what_is_no_plain_number(value):
    fn = opened(sd.compile(A * 3, [A]), 0.5)
    assert fn._call(value) is NotImplemented


def test_refuses_other_numbers_of_arguments():
    fn = opened(sd.compile(A + B, [A, B]), 0.5, 0.25)
    assert fn._call(1.0) is NotImplemented
    assert fn._call(1.0, 2.0, 3.0) is NotImplemented
    with pytest.raises(TypeError, match="'b' is missing"):
        fn(1.0)


class Sub(np.ndarray):
    """Not exactly an array."""


@pytest.mark.parametrize(
    "x",
    [
        np.arange(4, dtype=np.float32), np.arange(4), np.arange(8.0)[::2], np.arange(5.0), np.zeros((2, 2)),
        np.arange(4.0).astype(">f8"), np.arange(4.0).view(Sub), np.frombuffer(b"\0" * 33, np.uint8)[1:].view(float),
        [1.0, 2.0, 3.0, 4.0], memoryview(np.arange(4.0)),
    ],
    ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')} {np.shape(x)}",
)  # fmt: skip
def test_refuses_other_arrays(x):
    fn = opened(sd.compile(X * 2, [X]), np.arange(4.0))
    assert fn._call(x) is NotImplemented


def test_a_read_only_array_may_be_read():
    fn, x = sd.compile(X * 2, [X]), np.arange(4.0)
    opened(fn, x)
    x.flags.writeable = False
    np.testing.assert_array_equal(fn._call(x), 2 * x)


def test_given_results():
    fn = sd.compile([X + Y, sd.sum(X)], [X, Y])
    x, y = np.arange(4.0), np.ones(4)
    opened(fn, x, y)
    fn(x, y)
    out = [np.empty(4), np.empty(())]
    assert fn._call_out(out, x, y) is out
    np.testing.assert_array_equal(out[0], x + y)
    assert out[1] == 6.0
    assert fn(x, y, out=tuple(out))[1] == 6.0


def wrong_results(x):
    """Results that the door refuses for 4 numbers and an argument x."""
    locked = np.empty(4)
    locked.flags.writeable = False
    long = np.empty(6)
    return [x, x[:], long[:4][::-1], np.empty(5), np.empty((4, 1)), np.empty(4, np.float32), locked, None, [1.0] * 4]


@pytest.mark.parametrize("k", range(9))
def test_refuses_given_results(k):
    fn, x = sd.compile(X * 2, [X]), np.arange(4.0)
    opened(fn, x)
    assert fn._call_out(wrong_results(x)[k], x) is NotImplemented


def test_given_results_must_be_apart():
    fn, x = sd.compile([X * 2, X * 3], [X]), np.arange(4.0)
    opened(fn, x)
    long = np.empty(7)
    assert fn._call_out([long[:4], long[3:]], x) is NotImplemented
    assert fn._call_out([long[:4]], x) is NotImplemented
    assert fn._call_out(iter([long[:4], np.empty(4)]), x) is NotImplemented
    fn(x, out=[long[:4], long[3:]])
    np.testing.assert_array_equal(long[:3], [0, 2, 4])


def test_mapped_over_grids():
    fn = sd.compile([A * B, A + B], [A, B])
    a = np.arange(6.0).reshape(2, 3)
    opened(fn, a, 0.5)
    product, total = fn._call(a, 0.5)
    np.testing.assert_array_equal(product, a * 0.5)
    np.testing.assert_array_equal(total, a + 0.5)
    assert fn._call(a, a) is NotImplemented
    assert fn._call(a.T, 0.5) is NotImplemented


def test_an_index_out_of_range_is_an_error_every_time():
    k = sd.array("k", (3,), "int64")
    fn, x = sd.compile(sd.take(X, k), [X, k]), np.arange(5.0)
    opened(fn, x, np.array([0, 1, 4]))
    for _ in range(2):
        with pytest.raises(sd.DomainError, match="out of range"):
            fn(x, np.array([0, 1, 5]))
    np.testing.assert_array_equal(fn(x, np.array([4, 1, 0])), [4, 1, 0])


def test_sizes_must_agree_after_many_plans():
    fn = sd.compile(sd.sum(X * Y), [X, Y])
    for n in range(2, 150):
        assert fn(np.ones(n), np.full(n, 2.0)) == 2.0 * n
    for n in range(2, 150, 7):
        assert fn(np.ones(n), np.full(n, 3.0)) == 3.0 * n
    with pytest.raises(sd.ShapeError, match="'y'"):
        fn(np.ones(3), np.ones(4))


def test_temporaries_on_the_heap():
    m = sd.matrix("m", "n", "n")
    fn = sd.compile((m @ m) @ m, [m])
    a = np.random.default_rng(5).standard_normal((90, 90))
    opened(fn, a)
    # 90 products of numbers near 90 in size
    np.testing.assert_allclose(fn._call(a), a @ a @ a, rtol=1e-11, atol=1e-9)


def test_references_are_given_back():
    import gc
    import sys

    fn, x = sd.compile([X + 1, sd.sum(X)], [X]), np.arange(4.0)
    opened(fn, x)
    out = [np.empty(4), np.empty(())]
    gc.collect()
    before = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(out[0]), sys.getrefcount(NotImplemented)
    for _ in range(100):
        result = fn(x)
        fn(x, out=out)
        fn._call(3.0)
    assert (sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(out[0])) == before[:3]
    assert abs(sys.getrefcount(NotImplemented) - before[3]) < 50
    made = result.pop(0)
    count = sys.getrefcount(made)
    assert count == 2  # by its name and as an argument


def test_threads_work_and_python_goes_on():
    fn = sd.compile(sd.exp(sd.sin(A)), [A], threads=2)
    x = np.linspace(0, 1, 200_001)
    opened(fn, x)
    assert ctypes.c_int64.from_address(pool_word()).value != 0
    results = [None] * 4

    def work(k):
        for _ in range(5):
            results[k] = fn(x)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in results:
        np.testing.assert_array_equal(r, results[0])
    # 4 ulp for each of the two vector functions
    np.testing.assert_allclose(results[0], np.exp(np.sin(x)), rtol=16 * np.finfo(float).eps)
