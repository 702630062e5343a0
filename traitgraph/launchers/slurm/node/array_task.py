"""What runs inside one array task: starts the worker of its task, watches over it, and records the attempt.

    python -m traitgraph.launchers.slurm.node.array_task RUN_FOLDER ARRAY

The array task outlives its worker, so that a worker killed by the kernel is told apart from one that failed. Before the
time limit or a preemption SLURM sends USR2: the worker is asked to save and stop, and the job goes back to the queue.
It watches the clock itself as well, because a controller that restarts then, or a container, loses the signal.
Its exit code is the worker's: 0 if and only if every job of the task is in the store. Reads text only, no pickles.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from traitgraph.launchers.slurm.record.attempts import (
    ArrayRecord,
    Attempt,
    AttemptState,
    array_path,
    attempt_path,
    output_path,
    read_array,
    read_attempt,
    warning_path,
    write_record,
)
from traitgraph.launchers.worker_process import worker_environment
from traitgraph.runtime.store.durable import make_folder
from traitgraph.runtime.store.errors import OUT_OF_TIME, PREEMPTED, death_cause

from .allocation import Allocation

FIRST_NODE_SECONDS = 60.0
"""The other nodes of a task that was warned wait so long for the first one to put it back into the queue."""


class ArrayTask:
    """One attempt at one task."""

    def __init__(self, run: Path, array: ArrayRecord, allocation: Allocation) -> None:
        self.run_folder = run
        self.array = array
        self.allocation = allocation
        self.task = array.tasks[allocation.index]
        self._log = run / "logs" / f"{self.task}.log"
        self._path = attempt_path(run, self.task)
        self._warning = warning_path(run, self.task, allocation.job_id, allocation.restarts)
        self._worker: subprocess.Popen[bytes] | None = None
        self._warned = threading.Event()
        self._told_to_end = threading.Event()
        self._started = time.time()
        before = read_attempt(self._path)
        self._timeouts = before.timeouts if before and before.job == allocation.job_id else 0

    def run(self) -> int:
        """Bring the task to an end, or put it back into the queue; the exit code of the job."""
        self._take_over_output()
        self.allocation.handle_signals(warn=lambda *_: self._save_and_requeue(), end=lambda *_: self._end())
        _later(self._seconds_left() - self.array.signal_seconds, self._save_and_requeue)
        self._note("running")
        with self._scratch() as variables:
            code = self._run_workers(variables)
        if code != 0 and self._was_warned():
            return self._requeue(code)
        return self._finish(code)

    def _run_workers(self, variables: Mapping[str, str]) -> int:
        """Exit code of the last worker. One that died is replaced: the jobs that are left do not share its fault."""
        command = self.allocation.command(self.array, self.run_folder / "table.json", self.task)
        environment = worker_environment({**os.environ, **variables}, self.array.kinds, self.array.cores)
        while True:
            start = self._log.stat().st_size
            self._worker = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
            if self._warned.is_set():  # the warning came while there was nobody to pass it to
                self._ask_to_save()
            code = self._worker.wait()
            if code >= 0 or self._was_warned() or self._told_to_end.is_set() or not self._blame_job(code, start):
                return code

    def _blame_job(self, code: int, start: int) -> bool:
        """Note the death of a worker at the job it was doing; False when it was doing none."""
        from traitgraph.launchers.slurm.record.logs import note_death  # most tasks need none of it

        with suppress(OSError, ValueError):
            return note_death(self.run_folder, self.task, code, self._log, start)
        return False

    def _finish(self, code: int) -> int:
        if code and self._told_to_end.is_set():
            self._note("stopped", exit_code=code)
            return 1
        cause = "" if code in (0, 1) else death_cause(code)  # 1: some jobs failed, and each left its own record
        self._note("failed" if code else "done", exit_code=code, cause=cause)
        if cause:
            _say(f"{self.task}: the worker was {cause}")
        return code if code >= 0 else 128 - code

    def _requeue(self, code: int) -> int:
        """Put the job back into the queue, unless it used up its continuations."""
        if self.allocation.node:  # the first node does it; an early end of ours would end its step
            time.sleep(max(self.array.signal_seconds, FIRST_NODE_SECONDS))
            return 1
        is_late = self._seconds_left() <= self.array.signal_seconds + 90  # SLURM may warn a minute early
        cause = OUT_OF_TIME if is_late else PREEMPTED
        self._timeouts += is_late
        if self._timeouts > self.array.continuations:
            message = (
                f"reached its time limit {self._timeouts} times; the cluster file allows {self.array.continuations}"
            )
            self._note("failed", exit_code=code, cause=cause, message=message)
            return 1
        self._note("requeued", exit_code=code, cause=cause)
        if refusal := self.allocation.requeue():
            self._note("stopped", exit_code=code, cause=cause, message=refusal)
        return 1

    def _seconds_left(self) -> float:
        """Until the time limit. [s]"""
        return self._started + self.array.minutes * 60 - time.time()

    def _was_warned(self) -> bool:
        """Whether this node or another one was told to save: the processes of a training stop together."""
        return self._warned.is_set() or (self.array.is_distributed and self._warning.exists())

    def _save_and_requeue(self) -> None:
        """Time to save. A worker that has not stopped shortly before the limit is ended as it is.

        The job must be back in the queue before SLURM ends it for its time: `afterok` counts an array as failed for
        good once a task of it was ended so, even if it was requeued and went well.
        """
        if self._warned.is_set():
            return
        self._warned.set()
        _say(f"{self.task}: warned of the end, saving to go on later")
        if self.array.is_distributed:
            with suppress(OSError):
                make_folder(self._warning.parent, self.run_folder)
                self._warning.touch()
        self._ask_to_save()
        left = self.array.signal_seconds
        _later(max(left - 15, left * 0.4), self._tell_worker, signal.SIGTERM)
        _later(max(left - 5, left * 0.6), self._tell_worker, signal.SIGKILL)

    def _ask_to_save(self) -> None:
        """Ask the worker to save and stop. torchrun does not pass this on: its processes are asked themselves."""
        if self._worker is None or not self.array.is_distributed:
            self._tell_worker(signal.SIGUSR2)
            return
        for child in children(self._worker.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGUSR2)

    def _end(self) -> None:
        """TERM: the end is near (cancelled, preempted without grace, node drained). The worker cleans up."""
        self._told_to_end.set()
        self._tell_worker(signal.SIGTERM)

    def _tell_worker(self, number: signal.Signals) -> None:
        if self._worker is not None and self._worker.poll() is None:
            with suppress(ProcessLookupError):
                self._worker.send_signal(number)

    def _take_over_output(self) -> None:
        """From here on everything goes to the task's log; SLURM's own file keeps only what came before."""
        handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
        with suppress(OSError):
            before = output_path(self.run_folder, self.array.id, self.allocation.index)
            if before.stat().st_size == 0:
                before.unlink()
        _say(f"{self.task} is job {self.allocation.job_id} on {self.allocation.node_name}")

    @contextmanager
    def _scratch(self) -> Iterator[dict[str, str]]:
        """Temporary files go to the node's fast folder, when the cluster has one, and are gone afterwards."""
        if not self.array.scratch:
            yield {}
            return
        parent = Path(os.path.expandvars(self.array.scratch))
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="traitgraph-", dir=parent, ignore_cleanup_errors=True) as folder:
            yield {"TMPDIR": folder}

    def _note(self, state: AttemptState, *, exit_code: int | None = None, cause: str = "", message: str = "") -> None:
        """Record how this attempt goes; losing that loses no result."""
        if self.allocation.node:  # the first node speaks for all
            return
        attempt = Attempt(
            task=self.task,
            array=self.array.id,
            job=self.allocation.job_id,
            node=self.allocation.node_name,
            state=state,
            restarts=self.allocation.restarts,
            timeouts=self._timeouts,
            started=self._started,
            ended=None if state == "running" else time.time(),
            exit_code=exit_code,
            cause=cause,
            message=message,
        )
        with suppress(OSError):
            write_record(self._path, attempt)


def children(pid: int) -> list[int]:
    """Processes that a process started itself; none where Linux does not tell."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _later(seconds: float, function: Callable[..., None], *arguments: object) -> None:
    """Call something in a thread after some seconds, unless this process has ended by then."""
    timer = threading.Timer(max(0.0, seconds), function, arguments)
    timer.daemon = True
    timer.start()


def _say(text: str) -> None:
    with suppress(OSError):  # a full disk must not end a task that may still free it
        print(f"traitgraph: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the array task that the environment of SLURM names; the exit code of the job."""
    run, array = Path(sys.argv[1]), sys.argv[2]
    return ArrayTask(run, read_array(array_path(run, array)), Allocation()).run()


if __name__ == "__main__":
    sys.exit(main())
