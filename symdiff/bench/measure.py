"""One implementation of one case, measured in this process.

`python -m symdiff.bench.measure symdiff map --size n=1000` prints the outcome as one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symdiff.bench.cases import CASES, Sizes, difference

# At least FEWEST warm runs, up to MOST within BUDGET seconds; runs shorter than SAMPLE are timed several at once.
FEWEST, MOST, BUDGET, SAMPLE = 7, 51, 1.0, 0.005

OURS = "symdiff"
# Implementation: the module with its cases and the package that it needs. A second way is "peer:variant".
IMPLEMENTATIONS = {
    OURS: ("ours", "symdiff"),
    **{
        peer: (f"peer_{peer}", peer)
        for peer in ("numpy", "numba", "heyoka", "jax", "optax", "torch", "casadi", "scipy")
    },
}
PEERS = tuple(p for p in IMPLEMENTATIONS if p != OURS)


@dataclass(frozen=True, slots=True)
class Job:
    """`build` goes from the formula to something that runs; `run` returns a result, `arrays` its parts in order.

    `reset` restores, outside the clock, a start that runs overwrite.
    """

    build: Callable[[], Callable[[], Any]]
    arrays: Callable[[Any], tuple[Any, ...]]
    reset: Callable[[], None] | None = None


def is_installed(peer: str) -> bool:
    """Whether the package of an implementation can be imported."""
    return importlib.util.find_spec(IMPLEMENTATIONS[peer][1]) is not None


def makers(peer: str) -> dict[str, Callable[..., Job]]:
    """Return the cases of an implementation by name; "case:variant" is another way to do the same."""
    return importlib.import_module(f"symdiff.bench.{IMPLEMENTATIONS[peer][0]}").CASES


def job(implementation: str, case: str, p: Sizes, target: str = "cpu") -> Job:
    """Return the job of "peer" or "peer:variant" for a case, its data made."""
    peer, _, variant = implementation.partition(":")
    make = makers(peer)[f"{case}:{variant}" if variant else case]
    data = CASES[case].data(p)
    return make(p, *data, target=target) if peer == OURS else make(p, *data)


def measure(case: str, work: Job, only_build: bool = False) -> dict[str, Any]:
    """Return build time, run times and fingerprints. Raises ValueError if first and last run differ."""
    before = time.perf_counter()
    run = work.build()
    result = run()
    out: dict[str, Any] = {"build_s": time.perf_counter() - before}
    out["check"] = CASES[case].check(work.arrays(result))
    if only_build:
        return out
    del result
    gc.collect()
    gc.disable()
    try:
        times, result = _samples(run, work.reset)
    finally:
        gc.enable()
    again = difference(out["check"], CASES[case].check(work.arrays(result)))
    if not again <= CASES[case].tolerance:
        raise ValueError(f"{case}: the last run's result differs from the first one's by {again:.1e}.")
    return out | {"run_s": statistics.median(times), "run_min_s": min(times), "runs": len(times)}


def _samples(run: Callable[[], Any], reset: Callable[[], None] | None) -> tuple[list[float], Any]:
    """Return the seconds of warm runs, and the last result."""

    def sample(count: int) -> tuple[float, Any]:
        if reset:
            reset()
        began = time.perf_counter()
        for _ in range(count):
            result = run()
        return (time.perf_counter() - began) / count, result

    count = 1
    once, result = sample(count)
    while reset is None and once * count < SAMPLE / 2:
        count = math.ceil(SAMPLE / max(once, 1e-9))
        once, result = sample(count)
    times, end = [once], time.perf_counter() + BUDGET
    while len(times) < FEWEST or (len(times) < MOST and time.perf_counter() < end):
        once, result = sample(count)
        times.append(once)
    return times, result


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m symdiff.bench.measure", description=__doc__)
    parser.add_argument("implementation", help="symdiff, a peer, or peer:variant")
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--size", default="")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--only-build", action="store_true")
    parser.add_argument("--json", action="store_true", help="accepted: the output is always JSON")
    args = parser.parse_args()
    peer = args.implementation.partition(":")[0]
    before = time.perf_counter()
    makers(peer)
    import_s = time.perf_counter() - before
    p = CASES[args.case].sized(args.size)
    out = {"peer": args.implementation, "version": _version(peer), "case": args.case, "params": p, "import_s": import_s}
    out |= measure(args.case, job(args.implementation, args.case, p, args.target), args.only_build)
    print(json.dumps(out), flush=True)


def _version(peer: str) -> str:
    try:
        return importlib.metadata.version(IMPLEMENTATIONS[peer][1])
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path, not installed
        return str(getattr(sys.modules[IMPLEMENTATIONS[peer][1]], "__version__", "unknown"))


if __name__ == "__main__":
    main()
