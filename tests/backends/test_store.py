"""The kernel store under damage, concurrency, missing permissions and a size limit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends import store as store_module
from backends.store import STALE_AFTER, Entry, KernelStore, kernel_key
from symdiff.ir.errors import DomainError

KEY = kernel_key("x + 1", "a processor")
DATA = bytes(range(256)) * 3 + b"tail"
HEADER = 8 + 4 + 8 + 32  # magic, version, length, checksum


@pytest.fixture
def store(tmp_path: Path) -> KernelStore:
    return KernelStore(tmp_path / "kernels")


def file_of(store: KernelStore, key: str = KEY) -> Path:
    (path,) = store.root.glob(f"{key}*")
    return path


def temporaries(store: KernelStore) -> list[Path]:
    return [p for p in store.root.iterdir() if p.suffix == ".tmp"]


def never() -> bytes:
    raise AssertionError("built although it is stored")


def test_a_second_store_finds_what_the_first_one_built(store):
    assert store.get(KEY) is None
    assert store.get_or_build(KEY, lambda: DATA) == (DATA, False)
    assert KernelStore(store.root).get_or_build(KEY, never) == (DATA, True)
    assert temporaries(store) == []


def test_an_empty_payload_is_a_payload(store):
    store.put(KEY, b"")
    assert KernelStore(store.root).get_or_build(KEY, never) == (b"", True)


def test_put_replaces(store):
    store.put(KEY, b"old")
    store.put(KEY, DATA)
    assert store.get(KEY) == DATA


@pytest.mark.parametrize("key", ["", "x", "../../../etc/passwd", "A" * 32, KEY + "\n", "0" * 200])
def test_a_key_that_is_no_digest_is_refused(store, key):
    for call in (store.get, lambda k: store.put(k, b"")):
        with pytest.raises(DomainError, match="hex digest"):
            call(key)


def test_keys_depend_on_every_part_and_on_where_it_ends():
    parts = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("c", "ab"), (), ("",)]
    assert len({kernel_key(*p) for p in parts}) == len(parts)
    assert kernel_key("é", b"\x00") == kernel_key("é".encode(), "\x00")


# --- damage -----------------------------------------------------------------


def damage(store: KernelStore, change: Callable[[bytes], bytes]) -> None:
    """Store DATA, change the file, and check that it is rebuilt as if it had never been there."""
    store.put(KEY, DATA)
    path = file_of(store)
    path.write_bytes(change(path.read_bytes()))
    fresh = KernelStore(store.root)
    assert fresh.get(KEY) is None
    assert not path.exists()
    assert fresh.get_or_build(KEY, lambda: DATA) == (DATA, False)
    assert fresh.get_or_build(KEY, never) == (DATA, True)


# every byte of magic, version, length and checksum, and some of the payload
@pytest.mark.parametrize("at", [*range(HEADER), HEADER, HEADER + 1, HEADER + 400, HEADER + len(DATA) - 1])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_noticed(store, at, bit):
    damage(store, lambda b: b[:at] + bytes([b[at] ^ 1 << bit]) + b[at + 1 :])


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 20, HEADER - 1, HEADER, HEADER + 1, 500, HEADER + len(DATA) - 1])
def test_a_truncated_file_is_noticed(store, length):
    damage(store, lambda b: b[:length])


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b + b"\x00",
        lambda b: b * 2,
        lambda b: bytes(len(b)),
        lambda b: bytes(HEADER),
        lambda b: b"\x7fELF" + bytes(2000),
        lambda b: b[:HEADER] + bytes(len(b) - HEADER),
        lambda b: b[:12] + (2**63).to_bytes(8, "little") + b[20:],
    ],
    ids=["one byte more", "twice", "zeros", "zero header", "foreign", "zero payload", "huge length"],
)
def test_other_damage_is_noticed(store, change):
    damage(store, change)


def test_a_good_file_under_another_name_is_not_served(store):
    other = kernel_key("y")
    store.put(other, DATA)
    file_of(store, other).rename(store.root / f"{KEY}.kernel")
    assert store.get(KEY) is None


@pytest.mark.parametrize("kind", ["folder", "full folder", "pipe", "dangling link", "link loop"])
def test_something_that_is_no_file_is_replaced(store, kind):
    store.put(KEY, DATA)
    path = file_of(store)
    path.unlink()
    match kind:
        case "folder":
            path.mkdir()
        case "full folder":
            (path / "a" / "b").mkdir(parents=True)
            (path / "a" / "c").write_text("c")
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to("nowhere")
        case _:
            path.symlink_to(path)
    fresh = KernelStore(store.root)
    assert fresh.get_or_build(KEY, lambda: DATA) == (DATA, False)
    assert KernelStore(store.root).get_or_build(KEY, never) == (DATA, True)


def test_put_replaces_a_folder_of_that_name(store):
    (store.root / f"{KEY}.kernel" / "deep").mkdir(parents=True)
    store.put(KEY, DATA)
    assert KernelStore(store.root).get(KEY) == DATA


def test_the_folder_may_vanish_while_in_use(store):
    store.put(KEY, DATA)
    file_of(store).unlink()
    store.root.rmdir()
    assert store.get(KEY) is None
    assert store.entries() == ()
    store.put(KEY, DATA)
    assert KernelStore(store.root).get(KEY) == DATA


# --- size limit ---------------------------------------------------------------


def test_the_least_recently_used_entries_go_first(store):
    keys = [kernel_key(str(k)) for k in range(10)]
    now = time.time()
    for k, key in enumerate(keys):
        store.put(key, bytes(1000))
        os.utime(file_of(store, key), (now - 5000 + k, now - 5000 + k))
    assert store.get(keys[0]) is not None  # a use: from now on it is the youngest
    small = KernelStore(store.root, limit=6 * (1000 + HEADER))
    small.evict()
    # 5 entries are the most that fit into 90 % of the limit
    assert {e.key for e in small.entries()} == {keys[0], *keys[6:]}
    assert small.size() == 5 * (1000 + HEADER)


def test_put_keeps_the_folder_near_its_limit(tmp_path):
    limit = 100_000
    store = KernelStore(tmp_path, limit=limit)
    for k in range(300):
        store.put(kernel_key(str(k)), bytes(2000))
        # an eighth of the limit may be written between two looks, and the last entry comes on top
        assert store.size() <= limit * 9 // 8 + 2000 + HEADER
    assert store.size() > limit // 2
    assert store.get(kernel_key("299")) is not None


def test_an_entry_above_the_limit_is_not_stored(tmp_path):
    store = KernelStore(tmp_path, limit=1000)
    assert store.get_or_build(KEY, lambda: bytes(2000)) == (bytes(2000), False)
    assert store.entries() == ()


def test_scans_are_rare(store, monkeypatch):
    scans = []
    monkeypatch.setattr(KernelStore, "evict", lambda self: scans.append(1))
    for k in range(3 * store_module.SCAN_EVERY):
        store.put(kernel_key(str(k)), b"small")
    assert len(scans) == 3


def test_environment_gives_folder_and_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMDIFF_CACHE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "3")
    store = KernelStore()
    assert store.root == tmp_path / "mine" / "kernels"
    assert store.limit == 3 * 2**20
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "0")
    nothing = KernelStore()
    nothing.put(KEY, DATA)
    assert nothing.get(KEY) == DATA
    assert not nothing.root.exists()
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "lots")
    with pytest.raises(DomainError, match="SYMDIFF_CACHE_MB='lots'"):
        KernelStore()


def test_litter_of_dead_processes_is_removed(store):
    store.put(KEY, DATA)
    host = store_module._host()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = store.root / f".{host}-{child.pid}-{'0' * 16}.tmp"
    alive = store.root / f".{host}-{os.getpid()}-{'1' * 16}.tmp"
    away = store.root / f".{'0' * 8}-{child.pid}-{'2' * 16}.tmp"
    old = store.root / f".{'0' * 8}-1-{'3' * 16}.tmp"
    foreign = store.root / "notes.txt"
    for path in (dead, alive, away, old, foreign):
        path.write_bytes(b"half")
    past = time.time() - 2 * STALE_AFTER
    os.utime(old, (past, past))
    store.evict()
    assert [p.exists() for p in (dead, alive, away, old, foreign)] == [False, True, True, False, True]
    store.clear()
    assert list(store.root.iterdir()) == [foreign]


def test_entries_are_listed_by_use(store):
    first, second = kernel_key("1"), kernel_key("2")
    store.put(first, b"a")
    store.put(second, b"bcd")
    os.utime(file_of(store, first), (100.0, 100.0))
    entries = store.entries()
    assert [e.key for e in entries] == [second, first]
    assert entries[1] == Entry(first, HEADER + 1, 100.0)


# --- folders that cannot be used ----------------------------------------------


def test_a_path_below_a_file_gives_one_warning_and_memory(tmp_path):
    (tmp_path / "file").write_text("no folder")
    root = tmp_path / "file" / "kernels"
    with pytest.warns(RuntimeWarning, match=r"kernels cannot be used \(Not a directory\).*kept in memory") as caught:
        store = KernelStore(root)
        assert store.get_or_build(KEY, lambda: DATA) == (DATA, False)
        assert store.get_or_build(KEY, never) == (DATA, True)
        assert KernelStore(root).get(KEY) is None
        store.clear()
        assert store.get(KEY) is None
    assert len(caught) == 1


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    root = tmp_path / "kernels"
    root.mkdir()
    root.chmod(0o777)
    store = KernelStore(root)
    with pytest.warns(RuntimeWarning, match="can be changed by other users"):
        store.put(KEY, DATA)
    assert list(root.iterdir()) == []
    assert store.get(KEY) == DATA


def test_a_full_disk_gives_one_warning_and_memory(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        store.put(KEY, DATA)
    assert store.get(KEY) == DATA
    assert list(store.root.iterdir()) == []


def in_child(body: Callable[[], None]) -> int:
    """Run `body` in a forked process and return its exit status."""
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork while threads run; the child here uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            body()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_read_only_folder_is_read_and_gives_one_warning(open_folder):
    store = KernelStore(open_folder / "kernels")
    store.put(KEY, DATA)
    other = kernel_key("other")
    file_of(store).chmod(0o644)
    store.root.chmod(0o555)

    def body() -> None:
        if os.geteuid() == 0:  # permissions do not bind root
            os.setgid(65534)
            os.setuid(65534)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reader = KernelStore(store.root)
            assert reader.get_or_build(KEY, never) == (DATA, True)
            assert reader.get_or_build(other, lambda: b"new") == (b"new", False)
            assert reader.get_or_build(other, never) == (b"new", True)
            assert reader.get_or_build(KEY, never) == (DATA, True)
            assert KernelStore(store.root).get_or_build(other, lambda: b"new") == (b"new", False)
        messages = [str(w.message) for w in caught]
        assert len(messages) == 1, messages
        assert "Permission denied" in messages[0]

    assert in_child(body) == 0
    store.root.chmod(0o755)
    assert {p.name for p in store.root.iterdir()} == {f"{KEY}.kernel"}
