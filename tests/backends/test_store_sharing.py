"""The kernel store used by many processes and threads at once."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backends.store import KernelStore, kernel_key
from tests.backends.test_store import DATA, KEY, in_child, never, temporaries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> KernelStore:
    return KernelStore(tmp_path / "kernels")


# What each process does: the same keys in another order, sometimes damaging, clearing or evicting on the way.
HAMMER = """
import hashlib, random, sys
from pathlib import Path
from backends.store import KernelStore, kernel_key

def payload(key):
    return hashlib.sha512(key.encode()).digest() * (50 + int(key[:2], 16))

def hammer(root, me):
    store = KernelStore(Path(root), limit=200_000)
    rng = random.Random(me)
    for k in range(150):
        key = kernel_key(str(rng.randrange(30)) if k % 3 else f"{me}-{k}")
        data, _ = store.get_or_build(key, lambda: payload(key))
        assert data == payload(key), "wrong payload"
        if k % 11 == 0:
            try:
                with open(store._path(key), "r+b") as file:
                    file.seek(rng.randrange(60))
                    file.write(b"damage")
            except FileNotFoundError:
                pass
        if k % 37 == 0:
            store.evict()
        if k == 75 and me % 8 == 0:
            store.clear()
"""


def check_after_hammering(root: Path) -> None:
    store = KernelStore(root, limit=200_000)
    entries = store.entries()
    assert entries
    for entry in entries:  # None: damaged and not yet rebuilt
        expected = hashlib.sha512(entry.key.encode()).digest() * (50 + int(entry.key[:2], 16))
        assert store.get(entry.key) in (None, expected)
    store.evict()
    assert store.size() <= 200_000
    assert temporaries(store) == []


def test_sixteen_fresh_processes_share_an_empty_store(tmp_path):
    root = tmp_path / "kernels"
    code = HAMMER + "\nhammer(sys.argv[1], int(sys.argv[2]))"
    # Separate interpreters are what the spawn method starts; this way none of them imports pytest.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(root), str(k)], env=env, stderr=subprocess.PIPE)
        for k in range(16)
    ]
    failures = [p.communicate(timeout=120)[1].decode() for p in running]
    assert failures == [""] * 16
    assert [p.returncode for p in running] == [0] * 16
    check_after_hammering(root)


def _spawned(root: str, number: int) -> None:
    from backends.store import KernelStore, kernel_key

    for k in range(5):
        data, _ = KernelStore(root).get_or_build(kernel_key(str(k)), lambda k=k: bytes([k]) * 1000)
        assert data == bytes([k]) * 1000, number


def test_spawned_workers_share_a_store(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_spawned, args=(str(tmp_path / "kernels"), k)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [w.exitcode for w in workers] == [0] * 3
    assert len(KernelStore(tmp_path / "kernels").entries()) == 5


def test_forked_children_and_their_parent_share_one_object(store):
    store.put(KEY, DATA)

    def body() -> None:
        assert store.get_or_build(KEY, never) == (DATA, True)
        store.put(kernel_key(str(os.getpid())), b"from a child")

    assert [in_child(body) for _ in range(4)] == [0] * 4
    assert len(store.entries()) == 5


def test_threads_share_one_object(store):
    keys = [kernel_key(str(k)) for k in range(20)]
    wrong: list[str] = []

    def work(start: int) -> None:
        for k in range(200):
            key = keys[(start * 7 + k) % len(keys)]
            if store.get_or_build(key, lambda key=key: key.encode() * 100)[0] != key.encode() * 100:
                wrong.append(key)
            if k % 50 == 0:
                store.evict()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(store.entries()) == len(keys)
    assert temporaries(store) == []
