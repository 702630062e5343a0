"""This user's runs that still wait or run: one is taken up again, or left the jobs that it makes.

So no job stands in the queue twice. Whoever submits holds the user's claim on the store from the look at what is there
until his own jobs are in the queue.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from traitgraph.launchers.slurm.layout.script import job_name
from traitgraph.launchers.slurm.record.attempts import attempt_path, read_attempt
from traitgraph.launchers.slurm.record.record import CONTINUE, RUNS_READ, SubmissionRecord, slurm_runs
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.scheduler import QueueEntry
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.source.hashing import digest

from .submit import BusyError

CLAIM_SECONDS = 120.0
"""Longer than it takes to see that a process on another machine is dead."""


@dataclass(frozen=True, slots=True)
class Coming:
    """Who makes a job."""

    run: str
    job: str
    """Id of the array job in the queue; empty: a continuation has yet to submit it."""


@contextmanager
def submitting_alone(store: Store) -> Iterator[None]:
    """Nobody else submits for this user to this store meanwhile. Raises BusyError when another call does not end."""
    claim = digest("launch", getpass.getuser())
    deadline = time.monotonic() + CLAIM_SECONDS
    while not store.claims.take(claim):
        if time.monotonic() > deadline:
            raise BusyError("another call of yours is submitting to this store; call again when it has returned")
        time.sleep(0.2)
    try:
        yield
    finally:
        store.claims.release(claim)


def _runs_in_queue() -> set[str]:
    return {name.rpartition(".")[0] for name in scheduler.active_names()}


def _my_runs(store: Store) -> Iterator[SubmissionRecord]:
    """The newest runs of this user; records that cannot be read are passed over."""
    for record in islice(slurm_runs(store), RUNS_READ):
        try:
            if record.text.user == getpass.getuser():
                yield record
        except (OSError, ValueError):
            continue


def lost_runs(store: Store) -> list[str]:
    """Runs of this store and user that are in the queue, and of which nobody can read any more what they make."""
    folder, lost = store.root / "runs", []
    scripts = [(name.rpartition(".")[0], Path(script)) for name, script in scheduler.active_scripts()]
    for run in sorted({run for run, script in scripts if run and script.is_relative_to(folder)}):
        record = SubmissionRecord(RunRecord(folder / run))
        try:
            _ = record.text, record.run.table()
        except (OSError, ValueError):
            lost.append(run)
    return lost


# ---------------------------------------------------------------- a run that makes all of it


def find_open_run(store: Store, keys: set[str], besides: str | None = None) -> SubmissionRecord | None:
    """A run of this user that will still make all of these jobs: it waits, runs, or its submission was interrupted.

    A cancelled run is none: what is left of it goes into a run of its own, and its status stays true.
    """
    waiting = _runs_in_queue()
    for record in _my_runs(store):
        try:
            if record.is_cancelled or record.run.id == besides:
                continue
            is_open = record.run.id in waiting or record.unsubmitted()
            if is_open and keys <= {row.key for row in record.run.table().rows} and _will_make(record, keys):
                return record
        except (OSError, ValueError):
            continue
    return None


def _will_make(record: SubmissionRecord, keys: set[str]) -> bool:
    """Whether no such job has failed, and every task with one of them waits, runs, or has yet to be submitted."""
    if not keys.isdisjoint(failure.key for failure in record.run.failures()):
        return False
    active, places = record.by_place(_active(record)), record.places
    later = {task for task in record.unsubmitted() if not read_attempt(attempt_path(record.run.folder, task))}
    needed = [task.id for task in record.run.table().tasks if keys.intersection(task.jobs)]
    return all(task in later or places[task] in active for task in needed)


def _active(record: SubmissionRecord) -> list[QueueEntry]:
    return [entry for entry in scheduler.queue(record.job_names) if entry.is_active and not entry.is_dead]


# ---------------------------------------------------------------- runs that make a part of it


def jobs_to_come(store: Store) -> dict[str, Coming]:
    """What this user's runs in the queue will make: missing jobs that have not failed, nor anything they need."""
    waiting = _runs_in_queue()
    open_runs = [record for record in _my_runs(store) if record.run.id in waiting]
    found: dict[str, Coming] = {}
    for record in sorted(open_runs, key=lambda record: record.text.at):  # a later run may wait for an earlier one
        try:
            found |= _to_come(store, record, found)
        except (OSError, ValueError):
            continue
    return found


def _to_come(store: Store, record: SubmissionRecord, before: Collection[str]) -> dict[str, Coming]:
    table, jobs = record.run.table(), _jobs_in_queue(record)
    maker = {key: jobs[task.id] for task in table.tasks if task.id in jobs for key in task.jobs}
    failed = {failure.key for failure in record.run.failures()}
    coming: dict[str, Coming] = {}
    for row in table.rows:  # in topological order
        if row.key not in maker or row.key in failed or store.has(row.kind, row.key):
            continue
        needed = (key for keys in row.inputs.values() for key in keys)
        if all(key in coming or key in before or store.kind_of(key) for key in needed):
            coming[row.key] = Coming(record.run.id, maker[row.key])
    return coming


def _jobs_in_queue(record: SubmissionRecord) -> dict[str, str]:
    """Task -> id of the array job in which it waits or runs; empty while a continuation has yet to submit it.

    A held job goes on only if its run is taken up again, which is another matter.
    """
    entries = [entry for entry in _active(record) if not (entry.state == "PENDING" and entry.reason == "JobHeldUser")]
    continues = any(entry.name == job_name(record.run.id, CONTINUE) for entry in entries)
    found = dict.fromkeys(record.unsubmitted(), "") if continues else {}
    active = record.by_place(entries)
    return found | {task: active[place].job for task, place in record.places.items() if place in active}


# ---------------------------------------------------------------- the rest of a table


def part_of(table: JobTable, keys: Collection[str]) -> JobTable:
    """The rows with these keys and the tasks that make them."""
    tasks = [task.model_copy(update={"jobs": tuple(key for key in task.jobs if key in keys)}) for task in table.tasks]
    kept = {task.id for task in tasks if task.jobs}
    tasks = [
        task.model_copy(update={"after": tuple(name for name in task.after if name in kept)})
        for task in tasks
        if task.jobs
    ]
    rows = tuple(row for row in table.rows if row.key in keys)
    return table.model_copy(update={"rows": rows, "tasks": tuple(tasks)})


def jobs_outside(table: JobTable, coming: Mapping[str, Coming]) -> dict[str, frozenset[str]]:
    """Task -> the jobs of other runs that make inputs of it."""
    rows = {row.key: row for row in table.rows}
    needed = {
        task.id: {key for job in task.jobs for keys in rows[job].inputs.values() for key in keys}
        for task in table.tasks
    }
    return {task: frozenset(coming[key].job for key in keys if key in coming) for task, keys in needed.items()}
