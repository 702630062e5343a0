"""Everything about the arrays of a run that a site cannot give, told before anything is submitted."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from traitgraph.launchers.slurm.layout.layout import TaskArray
from traitgraph.launchers.slurm.layout.task_resources import processes_on_node
from traitgraph.launchers.slurm.site.limits import FEWEST, Limits, Partition, place_of
from traitgraph.specs.jobs.params import JobRow, JobTable
from traitgraph.specs.study.cluster import Cluster, Resources
from traitgraph.specs.study.job_kinds import is_training


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a run from being submitted: what is wrong, and how to repair it."""

    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n  = {self.hint}" if self.hint else self.what


def find_problems(
    arrays: Sequence[TaskArray], table: JobTable, cluster: Cluster, limits: Limits, variables: Mapping[str, str]
) -> list[Problem]:
    """Everything that keeps the arrays of a table from being submitted, or from running once they are, each fault once.

    `variables`: those that are set here.
    """
    found = [problem for array in arrays for problem in _array_problems(array, limits)]
    tasks, most = sum(len(array.tasks) for array in arrays), limits.submitted
    if most is not None and most < min(tasks, FEWEST):  # so low that such a run can never come to its end
        what = f"{tasks:,} tasks do not fit into the queue at once ({most} by {limits.source}), and refilling it"
        found.append(Problem(f"{what} takes {FEWEST} places", "choose another `qos` or `partition`"))
    found += [
        Problem(f"tasks need the variable {name}, which is not set here", f"export {name}=... before submitting")
        for name in cluster.environment
        if name not in variables
    ]
    return list(dict.fromkeys([*found, *training_problems(arrays, table)]))


def _array_problems(array: TaskArray, limits: Limits) -> Iterator[Problem]:
    asked, known = array.resources, limits.partitions
    for name in limits.partitions_of(asked):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"near: {', '.join(near)}" if near else f"partitions: {', '.join(sorted(known))}"
            yield Problem(f"partition '{name}' does not exist on this cluster", hint)
    for partition in limits.known_partitions(asked):
        yield from _partition_problems(asked, partition)
    wall = limits.walls.get(place_of(asked))
    if wall and asked.minutes and asked.minutes > wall.minutes:  # SLURM would take such a task and never start it
        yield _too_long(asked.minutes, wall.source, wall.minutes)


def _too_long(minutes: int, who: str, most: float) -> Problem:
    what = f"{minutes} minutes are above the limit of {who}, {most:g} minutes"
    return Problem(what, "lower `minutes`; work goes on from its checkpoint after each limit")


def _partition_problems(asked: Resources, partition: Partition) -> Iterator[Problem]:
    where = f"partition '{partition.name}'"
    if partition.state != "up":
        yield Problem(f"{where} is {partition.state}", "wait, or choose another `partition`")
    if asked.minutes and partition.minutes is not None and asked.minutes > partition.minutes:
        yield _too_long(asked.minutes, where, partition.minutes)
    if fitting := sum(shape.count for shape in partition.shapes if shape.fits(asked)):
        nodes = min(fitting, partition.most_nodes or fitting)
        if (asked.nodes or 1) > nodes:
            yield Problem(f"{asked.nodes} such nodes are more than {where} gives to one task, {nodes}", "lower `nodes`")
        return
    for field_name, value, limits, unit in (
        ("gpus", asked.gpus or 0, [shape.gpus for shape in partition.shapes], "GPUs"),
        ("cpus", asked.cpus or 0, [shape.cpus for shape in partition.shapes], "CPU cores"),
        ("memory_gb", asked.memory_gb or 0, [round(s.memory_gb, 1) for s in partition.shapes], "GiB of memory"),
    ):
        limit = max(limits, default=0)
        if value > limit:
            what = f"{value:g} {unit} on one node are more than a node of {where} has, {limit:g}"
            yield Problem(what, f"lower `{field_name}`, or choose another `partition`")
    types = sorted({name for shape in partition.shapes for name in shape.gpu_types})
    if asked.gpus and asked.gpu_type and asked.gpu_type not in types:
        yield Problem(f"no node of {where} has GPUs of type '{asked.gpu_type}'", f"types: {', '.join(types) or 'none'}")


# ---------------------------------------------------------------- trainings that share their steps


def training_problems(arrays: Sequence[TaskArray], table: JobTable) -> Iterator[Problem]:
    """What keeps the trainings of these arrays from sharing what they ask for, task by task."""
    rows = {row.key: row for row in table.rows}
    jobs = {task.id: [rows[key] for key in task.jobs] for task in table.tasks}
    for array in arrays:
        for task in array.tasks.values():
            yield from _task_problems(array.resources, jobs[task])


def _task_problems(asked: Resources, rows: Sequence[JobRow]) -> Iterator[Problem]:
    kinds = {row.kind for row in rows}
    if not all(map(is_training, kinds)):
        return
    nodes = asked.nodes or 1
    if asked.model_parallel and nodes > 1:
        yield Problem(
            f"a model cannot be spread over the GPUs of {nodes} nodes (`model_parallel`)",
            "ask for one node with more GPUs: {nodes: 1}",
        )
        return
    processes = nodes * processes_on_node(asked, kinds)
    trainings = [training for row in rows if isinstance(training := row.params.get("training"), dict)]
    # A training of another package may do without these.
    trainings = [training for training in trainings if {"batch_size", "accumulation"} <= training.keys()]
    for size in sorted({int(each["batch_size"]) * int(each["accumulation"]) for each in trainings}):
        if size % processes:
            fitting = [each for each in range(1, asked.gpus or 1) if size % (nodes * each) == 0]
            change = f"gpus: {max(fitting)}" if fitting else "nodes: 1"
            step = f"a step of {size} row{'s' * (size != 1)} (batch_size x accumulation)"
            yield Problem(
                f"{processes} training processes, one for each GPU, cannot share {step} evenly",
                f"in the cluster file: kinds: {{train: {{{change}}}}}; or change the batch",
            )
