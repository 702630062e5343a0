"""What commands about SLURM runs share: the cluster of a study, the run that is meant, the refusal of a submission."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .options import same_call, study_of
from .output import UsageError, say

if TYPE_CHECKING:
    from traitgraph.launchers.slurm.record.record import SubmissionRecord
    from traitgraph.launchers.slurm.watch.run_status import RunStatus
    from traitgraph.runtime.store.store import Store
    from traitgraph.specs.study.cluster import Cluster
    from traitgraph.specs.study.study import Study


def add_run(parser: argparse.ArgumentParser) -> None:
    """--run ID."""
    parser.add_argument("--run", metavar="ID", dest="run_id", help="another run than the newest of the study")


def check_installed() -> None:
    """Raise UsageError where what SLURM needs is not installed."""
    from traitgraph.launchers.slurm.site.scheduler import NOT_INSTALLED, is_installed

    if not is_installed():
        raise UsageError(NOT_INSTALLED)


def cluster_of(study: Study) -> Cluster:
    """Where a study runs on SLURM, with what the user's shell sets for sbatch where the cluster file is silent.

    Raises UsageError when its spec does not say.
    """
    from traitgraph.launchers.slurm.site.shell import with_shell

    if study.cluster is None:
        raise UsageError(f"{study.file} names no cluster; add `cluster: one-gpu` or a file of your own (docs/slurm.md)")
    return with_shell(study.cluster, os.environ)


def submissions_of(store: Store, study: str) -> Iterator[SubmissionRecord]:
    """SLURM runs of a study, the newest first."""
    from traitgraph.api.study_runs import runs_of
    from traitgraph.launchers.slurm.record.record import SubmissionRecord

    yield from map(SubmissionRecord, runs_of(store, study, submitted=True))


def newest_submission(store: Store, study: str) -> SubmissionRecord | None:
    """The newest SLURM run of a study; None when there was none."""
    return next(submissions_of(store, study), None)


def submission_of(options: argparse.Namespace) -> tuple[Store, SubmissionRecord]:
    """The SLURM run that a command is about. Raises UsageError when there is none."""
    from traitgraph.runtime.store.store import Store

    check_installed()
    study = study_of(options).study
    store = Store(options.store)
    known = list(submissions_of(store, study))
    wanted = [record for record in known if options.run_id in (None, record.run.id)]
    if not wanted:
        have = f"; there are: {', '.join(record.run.id for record in known[:5])}" if known else ""
        which = f"no run {options.run_id}" if options.run_id else f"no SLURM run of study {study}"
        raise UsageError(f"{which} in {options.store}{have}{_lost(store)}")
    return store, wanted[0]


def _lost(store: Store) -> str:
    """Runs of the store that only the queue still knows, and how to take them out of it."""
    from traitgraph.launchers.slurm.site.scheduler import SchedulerError
    from traitgraph.launchers.slurm.submit.launch import scancel_call
    from traitgraph.launchers.slurm.submit.open_runs import lost_runs

    with suppress(SchedulerError):
        lost = [f"\n  run {run} is in the queue without its record: {scancel_call(run)}" for run in lost_runs(store)]
        return "".join(lost)
    return ""


def slurm_status(store: Store, record: SubmissionRecord) -> RunStatus:
    """How a SLURM run stands: one query for all of its jobs."""
    from traitgraph.launchers.slurm.watch.status import read_status

    return read_status(store, record)


def run_call(options: argparse.Namespace, store: Store, study: str) -> str:
    """The words that run what is missing of a study: where it went before, lest a login node trains."""
    return same_call("run", options) + (" --launcher slurm" if newest_submission(store, study) else "")


def next_call(options: argparse.Namespace, store: Store, study: str, slurm: RunStatus | None) -> str:
    """The words that go on with a study whose newest SLURM run stands so: wait for it, try again, or run."""
    if slurm is None or not (slurm.is_active or slurm.failures):
        return run_call(options, store, study)
    whole = argparse.Namespace(**{**vars(options), "select": []})  # of a run, not of a selection
    return same_call("wait" if slurm.is_active else "retry", whole)


def watch_until_over(store: Store, record: SubmissionRecord, seconds: float) -> None:
    """Show a SLURM run again and again, on standard error, until it is over."""
    from traitgraph.launchers.slurm.watch.control import watch
    from traitgraph.launchers.slurm.watch.run_status import status_text

    watch(store, record, lambda status: say(status_text(status)), seconds=seconds)
