"""How a test starts a SLURM and reaches it, and how workers on its nodes find the step jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from .cluster import REQUIRE, Settings, SlurmCluster, missing, running, wait_until

LONG = "long-"
"""A run whose study is named so outlives the test that started it."""


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


def plugin_path(folder: Path) -> str:
    """Search path of an installed package, as far as Python can tell, whose entry point names the step jobs."""
    info = folder / "site" / "step_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: step-jobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.jobs]\nsteps = step_jobs:STEPS\n")
    return f"{info.parent}:{Path(__file__).parent}"
