"""The memory plan: exact on small graphs, and replayed on random programs: nobody reads what another wrote over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings

import symdiff as sd
from backends.cpu import layout
from backends.cpu.kernel import Kernel
from backends.store import KernelStore
from symdiff.passes import optimise
from symdiff.program.ir import Buffer, Call, Load, Loop, Nest, Program, Statement
from symdiff.program.memory import Slot, _slot, lives, slots
from symdiff.program.schedule import schedule
from tests.backends.random_programs import SYMBOLS, programs

X, A = sd.vector("x", "n"), sd.matrix("A", "n", "n")
SIZES = {"n": 1000, "m": 30}


def plan(outputs, inputs) -> tuple[Program, tuple[Slot, ...]]:
    program = schedule(optimise(list(outputs)), inputs)
    return program, slots(program)


def separate(program: Program) -> int:
    """The bytes without reuse."""
    return sum(Slot((b,), (b.n_bytes,)).n_bytes(SIZES) for b in program.temps)


def shared(found: Iterable[Slot]) -> int:
    return sum(s.n_bytes(SIZES) for s in found)


# --- exact ----------------------------------------------------------------------------------------------------------


def softmax(a):
    e = sd.exp(a - sd.max(a))
    return e / sd.sum(e)


def test_a_chain_of_vectors_needs_the_memory_of_one():
    # e of the k-th softmax is written, summed and divided; the next one is written entry by entry where it stood.
    program, found = plan([softmax(softmax(softmax(X)))], [X])
    big = [s for s in found if str(s.sizes[0]) == "8*n"]
    assert len(big) == 1
    assert len(big[0].buffers) == sum(b.shape == X.shape for b in program.temps) == 5
    assert separate(program) - shared(found) == 4 * 8 * SIZES["n"]


def test_what_is_read_elsewhere_than_it_is_written_is_not_overwritten():
    # Reversed reading: entry i is written while entry n - 1 - i is still to be read.
    e = softmax(X)
    program, found = plan([softmax(e[::-1])], [X])
    vectors = [s for s in found if str(s.sizes[0]) == "8*n"]
    by_buffer = {b: k for k, s in enumerate(vectors) for b in s.buffers}
    assert len(vectors) == 2
    for nest in (s for s in program.statements if isinstance(s, Nest)):
        reversed_reads = {
            i.access.buffer for i in nest.body if isinstance(i, Load) and i.access.strides == (-1,)
        } & by_buffer.keys()
        for b in {s.access.buffer for s in nest.stores} & by_buffer.keys():
            assert all(by_buffer[a] != by_buffer[b] for a in reversed_reads)


def test_lives_that_overlap_are_apart():
    # Both exponentials are needed until the end.
    a, b = softmax(X), softmax(2 * X)
    program, found = plan([a @ b + sd.sum(a * b[::-1])], [X])
    assert all(not lives(program).meet(p, q) for s in found for p in s.buffers for q in s.buffers if p != q)
    assert sum(str(s.sizes[0]) == "8*n" for s in found) >= 2


def test_a_slot_is_as_large_as_its_largest_buffer_whatever_the_sizes_are():
    y = sd.vector("y", "m")
    _, found = plan([softmax(X) @ X + softmax(y) @ y], [X, y])
    wide = [s for s in found if len({str(e) for e in s.sizes}) > 1]
    for s in wide:
        for n, m in ((1000, 3), (3, 1000), (0, 0)):
            assert s.n_bytes({"n": n, "m": m}) == max(8 * n, 8 * m)
    sizes = {b.n_bytes for s in found for b in s.buffers}
    assert {str(e) for e in sizes} >= {"8*n", "8*m"}


def test_a_size_that_another_covers_is_left_out():
    program, _ = plan([A], [A])
    n = A.shape[0]
    big, small, odd = (Buffer(k, shape, "float64", "temp") for k, shape in enumerate([(n, n + 2), (n,), (3,)], 10))
    assert [str(e) for e in _slot([small, big, odd]).sizes] == ["8*n*n + 16*n", "24"]
    assert [str(e) for e in _slot([odd, small]).sizes] == ["24", "8*n"]
    assert program.temps == ()


def test_buffers_nobody_touches_take_no_memory():
    u = sd.matrix("u", "n", "n")
    inner = 0.5 * u[1:-1] + 0.25 * (u[:-2] + u[2:])
    program, found = plan([sd.sin(sd.concatenate([u[:1], inner, u[-1:]], axis=0)) @ u], [u])
    used = {b for s in found for b in s.buffers}
    touched = {a.buffer for s in program.statements for a in accesses(s)}
    assert used == {b for b in program.temps if b in touched}


def test_values_of_one_turn_share_and_those_of_all_turns_do_not():
    # A turn has three products one after another; the state is exchanged with what the turn computes.
    i, u = sd.while_loop(lambda i, u: i < 7, lambda i, u: [i + 1, softmax(softmax(softmax(u)))], [0, X])
    program, found = plan([i, u], [X])
    (loop,) = (s for s in program.statements if isinstance(s, Loop))
    pair = next(p for p in loop.swaps if p[0].shape == X.shape)
    home = {b: k for k, s in enumerate(found) for b in s.buffers}
    assert home[pair[0]] != home[pair[1]]
    vectors = {home[b] for b in program.temps if b.shape == X.shape and b in home}
    assert len(vectors) == 3  # the pair, and one for all that a turn makes between
    for b in pair:
        assert found[home[b]].buffers == (b,)


def test_results_are_those_of_separate_memory(monkeypatch):
    def apart(program: Program, scratch) -> tuple[Slot, ...]:
        return tuple(Slot((b,), (b.n_bytes,)) for b in (*program.temps, *(b for _, more in scratch for b in more)))

    rng = np.random.default_rng(23)
    x, w = rng.normal(size=23), rng.normal(size=(23, 23))
    loop = sd.while_loop(lambda i, u: i < 5, lambda i, u: [i + 1, A @ softmax(u)], [0, X])[1]
    fn = sd.compile([sd.sum(softmax(loop) ** 2), softmax(softmax(X)[::-1])], [X, A])
    together = fn(x, w)
    monkeypatch.setattr(layout, "slots", apart)
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "0")
    for a, b in zip(together, Kernel(fn.program, store=KernelStore())([x, w], {"n": 23}), strict=True):
        np.testing.assert_array_equal(a, b)


# --- replayed -------------------------------------------------------------------------------------------------------


def accesses(s: Statement) -> list:
    match s:
        case Nest():
            loads = [i.access for i in s.body if isinstance(i, Load)]
            return [*loads, *(x.access for x in (*s.stores, *s.reductions))]
        case Call():
            return list(s.operands)
    return []


class Replay:
    """Runs a program without numbers: which buffer's entries each slot holds. Every loop makes three turns."""

    def __init__(self, program: Program, found: Sequence[Slot]):
        self.at = {b: k for k, s in enumerate(found) for b in s.buffers}
        self.holds: dict[int, Buffer] = {}
        self.run(program.statements)

    def run(self, statements: Sequence[Statement]) -> None:
        for s in statements:
            if not isinstance(s, Loop):
                self.step(s)
                continue
            for _ in range(3):
                self.run(s.cond)
                self.read(s.flag)
                self.run(s.body)
                for x, y in s.swaps:
                    self.exchange(x, y)
            self.run(s.cond)

    def step(self, s: Statement) -> None:
        match s:
            case Nest():
                read = {i.access for i in s.body if isinstance(i, Load)}
                for a in read:
                    if a.buffer not in s.zero:
                        self.read(a.buffer)
                for b in s.zero:
                    self.write(b)
                for x in s.stores:
                    if x.add:
                        self.read(x.access.buffer)
                    self.hand_over(x.access, read)
                    self.write(x.access.buffer)
                for r in s.reductions:
                    assert all(not self.same_slot(a.buffer, r.access.buffer) for a in read)
                    self.write(r.access.buffer)
            case Call():
                *inputs, result = (a.buffer for a in s.operands)
                if s.name == "gemm":
                    for b in inputs:
                        self.read(b)
                        assert not self.same_slot(b, result)
                for b in (*inputs, result):
                    self.write(b)

    def same_slot(self, a: Buffer, b: Buffer) -> bool:
        return a != b and a in self.at and self.at[a] == self.at.get(b)

    def hand_over(self, to, read) -> None:
        """What is overwritten while it is read is read at the entry that is written, by points that differ."""
        for a in read:
            if self.same_slot(a.buffer, to.buffer):
                assert (a.offset, a.strides, a.guards, a.gathers) == (to.offset, to.strides, (), ())
                assert 0 not in a.strides

    def exchange(self, x: Buffer, y: Buffer) -> None:
        self.at[x], self.at[y] = self.at[y], self.at[x]
        for mine, other in ((x, y), (y, x)):
            if self.holds.get(self.at[mine]) == other:
                self.holds[self.at[mine]] = mine
            else:
                self.holds.pop(self.at[mine], None)

    def read(self, b: Buffer) -> None:
        if b in self.at and self.at[b] in self.holds:
            assert self.holds[self.at[b]] == b

    def write(self, b: Buffer) -> None:
        if b in self.at:
            self.holds[self.at[b]] = b


