"""sd.compile(..., wait=False): answers before the code is there, errors, exits and forks while it is built."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import background
from symdiff.bench.cases import WIDTH, straight_line
from symdiff.ir.errors import CompileError, ShapeError

EPS = np.finfo(float).eps


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Builds that start only when the event is set."""
    event, run = threading.Event(), background.Pending._run

    def later(self: background.Pending) -> None:
        event.wait(20)
        run(self)

    monkeypatch.setattr(background.Pending, "_run", later)
    yield event
    event.set()


def large(n: int = 1500) -> tuple[list[Any], list[Any], list[float]]:
    """The benchmark's straight-line program with its Jacobian, and a point."""
    x = [sd.symbols(f"x{k}") for k in range(WIDTH)]
    y = straight_line(n)(x, sd.sin, sd.exp)
    point = np.random.default_rng(n).uniform(-1, 1, WIDTH).tolist()
    return [*y, *(entry for row in sd.jacobian(y, x) for entry in row)], x, point


def test_the_interpreter_answers_until_the_code_is_there(held: threading.Event) -> None:
    nodes, x, point = large()
    fn = sd.compile(nodes, x, wait=False)
    assert not fn.ready
    assert not fn.wait(0)
    first = np.array(fn(*point))
    assert not fn.ready
    out = [np.empty(()) for _ in nodes]
    assert fn(*point, out=out) is out
    np.testing.assert_array_equal(out, first)
    held.set()
    assert fn.wait()
    assert fn.ready
    np.testing.assert_array_equal(fn(*point), sd.compile(nodes, x)(*point))
    # A thousand operations and more, each rounded; functions differ by 4 ulp from NumPy's.
    np.testing.assert_allclose(first, fn(*point), rtol=1000 * EPS, atol=1000 * EPS * np.abs(first).max())


def test_mapped_calls_switch_too(held: threading.Event) -> None:
    nodes, x, point = large()
    fn = sd.compile(nodes[:WIDTH], x, wait=False)
    points = [np.linspace(v, v + 0.3, 5) for v in point]
    before = fn(*points)
    held.set()
    fn.wait()
    after = [fn(*points) for _ in range(3)][-1]
    for k in range(WIDTH):
        np.testing.assert_allclose(before[k], after[k], rtol=1000 * EPS)
        np.testing.assert_allclose(after[k], [fn(*p)[k] for p in zip(*points, strict=True)], rtol=1000 * EPS)


def test_small_graphs_and_loops_wait_for_the_code() -> None:
    x = sd.symbols("x")
    fn = sd.compile([sd.sin(x), x * 2], [x], wait=False)
    assert fn(0.3) == sd.compile([sd.sin(x), x * 2], [x])(0.3)
    assert fn.ready
    assert "b0" in sd.compile(x * 3, [x], wait=False).inspect("program")


def test_sparse_results(held: threading.Event) -> None:
    held.set()
    v = sd.vector("v", 6)
    hessian = sd.hessian(sd.sum(v[1:] ** 2 * v[:-1]), v, sparse=True)
    at = np.arange(1.0, 7.0)
    want = sd.compile(hessian, [v])(at).toarray()
    np.testing.assert_array_equal(sd.compile(hessian, [v], wait=False)(at).toarray(), want)


def test_wrong_input_is_refused_as_ever(held: threading.Event) -> None:
    nodes, x, point = large()
    fn = sd.compile(nodes, x, wait=False)
    with pytest.raises(TypeError, match="takes 10 arguments"):
        fn(1.0)
    with pytest.raises(ShapeError, match="broadcast"):
        fn(np.ones(2), np.ones(3), *point[2:])
    with pytest.raises(CompileError, match="wait=False compiles in the background for target='cpu' only"):
        sd.compile(nodes, x, target="reference", wait=False)


def test_errors_of_the_build_are_raised_by_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise CompileError("no such instruction")

    monkeypatch.setattr(sys.modules["symdiff.program.schedule"], "schedule", broken)
    nodes, x, point = large(300)
    fn = sd.compile(nodes, x, wait=False)
    uses: list[Callable[[], Any]] = [lambda: fn.wait(), lambda: fn(*point), lambda: fn(*point), lambda: fn.inspect()]
    for use in uses:
        with pytest.raises(CompileError, match="no such instruction"):
            use()
    assert fn.ready


def test_many_at_once_share_few_threads() -> None:
    x = sd.symbols("x")
    fns = [sd.compile(sd.sin(x * k) + k, [x], wait=False) for k in range(2, 22)]
    builders = [t for t in threading.enumerate() if t.name == "symdiff-build"]
    assert 1 <= len(builders) <= background.WORKERS
    np.testing.assert_allclose([fn(0.3) for fn in fns], [np.sin(0.3 * k) + k for k in range(2, 22)], rtol=4 * EPS)


START = """
import os, sys
sys.path.insert(0, "tests")
import symdiff as sd
from test_background import large
nodes, x, point = large(3000)
fn = sd.compile(nodes, x, wait=False)
"""


@pytest.mark.parametrize("then", ["", "fn(*point)", "import time; time.sleep(0.7)", "raise SystemExit(0)"])
def test_the_process_can_end_meanwhile(then: str) -> None:
    code = f"{START}\n{then}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_builds_for_itself() -> None:
    code = f"""{START}
child = os.fork()
got = (fn.wait(), fn.ready, fn(*point) == sd.compile(nodes, x)(*point))
if child:
    assert os.waitpid(child, 0)[1] == 0
assert got == (True, True, True), got
"""
    env = {**os.environ, "SYMDIFF_CACHE_MB": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False, env=env
    )
    assert (done.returncode, done.stderr) == (0, "")
