"""Toy job tables, and the entry point under which worker processes find the toy jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from traitgraph.runtime.store import Store
from traitgraph.specs.identity import digest
from traitgraph.specs.jobs import JobRow, JobTable, Task

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def toy_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package, as far as Python can tell, whose entry point names the toy jobs."""
    info = tmp_path / "site" / "toy_jobs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-jobs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.jobs]\ntoy = toy_jobs:toy\n")
    monkeypatch.setenv("PYTHONPATH", f"{info.parent}:{HERE}")


@pytest.fixture
def store(tmp_path: Path) -> Iterable[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def toy(name: str, *inputs: JobRow, **params: object) -> JobRow:
    """A toy job's row; its key follows from its parameters and inputs, as in a compiled table."""
    keys = tuple(row.key for row in inputs)
    plain = {"name": name, **params}
    hashed = {"name": name, "inputs": keys}  # how long a toy takes or how it dies changes no result
    return JobRow(
        key=digest("toy", hashed), kind="toy", version=1, params=plain, inputs={"of": keys} if keys else {}, label=name
    )


def table(*tasks: Iterable[JobRow], after: dict[int, Iterable[int]] | None = None) -> JobTable:
    """A table of tasks given as lists of rows; by default each task comes after all tasks that make its inputs."""
    tasks = tuple(tuple(task) for task in tasks)
    maker = {row.key: number for number, task in enumerate(tasks) for row in task}
    return JobTable(
        study="toys",
        locations={},
        rows=tuple(row for task in tasks for row in task),
        tasks=tuple(
            Task(
                id=f"{number:02d}-toy-000",
                jobs=tuple(row.key for row in task),
                after=tuple(sorted({
                    f"{maker[key]:02d}-toy-000"
                    for row in task for keys in row.inputs.values() for key in keys
                    if maker.get(key, number) != number
                })),
            )
            for number, task in enumerate(tasks)
        ),
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until a condition holds; fail the test when it never does."""
    import time

    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
