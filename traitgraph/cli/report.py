"""`traitgraph report SPEC`: render the report again from what the store holds."""

from __future__ import annotations

import argparse
import sys

from .options import add_spec, add_store, study_of
from .output import UsageError
from .slurm import run_call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC [key=value ...] [--store DIR]."""
    add_spec(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    """Write the report and print its path; mirror the study where the spec asks for it."""
    from traitgraph.api.reporting import NoResultError, report

    study = study_of(options)
    try:
        page = report(study, options.store)
    except NoResultError as nothing:
        what = f"no result of study {study.study} is in {options.store}"
        raise UsageError(f"{what}; next: {run_call(options, study)}") from nothing
    sys.stdout.write(f"{page}\n")
    return 0
