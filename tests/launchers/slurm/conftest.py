"""One real SLURM per test process, and the entry point under which workers find the step jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import Settings, SlurmCluster
from .reach import plugin_path, reached, start

GROUPS = {"test_faults": "slurm-faults", "test_study": "slurm-study", "test_docs": "slurm-study"}
"""Files whose tests may run in another process, beside the rest."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one cluster go to one process, so that two processes share the machine evenly."""
    for item in items:
        if item.get_closest_marker("slurm"):
            item.add_marker(pytest.mark.xdist_group(GROUPS.get(Path(item.fspath).stem, "slurm")))


@pytest.fixture(scope="session")
def plain_cluster() -> Iterator[SlurmCluster]:
    yield from start(Settings())


@pytest.fixture(scope="session")
def shared_accounting_cluster() -> Iterator[SlurmCluster]:
    yield from start(Settings(accounting=True))


@pytest.fixture
def slurm(plain_cluster: SlurmCluster, plugin: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The SLURM without accounting, as the one that commands of this test reach."""
    yield from reached(plain_cluster, monkeypatch)


@pytest.fixture
def accounting_cluster(
    shared_accounting_cluster: SlurmCluster, plugin: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmCluster]:
    """The SLURM with accounting, as the one that commands of this test reach."""
    yield from reached(shared_accounting_cluster, monkeypatch)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that this test starts find the step jobs."""
    monkeypatch.setenv("PYTHONPATH", plugin_path(tmp_path))
