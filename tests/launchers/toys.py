"""Rows and tables of toy jobs, and waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.source.hashing import digest


def toy(name: str, *inputs: JobRow, **params: object) -> JobRow:
    """A toy job's row. How long a toy takes and how it dies change no result, so they stay out of its key."""
    keys = tuple(row.key for row in inputs)
    return JobRow(
        key=digest("toy", {"name": name, "inputs": keys}),
        kind="toy",
        version=1,
        params={"name": name, **params},
        inputs={"of": keys} if keys else {},
        label=name,
    )


def table(*tasks: Iterable[JobRow]) -> JobTable:
    """A table of tasks given as lists of rows; each task comes after the tasks that make its inputs."""
    rows = [tuple(task) for task in tasks]
    names = [f"{number:02d}-toy-000" for number in range(len(rows))]
    maker = {row.key: name for name, task in zip(names, rows, strict=True) for row in task}

    def after(task: Iterable[JobRow], name: str) -> tuple[str, ...]:
        needed = {maker.get(key, name) for row in task for keys in row.inputs.values() for key in keys}
        return tuple(sorted(needed - {name}))

    return JobTable(
        study="Toys & games",
        locations={},
        rows=tuple(row for task in rows for row in task),
        tasks=tuple(
            Task(id=name, jobs=tuple(row.key for row in task), after=after(task, name))
            for name, task in zip(names, rows, strict=True)
        ),
    )


def result(store: Store, row: JobRow) -> str:
    """What a toy job wrote."""
    return (Store(store.root).open("toy", row.key).path / "result.txt").read_text()


def runs_of(trace: Path) -> list[str]:
    """Names of the toy jobs that were started, once per start."""
    return sorted(path.name.partition(".")[0] for path in trace.iterdir())


def below(folder: Path) -> set[str]:
    """Names of what stands in a folder."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition holds; fail the test when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
