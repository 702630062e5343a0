"""The runs of a study that a store remembers, newest first, wherever they went."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

from traitgraph.runtime.records import RunRecord
from traitgraph.runtime.store import Store

from .slurm.logs import find_tasks, logs_of
from .slurm.record import SubmissionRecord


def runs_of(store: Store, study: str) -> Iterator[RunRecord]:
    """Records of runs of this study, the newest first; unreadable ones are passed over."""
    folders = sorted((store.root / "runs").glob("*/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders:
        record = RunRecord(folder)
        try:
            if record.table().study == study:
                yield record
        except (OSError, ValueError):
            continue


def find_logs(store: Store, study: str, wanted: str | Set[str]) -> list[tuple[str, Path]]:
    """Task and log of a job (by key, label or task), or of any of some keys, in the newest run that has one."""
    for run in runs_of(store, study):
        submission = SubmissionRecord(run)
        if submission.exists:
            found = logs_of(submission, wanted)
        else:
            logs = [(task, run.log_path(task)) for task in find_tasks(run.table(), wanted)]
            found = [(task, log) for task, log in logs if log.is_file()]
        if found:
            return found
    return []


def is_over(log: Path) -> bool:
    """Whether the task that writes this log has come to its end, well or badly."""
    return RunRecord(log.parents[1]).end(log.stem) is not None
