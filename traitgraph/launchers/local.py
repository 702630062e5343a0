"""Run a job table on this machine: one worker process per task, each task when those before it have ended.

The record of the run is written before the first worker starts. A worker that fails, or dies, stops no other task.
Knows tasks and processes; must not know what a kind of job does.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn, cast

from traitgraph.runtime.store.errors import death_cause
from traitgraph.runtime.store.records import Failure, RunRecord, now
from traitgraph.runtime.store.store import Store
from traitgraph.runtime.worker.events import Event, Observer
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.study.job_kinds import is_training

from .summary import RunSummary
from .worker_process import usable_cores, worker_command, worker_environment

GRACE_SECONDS = 10.0  # between asking a worker to end and ending it
SAVING_SECONDS = 25.0  # that a training has for its step and its checkpoint: less than what schedulers grant us
_LOG_TAIL_LINES = 5


def run_locally(
    table: JobTable, store: Store, *, workers: int = 1, observer: Observer = lambda event: None
) -> RunSummary:
    """Run every task of a table and say how it ended; `observer` hears every event of every worker.

    Ctrl-C (or SIGTERM) ends the workers; what they finished is in the store, and the summary says `stopped`.
    Raises ValueError for a table whose tasks cannot be ordered and StoreError when the store cannot be written.
    """
    if not table.tasks:
        return RunSummary(folder=None, total=0)
    _check_order(table)
    with store:
        with store.writable():
            store.collect_leftovers()
            record = RunRecord.create(store.root, table)
            record.note_launcher(store.writer.token)
        return _LocalRun(table, store, record, workers, observer).run()


def _check_order(table: JobTable) -> None:
    before: set[str] = set()
    rows = {row.key for row in table.rows}
    for task in table.tasks:
        if missing := [other for other in task.after if other not in before]:
            raise ValueError(
                f"task '{task.id}' comes after {', '.join(missing)}, which the table does not list before it"
            )
        if unknown := [key for key in task.jobs if key not in rows]:
            raise ValueError(f"task '{task.id}' names jobs without a row: {', '.join(unknown)}")
        before.add(task.id)


@dataclass
class _Worker:
    """A running process and what it has said so far."""

    task: Task
    process: subprocess.Popen[bytes]
    rest: bytes = b""
    running: list[str] = field(default_factory=list)
    """Keys of what it is doing: a job of its task and, inside it, damaged inputs that it builds again."""
    settled: int = 0
    """Jobs that this process brought to an end."""
    ended: bool = False

    @property
    def output(self) -> IO[bytes]:
        """Where its events come from."""
        return cast("IO[bytes]", self.process.stdout)

    def tell(self, number: signal.Signals) -> None:
        """SIGTERM: remove what is in the making and end; SIGUSR2: save it and end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the process, if it still runs, and whatever it started: it leads a process group of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            pipe.close()


