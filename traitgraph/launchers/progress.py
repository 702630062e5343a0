"""Show a run while it goes: bars on a terminal, plain lines elsewhere. Listens to events and changes nothing."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from traitgraph.runtime.events import Event
from traitgraph.specs.jobs import JobTable

from .summary import duration_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_ENDINGS = {"job_done": "done", "job_present": "there", "job_failed": "failed", "job_blocked": "blocked"}


@dataclass
class TimeLeft:
    """Estimates the rest of a run from its own jobs of each kind, else from the store's, else from the mean of all."""

    kinds: Mapping[str, str]
    """Key -> kind, of all jobs."""
    stored: Mapping[str, float] = field(default_factory=dict)
    """Kind -> median seconds."""
    workers: int = 1

    def __post_init__(self) -> None:
        self._left = Counter(self.kinds.values())
        self._settled: set[str] = set()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)

    def settle(self, key: str, seconds: float | None) -> None:
        """Note that a job has ended, with its duration when it ran."""
        if key in self.kinds and key not in self._settled:
            self._settled.add(key)
            self._left[self.kinds[key]] -= 1
        if seconds is not None and key in self.kinds:
            self._seconds[self.kinds[key]].append(seconds)

    def seconds(self) -> float | None:
        """Seconds left; None while nothing is known."""
        known = {kind: sum(each) / len(each) for kind, each in self._seconds.items()}
        known = {**self.stored, **known}
        if not known:
            return None
        mean = sum(known.values()) / len(known)
        return sum(count * known.get(kind, mean) for kind, count in self._left.items()) / self.workers


class ProgressView(Protocol):
    """A context manager that is called with every event."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


def progress_view(
    table: JobTable, *, durations: Mapping[str, float] | None = None, workers: int = 1, stream: TextIO | None = None
) -> ProgressView:
    """The view that fits the stream (default: standard error): bars on a terminal, lines elsewhere."""
    stream = stream or sys.stderr
    left = TimeLeft({row.key: row.kind for row in table.rows}, durations or {}, workers)
    return Bars(left, stream) if stream.isatty() else Lines(left, stream)


class Lines:
    """One line per job that ended, for logs and pipes; blocked jobs that follow each other share one."""

    def __init__(self, left: TimeLeft, stream: TextIO) -> None:
        self._left = left
        self._stream = stream
        self._settled: set[str] = set()
        self._blocked: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._tell_blocked()
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        """Print the event, if it ends a job or needs attention."""
        if event.event == "job_blocked":
            self._settle(event)
            self._blocked.append(event)
        elif ending := _ENDINGS.get(event.event):
            self._tell_blocked()
            self._settle(event)
            self._print(f"{ending:<7} {_told(event)}{self._rest()}")
        elif event.event in ("damaged", "job_waiting"):
            print(f"{event.event.removeprefix('job_')}: {_told(event)}", file=self._stream, flush=True)

    def _settle(self, event: Event) -> None:
        self._left.settle(event.key, event.seconds if event.event == "job_done" else None)
        self._settled.add(event.key)

    def _tell_blocked(self) -> None:
        if len(self._blocked) == 1:
            self._print(f"blocked {_told(self._blocked[0])}")
        elif self._blocked:
            causes = len({event.message for event in self._blocked})
            first = _told(self._blocked[0])
            self._print(f"blocked {len(self._blocked):,} jobs, by {causes:,} that failed; the first is {first}")
        self._blocked.clear()

    def _print(self, text: str) -> None:
        total = len(self._left.kinds)
        print(f"[{len(self._settled):>{len(str(total))}}/{total}] {text}", file=self._stream, flush=True)

    def _rest(self) -> str:
        seconds = self._left.seconds()
        return f", about {duration_text(seconds)} left" if seconds else ""


def _told(event: Event) -> str:
    name = event.label or f"{event.kind} {event.key[:8]}"
    if event.event == "job_done":
        return f"{name} ({duration_text(event.seconds)})"
    return f"{name}: {event.message.strip().splitlines()[0]}" if event.message.strip() else name


class Bars:
    """An overall bar and one line for each running job, drawn by rich."""

    def __init__(self, left: TimeLeft, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._left = left
        self._settled: set[str] = set()
        self._jobs: dict[str, TaskID] = {}
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(file=stream),
        )
        self._all = self._progress.add_task("jobs", total=len(left.kinds), note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for job in self._jobs.values():
            self._progress.remove_task(job)
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Move the bars."""
        if event.event == "job_started":
            self._jobs[event.key] = self._progress.add_task(event.label or event.kind, total=None, note="")
        elif event.event == "progress" and event.key in self._jobs:
            self._progress.update(self._jobs[event.key], completed=event.done, total=event.total, note=event.what)
        elif event.event in _ENDINGS:
            self._end(event)
        elif event.event in ("damaged", "job_waiting"):
            self._progress.console.print(_told(event), style="yellow", markup=False, highlight=False)

    def _end(self, event: Event) -> None:
        if job := self._jobs.pop(event.key, None):
            self._progress.remove_task(job)
        self._settled.add(event.key)
        self._left.settle(event.key, event.seconds if event.event == "job_done" else None)
        seconds = self._left.seconds()
        note = f"about {duration_text(seconds)} left" if seconds else ""
        self._progress.update(self._all, completed=len(self._settled), note=note)
        if event.event == "job_failed":
            self._progress.console.print(f"failed: {_told(event)}", style="red", markup=False, highlight=False)
