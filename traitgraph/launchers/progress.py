"""Show a run while it goes: bars on a terminal, plain lines elsewhere. Listens to events and changes nothing."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from traitgraph.runtime.worker.events import Event
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.jobs.results import duration_text, sort_of

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


RECENT = 25
"""Jobs of a sort that an estimate rests on."""
_ENDINGS = {"job_done": "done", "job_present": "there", "job_failed": "failed", "job_blocked": "blocked"}


@dataclass
class TimeLeft:
    """Estimates the rest of a run from its own latest jobs of each sort, else from the store's, else from the plan.

    What the plan expects of sorts that have not run is corrected by how far off it was for those that have. Medians:
    the first job of a process also loads libraries and the model.
    """

    sorts: Mapping[str, str]
    """Key -> kind of job and of benchmark, of all jobs."""
    stored: Mapping[str, float] = field(default_factory=dict)
    """Sort -> median seconds."""
    expected: Mapping[str, float] = field(default_factory=dict)
    """Sort -> seconds that the plan expects."""
    workers: int = 1
    inputs: Mapping[str, Iterable[str]] = field(default_factory=dict)
    """Key -> keys of what it needs: what needs a failed job will not run."""

    def __post_init__(self) -> None:
        self._left = Counter(self.sorts.values())
        self._settled: set[str] = set()
        self._seconds: defaultdict[str, deque[float]] = defaultdict(partial(deque, maxlen=RECENT))
        self._followers: defaultdict[str, list[str]] = defaultdict(list)
        for key, needed in self.inputs.items():
            for other in needed:
                self._followers[other].append(key)

    def hear(self, event: Event) -> None:
        """Take an event that ends a job into account: what needs a failed one, near and far, takes no time any more."""
        self.settle(event.key, event.seconds if event.event == "job_done" else None)
        lost = [event.key] if event.event == "job_failed" else []
        while lost:
            followers = [each for each in self._followers.pop(lost.pop(), ()) if each not in self._settled]
            for each in followers:
                self.settle(each, None)
            lost += followers

    def settle(self, key: str, seconds: float | None) -> None:
        """Note that a job has ended, with its duration when it ran."""
        if key not in self.sorts:
            return
        if key not in self._settled:
            self._settled.add(key)
            self._left[self.sorts[key]] -= 1
        if seconds is not None:
            self._seconds[self.sorts[key]].append(seconds)

    def seconds(self) -> float | None:
        """Seconds left; None while nothing is known."""
        known = {**self.stored, **{sort: median(each) for sort, each in self._seconds.items()}}
        known = {sort: each for sort, each in known.items() if sort in self._left}
        both = [sort for sort in known if self.expected.get(sort)]
        off = sum(known[sort] for sort in both) / sum(self.expected[sort] for sort in both) if both else 1.0
        known = {**{sort: seconds * off for sort, seconds in self.expected.items()}, **known}
        if not known:
            return None
        mean = sum(known.values()) / len(known)
        return sum(count * known.get(sort, mean) for sort, count in self._left.items()) / self.workers


def progress_view(
    table: JobTable,
    *,
    durations: Mapping[str, float] | None = None,
    expected: Mapping[str, float] | None = None,
    workers: int = 1,
    stream: TextIO | None = None,
) -> Bars | Lines:
    """The view that fits the stream (default: standard error): bars on a terminal, lines elsewhere."""
    stream = stream or sys.stderr
    sorts = {row.key: sort_of(row.kind, row.params) for row in table.rows}
    inputs = {row.key: chain.from_iterable(row.inputs.values()) for row in table.rows}
    left = TimeLeft(sorts, durations or {}, expected or {}, workers, inputs)
    return Bars(left, stream) if stream.isatty() else Lines(left, stream)


class _View:
    """A context manager; its children are called with every event."""

    def __init__(self, left: TimeLeft) -> None:
        self._left = left
        self._settled: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def _settle(self, event: Event) -> str:
        """Take the end of a job into account; the time left, in words."""
        self._left.hear(event)
        self._settled.add(event.key)
        seconds = self._left.seconds()
        return f"about {duration_text(seconds)} left" if seconds else ""


class Lines(_View):
    """One line per job that ended, for logs and pipes; blocked jobs that follow each other share one."""

    def __init__(self, left: TimeLeft, stream: TextIO) -> None:
        super().__init__(left)
        self._stream = stream
        self._blocked: list[Event] = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._tell_blocked()

    def __call__(self, event: Event) -> None:
        """Print the event, if it ends a job or needs attention."""
        if event.event == "job_blocked":
            self._settle(event)
            self._blocked.append(event)
        elif ending := _ENDINGS.get(event.event):
            self._tell_blocked()
            left = self._settle(event)
            self._print(f"{ending:<7} {_told(event)}{left and f', {left}'}")
        elif event.event in ("damaged", "job_waiting"):
            self._write(f"{event.event.removeprefix('job_')}: {_told(event)}")

    def _tell_blocked(self) -> None:
        if len(self._blocked) == 1:
            self._print(f"blocked {_told(self._blocked[0])}")
        elif self._blocked:
            causes = len({event.message for event in self._blocked})
            first = _told(self._blocked[0])
            self._print(f"blocked {len(self._blocked):,} jobs, by {causes:,} that failed; the first is {first}")
        self._blocked.clear()

    def _print(self, text: str) -> None:
        total = len(self._left.sorts)
        self._write(f"[{len(self._settled):>{len(str(total))}}/{total}] {text}")

    def _write(self, line: str) -> None:
        with suppress(OSError):  # nobody reads any more, as after `| head`: the run goes on
            print(line, file=self._stream, flush=True)


def _told(event: Event) -> str:
    name = event.label or f"{event.kind} {event.key[:8]}"
    if event.event == "job_done":
        return f"{name} ({duration_text(event.seconds)})"
    return f"{name}: {event.message.strip().splitlines()[0]}" if event.message.strip() else name


class Bars(_View):
    """An overall bar and one line for each running job, drawn by rich."""

    def __init__(self, left: TimeLeft, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        super().__init__(left)
        self._jobs: dict[str, TaskID] = {}
        self.progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(file=stream),
        )
        self._all = self.progress.add_task("jobs", total=len(left.sorts), note="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for job in self._jobs.values():
            self.progress.remove_task(job)
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Move the bars."""
        if event.event == "job_started":
            self._jobs[event.key] = self.progress.add_task(event.label or event.kind, total=None, note="")
        elif event.event == "progress" and event.key in self._jobs:
            self.progress.update(self._jobs[event.key], completed=event.done, total=event.total, note=event.what)
        elif event.event in _ENDINGS:
            self._end(event)
        elif event.event in ("damaged", "job_waiting"):
            self.progress.console.print(_told(event), style="yellow", markup=False, highlight=False)

    def _end(self, event: Event) -> None:
        if job := self._jobs.pop(event.key, None):
            self.progress.remove_task(job)
        left = self._settle(event)
        self.progress.update(self._all, completed=len(self._settled), note=left)
        if event.event == "job_failed":
            self.progress.console.print(f"failed: {_told(event)}", style="red", markup=False, highlight=False)
