"""How far a run is: from the store and the sentinel files first, then one query of the queue, then the accounting.

A job is done if and only if its artifact is in the store; what SLURM says only explains why one is not. Works without
accounting. Asks SLURM nothing at all about a run whose jobs are all there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from getpass import getuser
from pathlib import Path

from traitgraph.launchers.slurm.layout.layout import Place
from traitgraph.launchers.slurm.layout.script import job_name
from traitgraph.launchers.slurm.layout.task_resources import stage_of
from traitgraph.launchers.slurm.node.probe import probe_log
from traitgraph.launchers.slurm.record.attempts import Attempt, attempt_path, output_path, read_attempt
from traitgraph.launchers.slurm.record.logs import current_step, last_lines, log_of
from traitgraph.launchers.slurm.record.record import CONTINUE, SubmissionRecord
from traitgraph.launchers.slurm.site import scheduler
from traitgraph.launchers.slurm.site.scheduler import QueueEntry, SchedulerError
from traitgraph.launchers.slurm.submit.probe_state import PROBE_FAILED, ProbeState, explain, read_probe_state
from traitgraph.runtime.store.errors import BLOCKED, OUT_OF_MEMORY, OUT_OF_TIME
from traitgraph.runtime.store.records import Failure
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobRow, JobTable, Task

from .run_status import ACTIVE_STATES, RunStatus, TaskState, TaskStatus, guess_seconds_left, is_held, meaning_of

_SLURM_CAUSES: dict[str, tuple[TaskState, str]] = {
    "TIMEOUT": ("failed", OUT_OF_TIME),
    "DEADLINE": ("failed", OUT_OF_TIME),
    "OUT_OF_MEMORY": ("failed", OUT_OF_MEMORY),
    "NODE_FAIL": ("failed", "node failed"),
    "BOOT_FAIL": ("failed", "node failed"),
    "PREEMPTED": ("failed", "preempted and not requeued"),
    "CANCELLED": ("cancelled", "cancelled"),
    "REVOKED": ("cancelled", "cancelled"),
}


def read_status(store: Store, record: SubmissionRecord) -> RunStatus:
    """How far a run is now. Never raises because SLURM is away: then it says so and tells what the files know."""
    return _Reading(store, record).status()


@dataclass
class _Reading:
    store: Store
    record: SubmissionRecord
    notes: list[str] = field(default_factory=list)
    queries: int = 0
    barred: str = ""
    """Why the probe lets nothing start; empty when it does."""
    goes_on: bool = True
    """Whether somebody will submit what is not in the queue yet."""

    def __post_init__(self) -> None:
        self.table: JobTable = self.record.run.table()
        self.rows: dict[str, JobRow] = {row.key: row for row in self.table.rows}
        self.present: set[str] = set()
        self._look_into_store()
        self.jobs_of = {task.id: task.jobs for task in self.table.tasks}
        self.submitted = self.record.jobs()
        self.places = self.record.places
        self.attempts: dict[str, Attempt | None] = {}

    def _look_into_store(self) -> None:
        missing = self.rows.keys() - self.present
        self.present |= {key for key in missing if self.store.has(self.rows[key].kind, key)}

    def status(self) -> RunStatus:
        entries = self._queue()
        self._look_into_store()  # after the queue: what ended there in between is no failure
        folder = self.record.run.folder
        self.attempts = {task.id: read_attempt(attempt_path(folder, task.id)) for task in self.table.tasks}
        states = {task.id: self._from_files_and_queue(task, entries or {}) for task in self.table.tasks}
        undecided = [task for task in self.table.tasks if states[task.id] is None]
        if undecided and entries is not None:
            states |= self._from_accounting(undecided)
        elif undecided:
            states |= {task.id: self._task(task, "unknown") for task in undecided}
        tasks = [status for task in self.table.tasks if (status := states[task.id]) is not None]
        failures = self._failures(tasks)
        causes: dict[str, set[str]] = defaultdict(set)
        for failure in failures:
            causes[failure.task].add(failure.cause)
        tasks = [
            replace(task, state="blocked", cause=BLOCKED) if causes[task.id] == {BLOCKED} else task for task in tasks
        ]
        if not self.submitted and any(task.state == "later" for task in tasks):
            self.notes.append("nothing of this run has been submitted yet")
        return RunStatus(
            run=self.record.run.folder,
            tasks=tuple(tasks),
            failures=tuple(failures),
            eta_seconds=guess_seconds_left(tasks, self.table.tasks),
            queries=self.queries,
            notes=tuple(self.notes),
        )

    # ---------------------------------------------------------------- one task

    def _queue(self) -> dict[Place, QueueEntry] | None:
        """What is in the queue, by array and index; None when SLURM does not answer."""
        if len(self.present) == len(self.rows):
            return {}
        self.queries += 1
        try:
            found = scheduler.queue(self.record.job_names, self.record.text.user)
        except SchedulerError as error:
            self.notes.append(f"SLURM does not answer ({error}); what follows is from files alone")
            return None
        if found or self.record.text.user == getuser():  # others may not be shown the jobs of this user
            self._note_probe(read_probe_state(self.record, found))
            self._note_continuation(found)
        return self.record.by_place(found)

    def _note_probe(self, probe: ProbeState) -> None:
        if probe.state == "waiting" and probe.slurm_state == "PENDING":
            self.notes.append(
                f"every task waits for the probe of the site, job {probe.job} ({meaning_of(probe.reason)})"
            )
        elif probe.state == "failed" and not self.record.is_cancelled:
            self.queries += 1
            problem = explain(self.record, probe)
            self.barred = f"{problem.what}\n= {problem.hint}"

    def _note_continuation(self, entries: Iterable[QueueEntry]) -> None:
        """Who submits the rest, as long as there is a rest: a job, or a process that does so right now."""
        left = len(self.places) - len(self.submitted)
        name = job_name(self.record.run.id, CONTINUE)
        helper = next((entry for entry in entries if entry.name == name and entry.is_active), None)
        if helper is None:
            self.goes_on = not self.submitted or self.store.claims.is_held(self.record.claim)
        elif left and not self.barred:
            why = f" ({meaning_of(helper.reason)})" if helper.state == "PENDING" else ""
            self.notes.append(f"{left:,} more tasks will be submitted by job {helper.job}{why}")

    def _from_files_and_queue(self, task: Task, entries: Mapping[Place, QueueEntry]) -> TaskStatus | None:
        """The task by what its files and the queue say; None where only the accounting can tell."""
        if self.present.issuperset(task.jobs):
            return self._task(task, "done")
        attempt, entry = self.attempts[task.id], entries.get(self.places[task.id])
        if self.barred and attempt is None and not (entry and entry.is_active and not entry.is_dead):
            return self._task(task, "blocked", cause=PROBE_FAILED, message=self.barred)
        if entry and entry.is_dead:
            dropped = "" if self._parents_failed(task) else "SLURM dropped it although what it needs is in the store"
            return self._task(task, "blocked", job=entry.task_id, cause=BLOCKED, message=dropped)
        if entry and entry.is_active:
            return self._active(task, entry)
        if attempt and attempt.state in ("failed", "done"):
            message = attempt.message or (
                "ended well, but its artifact is not in the store" if attempt.state == "done" else ""
            )
            return self._task(task, "failed", cause=attempt.cause, message=message)
        if entry:
            return self._ended(task, entry.task_id, entry.state, entry.nodes)
        if self.record.is_cancelled:
            return self._task(task, "cancelled", cause="cancelled")
        if attempt is None and self.places[task.id] not in self.submitted:
            if self.goes_on:
                return self._task(task, "later")
            why = "the job that submits the rest has ended; run the study again to go on"
            return self._task(task, "failed", cause="not submitted", message=why)
        return None

    def _active(self, task: Task, entry: QueueEntry) -> TaskStatus:
        attempt = self.attempts[task.id]
        if entry.state != "PENDING":
            current = current_step(self.record.run.log_path(task.id)) if attempt and attempt.state == "running" else ""
            return self._task(task, "running", job=entry.task_id, node=entry.nodes, current=current)
        again: TaskState = "held" if is_held(entry.reason) else "requeued" if attempt else "waiting"
        return self._task(task, again, job=entry.task_id, message=entry.reason)

    def _ended(self, task: Task, job: str, state: str, node: str) -> TaskStatus:
        """A task whose job has ended, and whose array task wrote no record of that."""
        kind, cause = _SLURM_CAUSES.get(state, ("failed", f"the job ended as {state}"))
        attempt = self.attempts[task.id]
        if attempt and attempt.cause:
            cause = attempt.cause
        elif state == "FAILED" and attempt is None:
            cause = "did not start"
        said = "\n".join(last_lines(self._output(task)))
        return self._task(task, kind, job=job, node=node, cause=cause, message=said)

    def _output(self, task: Task) -> Path:
        """What SLURM and the batch script printed before the array task took over."""
        return output_path(self.record.run.folder, *self.places[task.id])

    def _from_accounting(self, tasks: Sequence[Task]) -> dict[str, TaskStatus]:
        self.queries += 1
        names = sorted({job_name(self.record.run.id, self.places[task.id][0]) for task in tasks})
        since = datetime.fromisoformat(self.record.text.at).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
        user = self.record.text.user
        found = {entry.job: entry for entry in scheduler.accounting(names, since, user) or ()}
        if not found and user != getuser():
            self.notes.append(f"SLURM shows no job of {user} here: it hides what others run, or has forgotten it")
            return {task.id: self._task(task, "unknown") for task in tasks}
        return {task.id: self._accounted(task, found) for task in tasks}

    def _accounted(self, task: Task, found: Mapping[str, scheduler.AccountingEntry]) -> TaskStatus:
        place, attempt = self.places[task.id], self.attempts[task.id]
        job = f"{self.submitted.get(place, '')}_{place[1]}"
        if job in found and found[job].state not in scheduler.ACTIVE:
            return self._ended(task, job, found[job].state, found[job].nodes)
        if attempt and attempt.state == "stopped":
            return self._task(task, "cancelled", cause="cancelled")
        if attempt is None and self._parents_failed(task):
            return self._task(task, "blocked", job=job, cause=BLOCKED)
        if attempt is None and not self._output(task).exists():
            return self._task(task, "cancelled", job=job, cause="cancelled", message="it left the queue unstarted")
        return self._task(task, "failed", job=job, cause="SLURM does not know its job any more")

    def _task(
        self, task: Task, state: TaskState, *, job: str = "", node: str = "", cause: str = "", message: str = "",
        current: str = "",
    ) -> TaskStatus:  # fmt: skip
        attempt = self.attempts[task.id]
        return TaskStatus(
            id=task.id,
            stage=stage_of(task),
            state=state,
            jobs=len(task.jobs),
            done=len(self.present.intersection(task.jobs)),
            job=job or (attempt.job if attempt else ""),
            node=node or (attempt.node if attempt else ""),
            cause=cause,
            message=message,
            seconds=attempt.seconds if attempt else None,
            restarts=attempt.restarts if attempt else 0,
            current=current,
        )

    def _parents_failed(self, task: Task) -> bool:
        return any(not self.present.issuperset(self.jobs_of[other]) for other in task.after if other in self.jobs_of)

    # ---------------------------------------------------------------- failures

    def _failures(self, tasks: Iterable[TaskStatus]) -> list[Failure]:
        """One failure per missing job of a task that is over; a job's own record says more than its task's end."""
        told = {failure.key: failure for failure in self.record.run.failures() if failure.key not in self.present}
        over = {task.id: task for task in tasks if task.state not in ACTIVE_STATES}
        found: dict[str, Failure] = {}
        for task in self.table.tasks:
            if task.id not in over:
                continue
            for key in task.jobs:
                if key not in self.present:
                    found[key] = told.get(key) or self._failure(self.rows[key], over[task.id], found)
        return list(found.values())

    def _failure(self, row: JobRow, task: TaskStatus, before: Mapping[str, Failure]) -> Failure:
        parent = next((before[key] for keys in row.inputs.values() for key in keys if key in before), None)
        log = self._log(task)
        cause = task.cause or "ended without a result"
        message = task.message or "\n".join(last_lines(log) if log else [])
        if parent is not None:
            reason = parent.message if parent.cause == BLOCKED else f"blocked by {parent.label} ({parent.cause})"
            cause, message = BLOCKED, reason
        return Failure(
            key=row.key,
            kind=row.kind,
            label=row.label or row.kind,
            task=task.id,
            cause=cause,
            message=message,
            log=str(log or ""),
        )

    def _log(self, task: TaskStatus) -> Path | None:
        """A file that says why a task is not done; None where nobody wrote one."""
        if task.cause == PROBE_FAILED:
            log = probe_log(self.record.run.folder)
            return log if log.is_file() and log.stat().st_size else None
        return log_of(self.record, task.id, self.places[task.id])