@dataclass
class _LocalRun:
    table: JobTable
    store: Store
    record: RunRecord
    workers: int
    observer: Observer
    states: dict[str, str] = field(default_factory=dict)
    """Key -> "done", "present", "failed" or "blocked"."""

    def __post_init__(self) -> None:
        self._rows = {row.key: row for row in self.table.rows}
        self._waiting = list(self.table.tasks)
        self._ended: set[str] = set()
        self._failures: dict[str, Failure] = {}
        self._running: dict[str, _Worker] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> RunSummary:
        started, stopped = time.monotonic(), False
        with _signals_as_interrupt():
            try:
                while self._waiting or self._running:
                    self._start_what_is_ready()
                    for worker in self._listen(timeout=1.0):
                        self._take_stock(worker)
            except KeyboardInterrupt:
                stopped = True
            finally:
                self._end_workers()
                self._selector.close()
                self.store.collect_leftovers()
        states = [self.states.get(row.key) for row in self.table.rows]
        done, present = states.count("done"), states.count("present")
        kept = {each.key: each for each in self.record.failures()}
        failures = tuple(kept.get(key, told) for key, told in self._failures.items())  # on a full disk none is kept
        seconds = time.monotonic() - started
        return RunSummary(self.record.folder, len(states), done, present, failures, stopped, seconds)

    # ---------------------------------------------------------------- workers

    def _start_what_is_ready(self) -> None:
        for task in list(self._waiting):
            if len(self._running) >= self.workers:
                return
            if self._ended.issuperset(task.after):
                self._waiting.remove(task)
                self._start(task)

    def _start(self, task: Task) -> None:
        kinds = {self._rows[key].kind for key in task.jobs}
        cores = usable_cores() // self.workers if self.workers > 1 else None
        command = worker_command(self.record.table_path, task.id, self.store.root)
        with self.record.log_path(task.id).open("ab") as log:
            process = subprocess.Popen(
                [*command, "--end-with-launcher"],
                stdin=subprocess.PIPE,  # closes when we die, and the worker ends
                stdout=subprocess.PIPE,
                stderr=log,
                env=worker_environment(os.environ, kinds, cores),
                start_new_session=True,  # Ctrl-C reaches us alone; we end the worker
            )
        worker = self._running[task.id] = _Worker(task, process)
        os.set_blocking(worker.output.fileno(), False)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def _listen(self, timeout: float) -> list[_Worker]:
        """Hear what the workers say; those whose process has ended, taken off the list of the running ones."""
        for key, _ in self._selector.select(timeout):
            worker: _Worker = key.data
            if self._hear(worker) == b"":
                self._selector.unregister(worker.output)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(timeout=5)
        gone = [worker for worker in self._running.values() if worker.process.poll() is not None]
        for worker in gone:  # also when something it started still holds its output open, or memory of a GPU
            self._hear(worker)
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.output)
            worker.kill()
            del self._running[worker.task.id]
        return gone

    def _hear(self, worker: _Worker) -> bytes | None:
        """Take in new lines; b"" at the end of the output, None when there is nothing new."""
        piece = worker.output.read()
        if piece:
            *lines, worker.rest = (worker.rest + piece).split(b"\n")
            for event in map(Event.from_line, lines):
                if event and self._note(worker, event):
                    self.observer(event)
        return piece

    def _note(self, worker: _Worker, event: Event) -> bool:
        """Keep account of an event; False when it tells nothing new (after a restart a task names its old jobs)."""
        match event.event:
            case "job_started":
                worker.running.append(event.key)
            case "task_ended":
                worker.ended = True
            case "job_done" | "job_present" | "job_failed" | "job_blocked":
                with contextlib.suppress(ValueError):
                    worker.running.remove(event.key)
                if event.key in self.states:
                    return False
                worker.settled += 1
                self.states[event.key] = event.event.removeprefix("job_")
                if event.event in ("job_failed", "job_blocked"):
                    self._failures[event.key] = self._failure_of(event)
        return True

    def _failure_of(self, event: Event) -> Failure:
        return Failure(
            key=event.key, kind=event.kind, label=event.label or event.kind, task=event.task, cause=event.cause,
            message=event.message, log=str(self.record.log_path(event.task)), at=now(),
        )  # fmt: skip

    def _take_stock(self, worker: _Worker) -> None:
        """What follows from a worker's end: its task has ended, or it died and left jobs."""
        if worker.ended:
            self._ended.add(worker.task.id)
            return
        left = [key for key in worker.task.jobs if key not in self.states]
        victims = worker.running[:1] if worker.running else [] if worker.settled else left
        for key in victims:
            if self.store.has(self._rows[key].kind, key):
                self.states[key] = "done"
            else:
                self._fail(worker, self._rows[key], worker.process.returncode)
        if len(victims) < len(left):
            self._waiting.insert(0, worker.task)  # the jobs that are left do not share the fault
        else:
            self._ended.add(worker.task.id)

    def _fail(self, worker: _Worker, row: JobRow, code: int) -> None:
        cause, message = _death(code)
        lines = _last_lines(self.record.log_path(worker.task.id))
        event = Event("job_failed", worker.task.id, row.key, row.kind, row.label, cause=cause, message=message)
        self._failures[row.key] = self._failure_of(replace(event, message="\n".join([message, *lines])))
        self.record.write_failure(self._failures[row.key])
        self.states[row.key] = "failed"
        self.observer(event)

    def _end_workers(self) -> None:
        """Ask the workers to end, trainings to save first; then end them. A second Ctrl-C shortens the wait."""
        with contextlib.suppress(KeyboardInterrupt):
            for worker in self._running.values():
                worker.tell(signal.SIGUSR2 if self._is_training(worker) else signal.SIGTERM)
            self._wait_for(self._is_training, SAVING_SECONDS)
            for worker in filter(self._is_training, self._running.values()):
                worker.tell(signal.SIGTERM)
            self._wait_for(lambda worker: True, GRACE_SECONDS)
        for worker in self._running.values():
            worker.kill()

    def _is_training(self, worker: _Worker) -> bool:
        return any(is_training(self._rows[key].kind) for key in worker.running)

    def _wait_for(self, awaited: Callable[[_Worker], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(map(awaited, self._running.values())) and time.monotonic() < deadline:
            self._listen(0.1)


def _death(code: int) -> tuple[str, str]:
    """Cause and message for a worker that ended without saying so."""
    cause = death_cause(code)
    if code >= 0:
        return f"worker {cause}", f"the worker ended with exit code {code} before its task was done"
    hints: dict[int, str] = {signal.SIGKILL: "; out of memory?", signal.SIGSEGV: "; a crash in a library, see the log"}
    return cause, f"the worker was {cause}{hints.get(-code, '')}"


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 4000))
            return stream.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    except OSError:
        return []


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does, unless they are ignored, as under nohup.

    Only the main thread may say so; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before: dict[signal.Signals, Callable[..., object] | int | None] = {}
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            before[each] = signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
