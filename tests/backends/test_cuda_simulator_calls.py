"""Library calls, loops in one kernel, scatters and random bits against the interpreter, without a GPU: see `emulated`.

`test_cuda_simulator` starts processes in which this file is collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.backends.emulated import RUNS, device_class, small_geometry

EPS = float(np.finfo(float).eps)

if RUNS:
    import symdiff as sd
    from backends.cuda import Kernel
    from symdiff.ir.interpret import interpret
    from symdiff.ir.node import PRIMITIVES, Node
    from symdiff.ops.bits import random_bits
    from symdiff.ops.control import while_loop
    from symdiff.ops.index import scatter_add
    from symdiff.ops.sorting import argsort
    from symdiff.passes import optimise
    from symdiff.program.ir import Loop
    from symdiff.program.schedule import schedule
    from tests.case import Case
    from tests.primitive_cases import CASES

    CALLS = (
        "solve", "triangular_solve", "banded_solve", "cholesky", "adjugate", "logabsdet", "eigh", "qr", "lu",
        "lu_solve", "recurrence", "argsort", "matmul",
    )  # fmt: skip
    CHOSEN = [c for c in CASES if c.primitive in CALLS]
    # One case of each primitive in every run, all their shapes and flags in the slow ones.
    FIRST = {c.primitive: c for c in reversed(CHOSEN)}

    def draw(*shape: int) -> np.ndarray:
        return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)

    def kernel(outputs: Sequence[Node], inputs: Sequence[Node], resident_blocks: int = 2) -> Kernel:
        geometry = replace(small_geometry(), resident_blocks=resident_blocks)
        return Kernel(schedule(optimise(outputs), inputs), geometry)

    def check(outputs: Sequence[Node], inputs: Sequence[Node], *values: np.ndarray, rtol: float = 512 * EPS) -> None:
        sizes = {str(d): v.shape[k] for x, v in zip(inputs, values, strict=True) for k, d in enumerate(x.shape)}
        expected = interpret(outputs, dict(zip(inputs, values, strict=True)))
        for blocks in (0, 2**40):  # loops by launches, and as one kernel
            got = kernel(outputs, inputs, blocks)([np.ascontiguousarray(v) for v in values], sizes)
            for g, e in zip(got, expected, strict=True):
                np.testing.assert_allclose(g, e, rtol=rtol, atol=rtol)

    @pytest.mark.parametrize(
        "case", [c if c is FIRST[c.primitive] else pytest.param(c, marks=pytest.mark.slow) for c in CHOSEN], ids=str
    )
    def test_library_calls(case: Case) -> None:
        kinds = {"f": "float64", "i": "int64", "b": "bool"}
        symbols = [sd.array(f"x{k}", v.shape, dtype=kinds[v.dtype.kind]) for k, v in enumerate(case.values)]
        node = case.build(*symbols)
        sizes: dict[str, int] = {}
        (got,) = kernel([node], symbols)([np.ascontiguousarray(v) for v in case.values], sizes)
        (expected,) = interpret([node], dict(zip(symbols, case.values, strict=True)))
        # Factorisations of matrices with condition numbers up to some hundreds, in another order of operations.
        np.testing.assert_allclose(got, expected, rtol=2**12 * EPS, atol=2**12 * EPS)

    @pytest.mark.parametrize("n", [1, 2, 5, 16, 23])
    def test_sorting_puts_nan_last_and_keeps_equal_numbers_in_order(n: int) -> None:
        x = sd.array("x", ("n",))
        values = np.round(3 * draw(n)) / 3
        values[n // 2] = np.nan
        values[n // 3] *= 0
        (got,) = kernel([argsort(x, axis=0)], [x])([values], {"n": n})
        np.testing.assert_array_equal(got, np.argsort(values, kind="stable"))

    def test_singular_matrices_give_nan() -> None:
        a, b = sd.matrix("A", 3, 3), sd.matrix("b", 3, 2)
        matrix = np.outer([1.0, 2.0, -1.0], [3.0, 0.5, 1.0])
        outputs = [PRIMITIVES["solve"](a, b), PRIMITIVES["cholesky"](a)]
        for got in kernel(outputs, [a, b])([matrix, draw(3, 2)], {}):
            assert np.isnan(got).all()

    def test_loops_by_launches_and_in_one_kernel() -> None:
        x, n = sd.array("x", ("m",)), sd.array("n", (), dtype="int64")
        y, turns = while_loop(lambda y, k: k < n, lambda y, k: (y * x * 0.5 + 1.0, k + 1), [x, 0])
        for count in (0, 1, 2, 7):
            check([y, turns], [x, n], draw(5), np.array(count))

    def test_loops_inside_of_loops() -> None:
        x, n = sd.array("x", ("m",)), sd.array("n", (), dtype="int64")

        def turn(y: Node, k: Node) -> tuple[Node, Node]:
            z, _ = while_loop(lambda z, j: j < k, lambda z, j: (z * 0.5 + x, j + 1), [y, 0])
            return z + 1.0, k + 1

        y, turns = while_loop(lambda y, k: k < n, turn, [x, 0])
        for count in (0, 4):
            check([y, turns], [x, n], draw(5), np.array(count))

    def test_descents_with_reductions_and_solves() -> None:
        a, w = sd.matrix("A", "n", 3), sd.vector("w", 3)

        def descend(v: Node, k: Node) -> tuple[Node, Node]:
            loss = sd.sum((a @ v - 1.0) ** 2) / a.shape[0]
            return v - 0.1 * sd.gradient(loss, v), k + 1

        end, _ = while_loop(lambda v, k: k < 3, descend, [w, 0])
        check([end], [a, w], draw(7, 3), draw(3))
        m, b = sd.matrix("M", 3, 3), sd.vector("b", 3)
        solved, _ = while_loop(lambda v, k: k < 2, lambda v, k: (PRIMITIVES["solve"](m + k * 1.0, v), k + 1), [b, 0])
        check([solved], [m, b], draw(3, 3) + 4 * np.eye(3), draw(3))

    def test_an_index_out_of_range_ends_a_loop() -> None:
        x, at = sd.array("x", (5,)), sd.array("i", (), dtype="int64")
        y, _ = while_loop(lambda y, k: y < 100.0, lambda y, k: (y * 0.0 + sd.take(x, k, axis=0), k + 1), [x[0], at])
        for blocks in (0, 2**40):
            with pytest.raises(sd.DomainError, match="out of range"):
                kernel([y], [x, at], blocks)([draw(5), np.array(2)], {})

    def test_one_launch_makes_many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
        x, n = sd.array("x", ("m",)), sd.array("n", (), dtype="int64")
        y, _ = while_loop(lambda y, k: k < n, lambda y, k: (y * x, k + 1), [x, 0])
        k = kernel([y], [x, n], 2**40)
        launched: list[str] = []
        (loop,) = (s for s in k.program.statements if isinstance(s, Loop))
        launch = device_class().launch

        def counted(self: object, image: object, name: str, *args: object, **options: object) -> None:
            launched.append(name)
            launch(self, image, name, *args, **options)

        monkeypatch.setattr(device_class(), "launch", counted)
        k([draw(3), np.array(20)], {"m": 3})
        assert launched.count("loop0") == 1
        assert len(launched) < 6
        assert loop.flag.dtype == "bool"

    @pytest.mark.parametrize("lines", [1, 3])
    def test_scatters_add_in_the_order_of_the_index(lines: int) -> None:
        values, index = sd.array("v", ("k", lines)), sd.array("i", ("k",), dtype="int64")
        terms = draw(29, lines) * 10.0 ** np.random.default_rng(2).integers(-8, 9, (29, lines))
        where = np.random.default_rng(3).integers(-4, 4, 29)
        (got,) = kernel([scatter_add(values, index, axis=0, extent=4)], [values, index])([terms, where], {"k": 29})
        expected = np.zeros((4, lines))
        np.add.at(expected, where, terms)
        np.testing.assert_array_equal(got, expected)

    def test_random_bits_are_those_of_the_cpu() -> None:
        low = sd.array("low", ("n",), dtype="int64")
        bits = random_bits(low, low * 3 + 1, low - 7)
        counters = np.random.default_rng(5).integers(-(2**40), 2**40, 21)
        on_cpu = sd.compile(bits, [low])(counters)
        np.testing.assert_array_equal(sd.compile(bits, [low], target="cuda")(counters), on_cpu)

    @pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 5), (8, 8, 8), (5, 7, 9), (6, 0, 5)], ids=str)
    def test_products_in_blocks(m: int, k: int, n: int) -> None:
        x, y = sd.matrix("x", "m", "k"), sd.matrix("y", "k", "n")
        a, b = draw(m, k), draw(k, n)
        (got,) = kernel([x @ y], [x, y])([a, b], {"m": m, "k": k, "n": n})
        np.testing.assert_allclose(got, a @ b, rtol=64 * EPS, atol=64 * EPS)
