"""factorise: one factorisation serves a solve, its tangents and its adjoint, and leaves loops that do not change it."""

from __future__ import annotations

import numpy as np

import symdiff as sd
from symdiff.ir.graph import topological
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.passes import factorise, optimise
from symdiff.program.ir import Call, Program, walk

RNG = np.random.default_rng(12)
EPS = np.finfo(float).eps
A, B, V, P = sd.matrix("A", "n", "n"), sd.matrix("B", "n", 2), sd.vector("v", "n"), sd.vector("p", 3)


def calls(outputs: list[Node], inputs: list[Node]) -> list[str]:
    program = sd.compile(outputs, inputs).program
    assert isinstance(program, Program)
    return sorted(s.name for s in walk(program.statements) if isinstance(s, Call) and s.name != "gemm")


def test_value_gradient_and_determinants_factor_once() -> None:
    f = sd.sum(sd.solve(A, V) ** 2) + sd.logdet(A) + sd.det(A.T)
    assert calls([f], [A, V]) == ["lu", "lu_solve"]
    both = [f, *sd.gradient(sd.sum(sd.solve(A, V) ** 2), [A, V])]
    assert calls(both, [A, V]) == ["lu", "lu_solve", "lu_solve"]
    dot = sd.vector("d", "n")
    assert calls([f, sd.jvp(sd.solve(A, V), V, dot), sd.solve(A.T, V)], [A, V, dot]) == ["lu", *["lu_solve"] * 3]


def test_the_adjoint_of_a_design_costs_one_transposed_solve() -> None:
    """A(p) v = b(p): one factorisation, one solve, one adjoint solve for any number of parameters."""
    n = 5
    matrix = sum((P[k] * m for k, m in enumerate(RNG.normal(size=(3, n, n)))), start=3 * np.eye(n))
    objective = sd.sum(sd.sin(sd.solve(matrix, P[0] * np.arange(1.0, n + 1))))
    assert calls([objective, sd.gradient(objective, P)], [P]) == ["lu", "lu_solve", "lu_solve"]


def test_eigenvalues_and_vectors_share_a_call() -> None:
    w, v = sd.eigh(A)
    assert calls([w, v, sd.gradient(sd.sum(w**3), A), sd.norm(A, 2)], [A]) == ["eigh", "eigh"]
    assert calls([*sd.qr(A)], [A]) == ["qr"]


def test_a_factorisation_leaves_the_loop_that_does_not_change_it() -> None:
    turns = sd.while_loop(lambda k, x: k < 4, lambda k, x: (k + 1, sd.solve(A, x)), [0, V])
    program = sd.compile([turns[1]], [A, V]).program
    assert program is not None
    outside = [s.name for s in program.statements if isinstance(s, Call)]
    assert outside == ["lu"]
    a, v = RNG.normal(size=(4, 4)) + 4 * np.eye(4), RNG.normal(size=4)
    want = np.linalg.solve(np.linalg.matrix_power(a, 4), v)
    # Four solves with condition numbers near 5, and a fourth power with theirs.
    np.testing.assert_allclose(sd.compile(turns[1], [A, V])(a, v), want, rtol=1e4 * EPS)


def test_the_pass_keeps_the_value() -> None:
    sign, size = sd.slogdet(A)
    outputs = [sd.solve(A, V), sd.solve(A.T, B), sd.det(A), sign, size, *sd.eigh(A), *sd.qr(A)]
    point = {A: RNG.normal(size=(4, 4)), V: RNG.normal(size=4), B: RNG.normal(size=(4, 2))}
    inner = factorise(outputs)
    assert {n.op.name for n in topological(inner)} & {
        "solve",
        "det",
        "detsign",
        "logabsdet",
        "eigvalsh",
        "qr_q",
    } == set()
    for got, want in zip(interpret(inner, point), interpret(outputs, point), strict=True):
        # The same factorisations, of condition near 10, by other code.
        np.testing.assert_allclose(got, want, rtol=1e4 * EPS, atol=1e4 * EPS)
    assert factorise(inner) == inner
    assert optimise([A + 1.5]) == [A + 1.5]
