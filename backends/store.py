"""The kernel store: compiled objects on disk, found again by the hash of what they were made from.

Many processes and threads share one folder without locks. A file appears complete under its final name
(written under a unique temporary name, then renamed) and carries a checksum over its key and its payload, so the
worst that a crash, a full disk or a race can do is one more compilation. An advisory lock was the alternative: it
can be held by a dead process, does not exist on some network file systems and deadlocks after a fork.

The folder is `$SYMDIFF_CACHE_DIR/kernels`, by default the user's cache folder; `SYMDIFF_CACHE_MB` bounds its size
(512 by default, 0 keeps everything in memory). The checksum finds accidents, not attackers: what is stored is
machine code, so a folder that other users can write to is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"symdiffK"
VERSION = 1
DEFAULT_LIMIT_MB = 512
SCAN_EVERY = 64  # puts between two scans for the size limit
TOUCH_AFTER = 60.0  # seconds: a file used more recently than this is not touched again
STALE_AFTER = 3600.0  # seconds after which a temporary file of an unknown process is litter

_DIGEST = 32
_HEADER = struct.Struct(f"<8sIQ{_DIGEST}s")  # magic, format version, payload length, checksum
_SUFFIX = ".kernel"
_KEY = re.compile(r"[0-9a-f]{8,128}")
_ENTRY = re.compile(rf"({_KEY.pattern}){re.escape(_SUFFIX)}")
_TEMPORARY = re.compile(r"\.([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.tmp")
_warned: set[Path] = set()


class Entry(NamedTuple):
    """One stored object: its key, its size on disk in bytes and the time of its last use (seconds since 1970)."""

    key: str
    size: int
    used: float


class KernelStore:
    """Bytes by key, in a folder that many processes share.

    Nothing that happens to the folder raises: a damaged file counts as absent and is removed, and a folder that
    cannot be used gives one warning, after which new objects are kept in memory. Two callers that miss the same
    key at the same time both build it; either result is right, and the last one stays.

    >>> import tempfile
    >>> store = KernelStore(Path(tempfile.mkdtemp()))
    >>> key = kernel_key("x + 1", "znver3")
    >>> store.get_or_build(key, lambda: b"object code")
    (b'object code', False)
    >>> store.get_or_build(key, lambda: b"not called")
    (b'object code', True)
    """

    def __init__(self, root: Path | None = None, limit: int | None = None) -> None:
        """Use the folder `root` and at most `limit` bytes; the environment gives what is left out."""
        self.root = _default_root() if root is None else Path(root)
        self.limit = _default_limit() if limit is None else limit
        self._memory: dict[str, bytes] = {}
        self._can_read = self._can_write = self.limit > 0
        self._is_checked = False
        # A random start: processes that put one object each must reach a scan too, one in SCAN_EVERY of them.
        self._puts = os.urandom(1)[0] % SCAN_EVERY
        self._unscanned = 0

    def get(self, key: str) -> bytes | None:
        """Return the payload stored under `key`, or None."""
        path = self._path(key)
        if key in self._memory:
            return self._memory[key]
        self._check()
        return _read(path, key) if self._can_read else None

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, in place of what is there."""
        path = self._path(key)
        data = bytes(data)
        self._check()
        if self._can_write:
            if _HEADER.size + len(data) > self.limit:
                return  # it would be the only entry, and gone with the next scan
            try:
                _write(path, key, data)
            except OSError as error:
                # What is there stays readable: the folder may be one that came filled with an image.
                self._can_write = False
                self._warn(f"cannot be written ({error.strerror or error})")
            else:
                self._scan_sometimes(len(data))
                return
        self._memory[key] = data

    def get_or_build(self, key: str, build: Callable[[], bytes]) -> tuple[bytes, bool]:
        """Return the payload of `key` and whether it was stored already; `build` makes it if not."""
        found = self.get(key)
        if found is not None:
            return found, True
        data = build()
        self.put(key, data)
        return data, False

    def entries(self) -> tuple[Entry, ...]:
        """Return what is on disk, the most recently used first."""
        found = []
        for item in self._files():
            if match := _ENTRY.fullmatch(item.name):
                with contextlib.suppress(OSError):  # evicted by another process since the folder was listed
                    status = item.stat(follow_symlinks=False)
                    found.append(Entry(match[1], status.st_size, status.st_mtime))
        return tuple(sorted(found, key=lambda e: e.used, reverse=True))

    def size(self) -> int:
        """Return the number of bytes on disk."""
        return sum(entry.size for entry in self.entries())

    def clear(self) -> None:
        """Remove every entry and temporary file, and nothing else that may lie in the folder."""
        self._memory.clear()
        for item in self._files():
            if _ENTRY.fullmatch(item.name) or _TEMPORARY.fullmatch(item.name):
                _discard(Path(item.path))

    def evict(self) -> None:
        """Remove litter and, above the limit, the least recently used entries until a tenth is free.

        `put` calls it once in a while. Processes that evict at the same time remove the same files, which hurts
        nobody: a file that is gone is a file to skip.
        """
        self._unscanned = 0
        self._remove_litter()
        kept = self.entries()
        total = sum(entry.size for entry in kept)
        if total <= self.limit:
            return
        for entry in reversed(kept):
            if total <= 0.9 * self.limit:
                break
            _discard(self._path(entry.key))
            total -= entry.size

    def _scan_sometimes(self, written: int) -> None:
        """Look at the whole folder every `SCAN_EVERY` puts, or when much was written since the last look."""
        # Threads may lose an increment here: the scan is then one put late.
        self._puts += 1
        self._unscanned += written + _HEADER.size
        if self._puts % SCAN_EVERY == 0 or self._unscanned > self.limit // 8:
            self.evict()

    def _remove_litter(self) -> None:
        """Remove temporary files whose process on this host is dead, and old ones of any process."""
        for item in self._files():
            match = _TEMPORARY.fullmatch(item.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                is_ours = match[1] == _host()
                is_old = time.time() - item.stat(follow_symlinks=False).st_mtime > STALE_AFTER
                if is_old or (is_ours and not _is_alive(int(match[2]))):
                    _discard(Path(item.path))

    def _files(self) -> Iterator[os.DirEntry[str]]:
        """The items of the folder; none when it cannot be read."""
        try:
            with os.scandir(self.root) as items:
                yield from items
        except OSError:
            return

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            from symdiff.ir.errors import DomainError

            raise DomainError(f"Kernel store: the key {key[:80]!r} is not a hex digest; make keys with kernel_key.")
        return self.root / f"{key}{_SUFFIX}"

    def _check(self) -> None:
        """Make the folder at its first use; leave it alone if anybody but this user and root can change it."""
        if self._is_checked or not self._can_read:
            return
        problem = None
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.root.stat()
            if hasattr(os, "geteuid") and (status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH):
                problem = "can be changed by other users"
        except OSError as error:
            problem = f"cannot be used ({error.strerror or error})"
        if problem:
            self._can_read = self._can_write = False
        self._is_checked = True
        if problem:
            self._warn(problem)

    def _warn(self, problem: str) -> None:
        """Say once per folder and process that objects stay in memory."""
        if self.root in _warned:
            return
        _warned.add(self.root)
        import warnings

        warnings.warn(
            f"The kernel store {self.root} {problem}: newly compiled kernels are kept in memory, and the next process "
            "compiles them again. Set SYMDIFF_CACHE_DIR to a folder that only you can write to.",
            RuntimeWarning,
            stacklevel=2,
        )


def kernel_key(*parts: str | bytes) -> str:
    """Return the hex digest of `parts`: other parts, or the same text cut elsewhere, give another key.

    >>> kernel_key("ab", "c") == kernel_key("a", "bc")
    False
    """
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _default_root() -> Path:
    given = os.environ.get("SYMDIFF_CACHE_DIR")
    if given:
        return Path(given).expanduser().absolute() / "kernels"
    if sys.platform == "linux":
        # As platformdirs has it, which takes 3 ms to import.
        given = os.environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
        return Path(given).expanduser().absolute() / "symdiff" / "kernels"
    import platformdirs

    return Path(platformdirs.user_cache_dir("symdiff")) / "kernels"


def _default_limit() -> int:
    text = os.environ.get("SYMDIFF_CACHE_MB", "").strip() or str(DEFAULT_LIMIT_MB)
    if not text.isdecimal():
        from symdiff.ir.errors import DomainError

        raise DomainError(f"SYMDIFF_CACHE_MB={text!r} is not a whole number of mebibytes; 0 keeps kernels in memory.")
    return int(text) * 2**20


def _checksum(key: str, data: bytes) -> bytes:
    """The digest of key and payload: an intact file under another file's name is damage too."""
    digest = hashlib.blake2b(key.encode(), digest_size=_DIGEST)
    digest.update(data)
    return digest.digest()


def _read(path: Path, key: str) -> bytes | None:
    """Return the payload of a good file and note its use; remove anything else that has its name."""
    try:
        data, used = _load(path, key)
    except OSError:
        # Absent, or not to be opened now (too many open files, no permission): no reason to remove it.
        return None
    if data is None:
        _discard(path)
    elif time.time() - used > TOUCH_AFTER:
        with contextlib.suppress(OSError):  # evicted meanwhile, or a read-only folder: then its age is right
            os.utime(path)
    return data


def _load(path: Path, key: str) -> tuple[bytes | None, float]:
    """Return the payload, None if the file is damaged, and the modification time. Raises: OSError."""
    # Opening does not block, so a named pipe of this name cannot hold the process up.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None, 0.0
    with open(descriptor, "rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return None, 0.0
        magic, version, length, checksum = _HEADER.unpack(head)
        # The length is compared before anything of that length is read.
        if (magic, version, length) != (MAGIC, VERSION, status.st_size - _HEADER.size):
            return None, 0.0
        data = file.read(length)
    return (data if _checksum(key, data) == checksum else None), status.st_mtime


def _write(path: Path, key: str, data: bytes) -> None:
    """Put a file in place whole or not at all. Raises: OSError."""
    temporary = path.with_name(f".{_host()}-{os.getpid()}-{os.urandom(8).hex()}.tmp")
    # No fsync: after a power cut a file may be empty, which the checksum finds.
    try:
        with open(_create(temporary), "wb") as file:
            file.write(_HEADER.pack(MAGIC, VERSION, len(data), _checksum(key, data)))
            file.write(data)
        _rename(temporary, path)
    except OSError:
        _discard(temporary)
        raise


def _create(path: Path) -> int:
    """Return a descriptor of a new private file, in a folder that another process may just have removed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, flags, 0o600)


def _rename(temporary: Path, path: Path) -> None:
    try:
        os.replace(temporary, path)
    except FileNotFoundError:
        return  # another process cleared the folder: as good as evicted
    except (IsADirectoryError, PermissionError):  # a folder has the name (PermissionError on Windows)
        _discard(path)
        os.replace(temporary, path)


def _discard(path: Path) -> None:
    """Remove a file or a folder that should not be there; if that fails the next reader meets it again."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _host() -> str:
    """A short name of this machine: process numbers mean nothing on another one."""
    import platform

    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it exists and belongs to somebody else
        return True
    return True
