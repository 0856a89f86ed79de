"""Random programs of nested loops: machine code against the interpreter, and the modes against each other."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from tests.diff.loop_programs import Writer, build, inputs, values

EPS, EPS32 = np.finfo(np.float64).eps, np.finfo(np.float32).eps
# Sizes around the lanes of a vector.
SIZES = (2, 3, 5, 9, 17)
STEP = 1e-30


def near(got: np.ndarray, want: np.ndarray, single: bool) -> None:
    """Compare arrays; what went through float32 has its precision."""
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    # Some hundred operations on numbers up to the largest; derivatives of second order amplify by as much again.
    tolerance = 2**14 * (EPS32 if single else 2**6 * EPS)
    scale = 1 + np.max(np.abs(want.astype(float)), initial=0)
    np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=tolerance, atol=tolerance * scale)


def total(outs: list[Node]) -> Node:
    """One number to which every real entry contributes."""
    f = const(0.0)
    for k, out in enumerate(o for o in outs if o.dtype.startswith("float")):
        f = f + sd.sum(sd.tanh(cast(out, "float64"))) * (0.6 + 0.1 * k)
    return f


@pytest.mark.parametrize("seed", range(20))
def test_programs_of_loops(seed: int) -> None:
    source = Writer(seed).program()
    n = SIZES[seed % len(SIZES)]
    print(f"{source}\n\n# n = {n}, values(symbols, n, {seed})")
    symbols = inputs("n" if seed % 4 == 3 and "max_bytes" not in source else n)
    outs, point = build(source, symbols), values(symbols, n, seed)
    single = any(name in source.partition(":")[2] for name in ("f0", "f1", "'float32'"))
    xs = [x for x in symbols if x.dtype == "float64"]
    rng = np.random.default_rng(seed)
    dots = {x: rng.uniform(-1, 1, v.shape) for x, v in zip(symbols, point, strict=True) if x in xs}
    marks = [sd.array(f"{x.params['name']}_dot", x.shape) for x in xs]

    f = total(outs)
    pushed, pulled = sd.jvp(f, xs, marks), sd.vjp(f, xs, 1.7)
    graphs = [outs, [f, pushed], pulled, [sd.hvp(f, symbols[2], marks[2])]]
    if seed % 4 != 3:
        graphs.append(sd.vjp(f, xs, 1.7, max_bytes=30_000))
    found = []
    for graph in graphs:
        wanted = sd.compile(graph, [*symbols, *marks], target="reference")(*point, *dots.values())
        for threads in (1, 2):
            got = sd.compile(graph, [*symbols, *marks], threads=threads)(*point, *dots.values())
            for a, b in zip(got, wanted, strict=True):
                near(a, b, single)
        found.append(wanted)

    _, forward, reverse, (hessian,), *checkpointed = found
    near(1.7 * forward[1], sum(np.sum(a * d) for a, d in zip(reverse, dots.values(), strict=True)), single)
    for gradient in checkpointed:
        for a, b in zip(gradient, reverse, strict=True):
            near(a, b, single)
    # Neither the passes nor a rule of differentiation: complex numbers through the program as it was written.
    complex_point = {x: v + 1j * STEP * dots[x] if x in dots else v for x, v in zip(symbols, point, strict=True)}
    near(forward[1], np.imag(interpret([f], complex_point, "complex")[0]) / STEP, single)
    moved = dict(zip(symbols, point, strict=True))
    moved[xs[2]] = moved[xs[2]] + 1j * STEP * dots[xs[2]]
    near(hessian, np.imag(interpret(sd.vjp(f, [xs[2]], 1.0), moved, "complex")[0]) / STEP, single)
