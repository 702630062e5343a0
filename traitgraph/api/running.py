"""Run what is missing of a study, here or on SLURM, after everything that can be refused has been; then its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from traitgraph.compiler.cost.price import check_budget
from traitgraph.compiler.views.print_plan import judge_texts, selection_text
from traitgraph.compiler.views.saved import check_fit, read_plan
from traitgraph.launchers.local import run_locally
from traitgraph.launchers.progress import progress_view
from traitgraph.launchers.slurm.submit import export as scripts
from traitgraph.launchers.slurm.submit.launch import Launch, launch
from traitgraph.launchers.summary import RunSummary
from traitgraph.runtime.jobs.locations import DigestMemory
from traitgraph.runtime.results.table import result_rows, rounding_losses
from traitgraph.runtime.store.errors import StoreError
from traitgraph.runtime.store.records import Failure
from traitgraph.runtime.store.store import Store
from traitgraph.specs.jobs.params import JobTable
from traitgraph.specs.source.diagnostics import SpecError, has_errors
from traitgraph.specs.source.yaml_errors import is_saved_plan
from traitgraph.specs.study.cluster import Cluster
from traitgraph.specs.study.study import Study

from . import preflight, slurm
from .calls import Tell, UsageError, check_installed, default_store, silent, tell_people
from .checking import template_faults
from .data_check import data_faults, stops_a_run
from .planning import Plan, planned, set_aside_damaged
from .results import write_study_report
from .tracking import mirror

__all__ = ["AS_IT_IS", "Outcome", "RunSummary", "check_call", "run"]

AS_IT_IS = "a saved plan runs as it is: no overrides, no selection, no other launcher"


@dataclass(frozen=True)
class Outcome:
    """What a run did."""

    study: str
    summary: RunSummary | None = None
    """How the jobs on this machine ended; None where none was missing, or they went to SLURM."""
    launch: Launch | None = None
    """What was submitted to SLURM."""
    report: Path | None = None
    """The page of the report; a selection, and a run on SLURM, write none."""
    scripts: str = ""
    """Of a dry run: the batch scripts, and the calls that would submit them."""
    export: Path | None = None
    """The script that submits an exported run."""

    @property
    def done(self) -> int:
        """Jobs that this run made."""
        return self.summary.done if self.summary else 0

    @property
    def failed(self) -> int:
        """Jobs that failed themselves; what needs them is not counted."""
        return self.summary.failed if self.summary else 0

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Why jobs are missing: cause, message and log of each."""
        return self.summary.failures if self.summary else ()

    @property
    def ok(self) -> bool:
        """Whether every job is in the store, or with SLURM."""
        return self.summary is None or self.summary.ok


def run(
    what: Plan | Study | str | Path,
    store: Store | str | Path | None = None,
    *,
    select: str | Sequence[str] = (),
    launcher: Literal["local", "slurm"] = "local",
    workers: int = 1,
    max_gpu_hours: float | None = None,
    dry_run: bool = False,
    export: str | Path | None = None,
    tell: Tell | None = tell_people,
) -> Outcome:
    """Run what is missing of a study, on this machine or on the SLURM site of its cluster; then write its report.

    Takes a study, the file of one, a plan (which is made anew), or the file of a saved plan, which runs exactly as it
    is. `workers`: processes side by side here. `max_gpu_hours`: refuse a plan that may take more. With SLURM, `dry_run`
    gives the batch scripts and submits nothing, and `export` writes them into a folder.
    `tell` hears what happens, on standard error by default, with the progress of the jobs; None keeps both still.
    A job that fails is no exception: see `failures` of what is returned.
    Raises UsageError or SpecError, before anything starts, for all that would stop a job later.
    """
    check_call(launcher, workers, max_gpu_hours, dry_run or export is not None)
    shows = tell is not None
    tell = tell or silent
    if not isinstance(what, Plan | Study) and is_saved_plan(Path(what)):
        if select or launcher != "local":
            raise UsageError(AS_IT_IS)
        if max_gpu_hours is not None:
            raise UsageError("a saved plan holds no price: --max-gpu-hours goes with a spec")
        return _run_saved(Path(what), store, workers, tell, shows)
    on_slurm = launcher == "slurm"
    if on_slurm and not dry_run and export is None:  # scripts put no question to SLURM
        slurm.check_installed()
    plan = _ready_plan(what, store, select, on_slurm, max_gpu_hours, tell)
    summary = None
    cluster = slurm.cluster_of(plan.spec) if on_slurm else None
    if plan.counts.missing and cluster:
        return _hand_over(plan, cluster, dry_run, export, tell)
    if plan.counts.missing:
        summary = _run_here(plan.job_table(), plan.store, workers, tell, shows, plan.seconds_by_sort)
        if plan.select and not summary.ok:
            return Outcome(plan.study, summary)
    return Outcome(plan.study, summary, report=_report_after(plan, summary, tell))


