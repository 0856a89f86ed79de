"""What tests of calls on a GPU share: a driver written in Python in the place of NVIDIA's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.cuda import device, driver
from backends.cuda.kernel import Kernel
from tests.backends.cuda_driver import FakeDriver, fake_code


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A machine with one H200."""
    fake = FakeDriver()
    monkeypatch.setattr(driver, "library_functions", fake.functions)
    monkeypatch.setattr(Kernel, "code", fake_code)
    for cached in (driver.driver, device._gpu):
        cached.cache_clear()
    yield fake
    for cached in (driver.driver, device._gpu):
        cached.cache_clear()
