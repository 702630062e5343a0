"""What is to be known of the lm-eval tasks of a study before anything starts.

The built-in tasks of a saved plan are looked up here; those of a spec are when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from traitgraph.specs.harness_tasks import family_of, near_tasks, tasks_folder
from traitgraph.specs.instruments import LM_EVAL_TASKS, LmEval
from traitgraph.specs.jobs import JobTable
from traitgraph.specs.study import Study
from traitgraph.specs.task_folder import TaskFolder

UNVERSIONED = "lm-eval is not installed here: the keys of these tasks name no release of it: {}"


def unknown_tasks(table: JobTable) -> list[str]:
    """A line for each built-in task that jobs name and the harness lacks; none where it is not installed."""
    if (folder := tasks_folder()) is None:
        return []
    wanted = sorted(set(_built_in_tasks(table)).difference(LM_EVAL_TASKS))
    unknown = {name: ", ".join(near_tasks(folder, name)) for name in wanted if family_of(folder, name) is None}
    return [f"'{name}'" + (f"; near: {near}" if near else "") for name, near in unknown.items()]


def tasks_of(study: Study) -> list[LmEval]:
    """The tasks of lm-eval that a study asks for, each once."""
    found = (each for arm in study.resolved_arms() for each in arm.benchmarks)
    return list(dict.fromkeys(each for each in found if isinstance(each, LmEval)))


def fixed_shots(study: Study) -> list[str]:
    """A line for each task that leaves `shots` without effect."""
    found = []
    for task in tasks_of(study):
        definitions = TaskFolder(Path(task.folder)) if task.folder else task.built_in() if task.shots else None
        if definitions and task.shots and (fixed := definitions.fixed_at_zero(task.task)):
            found.append(f"`shots: {task.shots}` has no effect on {', '.join(fixed)}: the task fixes 0, as in lm-eval")
    return found


def unversioned_tasks(study: Study) -> list[str]:
    """Built-in tasks whose release nobody here can tell."""
    return [task.task for task in tasks_of(study) if not task.folder and tasks_folder() is None]


def unpinned_data(study: Study) -> list[str]:
    """Data sets of the hub that the task folders of a study read as they stand."""
    return [
        name for each in tasks_of(study) if each.folder for name in TaskFolder(Path(each.folder)).hub_data(each.task)
    ]


def _built_in_tasks(table: JobTable) -> Iterator[str]:
    for row in table.rows:
        benchmark = row.params.get("benchmark")
        if isinstance(benchmark, dict) and benchmark.get("kind") == "lm_eval" and not benchmark.get("definition"):
            yield str(benchmark["task"])