@settings(max_examples=60)
@given(programs())
def test_nobody_reads_what_another_wrote_over(roots):
    Replay(*plan(roots, SYMBOLS))


@pytest.mark.parametrize("k", range(4))
def test_loops_and_their_gradients(k):
    table = [
        lambda: sd.while_loop(lambda i, u: i < 7, lambda i, u: [i + 1, softmax(softmax(u) * X)], [0, X])[1],
        lambda: sd.while_loop(lambda i, u, v: i < 3, lambda i, u, v: [i + 1, v * X, sd.sin(u)], [0, X, 2 * X])[1],
        lambda: sd.scan(lambda c, _: (sd.sin(c) * X, sd.sum(c) * X), X, length=6)[1],
        lambda: sd.while_loop(
            lambda i, u: i < 4,
            lambda i, u: [
                i + 1,
                sd.while_loop(lambda j, v: j < i, lambda j, v: [j + 1, sd.exp(-v * v) @ A], [i - 2, softmax(u)])[1],
            ],
            [0, X],
        )[1],
    ]
    f = sd.sum(table[k]() ** 2)
    roots = [f, sd.gradient(f, X), sd.jvp(sd.gradient(f, X), [X], [X + 0.5])]
    program, found = plan(roots, [X, A])
    Replay(program, found)
    assert shared(found) < separate(program)


def test_a_replay_sees_a_wrong_plan():
    program, found = plan([softmax(X) @ softmax(2 * X)], [X])
    merged = Slot(tuple(b for s in found for b in s.buffers), tuple(e for s in found for e in s.sizes))
    with pytest.raises(AssertionError):
        Replay(program, [merged])
