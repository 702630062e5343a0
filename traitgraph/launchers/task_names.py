"""What is to be known of the lm-eval tasks of a study before anything starts.

The built-in tasks of a saved plan are looked up here; those of a spec are when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from traitgraph.compiler.lock import unpinned_sources
from traitgraph.compiler.plan import Plan
from traitgraph.specs.harness_tasks import family_of, near_tasks, tasks_folder
from traitgraph.specs.instruments import LM_EVAL_TASKS, LmEval
from traitgraph.specs.jobs import JobTable
from traitgraph.specs.study import Study
from traitgraph.specs.task_folder import TaskFolder


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


def fixed_shots(study: Study) -> Iterator[str]:
    """A line for each task that leaves `shots` without effect."""
    for task in (each for each in tasks_of(study) if each.shots):
        definitions = TaskFolder(Path(task.folder)) if task.folder else task.built_in()
        if definitions and (fixed := definitions.fixed_at_zero(task.task)):
            yield f"`shots: {task.shots}` has no effect on {', '.join(fixed)}: the task fixes 0, as in lm-eval"


def unversioned_tasks(study: Study) -> list[str]:
    """A line on built-in tasks whose release nobody here can tell."""
    names = [task.task for task in tasks_of(study) if not task.folder]
    if not names or tasks_folder():
        return []
    return [f"lm-eval is not installed here: the keys of these tasks name no release of it: {', '.join(names)}"]


def remarks(study: Study, plan: Plan) -> Iterator[str]:
    """What a run will do otherwise than its spec reads, and what it reads as it stands on the day."""
    folders = [(TaskFolder(Path(task.folder)), task.task) for task in tasks_of(study) if task.folder]
    loose = unpinned_sources(plan) + [name for folder, task in folders for name in folder.hub_data(task)]
    yield from (f"warning: {text}" for text in fixed_shots(study))
    yield from unversioned_tasks(study)
    if loose:
        yield f"not pinned, read as it stands today: {', '.join(loose)}"


def _built_in_tasks(table: JobTable) -> Iterator[str]:
    for row in table.rows:
        benchmark = row.params.get("benchmark")
        if isinstance(benchmark, dict) and benchmark.get("kind") == "lm_eval" and not benchmark.get("definition"):
            yield str(benchmark["task"])
