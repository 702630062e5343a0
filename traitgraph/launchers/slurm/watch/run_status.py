"""What is known of a run at one moment, task by task, and how it is told: also why tasks wait, in words for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from traitgraph.launchers.summary import failure_lines
from traitgraph.runtime.store.records import Failure, by_cause
from traitgraph.specs.jobs.params import Task
from traitgraph.specs.jobs.results import duration_text

TaskState = Literal[
    "done", "running", "waiting", "held", "requeued", "later", "unknown", "failed", "blocked", "cancelled"
]
QUEUED_STATES = frozenset({"waiting", "held", "requeued"})
ACTIVE_STATES = QUEUED_STATES | {"running", "later", "unknown"}
"""States of a task that may still end well; `unknown` while SLURM does not answer, `held` until somebody acts."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task now."""

    id: str
    stage: str
    state: TaskState
    jobs: int
    done: int
    """Jobs of the task that are in the store."""
    job: str = ""
    """SLURM's id, '12_3'; empty before submission."""
    node: str = ""
    cause: str = ""
    message: str = ""
    """Its last message; of a task that waits, SLURM's reason."""
    seconds: float | None = None
    """Length of the last attempt that ended."""
    restarts: int = 0
    current: str = ""
    """What it is doing, while it runs: 'train extraversion high, 3 of 12 steps'."""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """The tasks of one stage together."""

    name: str
    jobs: int
    done: int
    tasks: Mapping[str, int]
    """State -> number of tasks."""


