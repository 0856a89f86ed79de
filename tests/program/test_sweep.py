"""Loops over stencils: which are swept, and which are left as they are."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

import symdiff as sd
from symdiff.program import coordinates
from symdiff.program.ir import Const, Load, Loop, Sweep
from symdiff.program.planes import Planes
from symdiff.program.schedule import schedule
from symdiff.program.sweep import with_sweeps


def found(turn: Any, start: Any, inputs: list[Any]) -> list[Any]:
    steps = sd.array("steps", (), "int64")
    u = sd.while_loop(lambda k, u: k < steps, lambda k, u: [k + 1, turn(k, u)], [0, start])[1]
    program = with_sweeps(schedule([u], [*inputs, steps]))
    return [s for s in program.statements if isinstance(s, (Loop, Sweep))]


def held(inner: Any, u: Any) -> Any:
    rows = sd.concatenate([u[1:-1, :1], inner, u[1:-1, -1:]], axis=1)
    return sd.concatenate([u[:1], rows, u[-1:]], axis=0)


def around(inner: Any) -> Any:
    rows = sd.concatenate([inner[-1:], inner, inner[:1]], axis=0)
    return sd.concatenate([rows[:, -1:], rows, rows[:, :1]], axis=1)


def mean(u: Any) -> Any:
    return 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])


def test_held_edges_are_pieces() -> None:
    u = sd.matrix("u", "n", "m")
    (s,) = found(lambda k, v: held(mean(v), v), u, [u])
    assert isinstance(s, Sweep)
    assert (s.lag, s.reach, s.periodic) == (1, ((1, 1), (1, 1)), (False, False))
    assert len(s.pieces) == 5


def test_periodic_edges_are_no_pieces() -> None:
    u = sd.matrix("u", "n", "m")
    (s,) = found(lambda k, v: around(mean(v)), u, [u])
    assert isinstance(s, Sweep)
    assert s.periodic == (True, True)
    assert [str(x) for axis in s.domain for x in axis] == ["1", "n - 2", "1", "m - 2"]
    assert len(s.pieces) == 1
    assert len(s.fills) == len(s.checks) == 4


def test_periodic_edges_of_known_sizes() -> None:
    u = sd.matrix("u", 11, 14)
    (s,) = found(lambda k, v: around(mean(v)), u, [u])
    assert isinstance(s, Sweep)
    assert s.domain == ((1, 9), (1, 12))


def test_two_stencils_in_a_turn_reach_twice_as_far() -> None:
    u = sd.matrix("u", "n", "m")
    (s,) = found(lambda k, v: held(mean(held(mean(v), v)), v), u, [u])
    assert isinstance(s, Sweep)
    assert s.reach == ((2, 2), (2, 2))
    # The second stencil follows the first one plane behind; the next turn follows it.
    assert s.lag == 2


def test_what_depends_on_the_turn_runs_ahead() -> None:
    u = sd.matrix("u", "n", "m")
    (s,) = found(lambda k, v: held(mean(v) * sd.cos(k), v), u, [u])
    assert isinstance(s, Sweep)
    assert len(s.recorded) == 1


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(lambda k, u: u.T + 0.5, id="transposed"),
        pytest.param(lambda k, u: u[::-1] * 0.5, id="reversed"),
        pytest.param(lambda k, u: u - sd.mean(u), id="reduced"),
        pytest.param(lambda k, u: u - u[:1], id="one row for all"),
        pytest.param(lambda k, u: 0.5 * (u @ u), id="product"),
        pytest.param(lambda k, u: sd.cumsum(u, axis=0) * 0.1, id="running sum"),
        pytest.param(lambda k, u: sd.zeros(u.shape) + 3.0, id="the same in every turn"),
    ],
)
def test_other_loops_stay(turn: Any) -> None:
    u = sd.matrix("u", "n", "n")
    (s,) = found(turn, u, [u])
    assert isinstance(s, Loop)


def test_a_loop_that_ends_by_its_values_stays() -> None:
    u = sd.matrix("u", "n", "m")
    v = sd.while_loop(lambda v: sd.sum(v**2) > 1.0, lambda v: [held(mean(v), 0.5 * v)], [u])
    program = with_sweeps(schedule(list(v), [u]))
    assert any(isinstance(s, Loop) for s in program.statements)


def test_planes_of_a_slab_share_what_they_read() -> None:
    u = sd.matrix("u", "n", "m")
    (s,) = found(lambda k, v: around(mean(v) - 0.0 * v[1:-1, 1:-1] + -0.0), u, [u])
    assert isinstance(s, Sweep)
    assert s.slab == 2
    # Of the start: the planes -1, 0 and 1, and one more that comes in at every step.
    assert s.rings[0].taken == 4
    (piece,) = s.pieces
    planes = Planes(s, 100)
    (one, of_one), (both, of_both) = (planes.nest(piece, n) for n in (1, 2))
    assert {p.offset for p in of_one} == {-1, 0, 1}
    assert {p.offset for p in of_both} == {-1, 0, 1, 2}
    reads = [len([i for i in nest.body if isinstance(i, Load)]) for nest in (one, both)]
    assert reads == [5, 8]
    assert len(both.stores) == 2 * len(one.stores)
    # Zeros of both signs are two literals.
    assert sorted(str(i.value) for i in both.body if isinstance(i, Const)) == sorted(
        str(i.value) for i in one.body if isinstance(i, Const)
    )


def test_planes_of_boxes_are_made_one_by_one() -> None:
    u = sd.array("u", ("n", "m", "l"))
    (s,) = found(lambda k, v: sd.concatenate([v[:1], 0.5 * (v[:-2] + v[2:]), v[-1:]], axis=0), u, [u])
    assert isinstance(s, Sweep)
    assert s.slab == 1


def test_long_pieces_are_made_plane_by_plane() -> None:
    u = sd.matrix("u", "n", "m")
    (s,) = found(
        lambda k, v: around(sum((mean(v) * 0.01 * j + v[1:-1, 1:-1] ** j for j in range(2, 30)), mean(v))), u, [u]
    )
    assert isinstance(s, Sweep)
    assert s.slab == 1


def test_the_text_shows_the_pieces() -> None:
    u = sd.matrix("u", "n", "m")
    steps = sd.array("steps", (), "int64")
    v = sd.while_loop(lambda k, v: k < steps, lambda k, v: [k + 1, around(mean(v))], [0, u])[1]
    text = str(with_sweeps(schedule([v], [u, steps])))
    for part in (
        "sweep in tiles, turns 1 planes apart",
        "piece [None:None, None:None]",
        "periodic",
        "2 planes at a step",
        "in place of:",
    ):
        assert part in text


def test_examples() -> None:
    assert not doctest.testmod(coordinates).failed
