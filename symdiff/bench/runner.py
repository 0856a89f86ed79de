"""Run implementations of a case in turns, each in a process of its own; compare results before times."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symdiff.bench.cases import CASES, Sizes, difference
from symdiff.bench.measure import OURS, PEERS, is_installed, makers

REFERENCE = "numpy"  # the formula, or the method, written out by hand with nothing that differentiates
THREADS = 2
CAP = 120.0  # seconds for one process
SLOW = 15.0  # a process that takes longer runs once
# Where a peer's build grows beyond the cap: the largest size that is tried.
LARGEST = {("numba", "scalar_ops"): 1_000, ("jax", "scalar_ops"): 1_000}


@dataclass(slots=True)
class Entry:
    """What the processes of one implementation said; `problem` is why there is no, or no more, outcome."""

    name: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    problem: str = ""
    failed: bool = False

    def median(self, key: str) -> float | None:
        """The median of a time over the rounds."""
        return statistics.median(r[key] for r in self.rounds) if self.rounds else None


@dataclass(slots=True)
class Comparison:
    """All implementations of a case at one size, ours first."""

    case: str
    sizes: Sizes
    entries: list[Entry]

    @property
    def reference(self) -> Entry | None:
        """What the others are compared with: NumPy's formula, else the first peer's result, ours only if alone."""
        found = [e for e in self.entries if e.rounds]
        ranks = {REFERENCE: 0, OURS: 2}
        return min(found, key=lambda e: ranks.get(e.name.partition(":")[0], 1), default=None)

    @property
    def differences(self) -> dict[str, float]:
        """The largest difference of any round's result from the reference's first."""
        if self.reference is None:
            return {}
        first = self.reference.rounds[0]["check"]
        return {e.name: max(difference(r["check"], first) for r in e.rounds) for e in self.entries if e.rounds}

    @property
    def failures(self) -> list[str]:
        """What makes the comparison fail: results that differ, and processes that broke."""
        allowed = CASES[self.case].tolerance
        out = [f"{e.name}: {e.problem}" for e in self.entries if e.failed]
        for name, d in self.differences.items():
            if not d <= allowed and self.reference is not None:
                out.append(f"{name} and {self.reference.name} differ by {d:.1e}, allowed {allowed:g}")
        return [f"{self.case} {size_text(self.sizes)}: {text}" for text in out]

    def fastest_peer(self, key: str) -> float | None:
        """The least median of a time among the peers."""
        found = [e.median(key) for e in self.entries if e.name.partition(":")[0] != OURS]
        return min((t for t in found if t is not None), default=None)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Comparison:
        """Return what `as_json` wrote."""
        entries = [
            Entry(name, e["rounds"], e["builds_from_store_s"], e["problem"], e["failed"])
            for name, e in found["implementations"].items()
        ]
        return cls(found["case"], found["params"], entries)

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        out: dict[str, Any] = {"case": self.case, "params": dict(self.sizes), "differences": self.differences}
        out["failures"] = self.failures
        out["implementations"] = {
            e.name: {
                **{key: e.median(key) for key in ("build_s", "run_s", "import_s")},
                "build_from_store_s": statistics.median(e.warm) if e.warm else None,
                "builds_from_store_s": e.warm,
                "problem": e.problem,
                "failed": e.failed,
                "rounds": e.rounds,
            }
            for e in self.entries
        }
        return out


def size_text(p: Sizes) -> str:
    """Return sizes as the command line takes them."""
    return ",".join(f"{name}={value}" for name, value in p.items())


def implementations(case: str, peers: Sequence[str]) -> list[str]:
    """Return ours and the installed peers that do a case, with their variants."""
    out = []
    for peer in (OURS, *peers):
        if is_installed(peer):
            ways = [way.partition(":") for way in makers(peer)]
            out += [f"{peer}:{variant}" if variant else peer for name, _, variant in ways if name == case]
    return out


def compare(
    case: str, p: Sizes, peers: Sequence[str] = PEERS, rounds: int = 3, target: str = "cpu",
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:  # fmt: skip
    """Measure every implementation `rounds` times, in turns; stop after the first round if results differ.

    Ours is built twice in each round: without a kernel store, and from one that an earlier process has filled.
    """
    entries = [Entry(name) for name in implementations(case, peers)]
    out = Comparison(case, p, entries)
    with tempfile.TemporaryDirectory(prefix="bench-store-") as store:
        for k in range(rounds):
            for e in entries:
                limit = LARGEST.get((e.name, case))
                if limit is not None and p["n"] > limit:
                    e.problem = f"left out above n = {limit}"
                if e.problem:
                    continue
                tell(f"{case} {size_text(p)}, round {k + 1} of {rounds}: {e.name}")
                _one_round(e, case, p, target, store)
            if out.failures:
                break
    return out


def _one_round(e: Entry, case: str, p: Sizes, target: str, store: str) -> None:
    ours = e.name.partition(":")[0] == OURS
    command = [e.name, case, "--size", size_text(p), *(["--target", target] if ours else [])]
    from_store = [*command, "--only-build"], {"SYMDIFF_CACHE_DIR": store}
    # The process before all others fills the store, and Python's own cache of our modules.
    if ours and not e.rounds and _process(e, *from_store) is None:
        return
    found = _process(e, command, {"SYMDIFF_CACHE_MB": "0"})
    if found is None:
        return
    e.rounds.append(found)
    if ours and target == "cpu" and (again := _process(e, *from_store)) is not None:
        e.warm.append(again["build_s"])
    if found["build_s"] > SLOW and not ours:
        e.problem = "one round: slow to build"


def _process(e: Entry, arguments: Sequence[str], settings: dict[str, str]) -> dict[str, Any] | None:
    """Return what the process prints, or None, having written the reason into the entry."""
    fixed = {f"{name}_NUM_THREADS": str(THREADS) for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    # Without Python's cache of compiled modules every process would spend 0.1 s on compiling ours.
    hidden = {"SYMDIFF_CACHE_MB", "SYMDIFF_CACHE_DIR", "PYTHONDONTWRITEBYTECODE"}
    # The process finds modules where this one does, so that a checkout measures itself and not what is installed.
    path = {"PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)}
    env = {k: v for k, v in os.environ.items() if k not in hidden} | fixed | path | settings
    command = [sys.executable, "-P", "-m", "symdiff.bench.measure", *arguments]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=CAP)
    except subprocess.TimeoutExpired:
        e.problem = f"stopped after {CAP:g} s"
        # A peer may be too slow for a size; we may not.
        e.failed = e.name.partition(":")[0] == OURS
        return None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        e.problem, e.failed = lines[-1], True
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])
