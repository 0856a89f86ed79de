"""Long straight-line bodies that the assembler writes: the same bits as LLVM's code, on numbers and on lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cpu import nest as nests
from backends.cpu import pieces
from backends.cpu.machine import machine
from backends.cpu.phases import for_assembler
from backends.cpu.registers import LANES
from symdiff.bench.cases import WIDTH, straight_line
from symdiff.ir.node import Node

pytestmark = pytest.mark.skipif(
    for_assembler(machine()) is None or machine().lanes_f64 != LANES,
    reason="the assembler writes for x86-64 on Linux, and LLVM's code has as many lanes only with AVX2",
)
UNARY: tuple[Callable[[Any], Any], ...] = (
    lambda x: -x, abs, lambda x: sd.sqrt(abs(x)), sd.floor, sd.ceil, sd.trunc, sd.sign, sd.sin, sd.exp, sd.log1p,
    sd.tanh, sd.erf, sd.gammaln, lambda x: sd.floor(x).astype("int64") * 3 + 0.5,
)  # fmt: skip
# What there is for vectors too, in any glibc.
ON_LANES = UNARY[:9]
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, sd.maximum, sd.minimum,
    lambda x, y: sd.where(x < y, x + 1, y), lambda x, y: sd.where((x <= y) & (x != 0.25) | (y > 2), y, x),
    lambda x, y: (x >= y) * 0.5 + x, lambda x, y: sd.where(sd.logical_not(x == y), x, -y),
)  # fmt: skip


def body(inputs: list[Node], n: int, seed: int, unary: Sequence[Callable[[Any], Any]] = UNARY) -> list[Node]:
    """Random operations on earlier values, old ones and new ones."""
    rng = np.random.default_rng(seed)
    values = list(inputs)
    for _ in range(n):
        a, b = values[rng.integers(max(0, len(values) - 9), len(values))], values[rng.integers(len(values))]
        if rng.random() < 0.3:
            values.append(unary[rng.integers(len(unary))](a) * 0.5)
        else:
            values.append(BINARY[rng.integers(len(BINARY))](a, b))
    return [values[k] for k in rng.permutation(len(values))[: n // 5]] + values[-3:]


def both(monkeypatch: pytest.MonkeyPatch, nodes: Any, inputs: list[Node], args: Any) -> tuple[Any, Any]:
    """The results of the assembler's code, after making sure that there is some, and those of LLVM's."""
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "0")
    mine = sd.compile(nodes, inputs)
    assert "vzeroupper" in mine.inspect("llvm")
    with monkeypatch.context() as patch:
        for module in (pieces, nests):
            patch.setattr(module, "wants_assembler", lambda nest, target: False)
        return mine(*args), sd.compile(nodes, [*inputs], threads=1)(*args)


@pytest.mark.parametrize("seed", range(4))
def test_numbers(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    inputs = [sd.symbols(f"x{k}") for k in range(7)]
    nodes = body(inputs, 300 + 200 * seed, seed)
    args = np.random.default_rng(100 + seed).normal(size=7).tolist()
    if seed == 3:
        args[:4] = [np.nan, np.inf, -0.0, -np.inf]
    np.testing.assert_array_equal(*both(monkeypatch, nodes, inputs, args))


@pytest.mark.parametrize("seed", range(2))
def test_lanes(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Seven entries: a vector of four, and three of the next."""
    inputs = [sd.vector("x", 7), sd.vector("y", 7), sd.symbols("k")]
    whole = sd.floor(inputs[0] * 3).astype("int64") * 2
    nodes = [*body([*inputs[:2], whole * 0.5], 260, 10 + seed, ON_LANES), sd.sum(inputs[0] * inputs[2])]
    rng = np.random.default_rng(200 + seed)
    for got, want in zip(*both(monkeypatch, nodes, inputs, (*rng.normal(size=(2, 7)), 0.7)), strict=True):
        np.testing.assert_array_equal(got, want)


def test_lanes_of_a_long_body(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sd.vector("x", "n"), sd.vector("y", "n")
    nodes = body([x, y], 2600, 20, ON_LANES)
    nodes = [*nodes[6:], sd.sum(nodes[5] + nodes[4])]
    rng = np.random.default_rng(300)
    for got, want in zip(*both(monkeypatch, nodes, [x, y], rng.normal(size=(2, 41))), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [997, 3001])
def test_a_jacobian(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """The straight-line program of the benchmark: calls in packs, tangents on lanes."""
    x = [sd.symbols(f"x{k}") for k in range(WIDTH)]
    y = straight_line(n)(x, sd.sin, sd.exp)
    nodes = [*y, *(entry for row in sd.jacobian(y, x) for entry in row)]
    args = np.random.default_rng(n).uniform(-1, 1, WIDTH).tolist()
    np.testing.assert_array_equal(*both(monkeypatch, nodes, x, args))


def test_places_known_elsewhere_than_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of scalars that records its values: their numbers in the record come from another piece of the body."""
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "0")
    x, y = sd.symbols("x y")
    f = (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2
    mine, other = (
        sd.minimize(f, {x: 1.2, y: 0.3}, method=sd.optimize.Adam(lr=0.05), tol=0.0, max_steps=8, target=target)
        for target in ("cpu", "reference")
    )
    # Eight steps, of a few roundings each.
    np.testing.assert_allclose(mine.history["loss"], other.history["loss"], rtol=0, atol=64 * np.finfo(float).eps)
