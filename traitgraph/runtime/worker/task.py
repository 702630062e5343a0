"""The worker: runs the jobs of one task, one after the other, and publishes each on its own.

    python -m traitgraph.runtime.worker.task STORE/runs/RUN/table.json TASK [--store DIR]

Jobs that the store holds are skipped, so a task that was killed goes on where it stopped when it is started again.
Events leave on standard output as JSON lines, all else on standard error. Exit code 0: every job of the task is in the
store; 1: some are not; 2: wrong call. Knows no launcher and no scheduler.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

from pydantic import ValidationError

from traitgraph.runtime.jobs.context import JobContext, Session, Stopped, never
from traitgraph.runtime.jobs.locations import DigestMemory, Locations
from traitgraph.runtime.jobs.process import begin_to_measure, peak_memory, world_size
from traitgraph.runtime.store.durable import write_json
from traitgraph.runtime.store.errors import BLOCKED, DamagedArtifactError, MissingArtifactError, StoreError
from traitgraph.runtime.store.records import Failure, RunRecord, TaskEnd, failure_of, now
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.study.vocabulary import BIG_FIVE

from .distributed import Leader, follow, key_values, rank, take_own_device
from .events import Event, EventName, Observer, claim_standard_output
from .job_kinds import RunnableKind, job_kind

Outcome = Literal["done", "present", "failed", "blocked", "waiting"]
COMMITS_FILE = "hub_commits.json"
"""In an artifact: model of the hub at a revision -> commit that was read, for a revision that names none."""
WAIT_SECONDS = 1.0  # between two looks at a job that another writer is making


@dataclass
class TaskRunner:
    """Runs one task of a run in this process."""

    store: Store
    record: RunRecord
    table: JobTable
    task: Task
    emit: Observer
    session: Session = field(default_factory=Session)
    stop_wanted: Callable[[], bool] = never
    leader: Leader | None = None
    """How other processes under torchrun are told to join in; None when there is one process."""
    wait_seconds: float = WAIT_SECONDS

    def __post_init__(self) -> None:
        self._rows = {row.key: row for row in self.table.rows}
        self._pending: list[str] = []
        self._announced: set[str] = set()
        self._digests = DigestMemory(self.store.root)

    def run(self) -> TaskEnd:
        """Try every job of the task, and count how they ended.

        Jobs that another writer is making come last, and are then waited for. Raises Stopped between two jobs when
        `stop_wanted`, and whenever a signal or a job says so.
        """
        started = time.monotonic()
        counts: Counter[str] = Counter()
        self.emit(Event("task_started", task=self.task.id, total=len(self.task.jobs)))
        self._pending = list(self.task.jobs)
        while self._pending:
            settled = False
            for key in list(self._pending):
                if self.stop_wanted():
                    raise Stopped("request")
                if self.leader and self.leader.is_broken:
                    raise Stopped("processes that a failed job left stuck")
                outcome = self._attempt(self._rows[key])
                if outcome != "waiting":
                    self._pending.remove(key)
                    counts[outcome] += 1
                    settled = True
            if not settled:
                time.sleep(self.wait_seconds)
        seconds = round(time.monotonic() - started, 3)
        end = TaskEnd(task=self.task.id, seconds=seconds, **counts)
        self.record.write_end(end)
        self.emit(Event("task_ended", task=self.task.id, seconds=end.seconds))
        return end

    def _attempt(self, row: JobRow) -> Outcome:
        """Make the artifact of a row unless it is there, or cannot be made yet."""
        try:
            if self._is_present(row):
                return "present"
            failure = self.record.failure(row.key)
            if failure is not None and failure.cause != BLOCKED:  # a run tries each job once
                self._tell("job_failed", row, cause=failure.cause, message=failure.message)
                return "failed"
            for key in (key for keys in row.inputs.values() for key in keys):
                if self._kind_of(key) is None:
                    is_coming = key in self._pending or self.store.claims.is_held(key)
                    return "waiting" if is_coming else self._block(row, key)
            if not self.store.claims.take(row.key):
                if row.key not in self._announced:
                    self._announced.add(row.key)
                    self._tell("job_waiting", row, message="another run on this store is making it")
                return "waiting"
            try:
                return "present" if self._is_present(row) else self._run(row)  # it may have come meanwhile
            finally:
                self.store.claims.release(row.key)
        except (OSError, StoreError) as error:
            return self.record_failure(row, error)

    def _is_present(self, row: JobRow) -> bool:
        try:
            self.store.open(row.kind, row.key, asked=row)
        except MissingArtifactError:
            return False
        except DamagedArtifactError as error:
            self._tell("damaged", row, message=str(error))
            return False
        self._tell("job_present", row)
        return True

    def _kind_of(self, key: str) -> str | None:
        row = self._rows.get(key)
        if row is None:
            return self.store.kind_of(key)
        return row.kind if self.store.path(row.kind, key).exists() else None

    def _block(self, row: JobRow, missing: str) -> Outcome:
        earlier = self.record.failure(missing)
        if earlier is None:
            label = self._rows[missing].label if missing in self._rows else missing[:8]
            message = f"blocked: its input '{label}' is not in the store; run again to plan it"
        else:
            reason = earlier.message.partition("\n")[0]
            message = reason if earlier.cause == BLOCKED else f"blocked by {earlier.label} ({reason})"
        self._fail(row, Failure(
            key=row.key, kind=row.kind, label=row.label, task=self.task.id, cause=BLOCKED, message=message,
            log=str(self.record.log_path(self.task.id)), at=now(),
        ))  # fmt: skip
        return "blocked"

    def _run(self, row: JobRow) -> Outcome:
        self._tell("job_started", row)
        _say(f"--- {now()} {row.label or row.kind} ({row.key})")
        started = time.monotonic()
        begin_to_measure()
        try:
            self._make(row)
        except Exception as error:  # the boundary: whatever a job raises is recorded and must not stop other jobs
            self.session.clear()
            if self.store.has(row.kind, row.key):  # another writer was faster and took our folder for a leftover
                self._tell("job_present", row)
                return "present"
            return self.record_failure(row, error)
        seconds = round(time.monotonic() - started, 3)
        _say(f"    done in {seconds:.1f} s, {peak_memory()}")
        self._tell("job_done", row, seconds=seconds)
        return "done"

    def _make(self, row: JobRow) -> None:
        """Run the job's function; an artifact that it finds damaged is built again, and the job begins anew."""
        rebuilt: set[str] = set()
        while True:
            try:
                with self.store.publish(row) as out:
                    work = partial(self.call_function, row, out)
                    if self.leader is None:
                        work()
                    else:
                        self.leader.call(row, work)
                return
            except DamagedArtifactError as error:
                if error.row is None or error.row.key in rebuilt:
                    raise
                rebuilt.add(error.row.key)
                self._build_again(error.row, error)

    def call_function(self, row: JobRow, out: Path) -> None:
        """Call the job's function on its verified inputs; the caller decides whether `out` becomes an artifact."""
        kind = job_kind(row.kind)
        params = kind.validated(row)
        inputs = {name: tuple(self._input(key) for key in keys) for name, keys in row.inputs.items()}

        def progress(done: int, total: int, what: str = "") -> None:
            self._tell("progress", row, done=done, total=total, what=what)

        seed_from_key(row.key, kind)
        locations, partial_work = Locations(self.table.locations, self._digests), self.store.partial(row.key)
        traits = self.table.traits or BIG_FIVE.whole_traits
        context = JobContext(
            row, inputs, out, locations, self.session, progress, self.stop_wanted, partial_work, traits
        )
        kind.function(context, params)
        locations.check_again()
        if locations.commits and rank() == 0:
            write_json(out / COMMITS_FILE, locations.commits)

    def _input(self, key: str) -> Path:
        """Verified folder of an input."""
        kind = self._kind_of(key)
        if kind is None:
            raise MissingArtifactError(f"input {key[:8]} is not in the store any more")
        return self.store.open(kind, key).path

    def _build_again(self, row: JobRow, error: DamagedArtifactError) -> None:
        self._tell("damaged", row, message=str(error))
        self.session.clear()
        while (outcome := self._attempt(row)) == "waiting":
            time.sleep(self.wait_seconds)
        if outcome in ("failed", "blocked"):
            failure = self.record.failure(row.key)
            reason = failure.message if failure else "see the log"
            raise StoreError(f"its input {row.label} was damaged and could not be built again: {reason}") from error

    def record_failure(self, row: JobRow, error: Exception) -> Outcome:
        """Write down that a job of this task failed, with the reason."""
        failure = failure_of(error, row, self.task.id, self.record.log_path(self.task.id))
        _say(failure.traceback)
        self._fail(row, failure)
        return "failed"

    def _fail(self, row: JobRow, failure: Failure) -> None:
        self.record.write_failure(failure)
        name: EventName = "job_blocked" if failure.cause == BLOCKED else "job_failed"
        self._tell(name, row, cause=failure.cause, message=failure.message[:2000])

    def _tell(self, event: EventName, row: JobRow, **about: Any) -> None:
        self.emit(Event(event, self.task.id, row.key, row.kind, row.label, **about))


