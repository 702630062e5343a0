"""The runs of a study that a store remembers, newest first, wherever they went, and the logs of their tasks."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from traitgraph.compiler.views.explain import near_labels
from traitgraph.launchers.slurm.record.logs import find_tasks, follow, keys_of, logs_of, readable
from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.watch.run_status import ACTIVE_STATES
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.study import Study

from .calls import Tell, UsageError, tell_people
from .planning import whole_table

__all__ = ["RunWatch", "TaskLog", "job_logs", "lines_of", "logs_once_started", "readable", "runs_of"]


def all_runs(store: Store) -> list[RunRecord]:
    """Records of all runs, the newest first."""
    folders = sorted((store.root / "runs").glob("*/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    return list(map(RunRecord, folders))


def runs_of(store: Store, study: str, *, submitted: bool = False) -> Iterator[RunRecord]:
    """Records of runs of this study, the newest first, or only of those on SLURM; unreadable ones are passed over."""
    for record in all_runs(store):
        if submitted and not SubmissionRecord(record).exists:
            continue  # asked first: a table of ten thousand jobs takes a while to read
        try:
            if record.table().study == study:
                yield record
        except (OSError, ValueError):
            continue


@dataclass(frozen=True, slots=True)
class TaskLog:
    """The log of one task of one run."""

    run: RunRecord
    task: str
    path: Path


def job_logs(
    study: Study,
    place: Path,
    job: str | None,
    select: Sequence[str] = (),
    *,
    starting: bool = False,
    tell: Tell = tell_people,
) -> list[TaskLog]:
    """Logs of a job (by key, label or task), or of selected ones, in the newest run that has one.

    `starting`: in the newest run that has the job, as soon as its task has begun. Raises UsageError where none is.
    """
    store, table = Store(place), whole_table(study, Store(place), select=select)
    own = keys_of(table, job) if job else {row.key for row in table.rows}
    if starting:
        found = logs_once_started(store, study.study, job or own, tell)
    elif not (found := _newest_logs(store, study.study, own) if own else []) and job:
        found = _newest_logs(store, study.study, job)
        if own and found:
            tell("note: the study ran with other values then; as its spec stands, it has not had this to do")
    if found:
        return found
    near = ""
    if job:
        labels = [row.label for row in table.rows]
        near = "".join(f"\n  near: {label}" for label in near_labels(job, labels))
        if any(job.lower() in label.lower() for label in labels):
            near = ": no run of this store has had it to do"
    raise UsageError(f"no log of study {study.study} in {place} belongs to {job or ' '.join(select)!r}{near}")


def logs_once_started(store: Store, study: str, wanted: str | Set[str], tell: Tell = tell_people) -> list[TaskLog]:
    """Logs in the newest run that has the job, as soon as there is one; none when it ended without."""
    plans = ((run, find_tasks(run.table(), wanted)) for run in runs_of(store, study))
    run, tasks = next(((run, tasks) for run, tasks in plans if tasks), (None, []))
    if run is None:
        return []
    watch, is_told = RunWatch(store, run), False
    while True:
        are_over = all(map(watch.is_over, tasks))  # asked before looking: a task may start and end in between
        if (found := _logs_in(run, wanted)) or are_over:
            return found
        if not is_told:
            tell(f"{tasks[0]} of run {run.id} has not started; its log follows as soon as it does")
            is_told = True
        time.sleep(1)


def _newest_logs(store: Store, study: str, wanted: str | Set[str]) -> list[TaskLog]:
    return next(filter(None, (_logs_in(run, wanted) for run in runs_of(store, study))), [])


def _logs_in(run: RunRecord, wanted: str | Set[str]) -> list[TaskLog]:
    submission = SubmissionRecord(run)
    if submission.exists:
        found = logs_of(submission, wanted)
    else:
        found = [(task, run.log_path(task)) for task in find_tasks(run.table(), wanted)]
    return [TaskLog(run, task, log) for task, log in found if log.is_file()]


def lines_of(log: TaskLog, watch: RunWatch | None = None) -> Iterator[str]:
    """The lines of a log as it stands; with a watch also those that its task writes, until it is over."""
    return follow(log.path, lambda: watch is None or watch.is_over(log.task))


class RunWatch:
    """Which tasks of a run have come to their end: files tell at any time, SLURM is asked now and then.

    A task that was killed hard leaves no file: then only its state in SLURM tells, or on this machine that its launcher
    is gone and nobody makes a job of it.
    """

    def __init__(self, store: Store, run: RunRecord, seconds: float = 30.0) -> None:
        self._store = store
        self._run = run
        self._submission = SubmissionRecord(run)
        self._seconds = seconds
        self._asked = -math.inf
        self._over: frozenset[str] = frozenset()

    def is_over(self, task: str) -> bool:
        """Whether a task will write nothing more, however it ended."""
        if self._run.end(task) is not None:
            return True
        if not self._submission.exists:
            return not self._store.is_alive(self._run.launcher) and not self._is_made(task)
        if time.monotonic() - self._asked >= self._seconds:
            status = read_status(self._store, self._submission)
            self._over = frozenset(task.id for task in status.tasks if task.state not in ACTIVE_STATES)
            self._asked = time.monotonic()
        return task in self._over

    def _is_made(self, task: str) -> bool:
        """Whether a living worker has a job of a task in hand; one outlives its launcher by moments."""
        jobs = next(each.jobs for each in self._run.table().tasks if each.id == task)
        return any(map(self._store.claims.is_held, jobs))
