"""One real SLURM per test process, a store, and the entry point under which workers find the step jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from traitgraph.runtime.store.store import Store

from .cluster import REQUIRE, Settings, SlurmCluster, missing, running, wait_until

LONG = "long-"
"""A run whose study is named so outlives the test that started it."""

GROUPS = {"test_faults": "slurm-faults", "test_study": "slurm-study", "test_docs": "slurm-study"}
"""Files whose tests may run in another process, beside the rest."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one cluster go to one process, so that two processes share the machine evenly."""
    for item in items:
        if item.get_closest_marker("slurm"):
            item.add_marker(pytest.mark.xdist_group(GROUPS.get(Path(item.fspath).stem, "slurm")))


def lacking(reason: str) -> NoReturn:
    """Skip a test for want of a package; fail it where SLURM is required."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{REQUIRE} is set, but: {reason}")
    pytest.skip(reason)


def start(settings: Settings) -> Iterator[SlurmCluster]:
    """A cluster for the fixtures below."""
    if reason := missing(settings.accounting):
        lacking(reason)
    with running(settings) as cluster:
        yield cluster


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


def reached(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """Point the commands of this process at a cluster; cancel at the end what the test left there."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield cluster
    if mine := left_over(cluster):
        cluster.call("scancel", *sorted(mine), check=False)
    with suppress(TimeoutError):
        wait_until(lambda: not left_over(cluster), "queue empty", seconds=20)


def left_over(cluster: SlurmCluster) -> set[str]:
    """Jobs in the queue but those that are meant to outlive their test."""
    jobs = (line.split() for line in cluster.call("squeue", "-h", "-o", "%F %j", check=False).splitlines())
    return {job for job, name in jobs if not name.startswith(LONG)}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that this test starts find the step jobs."""
    monkeypatch.setenv("PYTHONPATH", plugin_path(tmp_path))


def plugin_path(folder: Path) -> str:
    """Search path of an installed package, as far as Python can tell, whose entry point names the step jobs."""
    info = folder / "site" / "step_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: step-jobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.jobs]\nsteps = step_jobs:STEPS\n")
    return f"{info.parent}:{Path(__file__).parent}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A folder in which every step of a job leaves a line."""
    folder = tmp_path / "trace"
    folder.mkdir()
    return folder
