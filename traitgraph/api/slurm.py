"""SLURM runs of a study: where they go, which one is meant, and what can be done with it; refusals as UsageError."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from traitgraph.launchers.slurm.record.record import SubmissionRecord
from traitgraph.launchers.slurm.site.scheduler import NOT_INSTALLED, SchedulerError, is_installed, with_shell
from traitgraph.launchers.slurm.submit.export import arrays_text
from traitgraph.launchers.slurm.submit.launch import SubmissionRefusedError, scancel_call
from traitgraph.launchers.slurm.submit.open_runs import lost_runs
from traitgraph.launchers.slurm.submit.submit import BusyError
from traitgraph.launchers.slurm.watch import control
from traitgraph.launchers.slurm.watch.control import NotYoursError, Retry, watch
from traitgraph.launchers.slurm.watch.doctor import examine
from traitgraph.launchers.slurm.watch.run_status import RunStatus, status_json, status_text
from traitgraph.launchers.slurm.watch.status import read_status
from traitgraph.runtime.store.store import Store
from traitgraph.specs.study.cluster import Cluster
from traitgraph.specs.study.study import Study

from .calls import UsageError
from .planning import whole_table
from .study_runs import runs_of

if TYPE_CHECKING:
    from traitgraph.launchers.slurm.watch.doctor import Check

    from .planning import Plan

__all__ = ["RunStatus", "SubmissionRecord", "read_status", "status_json", "status_text", "watch"]


def check_installed() -> None:
    """Raise UsageError where what SLURM needs is not installed."""
    if not is_installed():
        raise UsageError(NOT_INSTALLED)


def cluster_of(study: Study) -> Cluster:
    """Where a study runs on SLURM, with what the user's shell sets for sbatch where the cluster file is silent.

    Raises UsageError when its spec does not say.
    """
    if study.cluster is None:
        raise UsageError(f"{study.file} names no cluster; add `cluster: one-gpu` or a file of your own (docs/slurm.md)")
    return with_shell(study.cluster, os.environ)


def arrays_of(plan: Plan) -> str:
    """The arrays that a plan would become on its study's cluster, as a table."""
    return arrays_text(plan.job_table(), cluster_of(plan.spec))


def examine_site(study: Study, place: Path, seconds: float) -> Iterator[Check]:
    """Every check of `traitgraph doctor`, as it is made; a probe that takes longer than so many seconds is given up."""
    check_installed()
    store, cluster = Store(place), cluster_of(study)
    yield from examine(store, cluster, whole_table(study, store, cluster=cluster), probe_seconds=seconds)


@contextmanager
def refusals() -> Iterator[None]:
    """What SLURM, or our check before it, refuses, as a UsageError."""
    try:
        yield
    except (SubmissionRefusedError, SchedulerError, BusyError, NotYoursError, FileExistsError) as refusal:
        raise UsageError(str(refusal)) from refusal


# ---------------------------------------------------------------- runs that were submitted


def submissions_of(store: Store, study: str) -> Iterator[SubmissionRecord]:
    """SLURM runs of a study, the newest first."""
    yield from map(SubmissionRecord, runs_of(store, study, submitted=True))


def newest_submission(store: Store, study: str) -> SubmissionRecord | None:
    """The newest SLURM run of a study; None when there was none."""
    return next(submissions_of(store, study), None)


def find_submission(store: Store, study: str, run: str | None = None, place: Path | None = None) -> SubmissionRecord:
    """The newest SLURM run of a study, or that of this name. Raises UsageError when there is none in the store.

    `place`: what the message calls the store.
    """
    known = list(submissions_of(store, study))
    wanted = [record for record in known if run in (None, record.run.id)]
    if not wanted:
        have = f"; there are: {', '.join(record.run.id for record in known[:5])}" if known else ""
        which = f"no run {run}" if run else f"no SLURM run of study {study}"
        raise UsageError(f"{which} in {place or store.root}{have}{_lost(store)}")
    return wanted[0]


def _lost(store: Store) -> str:
    """Runs of the store that only the queue still knows, and how to take them out of it."""
    with suppress(SchedulerError):
        lost = [f"\n  run {run} is in the queue without its record: {scancel_call(run)}" for run in lost_runs(store)]
        return "".join(lost)
    return ""


def cancel(record: SubmissionRecord) -> int:
    """Cancel what waits and runs of one run and of no other; how many tasks that were."""
    with refusals():
        return control.cancel(record)


def retry(store: Store, record: SubmissionRecord, study: Study) -> Retry:
    """Submit again what a run left missing, with more of what it ran out of."""
    with refusals():
        return control.retry(store, record, cluster_of(study) if study.cluster else None)
