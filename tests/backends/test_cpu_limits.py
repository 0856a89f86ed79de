"""The limits of this machine: they make sense, and are measured once. No figure is compared with a clock."""

from __future__ import annotations

import math

import pytest

from backends.cpu import limits as room
from backends.cpu.limits import Level, Limits
from backends.cpu.machine import machine

HELD = Limits((Level("L2", 1e6, 4e10, 2e10), Level("memory", math.inf, 1e10, 5e9)), 1e-10, 1e-9, 5e-9, 1e-11)


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Count measurements instead of making them."""
    count = []
    monkeypatch.setenv("SYMDIFF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(room, "_measure", lambda threads: count.append(threads) or HELD)
    room.limits.cache_clear()
    yield count
    room.limits.cache_clear()


def test_limits_are_remembered_for_each_number_of_threads(measured, monkeypatch):
    monkeypatch.setattr(room, "_is_busy", lambda: False)
    for threads in (1, 2, 1, 2):
        room.limits.cache_clear()  # as in another process
        assert room.limits(threads) == HELD
    assert measured == [1, 2]


def test_what_a_busy_machine_measured_is_measured_again(measured, monkeypatch):
    monkeypatch.setattr(room, "_is_busy", lambda: True)
    room.limits(2)
    room.limits.cache_clear()
    room.limits(2)
    assert measured == [2]
    monkeypatch.setattr(room, "_is_busy", lambda: False)
    for _ in range(2):
        room.limits.cache_clear()
        room.limits(2)
    assert measured == [2, 2]


def test_data_are_where_all_of_them_have_room():
    assert [HELD.level(n).name for n in (0, 1e6, 1e6 + 1, 1e12)] == ["L2", "L2", "memory", "memory"]


def test_measuring_gives_positive_figures_and_slower_operations_take_longer(monkeypatch):
    monkeypatch.setattr(room, "_ROUNDS", 3)
    found = room._measure(1)
    assert [level.name for level in found.levels][-1] == "memory"
    assert all(level.read > 0 and level.written > 0 for level in found.levels)
    assert [level.capacity for level in found.levels] == sorted(level.capacity for level in found.levels)
    # Three orders of magnitude on any processor and under any load: a multiplication in a vector, below a microsecond.
    assert 0 < found.native < 1e-6
    assert 0 < found.product < 1e-6
    assert found.function > found.native
    assert found.slow > 0
    assert machine().lanes_f64 >= 1
