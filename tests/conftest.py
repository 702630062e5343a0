"""Switches and fixtures that every room's tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach a model hub
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same commit gets the same verdict, on a slow machine too; `pytest --hypothesis-profile=explore` draws others.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.register_profile("explore", _PATIENT)
settings.register_profile("tests", _PATIENT, derandomize=True)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write golden files from what the code says now")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where tests that share one expensive run, or one cluster, would be spread over processes after all.

    pytest-xdist keeps a group together by a suffix of its names, which pytest 9.2 does not let it write.
    """
    grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
    if session.config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in grouped):
        raise pytest.UsageError("this pytest-xdist cannot keep groups of tests together under this pytest")


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written instead of compared."""
    return bool(request.config.getoption("--rewrite-golden"))
