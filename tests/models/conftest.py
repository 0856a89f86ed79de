"""The targets that the models are fitted on."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["reference", "cpu"])
def target(request: pytest.FixtureRequest) -> str:
    """Run a test on the interpreter and on compiled code."""
    return str(request.param)
