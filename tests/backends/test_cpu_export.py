"""Exported functions: called from C and from their shared library, against NumPy, mpmath and the function here."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
from typing import Any

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.export import Export
from symdiff.ir.errors import CompileError

EPS = np.finfo(float).eps
COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler cc on this machine")
_TYPES = {float: ctypes.c_double, np.float32: ctypes.c_float, int: ctypes.c_int64, bool: ctypes.c_bool}
x, y = sd.symbols("x y")
rng = np.random.default_rng(7)


def load(files: Export, function: str) -> Any:
    """Return the function of the library as one of (arguments): numbers by value, arrays by address."""
    entry = getattr(ctypes.CDLL(str(files.library)), function)

    def call(*args: Any) -> int:
        passed = []
        for a in args:
            if isinstance(a, np.ndarray):
                assert a.flags.c_contiguous
                passed.append(ctypes.c_void_p(a.ctypes.data))
            else:
                passed.append(_TYPES[type(a)](a))
        return entry(*passed)

    return call


def run_example(files: Export) -> dict[str, list[float]]:
    """Build the example, run it without any environment, and return what it prints by name."""
    folder = files.example.parent
    subprocess.run(files.command, shell=True, cwd=folder, check=True, capture_output=True)
    program = folder / files.example.stem
    done = subprocess.run([program], env={}, check=True, capture_output=True, text=True)
    printed: dict[str, list[float]] = {}
    for line in done.stdout.splitlines():
        name, equals, value = line.partition(" = ")
        if equals:
            printed.setdefault(name.partition("[")[0], []).append(float(value))
    return printed


def filled(count: int, k: int) -> np.ndarray:
    """What the example puts into the array of input k."""
    return 0.25 + 0.5 * ((7 * np.arange(count) + 3 * k) % 11) / 11.0


def needed_libraries(file: Any) -> set[str]:
    text = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True).stdout
    return {line.split("[")[1].split("]")[0] for line in text.splitlines() if "(NEEDED)" in line}


def symbols(file: Any, *options: str) -> list[str]:
    return subprocess.run(["nm", *options, file], check=True, capture_output=True, text=True).stdout.split()


@needs_compiler
def test_the_example_builds_and_runs_without_python(tmp_path):
    f = sd.exp(-(x**2)) * sd.sin(3 * y)
    d_x, d_y = sd.gradient(f, [x, y])
    fn = sd.compile({"value": f, "d_x": d_x, "d_y": d_y}, [x, y])
    files = fn.export("wave", tmp_path)
    printed = run_example(files)
    a, b = 0.25, 0.25 + 0.5 / 11
    with mpmath.workdps(50):
        exact = [mpmath.exp(-(mpmath.mpf(a) ** 2)) * mpmath.sin(3 * mpmath.mpf(b))]
        exact += [-2 * mpmath.mpf(a) * exact[0], 3 * mpmath.exp(-(mpmath.mpf(a) ** 2)) * mpmath.cos(3 * mpmath.mpf(b))]
    # the first numbers are those of the point, the others of the map; 8 eps: two functions and three products
    for name, value in zip(("value", "d_x", "d_y"), exact, strict=True):
        np.testing.assert_allclose(printed[name][0], float(value), rtol=8 * EPS)
    points = filled(5, 0), filled(5, 1)
    expected = np.exp(-(points[0] ** 2)) * np.sin(3 * points[1])
    np.testing.assert_allclose(printed["value"][1:], expected, rtol=16 * EPS)


@needs_compiler
def test_the_files_need_the_c_library_alone(tmp_path):
    files = sd.compile(sd.exp(x) * sd.arctan2(x, y), [x, y]).export("angle", tmp_path)
    assert needed_libraries(files.library) <= {"libc.so.6", "libm.so.6", "libmvec.so.1", "ld-linux-x86-64.so.2"}
    called = symbols(files.object, "-u")
    assert not [s for s in called if s.lower().startswith(("py", "_py", "cblas", "dgemm", "numpy", "scipy"))]
    assert symbols(files.object, "-g", "--defined-only")[2::3] == ["angle", "angle_error", "angle_map"]


@needs_compiler
@pytest.mark.parametrize("n", [0, 1, 3, 1000, 70_001])
def test_the_map_is_that_of_the_function_bit_for_bit(n, tmp_path):
    f = sd.exp(-(x**2)) * sd.sin(3 * y) + sd.log1p(x**2)
    fn = sd.compile([f, sd.diff(f, x)], [x, y])
    wave = load(fn.export("wave", tmp_path), "wave_map")
    xs, ys = rng.normal(size=n), rng.normal(size=n)
    results = np.full(n, np.nan), np.full(n, np.nan)
    assert wave(n, xs, ys, *results) == 0
    for got, want in zip(results, fn(xs, ys), strict=True):
        np.testing.assert_array_equal(got, want)


@needs_compiler
@pytest.mark.parametrize("n", [1, 7, 5000])
def test_run_time_sizes_and_a_gradient(n, tmp_path):
    A, w, L = sd.matrix("A", "n", 3), sd.vector("w", 3), sd.vector("L", "n")
    loss = sd.mean(sd.log1p(sd.exp(-L * (A @ w))))
    fn = sd.compile({"loss": loss, "slope": sd.gradient(loss, w)}, [A, w, L])
    files = fn.export("logistic", tmp_path, overwrite=True)
    assert files.declarations == (
        "int logistic(int64_t n, const double *A, const double *w, const double *L, double *loss, double *slope)",
    )
    a, v, labels = rng.normal(size=(n, 3)), rng.normal(size=3), np.sign(rng.normal(size=n))
    value, slope = np.empty(1), np.empty(3)
    assert load(files, "logistic")(n, a, v, labels, value, slope) == 0
    margin = labels * (a @ v)
    # a sum of n terms, and functions to 4 ulp
    np.testing.assert_allclose(value, np.mean(np.log1p(np.exp(-margin))), rtol=(16 + n) * EPS)
    expected = -(labels / (1 + np.exp(margin))) @ a / n
    np.testing.assert_allclose(slope, expected, rtol=(64 + n) * EPS, atol=(64 + n) * EPS)
    same = fn(a, v, labels)
    np.testing.assert_array_equal(slope, same["slope"])


@needs_compiler
def test_loops(tmp_path):
    rates = sd.vector("rates", "n")
    last, _ = sd.scan(lambda wealth, r: (wealth * (1 + r), wealth), 1.0, rates)
    a = sd.symbols("a")
    root, _ = sd.while_loop(lambda s, k: abs(s**2 - a) > 1e-12, lambda s, k: ((s + a / s) / 2, k + 1), (a, 0.0))
    fn = sd.compile({"last": last, "slope": sd.gradient(last, rates), "root": root}, [rates, a])
    files = fn.export("loops", tmp_path)
    n = 5
    given = rng.uniform(0.1, 0.5, n)
    last_, slope, root_ = np.empty(1), np.empty(n), np.empty(1)
    assert load(files, "loops")(n, given, 2.0, last_, slope, root_) == 0
    total = np.prod(1 + given)
    np.testing.assert_allclose(last_, total, rtol=2 * n * EPS)
    np.testing.assert_allclose(slope, total / (1 + given), rtol=4 * n * EPS)
    np.testing.assert_allclose(root_, np.sqrt(2.0), rtol=1e-12)  # what the loop's own condition asks
    assert run_example(files).keys() == {"last", "slope", "root"}


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products_of_matrices_need_no_blas(dtype, tmp_path):
    A = sd.array("A", ("n", 7), dtype=dtype)
    B = sd.array("B", ("m", 7), dtype=dtype)
    S = sd.array("S", (3, 9, "m"), dtype=dtype)
    R = sd.array("R", (3, "m", 10), dtype=dtype)
    fn = sd.compile([A @ B.T, A.T @ (A + 1), B.T @ B, S @ R], [A, B, S, R])
    assert any("gemm" in line for line in fn.inspect("program").splitlines())
    n, m = 21, 13
    arrays = [rng.normal(size=s).astype(dtype) for s in ((n, 7), (m, 7), (3, 9, m), (3, m, 10))]
    a, b, s, r = (z.astype(float) for z in arrays)
    results = [np.full(k, np.nan, dtype) for k in ((n, m), (7, 7), (7, 7), (3, 9, 10))]
    sizes = {"n": n, "m": m}
    product = load(fn.export("product_", tmp_path), "product_")
    order = [str(name) for name in fn.program.sizes]
    assert product(*(sizes[name] for name in order), *arrays, *results) == 0
    # sums of at most 21 products of normal numbers
    for got, want in zip(results, (a @ b.T, a.T @ (a + 1), b.T @ b, s @ r), strict=True):
        np.testing.assert_allclose(got, want, atol=100 * np.finfo(dtype).eps)


@needs_compiler
def test_float32_integers_bools_and_literal_arrays(tmp_path):
    single = sd.array("single", "n", dtype="float32")
    index = sd.array("index", "m", dtype="int64")
    flag = sd.array("flag", (), dtype="bool")
    table = np.array([0.5, -1.5, 2.25, 8.0])
    picked = sd.take(single, index)
    outputs = {
        "doubled": sd.where(flag, 2 * single, single),
        "picked": picked,
        "positive": picked > 0,
        "count": sd.sum(index),
        "tabled": sd.take(table, index),
    }
    fn = sd.compile(outputs, [single, index, flag])
    files = fn.export("mixed", tmp_path)
    assert "const float *single, const int64_t *index, bool flag, float *doubled" in files.declarations[0]
    mixed = load(files, "mixed")
    values, places = rng.normal(size=6).astype(np.float32), np.array([3, 0, -1, 2])
    assert fn.program.sizes == ("n", "m")

    def run(flag: bool, places: np.ndarray) -> tuple[int, list[np.ndarray]]:
        out = [np.empty(6, np.float32), np.empty(4, np.float32), np.empty(4, bool), np.empty(1, np.int64), np.empty(4)]
        return mixed(6, 4, values, places, flag, *out), out

    for flag_ in (True, False):
        status, out = run(flag_, places)
        assert status == 0
        expected = fn(values, places, flag_)
        for got, want in zip(out, expected.values(), strict=True):
            np.testing.assert_array_equal(np.ravel(got), np.ravel(want))
        np.testing.assert_array_equal(out[0], values * np.float32(2 if flag_ else 1))
        np.testing.assert_array_equal(out[4], table[places])
    status, _ = run(True, np.array([3, 0, 6, 2]))
    assert status == 1
    run_example(files)


@needs_compiler
def test_statuses_have_texts(tmp_path):
    v = sd.vector("v", "n")
    fn = sd.compile([sd.max(v), v[2:] - v[:-2]], [v])
    files = fn.export("steps", tmp_path)
    steps = load(files, "steps")
    v_, out = rng.normal(size=6), [np.empty(1), np.empty(4)]
    assert steps(6, v_, *out) == 0
    np.testing.assert_array_equal(out[1], v_[2:] - v_[:-2])
    assert [steps(n, v_, *out) for n in (-1, 0, 1)] == [2, 2, 2]
    text = ctypes.CDLL(str(files.library)).steps_error
    text.restype = ctypes.c_char_p
    assert text(0) == b"no error"
    assert b"n > 0 for max" in text(2)
    assert b"out of range" in text(1)
    assert b"memory" in text(3)
    assert text(99) == text(-1) == b"unknown status"
    # More memory than there is: refused by malloc, not a crash. The pattern needs a temporary of n entries.
    w = sd.cumsum(sd.exp(v))
    grow = load(sd.compile(sd.sum(w * sd.flip(w, 0)), [v]).export("grow", tmp_path), "grow")
    assert grow(2**58, v_, out[0]) == 3


@needs_compiler
def test_names_become_identifiers_of_c(tmp_path):
    λ, double, plain = sd.symbols("λ double x_")
    fn = sd.compile({"a b": λ + double, "∂": plain * λ, "x'": plain}, [λ, double, plain])
    files = fn.export("odd", tmp_path)
    assert files.declarations[0] == (
        "int odd(double lambda, double double_, double x_, double *a_b, double *_, double *x__2)"
    )
    header = files.header.read_text(encoding="utf-8")
    assert "input, a number; 'λ' in Python" in header
    assert run_example(files)["a_b"][0] == pytest.approx(0.5 + 0.5 / 11, rel=4 * EPS)


@needs_compiler
def test_nested_results_and_many_of_them(tmp_path):
    hess = sd.hessian(x**3 * y, [x, y])
    fn = sd.compile([x * y, hess], [x, y])
    files = fn.export("nested", tmp_path)
    names = [a.split("*")[1] for a in files.declarations[0].split("(")[1].rstrip(")").split(", ") if "*" in a]
    assert names == ["result0", "result1_0_0", "result1_0_1", "result1_1_0", "result1_1_1"]
    out = [np.empty(1) for _ in names]
    assert load(files, "nested")(2.0, 3.0, *out) == 0
    assert [float(o[0]) for o in out] == [6.0, 36.0, 12.0, 12.0, 0.0]


@needs_compiler
def test_headers_are_c_and_cpp(tmp_path):
    files = sd.compile(x * y, [x, y]).export("plain", tmp_path)
    include = '#include "plain.h"\nint main(void) { return plain_error(0)[0] == 0; }\n'
    for compiler, ending in (("cc", "c"), ("c++", "cpp")):
        if shutil.which(compiler) is None:
            continue
        source = tmp_path / f"uses.{ending}"
        source.write_text(include)
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", *(["-std=c99"] if ending == "c" else ["-std=c++11"])]
        command = [compiler, *flags, source, files.object, "-o", tmp_path / f"uses_{ending}", "-lm"]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        assert subprocess.run([tmp_path / f"uses_{ending}"], check=False).returncode == 0
    example = ["cc", "-Wall", "-Wextra", "-Werror", "-std=c99", "-c", files.example, "-o", tmp_path / "e.o"]
    subprocess.run(example, check=True, capture_output=True, cwd=tmp_path)


# --- what is refused -------------------------------------------------------------------


def refused(fn: Any, folder: Any, *words: str, name: str = "f_", **options: Any) -> None:
    with pytest.raises(CompileError) as caught:
        fn.export(name, folder, **{"library": False, **options})
    for word in words:
        assert word in str(caught.value)


def test_what_c_has_no_counterpart_of_is_refused_by_name(tmp_path):
    A, b = sd.matrix("A", 5, 5), sd.vector("b", 5)
    refused(sd.compile(sd.cholesky(A), [A]), tmp_path, "LAPACK's dpotrf", "cholesky")
    refused(sd.compile(sd.solve(A, b), [A, b]), tmp_path, "LAPACK", "lu")
    refused(sd.compile(sd.j0(x), [x]), tmp_path, "SciPy's j0", "test_cpu_export.py:")

    def plus_one(v: Any) -> Any:
        return v + 1

    refused(sd.compile(sd.opaque(plus_one, (), "float64")(x), [x]), tmp_path, "Python function 'plus_one'")
    refused(sd.compile(x, [x], target="reference"), tmp_path, "target='reference'")
    v = sd.vector("v", 5)
    sparse = sd.jacobian(v**2, v, sparse=True)
    refused(sd.compile(sparse, [v]), tmp_path, "sparse", ".values")
    assert not list(tmp_path.iterdir())
    sd.compile(sparse.values, [v]).export("entries", tmp_path, library=False)


@pytest.mark.parametrize("name", ["", "2nd", "a-b", "a b", "λ", "../f", "_f", "while", "class", "exp", "y0", "malloc"])
def test_names_that_c_cannot_have(name, tmp_path):
    refused(sd.compile(x, [x]), tmp_path, repr(name), name=name)
    assert not list(tmp_path.iterdir())


def test_existing_files_are_kept_unless_asked(tmp_path):
    fn = sd.compile(x * y, [x, y])
    (tmp_path / "kept.h").write_text("mine")
    refused(fn, tmp_path, "kept.h", "overwrite=True", name="kept")
    assert (tmp_path / "kept.h").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.h"]
    fn.export("kept", tmp_path, library=False, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.h", "kept.o", "kept_example.c"]
    assert "int kept(" in (tmp_path / "kept.h").read_text()


def test_folders_that_cannot_be_written_to(tmp_path):
    fn = sd.compile(x, [x])
    (tmp_path / "file").write_text("")
    refused(fn, tmp_path / "file", "is a file")
    refused(fn, tmp_path / "file" / "deeper", "cannot be written")
    refused(fn, tmp_path, "cannot be written", name="n" * 260)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):  # root may write anywhere
        refused(fn, closed, "cannot be written")
    deep = fn.export("f_", tmp_path / "new" / "folder", library=False)
    assert deep.object.exists()


def test_without_a_compiler(tmp_path, monkeypatch):
    fn = sd.compile(x, [x])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    refused(fn, tmp_path, "No C compiler", "library=False", library=True)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    refused(fn, tmp_path, "no-such-compiler", library=True)
    assert fn.export("f_", tmp_path, library=False).library is None


@pytest.mark.skipif(shutil.which("false") is None, reason="there is no program that fails")
def test_a_compiler_that_fails_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "false")
    refused(sd.compile(x, [x]), tmp_path, "has failed", library=True)
    assert not list(tmp_path.iterdir())


def test_text_of_names_and_formulas_cannot_leave_the_comment(tmp_path):
    files = sd.compile({"*/ int evil; /*\nint worse;": x + 1}, [x]).export("calm", tmp_path, library=False)
    for path in (files.header, files.example):
        text = path.read_text(encoding="utf-8")
        code = "".join(part.rpartition("*/")[2] for part in text.split("/*"))
        assert "evil;" in text
        assert "evil;" not in code
        assert "worse;" not in code


def test_large_graphs_are_exported_without_their_formula(tmp_path):
    z = x
    for k in range(400):
        z = sd.sin(z * (1 + k / 1000)) + y
    files = sd.compile(z, [x, y]).export("large", tmp_path, library=False)
    assert len(files.header.read_text()) < 5000
    assert next(itertools.chain([files.object.stat().st_size])) > 1000


@needs_compiler
def test_long_formulas_for_numbers_and_for_points(tmp_path):
    """Their bodies are cut into functions of the same names, some of them in assembly."""
    z = sd.fmod(x, 3.0)
    for k in range(600):
        z = (z + y * k) / (z**2 + 3) + k / 100
    fn = sd.compile(z, [x, y])
    files = fn.export("long_", tmp_path)
    number, points = load(files, "long_"), load(files, "long__map")
    n = 21
    xs, ys, out = rng.normal(size=n), rng.normal(size=n), np.empty(n)
    assert points(n, xs, ys, out) == 0
    np.testing.assert_array_equal(out, fn(xs, ys))
    one = np.empty(1)
    assert number(float(xs[3]), float(ys[3]), one) == 0
    assert one[0] == fn(xs[3], ys[3])
    exact = np.fmod(xs, 3.0)
    for k in range(600):
        exact = (exact + ys * k) / (exact**2 + 3) + k / 100
    # The map contracts: an error of one turn is not carried to the next.
    np.testing.assert_allclose(out, exact, rtol=64 * EPS)


def test_names_of_the_generated_code(tmp_path):
    fn = sd.compile(x, [x])
    for name in ("entry", "nest0"):
        refused(fn, tmp_path, "choose another", name=name)
