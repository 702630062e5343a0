"""What a person does with a run that is under way: wait for it, cancel it, try again what is missing."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from dataclasses import dataclass

from traitgraph.launchers.slurm.layout.task_resources import Shortage, count_shortages
from traitgraph.launchers.slurm.record.record import SubmissionRecord, slurm_runs
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.submit.launch import Launch, launch
from traitgraph.launchers.slurm.submit.open_runs import part_of
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.study.cluster import Cluster

from .run_status import ACTIVE_STATES, RunStatus
from .status import read_status

WATCH_SECONDS = 30.0
"""Between two questions to SLURM: controllers of large sites ask for no more."""


class NotYoursError(Exception):
    """A run belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What `retry` did."""

    launch: Launch | None
    """The new run; None when there was nothing to try again."""
    left_out: int
    """Missing jobs that are left to tasks that still wait or run, and what needs them."""
    escalated: int
    """Jobs that ask for more memory or time than before."""


def watch(
    store: Store,
    record: SubmissionRecord,
    show: Callable[[RunStatus], None] = lambda status: None,
    *,
    seconds: float = WATCH_SECONDS,
    timeout: float | None = None,
) -> RunStatus:
    """Wait until a run is over, or `timeout` seconds have passed, and show its status meanwhile; the last one."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        status = read_status(store, record)
        show(status)
        if not status.is_active or (deadline is not None and time.monotonic() >= deadline):
            return status
        time.sleep(seconds)


def cancel(record: SubmissionRecord) -> int:
    """Cancel what waits and runs of one run and of no other; how many tasks that were.

    Raises NotYoursError for a run of somebody else. What is in the store stays there.
    """
    if record.text.user != getpass.getuser():
        raise NotYoursError(
            f"run {record.run.id} was submitted by {record.text.user}: only {record.text.user} can cancel it"
        )
    record.mark_cancelled()  # first: a continuation that runs right now submits nothing any more
    active = [entry for entry in scheduler.queue(record.job_names) if entry.is_active]
    scheduler.cancel(entry.job for entry in active)
    return sum(entry.index is not None for entry in active)


def retry(store: Store, record: SubmissionRecord, cluster: Cluster | None = None) -> Retry:
    """A new run of the jobs of `record` that are missing and that nobody makes, with more of what they ran out of.

    `cluster` replaces the description that the run was submitted with.
    """
    status = read_status(store, record)
    table, left_out = remaining_table(record.run.table(), store, status)
    if not table.tasks:
        return Retry(None, left_out, 0)
    shortages = past_shortages(store, record, status)
    launched = launch(table, store, cluster or record.text.cluster, shortages=shortages, retry_of=record.run.id)
    if not launched.tasks:
        return Retry(None, left_out + sum(launched.elsewhere.values()), 0)
    keys = {row.key for row in RunRecord(launched.run).table().rows}
    return Retry(launched, left_out, len(keys & shortages.keys()))


def remaining_table(table: JobTable, store: Store, status: RunStatus) -> tuple[JobTable, int]:
    """The part of a table that can be tried again now, and how many missing jobs are not in it."""
    active = {task.id for task in status.tasks if task.state in ACTIVE_STATES}
    missing = {row.key for row in table.rows if not store.has(row.kind, row.key)}
    coming = {key for task in table.tasks if task.id in active for key in task.jobs} & missing
    later = set(coming)
    for row in table.rows:  # in topological order
        if row.key in missing and any(key in later for keys in row.inputs.values() for key in keys):
            later.add(row.key)
    return part_of(table, missing - later), len(later)


def past_shortages(store: Store, record: SubmissionRecord, status: RunStatus) -> dict[str, Shortage]:
    """How often each job ran out of memory or time, in this run and in those that it tried again."""
    failures = [*status.failures]
    known = {each.run.id: each for each in slurm_runs(store)}
    earlier = record.text.retry_of
    while earlier in known:
        found = known.pop(earlier)
        failures += read_status(store, found).failures
        earlier = found.text.retry_of
    return count_shortages((failure.key, failure.cause) for failure in failures)
