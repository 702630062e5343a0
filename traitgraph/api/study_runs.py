"""The runs of a study that a store remembers, newest first, wherever they went."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from traitgraph.launchers.slurm.record.logs import find_tasks, follow, keys_of, logs_of, readable
from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.watch.run_status import ACTIVE_STATES
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.records import RunRecord
from traitgraph.runtime.store.store import Store

__all__ = ["RunWatch", "TaskLog", "find_logs", "follow", "keys_of", "logs_in", "newest_run_with", "readable", "runs_of"]


def runs_of(store: Store, study: str, *, submitted: bool = False) -> Iterator[RunRecord]:
    """Records of runs of this study, the newest first, or only of those on SLURM; unreadable ones are passed over."""
    folders = sorted((store.root / "runs").glob("*/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders:
        record = RunRecord(folder)
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


def find_logs(store: Store, study: str, wanted: str | Set[str]) -> list[TaskLog]:
    """Logs of a job (by key, label or task), or of any of some keys, in the newest run that has one."""
    return next(filter(None, (logs_in(run, wanted) for run in runs_of(store, study))), [])


def logs_in(run: RunRecord, wanted: str | Set[str]) -> list[TaskLog]:
    """The same in one run."""
    submission = SubmissionRecord(run)
    if submission.exists:
        found = logs_of(submission, wanted)
    else:
        found = [(task, run.log_path(task)) for task in find_tasks(run.table(), wanted)]
    return [TaskLog(run, task, log) for task, log in found if log.is_file()]


def newest_run_with(store: Store, study: str, wanted: str | Set[str]) -> tuple[RunRecord, list[str]] | None:
    """The newest run that has such tasks, started or not, and these tasks."""
    found = ((run, find_tasks(run.table(), wanted)) for run in runs_of(store, study))
    return next(((run, tasks) for run, tasks in found if tasks), None)


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
