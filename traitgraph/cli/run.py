"""`traitgraph run SPEC`: run what is missing, here or on SLURM; then write the report."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.runtime.store.errors import StoreError
from traitgraph.specs.source.diagnostics import SpecError, has_errors, render_text
from traitgraph.specs.source.yaml_errors import is_saved_plan

from .check import template_faults
from .options import add_select, add_spec, add_store, plan_of, same_call
from .output import NEEDED, UsageError, colour_wanted, not_installed, say
from .slurm import check_installed, cluster_of

if TYPE_CHECKING:
    from traitgraph.compiler.plan import Plan
    from traitgraph.runtime.store.store import Store
    from traitgraph.specs.jobs.params import JobTable
    from traitgraph.specs.study.study import Study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC|PLAN [key=value ...] [--store DIR] [--select SELECTOR] [--launcher local|slurm] ..."""
    add_spec(parser)
    add_store(parser)
    add_select(parser)
    workers = "worker processes side by side on this machine (default: %(default)s)"
    parser.add_argument("--workers", type=int, default=1, metavar="N", help=workers)
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="(default: %(default)s)")
    dearest = "refuse to start when the plan may take more GPU hours (without a GPU: CPU hours)"
    parser.add_argument("--max-gpu-hours", type=float, metavar="HOURS", help=dearest)
    parser.add_argument("--dry-run", action="store_true", help="slurm: print the batch scripts and submit nothing")
    export = "slurm: write the scripts and the job table here, for `sh submit.sh` on a login node"
    parser.add_argument("--export", type=Path, metavar="DIR", help=export)


def run(options: argparse.Namespace) -> int:
    """Run a study; 0 when every job is in the store (or submitted), 1 when one failed or the run was stopped."""
    if options.workers < 1:
        raise UsageError("--workers takes a number from 1 on")
    if options.max_gpu_hours is not None and not options.max_gpu_hours >= 0:  # so is what is no number
        raise UsageError("--max-gpu-hours takes a number from 0 on")
    if (options.dry_run or options.export) and options.launcher != "slurm":
        raise UsageError("--dry-run and --export go with --launcher slurm")
    if is_saved_plan(options.spec):
        return _run_saved(options)
    if options.launcher == "slurm":
        return _submit(options)
    study, store, plan = _fresh_plan(options)
    code = 0
    if plan.counts.missing:
        code = _run_table(plan.job_table(), store, options, plan.seconds_by_sort)
    if code and options.select:
        return code
    try:
        _report(study, plan, store, options)
    except (OSError, StoreError) as problem:
        if not code:
            raise
        say(f"no report: {problem}")  # what failed before it counts
    return code


def _fresh_plan(options: argparse.Namespace, *, on_cluster: bool = False) -> tuple[Study, Store, Plan]:
    from traitgraph.api.planning import set_aside_damaged
    from traitgraph.api.preflight import remarks
    from traitgraph.compiler.cost.price import check_budget
    from traitgraph.compiler.views.print_plan import judge_texts, selection_text

    study, store, plan = plan_of(options, on_cluster=on_cluster)
    if damages := set_aside_damaged(plan.cells, store):
        say("\n".join([*damages, "made again in this run"]))
        study, store, plan = plan_of(options, on_cluster=on_cluster)
    counts = plan.counts
    held = selection_text(plan) if options.select else f"{counts.jobs:,} jobs, {counts.present:,} in {options.store}"
    say(f"study {plan.study}: {held}, {counts.missing:,} to run")
    for text in judge_texts(plan):
        say(f"API calls: {text}")
    for text in remarks(study, plan):
        say(text)
    if options.max_gpu_hours is not None and counts.missing:
        check_budget(plan.price, options.max_gpu_hours)
    _check_runtime(plan)
    _check_texts(study, plan)
    return study, store, plan


def _check_runtime(plan: Plan) -> None:
    """Refuse jobs that can be planned and not run, before anything starts."""
    from traitgraph.api.preflight import without_runtime

    if lacking := without_runtime(plan):
        kinds = "\n  ".join(lacking)
        hint = "run the rest with --select, for example: --select 'arm=NAME'"
        raise UsageError(f"these parts of the study can be planned but not run yet:\n  {kinds}\n{hint}")


def _check_texts(study: Study, plan: Plan) -> None:
    """Refuse, before anything starts, data that a job would stumble over later and conditions that no model sees."""
    from traitgraph.api.data_check import data_faults, stops_a_run

    faults = [replace(fault, severity="error") if stops_a_run(fault) else fault for fault in data_faults(plan)]
    faults += template_faults(study) if plan.counts.missing else []
    if has_errors(faults):
        raise SpecError(faults)
    sys.stderr.write(render_text(faults, colour_wanted()))


def _check_keys(table: JobTable) -> None:
    """Refuse to start while the key of a judge is missing."""
    from traitgraph.launchers.worker_process import unset_keys

    if names := unset_keys(table, os.environ):
        lines = "\n  ".join(f"export {name}=..." for name in names)
        raise UsageError(f"keys of judges (`key_from`) are read from variables that are not set:\n  {lines}")


