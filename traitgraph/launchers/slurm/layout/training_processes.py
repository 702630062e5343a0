"""How the GPUs of an allocation share one training: a process with a copy of the model on each, or one for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from traitgraph.launchers.slurm.site.limits import Problem
from traitgraph.specs.jobs.params import JobRow, JobTable
from traitgraph.specs.study.cluster import Resources
from traitgraph.specs.study.job_kinds import is_training

from .layout import TaskArray


def processes_on_node(asked: Resources, kinds: Iterable[str]) -> int:
    """Processes that one task starts on each of its nodes; only training shares its work."""
    if asked.model_parallel or not all(map(is_training, kinds)):
        return 1
    return max(1, asked.gpus or 0)


def training_problems(arrays: Sequence[TaskArray], table: JobTable) -> Iterator[Problem]:
    """What keeps the trainings of these arrays from sharing what they ask for, each fault once."""
    rows = {row.key: row for row in table.rows}
    jobs = {task.id: [rows[key] for key in task.jobs] for task in table.tasks}
    found = (
        problem
        for array in arrays
        for task in array.tasks.values()
        for problem in _task_problems(array.resources, jobs[task])
    )
    yield from dict.fromkeys(found)


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
    for size in sorted(set(_rows_of_steps(rows))):
        if size % processes:
            fitting = [each for each in range(1, asked.gpus or 1) if size % (nodes * each) == 0]
            change = f"gpus: {max(fitting)}" if fitting else "nodes: 1"
            step = f"a step of {size} row{'s' * (size != 1)} (batch_size x accumulation)"
            yield Problem(
                f"{processes} training processes, one for each GPU, cannot share {step} evenly",
                f"in the cluster file: kinds: {{train: {{{change}}}}}; or change the batch",
            )


def _rows_of_steps(rows: Sequence[JobRow]) -> Iterator[int]:
    """Rows that one step of each training sees; a training of another package may do without."""
    for row in rows:
        training = row.params.get("training")
        if isinstance(training, dict) and {"batch_size", "accumulation"} <= training.keys():
            yield int(training["batch_size"]) * int(training["accumulation"])
