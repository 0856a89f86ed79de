"""Runs of the benchmark kept as JSON: one file each, in the user's data folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import symdiff
from symdiff.bench.cases import CASES
from symdiff.bench.runner import Comparison
from symdiff.ir.errors import DomainError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One run: when, by which version, the machine before and after, and what was measured."""

    time: str
    version: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    comparisons: Sequence[Comparison]

    @classmethod
    def of(cls, before: Mapping[str, Any], after: Mapping[str, Any], comparisons: Sequence[Comparison]) -> Record:
        """Return the record of a run that has just ended."""
        return cls(time.strftime("%Y-%m-%dT%H:%M:%S%z"), symdiff.__version__, before, after, comparisons)

    def as_json(self) -> str:
        """Return the text of the file."""
        found = {
            "format": FORMAT, "time": self.time, "version": self.version, "before": self.before, "after": self.after,
            "comparisons": [c.as_json() for c in self.comparisons],
        }  # fmt: skip
        return json.dumps(found, indent=1)

    def save(self, path: Path) -> None:
        """Write the file whole: to a temporary name in the same folder, then renamed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(self.as_json(), encoding="utf-8")
        new.replace(path)


def load(path: Path) -> Record:
    """Read a record. Cases that no longer exist are left out. Raises DomainError for a file that is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise DomainError(f"{path} has format {found['format']}, this version reads {FORMAT}. Run `symdiff bench`.")
        known = [c for c in found["comparisons"] if c["case"] in CASES]
        measured = [Comparison.from_json(c) for c in known]
        return Record(found["time"], found["version"], found["before"], found["after"], measured)
    except OSError as error:
        raise DomainError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DomainError):
            raise
        raise DomainError(f"{path} is no record of a benchmark: {type(error).__name__}: {error}.") from None


def folder() -> Path:
    """Return where runs are kept: SYMDIFF_DATA_DIR, or the user's data folder."""
    import platformdirs

    chosen = os.environ.get("SYMDIFF_DATA_DIR")
    return Path(chosen or platformdirs.user_data_dir("symdiff")) / "bench"


def keep(record: Record) -> Path:
    """Add a record to the kept ones and return its file."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    # Two runs may end in one second; the process id tells them apart.
    path = folder() / f"{stamp}-{os.getpid()}.json"
    record.save(path)
    return path


def kept() -> list[Path]:
    """Return the files of the kept runs, oldest first."""
    return sorted(folder().glob("*.json"))


def together(paths: Sequence[Path]) -> Record:
    """Return one record with the newest measurement of every case and size. Raises DomainError if there is none."""
    if not paths:
        raise DomainError(f"No run is kept in {folder()}. Run `symdiff bench` first.")
    records = [load(path) for path in paths]
    newest = {(c.case, tuple(c.sizes.items())): c for r in records for c in r.comparisons}
    order = list(CASES)
    found = sorted(newest.values(), key=lambda c: (order.index(c.case), CASES[c.case].work(c.sizes)))
    return replace(records[-1], comparisons=found)