@dataclass(frozen=True)
class RunStatus:
    """One run now."""

    run: Path
    tasks: tuple[TaskStatus, ...]
    failures: tuple[Failure, ...]
    """Why jobs are missing that no active task will make."""
    eta_seconds: float | None
    """Guess of the time left; None when nothing has ended yet or nothing is left. [s]"""
    queries: int
    """Questions put to SLURM for this."""
    notes: tuple[str, ...] = ()
    """What a person should know besides: SLURM does not answer, a continuation died, the probe waits."""

    @property
    def jobs(self) -> int:
        """Jobs of the run."""
        return sum(task.jobs for task in self.tasks)

    @property
    def done(self) -> int:
        """Jobs that are in the store."""
        return sum(task.done for task in self.tasks)

    @property
    def is_active(self) -> bool:
        """Whether anything still waits or runs."""
        return any(task.state in ACTIVE_STATES for task in self.tasks)

    @property
    def ok(self) -> bool:
        """Whether every job is in the store."""
        return self.done == self.jobs

    @property
    def exit_code(self) -> int:
        """0 while all is well, 1 once a job failed."""
        return 1 if self.failures or not (self.ok or self.is_active) else 0

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes on which tasks run now."""
        return tuple(sorted({task.node for task in self.tasks if task.state == "running" and task.node}))

    @property
    def waits(self) -> list[str]:
        """Why tasks wait, a line per reason, the most frequent first, and what else there is to know.

        What is held comes with the call that releases it.
        """
        jobs: dict[str, list[str]] = defaultdict(list)
        for task in self.tasks:
            if task.state in QUEUED_STATES:
                jobs[task.message].append(task.job)
        lines = []
        for reason, found in sorted(jobs.items(), key=lambda each: -len(each[1])):
            many = len(found) != 1
            line = f"{len(found):,} task{'s' * many} wait{'s' * (not many)}: {meaning_of(reason)}"
            if is_held(reason):
                line += f"; scontrol release {','.join(dict.fromkeys(job.partition('_')[0] for job in found))}"
            lines.append(line)
        return [*lines, *self.notes]

    @property
    def stages(self) -> tuple[StageStatus, ...]:
        """The stages in order."""
        groups: dict[str, list[TaskStatus]] = defaultdict(list)
        for task in self.tasks:
            groups[task.stage].append(task)
        return tuple(
            StageStatus(name, sum(t.jobs for t in tasks), sum(t.done for t in tasks), Counter(t.state for t in tasks))
            for name, tasks in groups.items()
        )


def guess_seconds_left(tasks: Sequence[TaskStatus], planned: Iterable[Task]) -> float | None:
    """Time left if tasks go on as those of their stage did, as many at once as now; None when there is no telling."""
    left = [task for task in tasks if task.state in ACTIVE_STATES]
    if not left:
        return None
    known: dict[str, list[float]] = defaultdict(list)
    for task in tasks:
        if task.state == "done" and task.seconds:
            known[task.stage].append(task.seconds)
    expected = {task.id: (task.minutes or 0) * 60 for task in planned}
    seconds = 0.0
    for task in left:
        measured = known[task.stage]
        length = sum(measured) / len(measured) if measured else expected.get(task.id, 0.0)
        if not length:
            return None
        share = 1 - task.done / task.jobs
        if share == 1 and task.state == "running":
            share = 0.5  # nothing tells how far its first job is
        seconds += length * share
    return seconds / max(1, sum(task.state == "running" for task in tasks))


_RUNNING_SHOWN = 8


def status_text(status: RunStatus) -> str:
    """A run for people: one line on the whole, one per stage, what runs, and failures by cause."""
    head = [f"run {status.run.name}: {status.done:,} of {status.jobs:,} jobs done"]
    if status.nodes:
        head.append(f"tasks on {', '.join(status.nodes)}")
    if status.eta_seconds is not None:
        head.append(f"about {duration_text(status.eta_seconds)} left")
    lines = ["; ".join(head)]
    stages = status.stages
    width = max((len(stage.name) for stage in stages), default=0)
    for stage in stages:
        counts = sorted((state, count) for state, count in stage.tasks.items() if state != "done")
        others = [f"{count} task{'s' * (count != 1)} {state}" for state, count in counts]
        lines.append(", ".join([f"  {stage.name:<{width}}  {stage.done:>6,} of {stage.jobs:,} jobs", *others]))
    running = [task for task in status.tasks if task.state == "running"]
    shown = running[:_RUNNING_SHOWN]
    lines += [f"  {task.id} on {task.node or '?'}: {task.current or 'starting'}" for task in shown]
    if len(running) > len(shown):
        lines.append(f"  and {len(running) - len(shown)} more tasks")
    lines += [f"  {line}" for line in status.waits]
    lines += [line for cause, found in by_cause(status.failures) for line in failure_lines(cause, found)]
    return "\n".join(lines)


def status_json(status: RunStatus) -> dict[str, object]:
    """The same as plain data."""
    return {
        "run": status.run.name,
        "jobs": status.jobs,
        "done": status.done,
        "ok": status.ok,
        "active": status.is_active,
        "nodes": list(status.nodes),
        "eta_seconds": status.eta_seconds,
        "stages": [
            {"name": stage.name, "jobs": stage.jobs, "done": stage.done, "tasks": dict(stage.tasks)}
            for stage in status.stages
        ],
        "failures": [failure.model_dump(mode="json", exclude={"traceback"}) for failure in status.failures],
        "notes": status.waits,
    }


_MEANINGS = {
    "BeginTime": "its time has not come; SLURM sets one for a job that it requeues",
    "Dependency": "the tasks before them have not ended",
    "JobArrayTaskLimit": "as many run as `throttle` in the cluster file allows",
    "JobHeldAdmin": "held by an administrator, who alone can release them",
    "JobHeldUser": "held by their owner",
    "PartitionDown": "the partition takes jobs and starts none",
    "PartitionInactive": "the partition takes no jobs and starts none",
    "PartitionTimeLimit": "their time limit is above that of the partition",
    "Priority": "others are in front",
    "ReqNodeNotAvail": "nodes are down, drained or reserved, as before a maintenance",
    "Reservation": "their reservation has not begun",
    "Resources": "next in line as soon as nodes are free",
}
_LIMITS = ("Assoc", "QOS", "MaxJobs", "MaxGRES", "MaxCpu", "MaxMem", "MaxNode")


def is_held(reason: str) -> bool:
    """Whether somebody must act before a job with this reason can start."""
    return "held" in reason.lower()


def meaning_of(reason: str) -> str:
    """SLURM's reason with its meaning, where we know one.

    >>> meaning_of("Priority"), meaning_of("QOSMaxJobsPerUserLimit"), meaning_of("None")
    ('Priority: others are in front', 'QOSMaxJobsPerUserLimit: a limit of the site is reached', 'not looked at yet')
    """
    if reason in ("", "None"):
        return "not looked at yet"
    meaning = _MEANINGS.get(reason.partition(",")[0])
    if meaning is None and reason.startswith(_LIMITS):
        meaning = "a limit of the site is reached"
    return f"{reason}: {meaning}" if meaning else reason
