"""What is to be known of a study, a plan or a job table before anything starts: parts that cannot run, packages, tasks
of lm-eval, keys of judges, models of the hub. Names of tasks in a spec are looked up when it is read; those of a saved
plan are here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from traitgraph.compiler.ir.builder import Builder
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.ir.ir import Stage
from traitgraph.compiler.ir.resolve import Resolver
from traitgraph.compiler.lowering.lower import lower_arm
from traitgraph.compiler.passes.expand import expand_arm
from traitgraph.compiler.plan import Plan
from traitgraph.compiler.views.lock import unpinned_sources
from traitgraph.runtime.jobs.locations import MissingPackageError, locate
from traitgraph.specs.folders.harness_tasks import family_of, near_tasks, tasks_folder
from traitgraph.specs.folders.task_folder import TaskFolder
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.jobs.refs import PLUGIN
from traitgraph.specs.source.diagnostics import Diagnostic
from traitgraph.specs.source.hashing import digest
from traitgraph.specs.source.library import LIBRARY
from traitgraph.specs.study.benchmarks import LM_EVAL_TASKS, LmEval
from traitgraph.specs.study.judges import LIMITS
from traitgraph.specs.study.study import Arm, Study

from .calls import UsageError

Sample = tuple[Arm, Builder]
"""An arm with the stages of a few of its subjects."""

# ---------------------------------------------------------------- parts that can be planned and not run


def without_runtime(plan: Plan) -> list[str]:
    """A line for each sort of missing job that this program cannot run, with its number; empty when all can be."""
    counts: Counter[str] = Counter()
    for stage, missing in plan.draft.missing_by_stage:
        if reason := _lacking(stage):
            counts[reason] += missing
    return [f"{reason}: {count:,} job{'s' * (count != 1)}" for reason, count in counts.items()]


def arms_without_runtime(arms: Iterable[Sample]) -> dict[str, list[str]]:
    """What no run can do yet of a study that was only read -> names of the arms that ask for it."""
    found = dict[str, list[str]]()
    for arm, builder in arms:
        for reason in dict.fromkeys(filter(None, map(_lacking, builder.stages))):
            found.setdefault(reason, []).append(arm.name)
    return found


def sample_arms(study: Study) -> Iterator[Sample]:
    """Each arm with the stages of one value of its axes of numbers, which stands for all; no file is read for it."""
    context = Context(
        digest_of=lambda path: digest("path", str(path)),
        count_rows=lambda path, fields, table: {},
        count_items=lambda path: 0,
    )
    for arm in study.resolved_arms():
        builder = Builder(Resolver(context))
        lower_arm(expand_arm(study, thinned := _thinned(arm)), thinned, builder)
        yield arm, builder


def _thinned(arm: Arm) -> Arm:
    """The arm with one value on each axis of numbers, and without filters that could leave nothing of it."""
    one = {key: getattr(arm, key)[-1:] for key in ("alpha", "gamma", "seeds")}
    alphas = {trait: values[-1:] for trait, values in arm.alpha_of.items()}
    return arm.model_copy(update={**one, "alpha_of": alphas, "zip": (), "excluded": (), "included": (), "rules": ()})


def _lacking(stage: Stage) -> str | None:
    template: Any = stage.template
    if stage.kind != "assess" or template["benchmark"].kind != PLUGIN:
        return None
    from traitgraph.runtime.assessment.job import lacking_benchmark  # loaded for plugins only: plans are quick

    return lacking_benchmark(template["benchmark"])


# ---------------------------------------------------------------- what lies in packages and files


def missing_packages(table: JobTable) -> list[str]:
    """Which packages with files that the jobs read are not installed, and the lines that install them."""
    prepared: list[Any] = [row.params["model"] for row in table.rows if row.kind == "prepare"]
    wanted = {model["digest"] for model in prepared}
    return package_faults(table.locations[digest] for digest in sorted(wanted))


def package_faults(locations: Iterable[str]) -> list[str]:
    """Why packages in which something lies cannot be used, each once."""
    faults = dict[str, None]()
    for location in locations:
        try:
            locate(location)
        except MissingPackageError as problem:
            faults[str(problem)] = None
    return list(faults)


def small_data_faults(plan: Plan) -> list[Diagnostic]:
    """What is wrong with the small files of the user's that missing jobs read; without such files nothing is loaded."""
    if not _reads_files(plan):
        return []
    from .data_check import data_faults

    return data_faults(plan, whole=False)


def small_data_forms(plan: Plan) -> dict[str, str]:
    """As what the rows of such files are read, by their paths, where not all are plain."""
    if not _reads_files(plan):
        return {}
    from .data_check import data_forms

    return data_forms(plan.draft.stages, plan.draft.locations)


def _reads_files(plan: Plan) -> bool:
    elsewhere = ("package:", "environment:", LIMITS, str(LIBRARY))
    return not all(where.startswith(elsewhere) for where in plan.draft.locations.values())


# ---------------------------------------------------------------- tasks of lm-eval


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


# ---------------------------------------------------------------- refusals of a job table


def check_tasks(table: JobTable) -> None:
    """Refuse tasks that lm-eval does not have: a job would find out after everything that it needs is made."""
    if (folder := tasks_folder()) is None:
        return
    wanted = sorted(set(_built_in_tasks(table)).difference(LM_EVAL_TASKS))
    unknown = {name: ", ".join(near_tasks(folder, name)) for name in wanted if family_of(folder, name) is None}
    lines = [f"\n  '{name}'" + (f"; near: {near}" if near else "") for name, near in unknown.items()]
    if lines:
        raise UsageError("the installed lm-eval has no task or group of this name:" + "".join(lines))


def _built_in_tasks(table: JobTable) -> Iterator[str]:
    for row in table.rows:
        benchmark = row.params.get("benchmark")
        if isinstance(benchmark, dict) and benchmark.get("kind") == "lm_eval" and not benchmark.get("definition"):
            yield str(benchmark["task"])


def check_keys(table: JobTable) -> None:
    """Refuse to start while the key of a judge is missing."""
    from traitgraph.launchers.worker_process import unset_keys

    if names := unset_keys(table, os.environ):
        lines = "\n  ".join(f"export {name}=..." for name in names)
        raise UsageError(f"keys of judges (`key_from`) are read from variables that are not set:\n  {lines}")


def check_hub(table: JobTable) -> None:
    """Refuse models of the hub that cannot be had here: a job would find out after everything that it needs is made."""
    from traitgraph.launchers.slurm.node.probe import hub_answers, in_hub_cache
    from traitgraph.launchers.slurm.watch.doctor import hub_models

    absent = [f"{name} at {revision}" for name, revision in hub_models(table) if not in_hub_cache(name, revision)]
    if absent and not hub_answers():
        why = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else "the hub does not answer"
        raise UsageError(f"{why}, and the cache of this machine lacks these models:\n  " + "\n  ".join(absent))
