"""Logs of a run: where the log of a job is, its last lines, what a worker did when it died, and following it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Set
from pathlib import Path

from traitgraph.launchers.slurm.layout.layout import Place
from traitgraph.runtime.store.errors import death_cause
from traitgraph.runtime.store.records import Failure, RunRecord, now
from traitgraph.runtime.worker.events import Event
from traitgraph.specs.jobs.params import JobTable

from .attempts import output_path
from .record import SubmissionRecord

TAIL_LINES = 5
_TAIL_BYTES = 8000


def logs_of(record: SubmissionRecord, wanted: str | Set[str]) -> list[tuple[str, Path]]:
    """Tasks and logs of what `find_tasks` finds."""
    places = record.places
    found = [(task, log_of(record, task, places[task])) for task in find_tasks(record.run.table(), wanted)]
    return [(task, log) for task, log in found if log is not None]


def log_of(record: SubmissionRecord, task: str, place: Place) -> Path | None:
    """The log of a task, or what SLURM wrote for one that died before its log began; None where neither is."""
    log, before = record.run.log_path(task), output_path(record.run.folder, *place)
    if log.is_file():
        return log
    return before if before.is_file() and before.stat().st_size else None


def find_tasks(table: JobTable, wanted: str | Set[str]) -> list[str]:
    """Ids of tasks with this id, or with a job whose key begins so or whose label contains it; or one of some keys."""
    if any(task.id == wanted for task in table.tasks):
        return [str(wanted)]
    keys = wanted if isinstance(wanted, Set) else keys_of(table, wanted)
    return [task.id for task in table.tasks if not keys.isdisjoint(task.jobs)]


def keys_of(table: JobTable, wanted: str) -> set[str]:
    """Keys of the jobs whose key begins so or whose label contains it."""
    return {row.key for row in table.rows if row.key.startswith(wanted) or wanted.lower() in row.label.lower()}


def readable(line: str) -> bool:
    """Whether a line of a log is meant for people; events are not."""
    return bool(line.strip()) and Event.from_line(line) is None


def follow(log: Path, is_over: Callable[[], bool], pause: float = 1.0) -> Iterator[str]:
    """Whole lines of a log as they come, until `is_over` says that no more will."""
    line = ""
    with log.open(encoding="utf-8", errors="replace") as stream:
        while True:
            last = is_over()  # asked before reading: what was written until now is still read
            for piece in stream:
                line += piece
                if line.endswith("\n"):
                    yield line.rstrip("\n")
                    line = ""
            if last:
                yield from [line] if line else []
                return
            time.sleep(pause)


def last_lines(log: Path, count: int = TAIL_LINES) -> list[str]:
    """The last lines of a log that people can read; events are left out. Empty when there is no log."""
    return [line for line in _tail(log) if readable(line)][-count:]


def current_step(log: Path) -> str:
    """What a running task is doing, of the last event in its log."""
    events = [event for event in map(Event.from_line, _tail(log)) if event is not None and event.label]
    if not events:
        return ""
    last = events[-1]
    return f"{last.label}, {last.done} of {last.total} {last.what}".rstrip() if last.total else last.label


def note_death(run: Path, task: str, code: int, log: Path, start: int) -> bool:
    """Record the death of a worker, whose log begins at byte `start`, as the failure of the job it was doing.

    False when it was doing none: then nothing is recorded.
    """
    running: dict[str, Event] = {}
    with log.open(encoding="utf-8", errors="replace") as stream:
        stream.seek(start)
        for event in map(Event.from_line, stream):  # line by line: the log may be larger than the memory
            if event and event.event == "job_started":
                running[event.key] = event
            elif event and event.event in ("job_done", "job_present", "job_failed", "job_blocked"):
                running.pop(event.key, None)
    if not running:
        return False
    last, cause = next(reversed(running.values())), death_cause(code)
    hint = "; most likely memory ran out" if "SIGKILL" in cause else ""
    message = "\n".join([f"the worker was {cause}{hint}", *last_lines(log)])
    RunRecord(run).write_failure(
        Failure(
            key=last.key, kind=last.kind, label=last.label or last.kind, task=task, cause=cause, message=message,
            log=str(log), at=now(),
        )
    )  # fmt: skip
    return True


def _tail(log: Path) -> list[str]:
    """The last whole lines of a log."""
    try:
        with log.open("rb") as stream:
            start = max(0, log.stat().st_size - _TAIL_BYTES)
            stream.seek(start)
            lines = stream.read().decode(errors="replace").splitlines()
            return lines[1:] if start else lines  # the first one may be torn
    except OSError:
        return []
