"""opaque: Python functions inside expressions and compiled programs, their derivatives, and what they raise."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import traceback

import numpy as np
import pytest

import symdiff as sd
from backends.cpu import Kernel
from backends.cuda.lower import lower
from backends.store import KernelStore
from symdiff.ir.text import parse_text, to_text
from symdiff.passes import optimise
from symdiff.program.schedule import schedule

EPS = np.finfo(float).eps
TARGETS = ("reference", "cpu")
x, a = sd.symbols("x a")
v, w = sd.vector("v", "n"), sd.vector("w", 3)


def square_of_sum(values):
    return np.sum(values) ** 2


@pytest.mark.parametrize("target", TARGETS)
def test_values_of_scalars_vectors_and_mapped_calls(target):
    f = sd.opaque(square_of_sum, ())(2 * v) * a
    fn = sd.compile([f, sd.diff(f, a)], [v, a], target=target)
    assert fn(np.arange(4.0), 0.5) == [72.0, 144.0]
    value, by_a = fn(np.arange(3.0), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(value, [36.0, 72.0])
    np.testing.assert_array_equal(by_a, [36.0, 36.0])
    mapped = sd.compile(sd.opaque(np.hypot, ())(x, a), [x, a], target=target)
    np.testing.assert_array_equal(mapped(np.array([[3.0], [6.0]]), np.array([4.0, 8.0])), [[5, 73**0.5], [52**0.5, 10]])


@pytest.mark.parametrize("target", TARGETS)
def test_shapes_and_dtypes_of_arguments_and_results(target):
    A = sd.matrix("A", "n", 3)
    k, flag, single = sd.array("k", (2,), "int64"), sd.array("flag", (), "bool"), sd.array("s", (2,), "float32")
    seen = []

    def function(*arrays):
        seen.extend((z.dtype, z.shape) for z in arrays)
        return np.full((3, arrays[0].shape[1]), 7)

    f = sd.opaque(function, (3, "n"), dtype="int64")(A.T[::-1], k, flag, single)
    got = sd.compile(f + 1, [A, k, flag, single], target=target)(np.ones((4, 3)), [1, 2], True, np.ones(2, "float32"))
    assert got.shape == (3, 4)
    assert got.dtype == np.int64
    assert (got == 8).all()
    assert seen == [(np.dtype(d), s) for d, s in (("f8", (3, 4)), ("i8", (2,)), ("?", ()), ("f4", (2,)))]


@pytest.mark.parametrize("target", TARGETS)
def test_arguments_are_in_order_and_cannot_be_written_to(target):
    def function(values):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0
        return values[:, ::-1]

    A = sd.matrix("A", 2, 3)
    f = sd.opaque(function, (3, 2))(A.T)
    given = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(sd.compile(f, [A], target=target)(given), given.T[:, ::-1])


@pytest.mark.parametrize("target", TARGETS)
def test_rules_of_expressions_serve_both_modes_and_all_orders(target):
    rules = {
        "jvp": lambda primals, tangents: 2 * sd.sum(primals[0]) * sd.sum(tangents[0]),
        "vjp": lambda primals, result, bar: 2 * sd.sum(primals[0]) * bar * sd.ones_like(primals[0]),
    }
    for kind, rule in rules.items():
        f = sd.opaque(square_of_sum, (), check=True, **{kind: rule})(w**2)
        outputs = [sd.gradient(f, w), sd.jvp(f, w, np.arange(3.0)), sd.hessian(f, w)]
        g, d, h = sd.compile(outputs, [w], target=target)(np.array([1.0, 2.0, 3.0]))
        exact = sd.hessian(sd.sum(w**2) ** 2, w)
        np.testing.assert_allclose(g, 4 * 14 * np.array([1.0, 2, 3]), rtol=4 * EPS)
        assert d == pytest.approx(g @ np.arange(3.0), rel=4 * EPS)
        np.testing.assert_allclose(h, sd.compile(exact, [w])(np.array([1.0, 2, 3])), rtol=8 * EPS)


@pytest.mark.parametrize("target", TARGETS)
def test_rules_that_are_python_functions_themselves(target):
    pushed = sd.opaque(lambda z, dot: 2 * z.sum() * dot.sum(), ())
    pulled = sd.opaque(lambda z, result, bar: np.full_like(z, 2 * z.sum() * bar), ("n",))
    forward = sd.opaque(square_of_sum, (), jvp=pushed, check=True)(v)
    reverse = sd.opaque(square_of_sum, (), vjp=pulled, check=True)(v)
    both = sd.opaque(square_of_sum, (), jvp=pushed, vjp=pulled)(v)
    dots, given = np.array([0.5, 2.0]), np.array([1.0, 4.0])
    for f in (forward, both):
        assert sd.compile(sd.jvp(f, v, v * 0.5), [v], target=target)(given) == 25.0
    for f in (reverse, both):
        np.testing.assert_array_equal(sd.compile(sd.gradient(f, v), [v], target=target)(given), [10.0, 10.0])
        # Mapped over points, with an argument that all of them share.
        slopes = sd.compile(sd.gradient(a * f, v), [v, a], target=target)(given, dots)
        np.testing.assert_array_equal(slopes, 10.0 * dots[:, None] * np.ones(2))
    with pytest.raises(sd.DerivativeError, match=r"has a vjp only.*use reverse mode"):
        sd.jvp(reverse, v, v)
    with pytest.raises(sd.DerivativeError, match="has no transpose: reverse mode needs vjp="):
        sd.gradient(forward, v)
    # The derivative of the Python function `pulled` is nobody's.
    with pytest.raises(sd.DerivativeError, match="has no derivative"):
        sd.gradient(sd.sum(sd.gradient(reverse, v)), v)


def test_without_a_derivative_the_error_comes_when_it_is_built():
    f = sd.opaque(square_of_sum, ())(v) * x
    assert str(sd.diff(f, x)) == "square_of_sum(v)"
    for build in (lambda: sd.gradient(f, v), lambda: sd.jvp(f, v, v), lambda: sd.hessian(f, v)):
        with pytest.raises(
            sd.DerivativeError, match=r"'square_of_sum' .*test_opaque.py.* has no derivative; give it jvp="
        ):
            build()
    held = sd.opaque(square_of_sum, ())(sd.stop_gradient(v)) * sd.sum(v)
    np.testing.assert_array_equal(sd.compile(sd.gradient(held, v), [v])(np.ones(2)), [4.0, 4.0])


def test_a_wrong_derivative_is_found_on_first_use():
    f = sd.opaque(np.multiply, (), vjp=lambda p, r, bar: (p[1] * bar, p[1] * bar), check=True)
    with pytest.raises(sd.DerivativeError, match="multiply by 'x2' is wrong"):
        f(x, a)


class Mine(Exception):
    """An exception that only the user knows."""


def fails(values):
    raise Mine("with these words")


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_function_raises_comes_back_with_its_traceback(target):
    inside = sd.while_loop(lambda u, k: k < 1e9, lambda u, k: [sd.opaque(fails, ())(v) + u, k + 1], [x, 0.0])[0]
    for f in (sd.opaque(fails, ())(v) + x, inside):
        fn = sd.compile(f, [v, x], target=target)
        for _ in range(2):
            with pytest.raises(Mine, match="with these words") as caught:
                fn(np.ones(2), 1.0)
            assert "fails" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        with pytest.raises(Mine):
            fn(np.ones(2), np.ones(3))


@pytest.mark.parametrize("target", TARGETS)
def test_results_that_are_not_as_declared(target):
    wrong = {
        lambda z: z: (sd.ShapeError, r"'<lambda>' was declared to return shape \(\), and returned \(2,\)"),
        lambda z: "text": (sd.DTypeError, "declared to return float64, and returned an array of <U4"),
        lambda z: 1j: (sd.DTypeError, "returned an array of complex128"),
        lambda z: None: (sd.DTypeError, "returned an array of object"),
    }
    for function, (kind, text) in wrong.items():
        fn = sd.compile(sd.opaque(function, ())(v), [v], target=target)
        with pytest.raises(kind, match=text):
            fn(np.ones(2))
    fn = sd.compile(sd.opaque(lambda z: 0.5, (), dtype="int64")(v), [v], target=target)
    with pytest.raises(sd.DTypeError, match="declared to return int64"):
        fn(np.ones(2))


@pytest.mark.parametrize("target", TARGETS)
def test_calls_inside_loops_and_of_compiled_functions(target):
    cosine = sd.opaque(np.cos, (), jvp=lambda primals, tangents: -sd.sin(primals[0]) * tangents[0])
    looped = sd.while_loop(lambda u, k: k < 3, lambda u, k: [cosine(u * a), k + 1], [x, 0.0])[0]
    plain = sd.cos(a * sd.cos(a * sd.cos(a * x)))
    got, wanted = (
        sd.compile([f, sd.diff(f, x), sd.gradient(f, a)], [x, a], target=target)(0.3, 0.9) for f in (looped, plain)
    )
    np.testing.assert_allclose(got, wanted, rtol=16 * EPS)
    calls = []

    def descend(n):
        """A function that calls the compiled function that called it."""
        calls.append(float(n))
        return 1.0 if n <= 0 else n * fn(float(n) - 1)

    fn = sd.compile(sd.opaque(descend, ())(x) + 0 * sd.sin(x), [x], target=target)
    assert fn(5.0) == 120.0
    assert calls == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_threads_get_their_own_exceptions():
    def picky(value):
        if value < 0:
            raise Mine(str(value))
        return value

    fn = sd.compile(sd.opaque(picky, ())(x), [x])
    wrong = []

    def work(sign):
        for k in range(1, 200):
            try:
                if fn(sign * k) != k:
                    wrong.append(k)
            except Mine as error:
                if sign > 0 or str(error) != str(-float(k)):
                    wrong.append(error)

    threads = [threading.Thread(target=work, args=(sign,)) for sign in (1.0, -1.0, 1.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_stored_objects_hold_no_function(tmp_path):
    """Programs that differ in their functions only share one object; the function is data."""
    store = KernelStore(str(tmp_path))
    kernels = []
    for function in (np.sin, np.cos):
        f = sd.opaque(function, ())(x) * 2
        kernels.append(Kernel(schedule(optimise([f]), [x]), store=store))
    del f
    gc.collect()
    assert [k.from_store for k in kernels] == [False, True]
    got = [float(k([np.array(0.5)], {})[0]) for k in kernels]
    assert got == [2 * np.sin(0.5), 2 * np.cos(0.5)]


def test_the_text_form_reads_back_in_this_process_only():
    f = sd.opaque(square_of_sum, ())(v)
    text = to_text([f])
    assert parse_text(text)[0] is f
    code = f"import symdiff as sd\nfrom symdiff.ir.text import parse_text\nparse_text({text!r})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (
        "ParseError: The text calls the Python function 'square_of_sum', which this process does not hold" in out.stderr
    )


def test_what_cannot_be_says_so():
    f = sd.opaque(np.sin, ())(x)
    program = schedule(optimise([f]), [x])
    with pytest.raises(sd.CompileError, match="'opaque' cannot run on target='cuda': it calls a Python function"):
        lower(program)
    with pytest.raises(sd.CompileError, match=r"calls Python .'sin'. cannot be used inside njit"):
        sd.compile(f, [x]).njit  # noqa: B018
    with pytest.raises(sd.DTypeError, match="no value for complex numbers, so no complex step"):
        sd.finite_difference(sd.opaque(np.sin, (), jvp=lambda p, t: t[0])(x), {x: 0.5}, method="complex")
    with pytest.raises(sd.DTypeError, match="takes a Python function"):
        sd.opaque(3.0, ())
    with pytest.raises(sd.DTypeError, match="The dtype of opaque"):
        sd.opaque(np.sin, (), dtype="complex128")
    with pytest.raises(sd.DerivativeError, match="returns int64 has no derivative"):
        sd.opaque(np.sin, (), dtype="int64", jvp=lambda p, t: t[0])
    with pytest.raises(sd.DerivativeError, match="1 opaque functions for 2 real arguments"):
        sd.opaque(np.hypot, (), vjp=[sd.opaque(np.sin, ())])(x, a)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_the_memory_of_a_call_is_its_own_while_python_runs(target):
    """What Python allocates meanwhile must not lie where the compiled code has its intermediate values."""

    def greedy(v):
        for _ in range(3):
            np.full(v.shape, np.nan)
        return v + 1

    A = sd.array("A", ("n", "m"))
    f = sd.exp(A) + sd.opaque(greedy, ("n", "m"))(2 * A) * sd.sin(A)
    values = np.random.default_rng(4).normal(size=(300, 401))
    got = sd.compile(sd.sum(f, axis=1), [A], target=target)(values)
    np.testing.assert_allclose(got, (np.exp(values) + (2 * values + 1) * np.sin(values)).sum(axis=1), rtol=1e-12)