def seed_from_key(key: str, kind: RunnableKind) -> None:
    """Seed every global random stream from the job's key, so that the order of jobs in a process changes nothing.

    Libraries that the job will load must be there already: one loaded later would begin with a seed of its own.
    """
    seed = int(key[:8], 16)
    random.seed(seed)
    if not getattr(kind.function, "without_torch", False):
        with contextlib.suppress(ImportError):
            import torch  # noqa: F401
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed)
    if torch_module := sys.modules.get("torch"):
        torch_module.manual_seed(seed)


@contextlib.contextmanager
def signals_heeded() -> Iterator[Callable[[], bool]]:
    """Act on the signals of launchers and schedulers inside the block.

    SIGTERM, SIGINT: the first raises `Stopped` at once, later ones are ignored while we clean up.
    SIGUSR2: time is nearly up; from then on the function that the block is given returns true.
    """
    wanted = threading.Event()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGUSR2: lambda number, frame: wanted.set()}
    before = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    try:
        yield wanted.is_set
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def end_with_launcher() -> None:
    """End this process when the other end of standard input closes: a launcher that was killed leaves no orphans."""
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)

    def watch() -> None:
        while os.read(pipe, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="traitgraph-launcher-watch", daemon=True).start()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the worker process; the exit code."""
    arguments = _parser().parse_args(argv)
    record = RunRecord.of_table(arguments.table)
    try:
        table = record.table()
    except (OSError, ValidationError) as error:
        print(f"error: {arguments.table}: not a job table: {error}", file=sys.stderr)
        return 2
    task = next((task for task in table.tasks if task.id == arguments.task), None)
    if task is None:
        known = ", ".join(task.id for task in table.tasks[:20])
        print(f"error: no task '{arguments.task}' in {arguments.table}; tasks: {known}", file=sys.stderr)
        return 2
    store = Store(arguments.store or record.folder.parent.parent)
    emit = claim_standard_output()
    if arguments.end_with_launcher:
        end_with_launcher()
    try:
        with signals_heeded() as stop_wanted, store, Session() as session:
            return run_task(TaskRunner(store, record, table, task, emit, session, stop_wanted))
    except Stopped as stopped:
        _say(f"stopped ({stopped}); what was finished is in the store")
        return 1
    finally:
        try:
            sys.stderr.flush()
        except OSError:  # what a full disk did not take of the log: Python would try again, and change the exit code
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _say(text: str) -> None:
    """Write into the log. A disk that is too full for it must not end a task that can still do its work."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def run_task(runner: TaskRunner) -> int:
    """Run a task in this process, or this process's part of it under torchrun; the exit code."""
    if world_size() == 1:
        return 0 if runner.run().ok else 1
    take_own_device()
    if rank():
        runner.emit = lambda event: None
        return follow(
            {row.key: row for row in runner.table.rows}, runner.call_function, runner.record_failure, key_values()
        )
    runner.leader = Leader(world_size() - 1, key_values())
    end = runner.run()
    runner.leader.end()
    return 0 if end.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m traitgraph.runtime.worker.task", description="Run one task of a job table."
    )
    parser.add_argument("table", type=Path, help="the run's table.json; logs and failures stand beside it")
    parser.add_argument("task", help="id of the task")
    parser.add_argument("--store", type=Path, help="the store (default: two folders above the table)")
    parser.add_argument("--end-with-launcher", action="store_true", help="end when standard input closes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
