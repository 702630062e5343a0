"""The record of a run in STORE/runs/<run id>/: its frozen job table, logs, failures and ended tasks.

    table.json            written first, never changed; on a cluster there is a copy, table-copy.json
    launcher              sign of life of the process that runs it on this machine; none on a cluster
    logs/<task>.log       everything the task printed
    failures/<key>.json   why a job failed in this run; a run tries each job once
    ended/<task>.json     counts of a task that came to its end: the sentinel a scheduler is checked against

Only a report about the store, never its truth: removing a run removes no result.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
import traceback
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, ValidationError

from traitgraph.specs.fields.base import Spec
from traitgraph.specs.jobs.params import JobRow, JobTable
from traitgraph.specs.source.credentials import masked

from .durable import make_folder, write_json
from .errors import BLOCKED, GPU_OUT_OF_MEMORY, cause_of


class Failure(Spec):
    """Why one job of a run has no artifact."""

    key: str
    kind: str
    label: str
    task: str
    cause: str = Field(description="Short text that is equal for failures of one cause; what a summary groups by.")
    message: str = Field(description="What to tell the user, one or a few lines.")
    traceback: str = ""
    log: str = Field("", description="Path of the task's log.")
    at: str = Field("", description="UTC, ISO 8601.")


class TaskEnd(Spec):
    """Counts of a task that came to its end."""

    task: str
    done: int = 0
    present: int = 0
    failed: int = 0
    blocked: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every job of the task is in the store."""
        return not (self.failed or self.blocked)


Kept = TypeVar("Kept", Failure, TaskEnd)


class RunRecord:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def create(cls, store_root: Path, table: JobTable) -> Self:
        """A new folder STORE/runs/<study>-<time>-<random>/ with the table already in it."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        slug = re.sub("[^a-z0-9]+", "-", table.study.lower()).strip("-")[:40] or "run"
        record = cls(store_root / "runs" / f"{slug}-{stamp}-{secrets.token_hex(3)}")
        for folder in (record.folder, record.folder / "logs", record.folder / "failures", record.folder / "ended"):
            make_folder(folder, store_root)
        write_json(record.table_path, table.model_dump(mode="json"))
        return record

    @classmethod
    def of_table(cls, table_path: Path) -> Self:
        """The record in whose folder a table stands."""
        return cls(table_path.resolve().parent)

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def table_path(self) -> Path:
        """Path of the frozen job table."""
        return self.folder / "table.json"

    def table(self) -> JobTable:
        """The frozen job table, or its copy where it is gone. Raises OSError or ValueError when neither can be read."""
        try:
            return JobTable.model_validate_json(self.table_path.read_bytes())
        except (OSError, ValueError):
            if not self._copy.is_file():
                raise
            table = JobTable.model_validate_json(self._copy.read_bytes())
            with contextlib.suppress(OSError):  # somebody else's run: read, and left as it is
                write_json(self.table_path, table.model_dump(mode="json"))
            return table

    def keep_copy(self) -> None:
        """Keep the table twice: jobs in a queue are known by it alone, long after whoever submitted them has left."""
        write_json(self._copy, json.loads(self.table_path.read_bytes()))

    @property
    def _copy(self) -> Path:
        return self.folder / "table-copy.json"

    def note_launcher(self, token: str) -> None:
        """Write down which writer of the store starts the workers, and ends with the run."""
        (self.folder / "launcher").write_text(token, encoding="ascii")

    @property
    def launcher(self) -> str:
        """Token of that writer; empty when none was noted."""
        try:
            return (self.folder / "launcher").read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""

    def log_path(self, task: str) -> Path:
        """Where a task's output goes."""
        return self.folder / "logs" / f"{task}.log"

    def write_failure(self, failure: Failure) -> None:
        """Keep a failure; on a full disk it is only reported, not kept."""
        with contextlib.suppress(OSError):
            self._write("failures", failure.key, failure)

    def failure(self, key: str) -> Failure | None:
        """Why a job failed in this run, None when it did not."""
        return self._read(Failure, "failures", key)

    def failures(self, among: Container[str] | None = None) -> list[Failure]:
        """All failures of this run, or those of some keys, in order of time."""
        keys = (path.stem for path in (self.folder / "failures").glob("[!.]*.json"))
        found = (self.failure(key) for key in keys if among is None or key in among)
        return sorted((each for each in found if each is not None), key=lambda each: (each.at, each.key))

    def write_end(self, end: TaskEnd) -> None:
        """Keep the end of a task; losing it loses no result."""
        with contextlib.suppress(OSError):
            self._write("ended", end.task, end)

    def end(self, task: str) -> TaskEnd | None:
        """How a task ended, None when it did not come to its end."""
        return self._read(TaskEnd, "ended", task)

    def _read(self, kind: type[Kept], folder: str, name: str) -> Kept | None:
        with contextlib.suppress(OSError, ValidationError):
            return kind.model_validate_json((self.folder / folder / f"{name}.json").read_bytes())
        return None

    def _write(self, folder: str, name: str, record: Spec) -> None:
        (self.folder / folder).mkdir(exist_ok=True)
        write_json(self.folder / folder / f"{name}.json", record.model_dump(mode="json"))


def failure_of(error: BaseException, row: JobRow, task: str, log: Path) -> Failure:
    """The record of an exception that a job raised."""
    cause, message = cause_of(error), f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(
        key=row.key,
        kind=row.kind,
        label=row.label or f"{row.kind} {row.key[:8]}",
        task=task,
        cause=masked(cause),
        message=masked(f"{message}\n{_GPU_HINT}" if cause == GPU_OUT_OF_MEMORY else message),
        traceback=masked("".join(traceback.format_exception(error))),
        log=str(log),
        at=now(),
    )


def now() -> str:
    """The time, UTC, ISO 8601 with microseconds."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat()


_GPU_HINT = (
    "= a smaller batch_size of `train` (with more accumulation the steps stay the same), or GPUs with more memory: "
    "`gpu_type`, `constraint` or `partition` in the cluster file"
)


def by_cause(failures: Iterable[Failure]) -> list[tuple[str, list[Failure]]]:
    """Failures grouped by cause, the largest group first; what is merely blocked comes last."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(failure.cause, []).append(failure)
    return sorted(groups.items(), key=lambda group: (group[0] == BLOCKED, -len(group[1])))