def _check_tasks(table: JobTable) -> None:
    """Refuse tasks that lm-eval does not have: a job would find out after everything that it needs is made."""
    from traitgraph.api.preflight import unknown_tasks

    if names := unknown_tasks(table):
        raise UsageError("the installed lm-eval has no task or group of this name:\n  " + "\n  ".join(names))


def _check_hub(table: JobTable) -> None:
    """Refuse models of the hub that cannot be had here: a job would find out after everything that it needs is made."""
    from traitgraph.launchers.slurm.node.probe import hub_answers, in_hub_cache
    from traitgraph.launchers.slurm.watch.node_check import hub_models

    absent = [f"{name} at {revision}" for name, revision in hub_models(table) if not in_hub_cache(name, revision)]
    if absent and not hub_answers():
        why = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else "the hub does not answer"
        raise UsageError(f"{why}, and the cache of this machine lacks these models:\n  " + "\n  ".join(absent))


def _run_table(
    table: JobTable, store: Store, options: argparse.Namespace, expected: Mapping[str, float] | None = None
) -> int:
    from traitgraph.api.preflight import missing_packages
    from traitgraph.launchers.local import run_locally
    from traitgraph.launchers.progress import progress_view

    _check_installed()
    if packages := missing_packages(table):
        raise UsageError("\n  ".join(packages))
    _check_keys(table)
    _check_tasks(table)
    _check_hub(table)
    view = progress_view(table, durations=store.durations(), expected=expected or {}, workers=options.workers)
    with view:
        summary = run_locally(table, store, workers=options.workers, observer=view)
    by_key = bool(options.overrides)  # `logs` takes none: its spec is the file as it stands
    say(summary.text(same_call("run", options), _logs_call(options), by_key=by_key))
    return summary.exit_code


def _logs_call(options: argparse.Namespace) -> str:
    """The command that prints the log of a job, but for its name; a saved plan has none."""
    if is_saved_plan(options.spec):
        return ""
    asked = argparse.Namespace(spec=options.spec, overrides=[], multirun=False, store=options.store)
    return same_call("logs", asked)


def _report(study: Study, plan: Plan, store: Store, options: argparse.Namespace) -> None:
    from traitgraph.api.reporting import write_study_report
    from traitgraph.api.tracking import mirror
    from traitgraph.runtime.report.results import result_rows, rounding_losses

    for text in rounding_losses(result_rows(plan.cells, store)[0]):
        say(f"warning: {text}")
    if options.select:  # a part of a study is no study
        say(f"next: {same_call('report', options)}    # of all that is in the store; a selection writes none")
        return
    page = write_study_report(study, plan, store, overrides=options.overrides)
    say(f"report: {page}")
    if told := mirror(study, plan, store, page):
        say(told)


# ---------------------------------------------------------------- saved plans


def _run_saved(options: argparse.Namespace) -> int:
    from traitgraph.api.planning import set_aside_damaged
    from traitgraph.compiler.views.saved import check_fit, read_plan
    from traitgraph.runtime.store.digests import DigestMemory
    from traitgraph.runtime.store.store import Store

    if options.overrides or options.select or options.multirun or options.launcher != "local":
        raise UsageError("a saved plan runs as it is: no overrides, no selection, no other launcher")
    if options.max_gpu_hours is not None:
        raise UsageError("a saved plan holds no price: --max-gpu-hours goes with a spec")
    saved, store = read_plan(options.spec), Store(options.store)
    if damages := set_aside_damaged(saved.result_cells(), store):
        say("\n".join(damages))  # a damaged one is gone, which may be a reason to refuse
    check_fit(saved, store.snapshot(), DigestMemory(store.root).digest_of)
    say(f"plan {options.spec}: study {saved.table.study}, {len(saved.table.rows):,} jobs")
    return _run_table(saved.table, store, options) if saved.table.rows else 0


# ---------------------------------------------------------------- SLURM


def _submit(options: argparse.Namespace) -> int:
    from traitgraph.launchers.slurm.site.scheduler import SchedulerError
    from traitgraph.launchers.slurm.submit.export import dry_run, export
    from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError, launch
    from traitgraph.launchers.slurm.submit.submit import BusyError

    if not (options.dry_run or options.export):  # those put no question to SLURM
        check_installed()
    study, store, plan = _fresh_plan(options, on_cluster=True)
    cluster = cluster_of(study)
    if not plan.counts.missing:
        _report(study, plan, store, options)
        return 0
    table = plan.job_table()
    _check_tasks(table)
    try:
        if options.dry_run:
            sys.stdout.write(dry_run(table, store, cluster))
            return 0
        if options.export:
            script = export(table, store, cluster, options.export)
            say(f"next, on a login node: sh {shlex.quote(str(script))}")
            return 0
        _check_keys(table)  # tasks get the variables that sbatch is called with
        say(launch(table, store, cluster).text())
    except (SubmissionRefusedError, SchedulerError, BusyError, FileExistsError) as refusal:
        raise UsageError(str(refusal)) from refusal
    say(f"next: {same_call('status', options)} --watch    # or wait; you may log out")
    return 0


# ---------------------------------------------------------------- what must be installed


def _check_installed() -> None:
    if missing := [name for name in NEEDED if not _is_installed(name)]:
        raise UsageError(not_installed(missing))


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
