"""Tables of step jobs, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.study.cluster import Cluster, Resources

from .cluster import wait_until

SMALL = Resources(cpus=1, memory_gb=0.1, minutes=10)
CLUSTER = Cluster(partition="gpu", default=SMALL, signal_seconds=5)
"""The test SLURM's description: small tasks, so that many run side by side."""


def job(name: str, trace: Path, *inputs: JobRow, **params: object) -> JobRow:
    """A step job. How it is slow and how it dies changes no result, so it stays out of its key."""
    keys = tuple(row.key for row in inputs)
    said = {"name": name, "steps": params.get("steps", 1), "inputs": keys}
    return JobRow(
        key=digest("steps", said),
        kind="steps",
        version=1,
        params={"name": name, "trace": str(trace), **params},
        inputs={"of": keys} if keys else {},
        label=f"job {name}",
    )


def table(stages: Mapping[str, Iterable[Iterable[JobRow]]], study: str = "steps") -> JobTable:
    """A table of stages, each a list of tasks, each a list of rows; a task comes after those that make its inputs."""
    named = [
        (f"{wave:02d}-{stage}-{number:03d}", tuple(rows))
        for wave, (stage, tasks) in enumerate(stages.items(), start=1)
        for number, rows in enumerate(tasks)
    ]
    maker = {row.key: name for name, rows in named for row in rows}

    def after(name: str, rows: Iterable[JobRow]) -> tuple[str, ...]:
        needed = {maker[key] for row in rows for keys in row.inputs.values() for key in keys if key in maker}
        return tuple(sorted(needed - {name}))

    return JobTable(
        study=study,
        locations={},
        rows=tuple(row for _, rows in named for row in rows),
        tasks=tuple(
            Task(id=name, jobs=tuple(row.key for row in rows), after=after(name, rows)) for name, rows in named
        ),
    )


def chain(trace: Path, count: int = 3, first: Mapping[str, object] | None = None, **params: object) -> JobTable:
    """`count` trainings, a vector of each, and one collection: the shape of a study; `first` is for train0 alone."""
    train = [job(f"train{i}", trace, **{**params, **((first or {}) if i == 0 else {})}) for i in range(count)]
    vector = [job(f"vector{i}", trace, source) for i, source in enumerate(train)]
    collect = job("collect", trace, *vector)
    return table({"train": [[row] for row in train], "vector": [[row] for row in vector], "collect": [[collect]]})


def results(store: Store, table: JobTable) -> dict[str, str]:
    """What every job of a table wrote, by label; a job without an artifact is missing."""
    fresh = Store(store.root)
    return {
        row.label: (fresh.open(row.kind, row.key).path / "result.txt").read_text()
        for row in table.rows
        if fresh.has(row.kind, row.key)
    }


def undisturbed(table: JobTable) -> dict[str, str]:
    """What every job of a table must have written in the end, worked out here and now."""
    import hashlib

    found: dict[str, str] = {}
    names = {row.key: row.label for row in table.rows}
    for row in table.rows:
        sources = [found[names[key]] for keys in row.inputs.values() for key in keys]
        link = hashlib.sha256("".join([str(row.params["name"]), *sources]).encode()).hexdigest()
        for _ in range(int(str(row.params.get("steps", 1)))):
            link = hashlib.sha256(link.encode()).hexdigest()
        found[row.label] = f"{row.params['name']} {link}\n"
    return found


def run_of(folder: Path) -> SubmissionRecord:
    """The submission of a run's folder."""
    return SubmissionRecord(RunRecord(folder))


def settled(run: Path) -> None:
    """Wait until SLURM has noticed the end of every job of a run."""
    names = run_of(run).job_names
    wait_until(lambda: not any(entry.is_active for entry in scheduler.queue(names)), "SLURM has settled")


def trace_of(trace: Path, name: str) -> list[str]:
    """What a job noted, without the times."""
    path = trace / f"{name}.trace"
    return [line.partition(" ")[2] for line in path.read_text().splitlines()] if path.exists() else []


def starts(trace: Path, name: str) -> int:
    """How often a job was started."""
    return sum(line.startswith("start") for line in trace_of(trace, name))
