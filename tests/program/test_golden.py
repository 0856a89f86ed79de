"""Programs and LLVM text of small functions, compared with files: a change in them is explained where it is made.

`SYMDIFF_GOLDEN=update python -m pytest tests/program` writes the files anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.node import Node
from symdiff.passes import optimise
from symdiff.program.ir import Program
from symdiff.program.schedule import schedule

HERE = Path(__file__).parent
FOLDER = HERE / "golden"
X, Y = sd.symbols("x y")
U, V, W, A = sd.vector("u", "n"), sd.vector("v", "n"), sd.vector("w", "m"), sd.matrix("A", "n", "m")
K = sd.array("k", ("p",), dtype="int64")


def _wave(x: Node, y: Node) -> Node:
    return sd.exp(-(x**2)) * sd.sin(y)


def _loss() -> Node:
    return sd.sum(sd.log1p(sd.exp(-V * (A @ W)))) / A.shape[0]


def _step(u: Node) -> Node:
    return sd.concatenate([u[:1], u[1:-1] + X * (u[2:] - 2 * u[1:-1] + u[:-2]), u[-1:]])


FUNCTIONS: dict[str, tuple[list[Node], list[Node]]] = {
    "scalar": ([_wave(X, Y), *sd.gradient(_wave(X, Y), [X, Y])], [X, Y]),
    "map": ([_wave(U, V)], [U, V]),
    "loss": ([_loss(), sd.gradient(_loss(), W)], [A, V, W]),
    "stencil": ([_step(U), sd.gradient(sd.sum(_step(U) ** 2), U)], [U, X]),
    "gather": ([sd.take(U, K) * 2, sd.gradient(sd.sum(sd.take(U, K) ** 3), U)], [U, K]),
    "loop": (sd.while_loop(lambda i, u: i < 10, lambda i, u: (i + 1, _step(u)), [0, U]), [U, X]),
    "algebra": ([A.T @ A, sd.solve(A.T @ A, W), sd.sum(A, axis=0), sd.max(A)], [A, W]),
}
LLVM = ("scalar", "map")


def program(name: str) -> Program:
    outputs, inputs = FUNCTIONS[name]
    return schedule(optimise(outputs), inputs)


def llvm_texts() -> dict[str, str]:
    """What this process's machine generates, before LLVM optimises it."""
    from backends.cpu.codegen import codegen

    texts = {name: str(codegen(program(name))[0]) for name in LLVM}
    return {
        name: "\n".join(line for line in text.splitlines() if not line.startswith("target triple")) + "\n"
        for name, text in texts.items()
    }


def compare(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("SYMDIFF_GOLDEN") == "update":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} changed; SYMDIFF_GOLDEN=update writes it anew"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_program_text(name: str) -> None:
    compare(f"{name}.program.txt", f"{program(name)}\n")


def test_llvm_text() -> None:
    """The code for plain x86-64: two lanes, whatever this machine has."""
    from backends.cpu.machine import machine

    if machine().arch != "x86_64" or machine().vector_library is None:
        pytest.skip("the files are of x86-64 with libmvec")
    code = "import json, tests.program.test_golden as t; print(json.dumps(t.llvm_texts()))"
    env = {**os.environ, "SYMDIFF_CPU": "x86-64", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    for name, text in json.loads(done.stdout).items():
        compare(f"{name}.llvm.txt", text)


def test_the_functions_are_right() -> None:
    rng = np.random.default_rng(0)
    values = {X: 0.2, Y: 0.7, A: rng.normal(size=(6, 3)), K: np.array([0, -1, 3, 3])}
    values |= {x: rng.normal(size=size) for x, size in ((U, 6), (V, 6), (W, 3))}
    for outputs, inputs in FUNCTIONS.values():
        args = [values[x] for x in inputs]
        reference = sd.compile(outputs, inputs, target="reference")(*args)
        for got, want in zip(sd.compile(outputs, inputs)(*args), reference, strict=True):
            np.testing.assert_allclose(got, want, rtol=1000 * np.finfo(float).eps)
