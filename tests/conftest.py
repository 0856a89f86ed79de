"""What every test shares: a kernel store of its own, and random examples that are the same in every run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import settings

# Every pass checks what it made; read when symdiff.passes is imported.
os.environ["SYMDIFF_VERIFY"] = "1"

# Derandomised: a failure in one place is the same failure everywhere. No deadline: a first call compiles.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the targets that every primitive runs on."""
    parser.addoption(
        "--target", action="append", choices=("reference", "cpu", "cuda"),
        help="targets of the walk over all primitives; reference and cpu by default. cuda needs a GPU; "
        "with SYMDIFF_CUDA_THREADS=1 a part of the walk runs without one, and all of it with SYMDIFF_SLOW=1",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Let kernels for CUDA run on threads of this machine where SYMDIFF_CUDA_THREADS=1 asks for that."""
    if os.environ.get("SYMDIFF_CUDA_THREADS") == "1":
        from tests.backends.cuda_threads import installed

        config.add_cleanup(installed().close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless SYMDIFF_SLOW=1 asks for them: the others take ten minutes."""
    if os.environ.get("SYMDIFF_SLOW") != "1":
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)


@pytest.fixture(scope="session", autouse=True)
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep the tests, and the processes they start, away from the user's kernel store."""
    folder = str(tmp_path_factory.mktemp("cache"))
    with mock.patch.dict(os.environ, {"SYMDIFF_CACHE_DIR": folder}):
        yield folder
