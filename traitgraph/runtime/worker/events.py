"""What a worker tells the process that started it, one JSON line per event."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from traitgraph.specs.source.diagnostics import without_escapes

EventName = Literal[
    "task_started",
    "job_present",  # the artifact was there already
    "job_waiting",  # another writer is making it
    "job_started",
    "progress",
    "job_done",
    "job_failed",
    "job_blocked",  # an input is missing because another job failed
    "damaged",  # an artifact did not verify and was moved away
    "task_ended",
]
PROGRESS_SECONDS = 0.1


@dataclass(frozen=True)
class Event:
    """One thing that happened in a worker. Fields that do not apply are empty."""

    event: EventName
    task: str = ""
    key: str = ""
    kind: str = ""
    label: str = ""
    done: int = 0
    total: int = 0
    what: str = ""
    seconds: float = 0.0
    cause: str = ""
    message: str = ""

    def to_line(self) -> str:
        """The event as one line of JSON without its empty fields."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, ensure_ascii=True)

    @classmethod
    def from_line(cls, line: str | bytes) -> Event | None:
        """The event in a line; None when the line is no event that this version knows."""
        try:
            found = json.loads(line)
        except ValueError:
            return None
        if not isinstance(found, dict) or found.get("event") not in get_args(EventName):
            return None
        plain: dict[str, Any] = {
            name: without_escapes(value) if isinstance(value, str) else value for name, value in found.items()
        }
        return cls(**{field.name: plain[field.name] for field in fields(cls) if field.name in plain})


Observer = Callable[[Event], None]


class EventStream:
    """Writes events to a file descriptor, whole lines only, progress not more often than people can see."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        self._last_progress = 0.0

    def __call__(self, event: Event) -> None:
        """Send one event; a reader that went away is no reason to stop working."""
        with self._lock:
            if event.event == "progress":
                now = time.monotonic()
                if event.done < event.total and now - self._last_progress < PROGRESS_SECONDS:
                    return
                self._last_progress = now
            line = memoryview((event.to_line() + "\n").encode())
            try:
                while line:
                    line = line[os.write(self._handle, line) :]
            except OSError:
                self._handle = os.open(os.devnull, os.O_WRONLY)


def claim_standard_output() -> EventStream:
    """Keep standard output for events; whatever else prints there from now on goes to standard error."""
    sys.stdout.flush()
    handle = os.dup(1)
    os.dup2(2, 1)
    return EventStream(handle)