def check_call(launcher: str, workers: int, max_gpu_hours: float | None, hands_over: bool) -> None:
    """Refuse options that make no sense, alone or together; `hands_over`: scripts are asked for, and no run."""
    if workers < 1:
        raise UsageError("--workers takes a number from 1 on")
    if max_gpu_hours is not None and not max_gpu_hours >= 0:  # so is what is no number
        raise UsageError("--max-gpu-hours takes a number from 0 on")
    if hands_over and launcher != "slurm":
        raise UsageError("--dry-run and --export go with --launcher slurm")


def _ready_plan(
    what: Plan | Study | str | Path,
    store: Store | str | Path | None,
    select: str | Sequence[str],
    on_slurm: bool,
    max_gpu_hours: float | None,
    tell: Tell,
) -> Plan:
    """The plan of what is missing, after everything that can be known of it has been told or refused."""
    plan = planned(what, store, select, on_cluster=on_slurm)
    if damages := set_aside_damaged(plan.cells, plan.store):
        tell("\n".join([*damages, "made again in this run"]))
        plan = planned(plan, on_cluster=on_slurm)
    counts = plan.counts
    place = store if isinstance(store, str | Path) else plan.store.root
    held = selection_text(plan) if plan.select else f"{counts.jobs:,} jobs, {counts.present:,} in {place}"
    tell(f"study {plan.study}: {held}, {counts.missing:,} to run")
    for text in judge_texts(plan):
        tell(f"API calls: {text}")
    for text in preflight.remarks(plan.spec, plan):
        tell(text)
    if max_gpu_hours is not None and counts.missing:
        check_budget(plan.price, max_gpu_hours)
    if lacking := preflight.without_runtime(plan):
        kinds = "\n  ".join(lacking)
        hint = "run the rest with --select, for example: --select 'arm=NAME'"
        raise UsageError(f"these parts of the study can be planned but not run yet:\n  {kinds}\n{hint}")
    _check_texts(plan, tell)
    return plan


def _check_texts(plan: Plan, tell: Tell) -> None:
    """Refuse data that a job would stumble over later, and conditions that no model sees."""
    faults = [replace(fault, severity="error") if stops_a_run(fault) else fault for fault in data_faults(plan)]
    faults += template_faults(preflight.sample_arms(plan.spec)) if plan.counts.missing else []
    if has_errors(faults):
        raise SpecError(faults)
    if faults:
        tell(tuple(faults))


def _hand_over(plan: Plan, cluster: Cluster, dry_run: bool, export: str | Path | None, tell: Tell) -> Outcome:
    """Submit a plan to SLURM, or give away the scripts that would."""
    table, store = plan.job_table(), plan.store
    preflight.check_tasks(table)
    with slurm.refusals():
        if dry_run:
            return Outcome(plan.study, scripts=scripts.dry_run(table, store, cluster))
        if export is not None:
            return Outcome(plan.study, export=scripts.export(table, store, cluster, Path(export)))
        preflight.check_keys(table)  # tasks get the variables that sbatch is called with
        launched = launch(table, store, cluster)
    tell(launched)
    return Outcome(plan.study, launch=launched)


def _run_here(
    table: JobTable,
    store: Store,
    workers: int,
    tell: Tell,
    shows: bool,
    expected: Mapping[str, float] | None = None,
) -> RunSummary:
    check_installed()
    if packages := preflight.missing_packages(table):
        raise UsageError("\n  ".join(packages))
    preflight.check_keys(table)
    preflight.check_tasks(table)
    preflight.check_hub(table)
    if shows:
        with progress_view(table, durations=store.durations(), expected=expected, workers=workers) as view:
            summary = run_locally(table, store, workers=workers, observer=view)
    else:
        summary = run_locally(table, store, workers=workers)
    tell(summary)
    return summary


def _report_after(plan: Plan, summary: RunSummary | None, tell: Tell) -> Path | None:
    """The report of all that there is; none of a selection, which is no study."""
    try:
        for text in rounding_losses(result_rows(plan.cells, plan.store)[0]):
            tell(f"warning: {text}")
        if plan.select:
            return None
        page = write_study_report(plan.spec, plan, plan.store)
        tell(f"report: {page}")
        if told := mirror(plan.spec, plan, plan.store, page):
            tell(told)
        return page
    except (OSError, StoreError) as problem:
        if summary is None or summary.ok:
            raise
        tell(f"no report: {problem}")  # what failed before it counts
        return None


def _run_saved(path: Path, place: Store | str | Path | None, workers: int, tell: Tell, shows: bool) -> Outcome:
    """Run exactly the plan of a file. Raises SpecError where it does not fit the store or the files any more."""
    saved = read_plan(path)
    store = place if isinstance(place, Store) else Store(Path(place or default_store()))
    if damages := set_aside_damaged(saved.cells, store):
        tell("\n".join(damages))  # a damaged one is gone, which may be a reason to refuse
    check_fit(saved, store.snapshot(), DigestMemory(store.root).digest_of)
    table = saved.table
    tell(f"plan {path}: study {table.study}, {len(table.rows):,} jobs")
    return Outcome(table.study, _run_here(table, store, workers, tell, shows) if table.rows else None)
