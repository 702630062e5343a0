"""What commands about SLURM runs share: the run that is meant, and what comes next."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .options import same_call, study_of

if TYPE_CHECKING:
    from traitgraph import Store, Study
    from traitgraph.api.slurm import RunStatus, SubmissionRecord


def add_run(parser: argparse.ArgumentParser) -> None:
    """--run ID."""
    parser.add_argument("--run", metavar="ID", dest="run_id", help="another run than the newest of the study")


def submission_of(options: argparse.Namespace) -> tuple[Study, Store, SubmissionRecord]:
    """The SLURM run that a command is about. Raises UsageError when there is none."""
    from traitgraph import Store
    from traitgraph.api.slurm import check_installed, find_submission

    check_installed()
    study = study_of(options)
    store = Store(options.store)
    return study, store, find_submission(store, study.study, options.run_id, options.store)


def run_call(options: argparse.Namespace, study: Study) -> str:
    """The words that run what is missing of a study: where it went before, lest a login node trains."""
    from traitgraph import Store
    from traitgraph.api.slurm import newest_submission

    before = newest_submission(Store(options.store), study.study)
    return same_call("run", options) + (" --launcher slurm" if before else "")


def next_call(options: argparse.Namespace, study: Study, slurm: RunStatus | None) -> str:
    """The words that go on with a study whose newest SLURM run stands so: wait for it, try again, or run."""
    if slurm is None or not (slurm.is_active or slurm.failures):
        return run_call(options, study)
    whole = argparse.Namespace(**{**vars(options), "select": []})  # of a run, not of a selection
    return same_call("wait" if slurm.is_active else "retry", whole)
