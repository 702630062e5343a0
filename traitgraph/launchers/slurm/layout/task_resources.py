"""What each task of a job table asks of SLURM: the cluster's rules, and more of what it ran out of before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from traitgraph.launchers.slurm.site.limits import Limits
from traitgraph.runtime.store.errors import MEMORY_CAUSES, OUT_OF_TIME
from traitgraph.specs.jobs.params import JobRow, JobTable, Task
from traitgraph.specs.study.cluster import Cluster, Escalation, Resources
from traitgraph.specs.study.job_kinds import is_training

from .layout import TaskRequest


@dataclass(frozen=True, slots=True)
class Shortage:
    """How often the jobs of a task ran out of something in earlier runs."""

    memory: int = 0
    time: int = 0


def request_tasks(
    table: JobTable,
    cluster: Cluster,
    shortages: Mapping[str, Shortage] = {},
    outside: Mapping[str, frozenset[str]] = {},
    limits: Limits | None = None,
) -> list[TaskRequest]:
    """The tasks of a table with their resources and hard edges; `shortages` are of job keys, `outside` of tasks.

    A task that packs several kinds asks for the most of each resource. More than before is asked for within `limits`.
    """
    rows = {row.key: row for row in table.rows}
    hard = hard_parents(table)
    found = []
    for task in table.tasks:
        given = _resources(task, [rows[key] for key in task.jobs], cluster)
        short = [shortages[key] for key in task.jobs if key in shortages]
        most = Shortage(max((each.memory for each in short), default=0), max((each.time for each in short), default=0))
        request = TaskRequest(
            id=task.id,
            stage=stage_of(task),
            resources=escalated(given, cluster.escalation, most, limits or Limits()),
            after=task.after,
            hard=hard[task.id],
            minutes=task.minutes or 0.0,
            given_minutes=given.minutes or 0,
            outside=outside.get(task.id, frozenset()),
        )
        found.append(request)
    return found


def stage_of(task: Task) -> str:
    """'02-assess' of '02-assess-000'."""
    stage, _, number = task.id.rpartition("-")
    return stage if stage and number.isdigit() else task.id


def _resources(task: Task, rows: Sequence[JobRow], cluster: Cluster) -> Resources:
    asked = {cluster.resources_of(row.kind, _method(row), task.billions) for row in rows}
    most = _most(sorted(asked, key=lambda each: each.model_dump_json()))
    return most if all(is_training(row.kind) for row in rows) else most.model_copy(update={"nodes": 1})


def _method(row: JobRow) -> str | None:
    """'dpo' of a training, 'questionnaire' of an assessment."""
    for part, field in (("training", "method"), ("benchmark", "benchmark"), ("benchmark", "kind")):
        value = row.params.get(part)
        if isinstance(value, Mapping) and isinstance(value.get(field), str):
            return str(value[field])
    return None


def _most(asked: Sequence[Resources]) -> Resources:
    """The most of every number; names (partition, GPU type) come from the one that asks for most GPUs, then memory."""
    if len(asked) == 1:
        return asked[0]
    main = max(asked, key=lambda each: (each.gpus or 0, _memory(each)))
    numbers = ("nodes", "gpus", "cpus", "minutes")
    most = {name: max((getattr(each, name) or 0) for each in asked) for name in numbers}
    memory = max(asked, key=_memory).memory_gb
    return main.model_copy(update={"memory_gb": memory, **{name: value for name, value in most.items() if value}})


def _memory(asked: Resources) -> float:
    """Memory for comparisons: 0 asks for a whole node, which is the most, and None for nothing. [GiB]"""
    return -1 if asked.memory_gb is None else asked.memory_gb or math.inf


def processes_on_node(asked: Resources, kinds: Iterable[str]) -> int:
    """Processes that one task starts on each of its nodes: only trainings share their work, one for each GPU."""
    if asked.model_parallel or not all(map(is_training, kinds)):
        return 1
    return max(1, asked.gpus or 0)


def escalated(resources: Resources, escalation: Escalation, shortage: Shortage, limits: Limits) -> Resources:
    """More memory and time for a task that ran out of them, up to what the cluster file allows and the site can give.

    A request near a whole node grows to the whole node: beyond it there is only a refusal.
    """
    changes: dict[str, object] = {}
    if shortage.memory and resources.memory_gb:
        asked = resources.memory_gb * escalation.memory**shortage.memory
        most = min(limits.most_memory(resources), escalation.memory_gb_most or math.inf)
        changes["memory_gb"] = max(resources.memory_gb, min(asked, most))
    if shortage.time and resources.minutes:
        limit = math.ceil(resources.minutes * escalation.minutes**shortage.time)
        longest = [most for most in (limits.longest(resources), escalation.minutes_most) if most is not None]
        changes["minutes"] = max(resources.minutes, int(min([limit, *longest])))
    return resources.model_copy(update=changes)


def count_shortages(causes: Iterable[tuple[str, str]]) -> dict[str, Shortage]:
    """Shortages by job key, of (key, cause) of earlier failures."""
    memory, time = Counter[str](), Counter[str]()
    for key, cause in causes:
        memory[key] += cause in MEMORY_CAUSES
        time[key] += cause == OUT_OF_TIME
    return {key: Shortage(memory[key], time[key]) for key in memory if memory[key] or time[key]}


def hard_parents(table: JobTable) -> dict[str, frozenset[str]]:
    """For each task the parents whose failure leaves it nothing to do: each of its jobs needs all of theirs."""
    jobs_of = {task.id: set(task.jobs) for task in table.tasks}
    ancestors: dict[str, frozenset[str]] = {}
    """Every job that a job needs, near and far."""
    for row in table.rows:  # in topological order
        direct = {key for keys in row.inputs.values() for key in keys}
        ancestors[row.key] = frozenset(direct).union(*(ancestors.get(key, frozenset()) for key in direct))
    return {
        task.id: frozenset(
            parent
            for parent in task.after
            if parent in jobs_of and all(jobs_of[parent] <= ancestors[key] for key in task.jobs)
        )
        for task in table.tasks
    }
