"""A store, and the entry point under which worker processes find the toy jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from traitgraph.runtime.store.store import Store

__all__ = ["small_disk"]


@pytest.fixture
def toy_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package, as far as Python can tell, whose entry point names the toy jobs."""
    info = tmp_path / "site" / "toy_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-jobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[traitgraph.jobs]\ntoy = toy_jobs:TOY\nbad = toy_jobs:toy\ngone = toy_jobs:GONE\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{info.parent}:{Path(__file__).parent}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A folder in which each start of a job, or each step of it, leaves a trace."""
    folder = tmp_path / "trace"
    folder.mkdir()
    return folder
