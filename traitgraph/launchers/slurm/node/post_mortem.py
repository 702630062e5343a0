"""Which job a worker was doing when it died: read from the events in its log, kept as the job's failure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from traitgraph.launchers.slurm.record.logs import last_lines
from traitgraph.runtime.store.errors import death_cause
from traitgraph.runtime.store.records import Failure, RunRecord, now
from traitgraph.runtime.worker.events import Event

_LINES_KEPT = 5


def note_death(run: Path, task: str, code: int, log: Path, start: int) -> bool:
    """Record the death of a worker, whose log begins at byte `start`, as the failure of the job it was doing.

    False when it was doing none: then nothing is recorded.
    """
    with log.open(encoding="utf-8", errors="replace") as stream:  # line by line: the log may be larger than the memory
        stream.seek(start)
        running = _running(stream)
    if running is None:
        return False
    cause, said = death_cause(code), last_lines(log, _LINES_KEPT)
    hint = "; most likely memory ran out" if "SIGKILL" in cause else ""
    RunRecord(run).write_failure(
        Failure(
            key=running.key, kind=running.kind, label=running.label or running.kind, task=task, cause=cause,
            message="\n".join([f"the worker was {cause}{hint}", *said]), log=str(log), at=now(),
        )
    )  # fmt: skip
    return True


def _running(lines: Iterable[str]) -> Event | None:
    """The job that was started last and did not end."""
    running: dict[str, Event] = {}
    for event in map(Event.from_line, lines):
        if event and event.event == "job_started":
            running[event.key] = event
        elif event and event.event in ("job_done", "job_present", "job_failed", "job_blocked"):
            running.pop(event.key, None)
    return next(reversed(running.values()), None)
